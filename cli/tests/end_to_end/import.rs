//! Imports with mistakes: told before anything is sent, and repaired by running them again.

use std::path::Path;

use pledger_domain::rules::Rules;

use crate::program::{fail, json, pledger, succeed, text};

/// Partners, some with a date on which they signed.
const PARTNERS: &str = "id,since,signed\np-1,2016-10-20,2016-11-01\np-2,2016-10-21,20x6-11-02\np-3,2016-10-22,2016-11-03\n";

/// A mapping of them.
fn mapping(dir: &Path, effective_from: &str, program: &str, when: &str) {
    let rules = format!("[rules]\neffective_from = \"{effective_from}\"\nprogram = '''\n{program}'''\n");
    let emit = |command: &str, at: &str, more: &str| {
        format!("[[emit]]\nfrom = \"partners\"\ncommand = \"{command}\"\nat = \"{at}\"\npayload = {{ partner_id = \"{{id}}\"{more} }}\n")
    };
    let registered = emit("RegisterPartner", "{since}", ", name = \"Partner {id}\", roles = [\"reseller\"]");
    let signed = emit("SignAgreement", "{signed}", "") + when;
    let text = format!("name = \"mine\"\n{rules}[tables.partners]\nfile = \"partners.csv\"\nkey = \"id\"\n{registered}{signed}\n");
    std::fs::write(dir.join("mine.toml"), text).expect("written");
    std::fs::write(dir.join("partners.csv"), PARTNERS).expect("written");
}

const IMPORT: [&str; 5] = ["import", "mine.toml", ".", "--max-errors", "1"];

#[test]
fn rules_of_a_mapping_are_checked_first_and_may_be_mended() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let broken = Rules::DEFAULT.replacen("protection_days = 90", "protection_days = -1", 1);
    mapping(dir, "2016-01-01", &broken, "");
    for arguments in [&[&IMPORT[..], &["--dry-run"]].concat()[..], &IMPORT] {
        let told = fail(dir, arguments, 1);
        assert!(told.contains("the program of [rules] cannot be published") && told.contains("protection_days"), "{told}");
    }
    // Rules that begin after the first row are published, and others take their place.
    mapping(dir, "2017-06-01", Rules::DEFAULT, "");
    assert!(fail(dir, &IMPORT, 1).contains("no rules were in force then"));
    mapping(dir, "2016-01-01", Rules::DEFAULT, "");
    let report = json(dir, &IMPORT);
    assert_eq!((report["accepted"].as_u64(), report["refused"].as_object().map(serde_json::Map::len)), (Some(5), Some(0)), "{report}");
    let again = json(dir, &IMPORT);
    assert_eq!((again["accepted"].as_u64(), again["repeated"].as_u64()), (Some(0), Some(5)), "{again}");
    std::fs::write(dir.join("partners.csv"), PARTNERS.replace("2016-11-03", "2016-11-30")).expect("written");
    let told = fail(dir, &IMPORT, 1);
    assert!(
        told.contains("partners.csv:4: KeyReused: SignAgreement: an earlier run, or an earlier row of this key, was decided otherwise"),
        "{told}"
    );
}

#[test]
fn a_row_is_used_whole_or_not_at_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    mapping(dir, "2016-01-01", Rules::DEFAULT, "");
    assert!(fail(dir, &["import", "mine.toml", "."], 1).contains("20x6-11-02"));
    // A dry run names every one of them, and says by its exit whether an import would stop.
    std::fs::write(dir.join("partners.csv"), PARTNERS.replace("2016-11-03", "2016-13-03")).expect("written");
    let named = fail(dir, &["import", "mine.toml", ".", "--dry-run"], 1);
    assert!(named.contains("partners.csv:3") && named.contains("partners.csv:4") && named.contains("A dry run"), "{named}");
    std::fs::write(dir.join("partners.csv"), PARTNERS).expect("written");
    let report = json(dir, &IMPORT);
    assert_eq!(report["commands"], serde_json::json!({"PublishRules": 1, "RegisterPartner": 2, "SignAgreement": 2}), "{report}");
    assert_eq!((report["bad_row_count"].as_u64(), report["bad_rows"].as_array().map(Vec::len)), (Some(1), Some(1)));
    assert!(fail(dir, &["query", "partners", "p-2"], 1).contains("no partner p-2"));
    assert!(succeed(dir, &["query", "partners", "p-3"]).contains("Partner p-3"));
}

#[test]
fn a_condition_on_a_column_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    mapping(dir, "2016-01-01", Rules::DEFAULT, "when = { sigend = \"present\" }\n");
    let told = fail(dir, &[&IMPORT[..], &["--dry-run"]].concat(), 1);
    assert!(told.contains("names the column \"sigend\", and partners.csv has id, signed, since"), "{told}");
}

#[test]
fn a_key_has_to_be_a_column_and_is_a_rows_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    mapping(dir, "2016-01-01", Rules::DEFAULT, "");
    let dry = [&IMPORT[..], &["--dry-run"]].concat();
    let twice = PARTNERS.lines().chain(PARTNERS.lines().skip(1).take(1)).fold(String::new(), |rows, row| rows + row + "\n");
    std::fs::write(dir.join("partners.csv"), twice).expect("written");
    let report = json(dir, &dry);
    assert_eq!(report["notes"], serde_json::json!({"partners.csv: rows with the id of an earlier one, taken for the same": 1}), "{report}");
    let text = std::fs::read_to_string(dir.join("mine.toml")).expect("the mapping");
    std::fs::write(dir.join("mine.toml"), text.replacen("key = \"id\"", "key = \"number\"", 1)).expect("written");
    let told = fail(dir, &dry, 1);
    assert!(told.contains("the `key` of [tables.partners] names the column \"number\", and partners.csv has id, signed, since"), "{told}");
}

#[test]
fn files_are_named_one_by_one_or_by_their_folders() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    mapping(dir, "2016-01-01", Rules::DEFAULT, "");
    std::fs::create_dir(dir.join("export")).expect("made");
    std::fs::rename(dir.join("partners.csv"), dir.join("export/partners.csv")).expect("moved");
    let dry = |from: &[&'static str]| [&["import", "mine.toml", "--max-errors", "1", "--dry-run"], from].concat();
    for from in [&["export/partners.csv"][..], &[".", "export"]] {
        assert_eq!(json(dir, &dry(from))["commands"]["RegisterPartner"], 2);
    }
    for (from, said) in [
        (&["."][..], "partners.csv, which the mapping reads, is not in ."),
        (&["mine.toml"], "mine.toml: the mapping reads partners.csv, and no file of this name"),
        (&["export", "nowhere"], "nowhere: No such file"),
    ] {
        let told = fail(dir, &dry(from), 2);
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn what_is_dated_before_its_registration_is_told_as_that() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    mapping(dir, "2016-01-01", Rules::DEFAULT, "");
    let emit = |command: &str, at: &str, more: &str| {
        format!("[[emit]]\nfrom = \"deals\"\ncommand = \"{command}\"\nat = \"{{{at}}}\"\npayload = {{ deal_id = \"{{id}}\"{more} }}\n")
    };
    let amount = "amount = { amount = \"100.00\", currency = \"USD\" }";
    let registered = emit(
        "RegisterDeal",
        "registered",
        &format!(", partner_id = \"p-1\", account = {{ name = \"Acme\", domain = \"acme.com\" }}, product = \"GTX\", {amount}"),
    );
    let approved = emit("ApproveDeal", "registered", "");
    let won = emit("CloseWon", "closed", &format!(", account = \"acme.com\", closed_at = \"{{closed}}\", {amount}"));
    let text = std::fs::read_to_string(dir.join("mine.toml")).expect("the mapping");
    std::fs::write(dir.join("mine.toml"), format!("{text}[tables.deals]\nfile = \"deals.csv\"\nkey = \"id\"\n{registered}{approved}{won}"))
        .expect("written");
    std::fs::write(dir.join("deals.csv"), "id,registered,closed\nd-1,2017-02-15,2017-01-15\nd-2,2017-02-15,2017-03-15\n").expect("written");
    let told = fail(dir, &IMPORT, 1);
    assert!(told.contains("deals.csv:2: ClosedBeforeRegistered: CloseWon") && !told.contains("DealUnknown"), "{told}");
}

#[test]
fn whoever_imports_into_a_generated_history_is_warned() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    mapping(dir, "2016-01-01", Rules::DEFAULT, "");
    let warning = "holds a generated history (pledger demo)";
    assert!(!text(&pledger(dir, &[&IMPORT[..], &["--dry-run"]].concat())).contains(warning));
    succeed(dir, &["demo", "--partners", "2", "--months", "2", "--no-serve"]);
    assert!(text(&pledger(dir, &[&IMPORT[..], &["--dry-run"]].concat())).contains(warning));
}

#[test]
fn json_lines_lack_what_others_have_as_if_it_were_empty() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let with = |region: &str| {
        let payload = format!("{{ partner_id = \"{{id}}\", name = \"{{id}}\", roles = [\"reseller\"], region = \"{{{region}}}\" }}");
        let emit = format!("[[emit]]\nfrom = \"partners\"\ncommand = \"RegisterPartner\"\nat = \"2016-01-01\"\npayload = {payload}\n");
        let table = "[tables.partners]\nfile = \"partners.jsonl\"\nkey = \"id\"\n";
        std::fs::write(dir.join("mine.toml"), format!("name = \"mine\"\n{table}{emit}")).expect("written");
    };
    let lines = "{\"id\":\"p-1\"}\n{\"id\":\"p-2\",\"region\":\"EMEA\"}\n{\"id\":\"p-3\",\"region\":null}\n";
    std::fs::write(dir.join("partners.jsonl"), lines).expect("written");
    let dry = ["import", "mine.toml", ".", "--dry-run"];
    with("region");
    let report = json(dir, &dry);
    assert_eq!(
        (&report["commands"]["RegisterPartner"], &report["bad_row_count"]),
        (&serde_json::json!(3), &serde_json::json!(0)),
        "{report}"
    );
    // What no row has is a mistake of the mapping.
    with("regoin");
    let told = fail(dir, &dry, 1);
    assert!(told.contains("partners has no column regoin, and the mapping no such constant"), "{told}");
}
