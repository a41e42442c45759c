//! Commands in their topic outlive the program that sent them: a message as version 1 wrote it, never edited.

use pledger_domain::stream::StreamName;
use pledger_ledger::{
    commands_topic::{FORMAT, NoCommand, decode, encode},
    slices::{SliceId, Slices},
};

const FULL: &str = include_str!("../fixtures/commands/v1/full.json");
const BARE: &str = include_str!("../fixtures/commands/v1/bare.json");

fn slice_of(stream: &str) -> SliceId {
    Slices::default().of(&StreamName::parse(stream).expect("a stream"))
}

#[test]
fn what_version_1_wrote_reads_and_is_written_so_again() {
    for (text, stream) in [(FULL, "account/acme.com"), (BARE, "partner/p-1")] {
        let bytes = text.trim_end().as_bytes();
        let envelope = decode(Slices::default(), slice_of(stream), bytes).expect(stream);
        assert_eq!(encode(&envelope), bytes);
    }
    let full = decode(Slices::default(), slice_of("account/acme.com"), FULL.as_bytes()).expect("a command");
    assert_eq!((full.if_match, full.historical, full.after.len(), full.actor.as_deref()), (Some(3), true, 2, Some("ps-4")));
    assert_eq!(full.input, 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
}

#[test]
fn what_no_edge_would_let_pass_is_no_command() {
    let refused = |text: &str| decode(Slices::default(), slice_of("partner/p-1"), text.as_bytes()).expect_err(text);
    assert!(matches!(refused("what is this"), NoCommand::Form(_)));
    assert!(matches!(refused(&BARE.replace("ffff\"", "xyz\"")), NoCommand::Form(_)));
    let later = FORMAT + 1;
    assert!(matches!(refused(&BARE.replace("\"v\":1", &format!("\"v\":{later}"))), NoCommand::FormatAhead(ahead) if ahead == later));
    assert!(matches!(refused(&format!("{{\"v\":{later},\"whatever\":1}}")), NoCommand::FormatAhead(ahead) if ahead == later));
    assert!(matches!(refused(&BARE.replace("ActivatePartner", "ActivatePartnership")), NoCommand::Payload(_)));
    assert!(matches!(refused(&BARE.replace("\"partner_id\"", "\"partner\"")), NoCommand::Payload(_)));
    // Another slice's, and a command that such a stream does not take.
    assert!(matches!(refused(FULL), NoCommand::Elsewhere { .. }));
    assert!(matches!(refused(&BARE.replace("partner/p-1", "program")), NoCommand::Elsewhere { .. }));
    let named = r#"{"partner_id":"p-1","manager_id":"m-1","name":"Ada Lovelace"}"#;
    let plain = BARE.replace("ActivatePartner", "AssignPartnerManager").replace(r#"{"partner_id":"p-1"}"#, named);
    assert!(matches!(refused(&plain), NoCommand::Plain), "{:?}", refused(&plain));
}
