//! The edge: given a store and a directory, when something comes in, then a command, or exactly why not.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::RwLock;
use pledger_domain::{
    facts::Channel,
    stream::StreamName,
    values::{PersonId, Personal, Timestamp},
};
use pledger_ledger::{
    commands::CommandEnvelope,
    directory::{Directory, IdKind},
    edge::{Edge, Incoming, MAX_PAYLOAD_LEN, Refused, SeededRandomness, SteppedClock, waves},
    keys::{Erasure, KeyStore, KeyStoreError, MemoryKeyStore, Opened},
    slices::{Position, Slices},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn edge() -> Edge {
    edge_over(Arc::new(MemoryKeyStore::default()))
}

fn edge_over(keys: Arc<dyn KeyStore>) -> Edge {
    Edge {
        slices: Slices::default(),
        keys,
        directory: Arc::new(RwLock::new(Directory::default())),
        clock: Arc::new(SteppedClock::fixed(NOW)),
        randomness: Arc::new(SeededRandomness::new(7)),
    }
}

/// Input as a request, owned so that a row of a table may hold it.
#[derive(Clone)]
struct Request {
    name: &'static str,
    payload: Vec<u8>,
    edit: fn(&mut Incoming<'_>),
}

fn request(name: &'static str, payload: &Value) -> Request {
    Request { name, payload: payload.to_string().into_bytes(), edit: |incoming| incoming.key = Some("k1") }
}

impl Request {
    fn with(self, edit: fn(&mut Incoming<'_>)) -> Self {
        Self { edit, ..self }
    }

    fn incoming(&self) -> Incoming<'_> {
        let mut incoming = Incoming::new(self.name, &self.payload, "portal".into(), Channel::Api);
        (self.edit)(&mut incoming);
        incoming
    }

    fn prepare(&self, edge: &Edge) -> Result<CommandEnvelope, Refused> {
        edge.prepare(self.incoming())
    }
}

fn register(deal: &str, account: &Value, contact: &Value) -> Value {
    let amount = json!({"amount": "1.00", "currency": "USD"});
    let mut payload = json!({"deal_id": deal, "partner_id": "p1", "account": account, "product": "P", "amount": amount});
    if !contact.is_null() {
        payload["contact"] = contact.clone();
    }
    payload
}

fn acme() -> Value {
    json!({"name": "Acme", "domain": "acme.com"})
}

fn ada() -> Value {
    json!({"name": "Ada Lovelace", "email": "ada@acme.com"})
}

fn stream(name: &str) -> StreamName {
    StreamName::parse(name).expect("a stream")
}

fn contact(envelope: &CommandEnvelope) -> Value {
    serde_json::from_str::<Value>(envelope.payload.get()).expect("JSON")["contact"].clone()
}

fn person(value: &Value) -> PersonId {
    PersonId::parse(value.as_str().expect("an id")).expect("an id")
}

#[test]
fn a_command_has_everything_that_is_recorded() {
    let payload = json!({"partner_id": "p1"});
    let envelope = request("ActivatePartner", &payload)
        .with(|incoming| {
            incoming.actor = Some("e-1");
            incoming.effective_at = Some(Timestamp::from_micros(5));
            incoming.if_match = Some(3);
            incoming.cause = Some("9:12");
            incoming.after = [(1, 5), (0, 9), (1, 7)].map(|(slice, pseq)| Position { slice, pseq }).into();
        })
        .prepare(&edge())
        .expect("prepared");
    assert_eq!(envelope.stream, stream("partner/p1"));
    assert_eq!(envelope.payload.get(), r#"{"partner_id":"p1"}"#);
    assert_eq!((envelope.actor.as_deref(), envelope.cause.as_deref()), (Some("e-1"), Some("9:12")));
    assert_eq!((envelope.received_at, envelope.effective_at), (NOW, Some(Timestamp::from_micros(5))));
    assert_eq!((envelope.if_match, envelope.historical), (Some(3), false));
    assert_eq!(envelope.after, [(0, 9), (1, 7)].map(|(slice, pseq)| Position { slice, pseq }), "the highest of each slice");
    let key: uuid::Uuid = envelope.key.parse().expect("a uuid");
    assert_eq!(key.get_version_num(), 7);
    assert_eq!(key.get_timestamp().expect("a time").to_unix().0, 1_800_000_000);
}

#[test]
fn what_is_no_command_is_refused() {
    let activate = || request("ActivatePartner", &json!({"partner_id": "p1"}));
    let long = json!({"partner_id": "p".repeat(MAX_PAYLOAD_LEN)});
    let no_domain = register("d1", &json!({"name": "Acme", "domain": "localhost"}), &Value::Null);
    let close_window = || request("CloseClaimWindow", &json!({"request_id": "r1", "budget_id": "b1"}));
    for (request, code, field) in [
        (request("ActivatePartner", &json!({})), "InvalidPayload", Some("partner_id")),
        (request("ActivatePartner", &json!({"partner_id": "a b"})), "InvalidPayload", Some("partner_id")),
        (Request { payload: b"{".to_vec(), ..activate() }, "MalformedPayload", None),
        (request("ActivatePartners", &json!({})), "UnknownCommand", None),
        (request("ActivatePartner", &long), "PayloadTooLong", None),
        (request("RegisterDeal", &no_domain), "InvalidAccount", Some("account.domain")),
        (request("ApproveDeal", &json!({"deal_id": "d1"})), "UnknownId", Some("deal_id")),
        (request("ApproveClaim", &json!({"claim_id": "c1"})), "UnknownId", Some("claim_id")),
        (close_window(), "SystemOnly", None),
        (close_window().with(|i| i.channel = Channel::Ingest), "SystemOnly", None),
        (close_window().with(|i| i.channel = Channel::Import), "SystemOnly", None),
        (activate().with(|i| i.key = Some("")), "InvalidIdempotencyKey", None),
        (activate().with(|i| i.key = Some("a\nb")), "InvalidIdempotencyKey", None),
        (activate().with(|i| i.sender = "".into()), "InvalidSender", None),
        (activate().with(|i| i.actor = Some("Ada Lovelace")), "InvalidActor", None),
        (activate().with(|i| i.after = vec![Position { slice: 4, pseq: 0 }]), "InvalidAfter", None),
    ] {
        let refused = request.prepare(&edge()).expect_err(code);
        assert_eq!((refused.code(), refused.field()), (code, field), "{refused}");
    }
    for channel in [Channel::Policy, Channel::Deadline] {
        let closed = close_window();
        let mut incoming = closed.incoming();
        incoming.channel = channel;
        assert!(edge().prepare(incoming).is_ok());
    }
    let (longest, too_long) = ("k".repeat(200), "k".repeat(201));
    for (key, taken) in [(&longest, true), (&too_long, false)] {
        let activate = activate();
        assert_eq!(edge().prepare(Incoming { key: Some(key), ..activate.incoming() }).is_ok(), taken);
    }
}

#[test]
fn countries_are_assigned_codes_in_capitals() {
    let partner = |country: &str| {
        request("RegisterPartner", &json!({"partner_id": "p1", "name": "Nordwind", "roles": ["reseller"], "country": country}))
    };
    let deal = |country: &str| request("RegisterDeal", &register("d1", &json!({"name": "Globex", "country": country}), &Value::Null));
    for (given, code) in [("DE", "DE"), ("us", "US"), ("gB", "GB")] {
        let payload = |request: Request| serde_json::from_str::<Value>(request.prepare(&edge()).expect(given).payload.get()).expect("JSON");
        assert_eq!(payload(partner(given))["country"], code);
        assert_eq!(payload(deal(given))["account"]["country"], code);
        assert_eq!(deal(given).prepare(&edge()).expect(given).stream, stream(&format!("account/name:globex:{}", code.to_lowercase())));
    }
    for given in ["ZZ", "UK", "Germany"] {
        let told = |request: Request| {
            let refused = request.prepare(&edge()).expect_err(given);
            (refused.code(), refused.field().map(str::to_owned), refused.to_string().contains("is not an assigned ISO 3166-1 alpha-2 code"))
        };
        assert_eq!(told(partner(given)), ("InvalidPayload", Some("country".to_owned()), true));
        assert_eq!(told(deal(given)), ("InvalidAccount", Some("account.country".to_owned()), true));
    }
    // What stands under such a code is still found by its key.
    let touch = json!({"touchpoint_id": "t1", "account": "name:globex:zz", "kind": "demo", "occurred_at": "2026-01-01"});
    assert_eq!(request("RecordTouchpoint", &touch).prepare(&edge()).expect("a key").stream, stream("account/name:globex:zz"));
}

#[test]
fn persons_are_sealed_and_given_an_id() {
    let edge = edge();
    let envelope = request("RegisterDeal", &register("d1", &acme(), &ada())).prepare(&edge).expect("prepared");
    let contact = contact(&envelope);
    let subject = person(&contact["person_id"]);
    assert!(!envelope.payload.get().contains("Ada") && !envelope.payload.get().contains("ada@"));
    for (field, plain) in [("name", "Ada Lovelace"), ("email", "ada@acme.com")] {
        let sealed = contact[field]["sealed"].as_str().expect("sealed");
        assert_eq!(edge.keys.open(sealed), Ok(Opened::Plain(plain.into())));
        assert_eq!(edge.keys.seal(&subject, plain), Ok(Personal::Sealed(sealed.into())), "both belong to one subject");
    }
    let named = register("d1", &acme(), &json!({"person_id": "u-1", "name": "Ada"}));
    let envelope = request("RegisterDeal", &named).prepare(&edge).expect("prepared");
    assert_eq!(envelope_subject(&envelope), "u-1");
    let nobody = register("d1", &acme(), &json!({}));
    let envelope = request("RegisterDeal", &nobody).prepare(&edge).expect("prepared");
    assert_eq!(envelope.payload.get().matches("person_id").count(), 0, "no field, no person");
}

fn envelope_subject(envelope: &CommandEnvelope) -> String {
    contact(envelope)["person_id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_person_without_an_id_is_found_again_by_row_or_key() {
    let edge = edge();
    let subject = |account: &Value, edit: fn(&mut Incoming<'_>)| {
        let request = request("RegisterDeal", &register("d1", account, &ada())).with(edit);
        envelope_subject(&request.prepare(&edge).expect("prepared"))
    };
    let by_key = subject(&acme(), |i| i.key = Some("k1"));
    assert_eq!(subject(&acme(), |i| i.key = Some("k1")), by_key);
    assert_ne!(subject(&acme(), |i| i.key = Some("k2")), by_key);
    assert_ne!(subject(&json!({"name": "B", "domain": "b.com"}), |i| i.key = Some("k1")), by_key, "a key counts in its stream only");
    assert_ne!(subject(&acme(), |i| (i.key, i.sender) = (Some("k1"), "crm".into())), by_key);
    let by_row = subject(&acme(), |i| (i.key, i.row_id) = (Some("k1"), Some("7")));
    assert_ne!(by_row, by_key);
    assert_eq!(subject(&json!({"name": "B", "domain": "b.com"}), |i| (i.key, i.row_id) = (Some("k9"), Some("7"))), by_row);
}

#[test]
fn sealed_fields_come_from_inside_only() {
    let edge = edge();
    let sealed = |id: &str| match edge.keys.seal(&PersonId::parse(id).expect("an id"), "Ada").expect("sealed") {
        Personal::Sealed(text) => json!({ "sealed": text }),
        other => panic!("{other:?}"),
    };
    let refused = Refused::SealedFromOutside { field: "contact.name" };
    for (name, channel, taken) in [
        (sealed("u-1"), Channel::Api, false),
        (sealed("u-1"), Channel::Ingest, false),
        (sealed("u-1"), Channel::Import, false),
        (json!({"erased": true}), Channel::Api, false),
        (sealed("u-1"), Channel::Policy, true),
        (sealed("u-1"), Channel::Deadline, true),
        (json!({"erased": true}), Channel::Policy, true),
        (sealed("u-2"), Channel::Policy, false),
        (json!({"sealed": "nonsense"}), Channel::Policy, false),
    ] {
        let request = request("RegisterDeal", &register("d1", &acme(), &json!({"person_id": "u-1", "name": name})));
        let prepared = edge.prepare(Incoming { channel, ..request.incoming() });
        assert_eq!(prepared.map(|envelope| contact(&envelope)["name"].clone()), if taken { Ok(name) } else { Err(refused.clone()) });
    }
}

#[test]
fn a_retry_matches_although_its_person_was_erased() {
    let edge = edge();
    let register = request("RegisterDeal", &register("d1", &acme(), &ada()));
    let first = register.prepare(&edge).expect("prepared");
    let again = register.prepare(&edge).expect("prepared");
    assert_eq!((first.input, first.payload.get()), (again.input, again.payload.get()));
    let subject = person(&contact(&first)["person_id"]);
    assert_eq!(edge.keys.erase(&subject, "asked to", NOW), Ok(Erasure::Erased));
    let retry = register.prepare(&edge).expect("prepared");
    assert_eq!(retry.input, first.input);
    assert_eq!(contact(&retry), json!({"person_id": subject.as_str(), "name": {"erased": true}, "email": {"erased": true}}));
}

#[test]
fn history_is_what_may_be_and_is_dated_back() {
    let before = Some(Timestamp::from_micros(NOW.micros() - 1));
    for (channel, backdate, effective_at, historical) in [
        (Channel::Api, true, before, true),
        (Channel::Api, true, Some(NOW), false),
        (Channel::Api, true, None, false),
        (Channel::Api, false, before, false),
        (Channel::Import, true, None, true),
        (Channel::Import, false, before, false),
    ] {
        let request = request("ActivatePartner", &json!({"partner_id": "p1"}));
        let incoming = Incoming { channel, backdate, effective_at, ..request.incoming() };
        assert_eq!(edge().prepare(incoming).expect("prepared").historical, historical, "{channel:?} {backdate} {effective_at:?}");
    }
}

#[test]
fn later_items_of_a_batch_may_rest_on_earlier_ones() {
    let edge = edge();
    let other = json!({"name": "B", "domain": "b.com"});
    let amount = json!({"amount": "1.00", "currency": "USD"});
    let items = [
        request("ApproveDeal", &json!({"deal_id": "d1"})),
        request("RegisterDeal", &register("d1", &acme(), &Value::Null)),
        request("ApproveDeal", &json!({"deal_id": "d1"})),
        request("RegisterDeal", &register("d1", &other, &Value::Null)),
        request("ApproveDeal", &json!({"deal_id": "d1"})),
        request("AllocateFunds", &json!({"allocation_id": "al", "budget_id": "b1", "partner_id": "p1", "amount": amount})),
        request("RequestFunds", &json!({"request_id": "rq", "allocation_id": "al", "activity": "a", "amount": amount, "goal": "g"})),
        request(
            "ClaimMDF",
            &json!({"claim_id": "cl", "request_id": "rq", "amount": amount, "proof": [{"kind": "k", "uri": "https://x.example"}]}),
        ),
        request("ApproveClaim", &json!({"claim_id": "cl"})),
    ];
    let prepared = edge.prepare_batch(items.iter().map(Request::incoming).collect());
    let streams: Vec<_> = prepared.into_iter().map(|item| item.map(|envelope| envelope.stream.to_string())).collect();
    let (kind, id) = (IdKind::Deal, "d1".to_owned());
    let on = |name: &str| Ok(name.to_owned());
    assert_eq!(
        streams,
        [
            Err(Refused::UnknownId { kind, id: id.clone() }),
            on("account/acme.com"),
            on("account/acme.com"),
            on("account/b.com"),
            Err(Refused::AmbiguousId { kind, id, candidates: vec!["acme.com".into(), "b.com".into()] }),
            on("fund/b1"),
            on("fund/b1"),
            on("fund/b1"),
            on("fund/b1"),
        ]
    );
}

#[test]
fn a_batch_is_cut_before_what_needs_its_facts() {
    let partner = |id: &str| request("ActivatePartner", &json!({ "partner_id": id }));
    let deal = |id: &str| request("RegisterDeal", &register(id, &acme(), &Value::Null));
    let items = [deal("d0"), partner("p1"), partner("p2"), deal("d1"), deal("d2"), partner("p3")];
    let prepared = edge().prepare_batch(items.iter().map(Request::incoming).collect());
    let batch: Vec<_> = prepared.into_iter().map(|item| item.expect("prepared")).collect();
    assert_eq!(waves(&batch), [0..3, 3..6]);
}

/// A key store whose disk is full from the moment it is told so.
#[derive(Default)]
struct Full {
    keys: MemoryKeyStore,
    full: AtomicBool,
}

impl KeyStore for Full {
    fn stage_subject(&self, sender: &str, row: &str) -> Result<PersonId, KeyStoreError> {
        self.keys.stage_subject(sender, row)
    }
    fn stage_seal(&self, subject: &PersonId, plain: &str) -> Result<Personal, KeyStoreError> {
        self.keys.stage_seal(subject, plain)
    }
    fn settle(&self) -> Result<(), KeyStoreError> {
        if self.full.load(Ordering::Relaxed) { Err(KeyStoreError::Store("full".into())) } else { self.keys.settle() }
    }
    fn open(&self, sealed: &str) -> Result<Opened, KeyStoreError> {
        self.keys.open(sealed)
    }
    fn erase(&self, subject: &PersonId, reason: &str, at: Timestamp) -> Result<Erasure, KeyStoreError> {
        self.keys.erase(subject, reason, at)
    }
    fn is_erased(&self, subject: &PersonId) -> Result<bool, KeyStoreError> {
        self.keys.is_erased(subject)
    }
}

#[test]
fn no_command_leaves_before_its_keys_are_durable() {
    let keys = Arc::new(Full::default());
    let edge = edge_over(Arc::clone(&keys) as Arc<dyn KeyStore>);
    let item = request("RegisterDeal", &register("d1", &acme(), &ada()));
    keys.full.store(true, Ordering::Relaxed);
    let full = Refused::KeyStore(KeyStoreError::Store("full".into()));
    assert_eq!(item.prepare(&edge).err(), Some(full.clone()));
    let malformed = request("ActivatePartner", &json!({}));
    let batch = edge.prepare_batch(vec![item.incoming(), malformed.incoming(), item.incoming()]);
    let codes: Vec<_> = batch.iter().map(|item| item.as_ref().expect_err("refused").code()).collect();
    assert_eq!(codes, ["KeyStoreUnavailable", "InvalidPayload", "KeyStoreUnavailable"]);
    assert!(full.may_pass_later());
    keys.full.store(false, Ordering::Relaxed);
    assert!(item.prepare(&edge).is_ok());
}

/// One thing about an input that may differ.
#[derive(Clone, Debug, PartialEq)]
struct Input {
    deal: u8,
    product: u8,
    minor: u32,
    person: u8,
    has_email: bool,
    effective_at: Option<i64>,
}

fn inputs() -> impl Strategy<Value = Input> {
    (0_u8..2, 0_u8..2, 100_u32..102, 0_u8..2, any::<bool>(), prop::option::of(0_i64..2))
        .prop_map(|(deal, product, minor, person, has_email, effective_at)| Input { deal, product, minor, person, has_email, effective_at })
}

impl Input {
    /// Its hash, sent by way of `edge` with this spelling of the person's name and of the JSON.
    fn hash(&self, edge: &Edge, name: &str, pretty: bool) -> u128 {
        let mut contact = json!({"person_id": format!("u-{}", self.person), "name": name});
        if self.has_email {
            contact["email"] = json!("x@example.com");
        }
        let mut payload = register(&format!("d{}", self.deal), &acme(), &contact);
        payload["product"] = json!(format!("P{}", self.product));
        payload["amount"]["amount"] = json!(format!("{}.{:02}", self.minor / 100, self.minor % 100));
        let json = if pretty { serde_json::to_vec_pretty(&payload) } else { serde_json::to_vec(&payload) }.expect("written");
        let mut incoming = Incoming::new("RegisterDeal", &json, "portal".into(), Channel::Api);
        incoming.effective_at = self.effective_at.map(Timestamp::from_micros);
        edge.prepare(incoming).expect("prepared").input
    }
}

proptest! {
    #[test]
    fn inputs_hash_alike_if_and_only_if_they_ask_the_same(a in inputs(), b in inputs(), erase: bool) {
        let edge = edge();
        let first = a.hash(&edge, "Ada", false);
        if erase {
            edge.keys.erase(&PersonId::parse("u-0").expect("an id"), "asked to", NOW).expect("erased");
        }
        prop_assert_eq!(first == b.hash(&edge, "Ada Lovelace", true), a == b);
    }
}

#[test]
fn the_name_of_the_command_is_part_of_the_input() {
    let payload = json!({"partner_id": "p1"});
    let hash = |name| request(name, &payload).prepare(&edge()).expect("prepared").input;
    assert_ne!(hash("ActivatePartner"), hash("SignAgreement"));
    assert_eq!(
        hash("ActivatePartner"),
        0x1d48_6085_12f4_a0e4_2659_1076_cb29_b09c,
        "this hash is for ever: recorded inputs are compared with it"
    );
}
