//! What services send is decided, in the order and at the times that they say.

use pledger_domain::values::Timestamp;
use serde_json::json;

use crate::{
    clients::{binary, structured},
    home::Home,
    running::deal,
};

fn touch(id: &str, at: Option<&str>) -> serde_json::Value {
    let mut payload = json!({"touchpoint_id": id, "account": "acme.com", "kind": "webinar", "occurred_at": "2026-03-01T00:00:00Z"});
    if let Some(at) = at {
        payload["occurred_at"] = at.into();
    }
    payload
}

pub(crate) fn javas_console_producer_sends_and_its_consumer_reads_letters(home: &Home) {
    let office = home.start();
    let (deal, lost) = (deal("d-1", "p-1", "acme.com"), json!({"deal_id": "d-1", "account": "acme.com", "reason": "price"}));
    let headers = |id: &str, kind: &str| format!("ce_specversion:1.0,ce_id:{id},ce_source:/portal,ce_type:pledger.{kind}");
    let lines = format!(
        "{}\tacme\t{deal}\n{}\tacme\t{lost}\n{}\tacme\t{{\n",
        headers("j-1", "RegisterDeal"),
        headers("j-2", "CloseLost"),
        headers("j-3", "CloseLost")
    );
    home.clients.java_produces(&home.topic("inbox"), &lines);
    office.until_done(2, 1);
    let told = office.decisions();
    let keys: Vec<_> = told.iter().map(|told| (&*told.stream, &*told.key, &*told.sender, told.accepted)).collect();
    assert_eq!(keys, [("account/acme.com", "j-1", "/portal", true), ("account/acme.com", "j-2", "/portal", true)]);
    let said = home.clients.java_consumes(&home.topic("dead-letters"), 1);
    let (headers, rest) = said.trim_end().split_once('\t').expect("headers, a key and a value");
    assert_eq!(rest, "acme\t{");
    for header in ["ce_id:j-3", "dl_code:MalformedPayload", "dl_place:", "dl_original_headers:4", "dl_at:20"] {
        assert!(headers.contains(header), "{header} in {headers}");
    }
    office.stop();
}

pub(crate) fn late_and_out_of_order_events_keep_their_effective_time(home: &Home) {
    let office = home.start();
    // The event's own time, and the payload's, which wins; each later event is about an earlier day.
    let own = deal("d-1", "p-1", "acme.com");
    let messages = [
        structured(0, "RegisterDeal", "o-1", Some("2026-03-05T10:00:00Z"), own),
        structured(0, "RecordTouchpoint", "o-2", Some("2026-03-09T10:00:00Z"), touch("t-2", Some("2026-03-02T00:00:00Z"))),
        structured(0, "RecordTouchpoint", "o-3", None, touch("t-3", Some("2026-02-01T08:00:00Z"))),
    ];
    home.clients.python_produces(&home.topic("inbox"), &messages);
    office.until_done(3, 0);
    let told: Vec<_> = office.decisions().into_iter().map(|told| (told.key, told.effective_at)).collect();
    let at = |text: &str| Timestamp::parse(text).expect(text);
    assert_eq!(
        told,
        [
            ("o-1".to_owned(), at("2026-03-05T10:00:00Z")),
            ("o-2".to_owned(), at("2026-03-02T00:00:00Z")),
            ("o-3".to_owned(), at("2026-02-01T08:00:00Z")),
        ]
    );
    office.stop();
}

pub(crate) fn the_same_event_twice_is_decided_once(home: &Home) {
    let office = home.start();
    let (one, other) = (touch("t-1", None), touch("t-9", None));
    // In both modes and over several partitions: what is the same is the source and the id.
    let messages = [
        binary(0, "RecordTouchpoint", "e-1", &one),
        structured(0, "RecordTouchpoint", "e-1", None, one.clone()),
        structured(5, "RecordTouchpoint", "e-1", None, one),
    ];
    home.clients.python_produces(&home.topic("inbox"), &messages);
    office.until_done(3, 0);
    assert_eq!(office.status.figures().repeated, 2);
    home.clients.python_produces(&home.topic("inbox"), &[binary(1, "RecordTouchpoint", "e-1", &other)]);
    office.until_done(3, 1);
    let told = office.decisions();
    assert_eq!(told.iter().map(|told| &*told.key).collect::<Vec<_>>(), ["e-1"]);
    office.stop();
    // What was committed is not read again by the next one.
    let office = home.go_on();
    home.clients.python_produces(&home.topic("inbox"), &[binary(0, "RecordTouchpoint", "e-2", &touch("t-2", None))]);
    office.until_done(1, 0);
    assert_eq!(office.status.figures().repeated, 0);
    let letters = home.letters().all().expect("letters");
    let codes: Vec<_> = letters.iter().map(|entry| (&*entry.letter.objection.code, entry.letter.message.place.partition)).collect();
    assert_eq!(codes, [("KeyReused", 1)]);
    office.stop();
}

pub(crate) fn what_a_service_took_back_is_not_read(home: &Home) {
    let office = home.start();
    home.clients.python_aborts(&home.topic("inbox"), &[binary(0, "RecordTouchpoint", "aborted", &touch("t-0", None))]);
    home.clients.python_produces(&home.topic("inbox"), &[binary(0, "RecordTouchpoint", "sent", &touch("t-1", None))]);
    office.until_done(1, 0);
    assert_eq!(office.decisions().iter().map(|told| &*told.key).collect::<Vec<_>>(), ["sent"]);
    office.stop();
}
