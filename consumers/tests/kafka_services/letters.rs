//! What can be no command becomes a letter, and what is done about letters.

use pledger_domain::values::Timestamp;
use pledger_ledger::{
    inbox::Place,
    kafka::{KafkaLetters, MarkKind},
    log::LogError,
};
use serde_json::json;

use crate::{
    clients::{Read, binary, structured},
    home::Home,
    running::deal,
};

const JSON: (&[u8], &[u8]) = (b"content-type", b"application/json");
const WHOLE: (&[u8], &[u8]) = (b"content-type", b"application/cloudevents+json");

type Header = (&'static [u8], &'static [u8]);

pub(crate) fn hostile_messages_become_letters_as_they_came(home: &Home) {
    let office = home.start();
    let event: [Header; 4] =
        [(b"ce_specversion", b"1.0"), (b"ce_id", b"h-1"), (b"ce_source", b"/lms"), (b"ce_type", b"pledger.RecordTouchpoint")];
    let with = |more: &[Header]| event.iter().chain(more).copied().collect::<Vec<_>>();
    let without = |name: &[u8]| event.iter().filter(|(known, _)| *known != name).copied().collect::<Vec<_>>();
    let large = vec![b'x'; 5 << 20];
    let cases: Vec<(Vec<Header>, &[u8], &str, &str)> = vec![
        (vec![], b"hello", "NotACloudEvent", ""),
        (without(b"ce_id"), b"{}", "InvalidCloudEvent", "ce_id"),
        (with(&[(b"ce_id", b"twice")]), b"{}", "InvalidCloudEvent", "ce_id"),
        (with(&[(b"ce_time", b"\xff\xfe")]), b"{}", "InvalidCloudEvent", "ce_time"),
        (with(&[JSON]), b"{\"touchpoint_id\":\"\xff\"}", "MalformedPayload", ""),
        (with(&[JSON]), b"{\"touchpoint\":1}", "InvalidPayload", "touchpoint"),
        (with(&[JSON]), &large, "PayloadTooLong", ""),
        (vec![WHOLE], &large, "MalformedJson", ""),
        (vec![WHOLE], br#"{"specversion":"0.3","id":"1","source":"s","type":"pledger.X","data":{}}"#, "InvalidCloudEvent", "specversion"),
        (vec![WHOLE], br#"{"specversion":"1.0","id":"1","source":"s","type":"pledger.Explode","data":{}}"#, "UnknownCommand", ""),
        (
            vec![WHOLE],
            br#"{"specversion":"1.0","id":"1","source":"policy:x","type":"pledger.CloseLost","data":{}}"#,
            "ReservedSender",
            "source",
        ),
        (with(&[(b"dl_code", b"Fine"), (b"dl_original_headers", b"0"), (b"dl_mark", b"discarded")]), b"[]", "InvalidPayload", ""),
    ];
    let inbox = home.topic("inbox");
    for (at, (headers, value, _, _)) in cases.iter().enumerate() {
        home.clients.kcat_produces(&inbox, &format!("key-{at}"), headers, value);
    }
    // A header whose name is no text stops nobody, and takes nothing from an event that is one.
    let good = br#"{"touchpoint_id":"t-1","account":"acme.com","kind":"webinar","occurred_at":"2026-03-01T00:00:00Z"}"#;
    home.clients.kcat_produces(&inbox, "good", &with(&[(b"\xff\xfe", b"1")]), good);
    // A tombstone is no event either.
    let mut nothing = binary(1, "RecordTouchpoint", "none", &json!(null));
    nothing["value"] = json!(null);
    home.clients.python_produces(&inbox, &[nothing]);
    office.until_done(1, cases.len() as u64 + 1);
    office.stop();

    // As anybody reads them.
    let mut letters = home.clients.kcat_consumes(&home.topic("dead-letters"));
    letters.sort_by_key(place);
    let nothing = letters.pop().expect("the last one");
    assert!(nothing.is_tombstone);
    assert_eq!((nothing.value.len(), nothing.header("dl_code"), nothing.header("dl_field")), (0, "InvalidCloudEvent", "data"));
    assert_eq!(letters.len(), cases.len());
    for (at, (letter, (headers, value, code, field))) in letters.iter().zip(&cases).enumerate() {
        assert_eq!((letter.key.as_slice(), letter.value.as_slice() == *value), (format!("key-{at}").as_bytes(), true), "{code}");
        for (name, value) in headers.iter().filter(|(_, value)| std::str::from_utf8(value).is_ok()) {
            let known = (String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(value).into_owned());
            assert!(letter.headers.contains(&known), "{known:?} in {:?}", letter.headers);
        }
        let own: Vec<&(String, String)> = letter.headers.iter().skip(headers.len()).collect();
        let get = |name: &str| own.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
        assert_eq!(get("dl_code"), *code, "{at}: {own:?}");
        assert!(get("dl_field").starts_with(field), "{at}: {own:?}");
    }
    // And as we do.
    let entries = home.letters().all().expect("letters");
    assert!(entries.iter().all(|entry| entry.mark.is_none()));
    assert_eq!(entries.len(), cases.len() + 1);
    // What had no value has none still, also where it is put back.
    let (tombstones, values): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.letter.message.value.is_none());
    assert_eq!((tombstones.len(), values.len()), (1, cases.len()));
    let back = home.letters().retry(tombstones[0].id, Timestamp::parse("2026-11-01").expect("a date")).expect("put back");
    let sent = home.clients.kcat_consumes(&inbox);
    let again = sent.iter().find(|message| message.header("dl_retry_of") == tombstones[0].id.to_string());
    assert!(again.expect("it is in the inbox again").is_tombstone, "at {back}");
}

fn place(letter: &Read) -> Place {
    letter.header("dl_place").parse().expect("a place")
}

pub(crate) fn an_unknown_id_is_waited_for_and_then_a_letter(home: &Home) {
    let office = home.start();
    let lost = |id: &str, deal: &str| structured(0, "CloseLost", id, None, json!({"deal_id": deal, "reason": "price"}));
    let advance = structured(0, "AdvanceStage", "u-1", None, json!({"deal_id": "d-1", "stage": "qualified"}));
    // Billing is quicker than the portal, and what it says first it means first.
    home.clients.python_produces(&home.topic("inbox"), &[advance, lost("u-2", "d-1"), lost("u-3", "nobody")]);
    office.until("they wait", |office| office.status.figures().parked == 3);
    home.clients.python_produces(&home.topic("inbox"), &[structured(1, "RegisterDeal", "u-0", None, deal("d-1", "p-1", "acme.com"))]);
    office.until_done(3, 1);
    let keys: Vec<_> = office.decisions().into_iter().map(|told| told.key).collect();
    assert_eq!(keys, ["u-0", "u-1", "u-2"]);
    office.stop();
    let letters = home.letters().all().expect("letters");
    let told: Vec<_> = letters.iter().map(|entry| &entry.letter.objection).collect();
    assert_eq!((told.len(), told[0].code.as_str(), told[0].field.as_deref()), (1, "UnknownId", Some("deal_id")));
    assert!(told[0].detail.ends_with("(waited for 2 s)"), "{}", told[0].detail);
}

fn unfit<T: std::fmt::Debug>(answer: Result<T, LogError>) -> String {
    match answer {
        Err(LogError::Unfit(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn letters_are_retried_and_discarded_once(home: &Home) {
    let office = home.start();
    let lost = |id: &str, deal: &str| structured(3, "CloseLost", id, None, json!({"deal_id": deal, "reason": "price"}));
    home.clients.python_produces(&home.topic("inbox"), &[lost("r-1", "d-1"), lost("r-2", "nobody")]);
    office.until_done(0, 2);
    home.clients.python_produces(&home.topic("inbox"), &[structured(0, "RegisterDeal", "r-0", None, deal("d-1", "p-1", "acme.com"))]);
    office.until_done(1, 2);
    let now = Timestamp::parse("2026-11-01").expect("a date");
    let letters: KafkaLetters = home.letters();
    let ids: Vec<Place> = letters.all().expect("letters").iter().map(|entry| entry.id).collect();
    let back = letters.retry(ids[0], now).expect("put back");
    assert_eq!(back.partition, 3);
    office.until_done(2, 2);
    letters.discard(ids[1], "that deal never was", now).expect("marked");
    for (done, what) in [(letters.retry(ids[0], now).map(drop), "retried"), (letters.discard(ids[1], "again", now), "discarded")] {
        let reason = unfit(done);
        assert!(reason.contains(&format!(" was {what} already, at 2026-11-01T00:00:00Z: ")), "{reason}");
    }
    assert!(unfit(letters.one(Place { partition: 3, offset: 99 })).starts_with("there is no letter 3-99 in "));
    let marks: Vec<_> = letters.all().expect("letters").into_iter().map(|entry| entry.mark.expect("a mark")).collect();
    assert_eq!((marks[0].kind, marks[1].kind), (MarkKind::Retried, MarkKind::Discarded));
    assert_eq!(marks[0].reason, format!("{} {back}", home.topic("inbox")));
    assert_eq!(marks[1].reason, "that deal never was");
    let keys: Vec<_> = office.decisions().into_iter().map(|told| (told.key, told.accepted)).collect();
    assert_eq!(keys, [("r-0".to_owned(), true), ("r-1".to_owned(), true)]);
    // It says in the inbox which letter it was.
    let sent = home.clients.kcat_consumes(&home.topic("inbox"));
    let again: Vec<_> = sent.iter().filter(|message| message.header("dl_retry_of") == ids[0].to_string()).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].header("content-type"), "application/cloudevents+json");
    office.stop();
}
