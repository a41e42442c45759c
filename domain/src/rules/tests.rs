//! What `Rules::parse` accepts, and what it says where it does not.

use super::*;

/// The default with `from` replaced, and what is wrong with it then.
fn problems_with(from: &str, to: &str) -> Vec<String> {
    assert!(Rules::DEFAULT.contains(from), "the default has no {from:?}");
    let text = Rules::DEFAULT.replacen(from, to, 1);
    Rules::parse(&text).expect_err(to).problems.iter().map(RuleProblem::to_string).collect()
}

fn line_of(text: &str) -> usize {
    Rules::DEFAULT.lines().position(|line| line.starts_with(text)).expect(text) + 1
}

#[test]
fn the_default_holds_every_key_with_a_comment() {
    let rules = Rules::parse(Rules::DEFAULT).expect("the default parses");
    let json = serde_json::to_value(&rules).expect("rules serialise");
    let mut keys = Vec::new();
    collect_keys(&json, &mut keys);
    assert!(keys.len() > 30, "{keys:?}");
    let lines: Vec<_> = Rules::DEFAULT.lines().collect();
    for key in keys {
        let place = lines.iter().position(|l| l.starts_with(&format!("{key} =")) || *l == format!("[{key}]") || *l == format!("[[{key}]]"));
        let place = place.unwrap_or_else(|| panic!("program.toml lacks {key}"));
        let commented = lines[place - 1].starts_with('#') || lines.iter().any(|line| line.starts_with(&format!("#   {key} ")));
        assert!(commented, "program.toml says nothing about {key}");
    }
}

fn collect_keys(value: &serde_json::Value, keys: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, inner) in fields {
                keys.push(key.clone());
                collect_keys(inner, keys);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) | serde_json::Value::String(_) => {}
    }
}

#[test]
fn what_was_hardly_meant_does_and_is_warned_of_with_its_line() {
    assert_eq!(Rules::check(Rules::DEFAULT).expect("the default").warnings, []);
    for (changes, key, message) in [
        (
            &[("protection_days = 90", "protection_days = 365"), ("validity_days = 180", "validity_days = 1")][..],
            "protection_days",
            "protection_days is 365, yet an approval runs out after validity_days = 1 (line 52), and its protection with it",
        ),
        (
            &[("validity_days = 180", "validity_days = 0"), ("protection_days = 90", "protection_days = 0")],
            "max_extensions",
            "max_extensions allows extensions, yet there is nothing to extend: approvals last for ever (validity_days = 0) and protect nothing (protection_days = 0)",
        ),
        (
            &[("required_fields = []", "required_fields = [\"region\", \"contact\", \"region\"]")],
            "required_fields",
            "deal_registration.required_fields names region twice",
        ),
        (
            &[("prerequisite_courses = []", "prerequisite_courses = [\"101\", \"101\"]")],
            "prerequisite_courses",
            "deal_registration.prerequisite_courses names 101 twice",
        ),
        (&[("kinds = []", "kinds = [\"referral\", \"referral\"]")], "kinds", "attribution.kinds names referral twice"),
        (
            &[("duplicate_similarity = \"0.92\"", "duplicate_similarity = 0")],
            "duplicate_similarity",
            "duplicate_similarity is 0: accounts are flagged as duplicates of their neighbours in the alphabet, however little alike",
        ),
        (
            &[("eligible_tiers = []", "eligible_tiers = [\"registered\", \"gold\"]")],
            "eligible_tiers",
            "mdf.eligible_tiers leaves silver out, and names tiers below and above it",
        ),
        (&[("eligible_tiers = []", "eligible_tiers = [\"gold\", \"gold\"]")], "eligible_tiers", "mdf.eligible_tiers names gold twice"),
        (
            &[(
                "revenue = \"500000\"\ncertifications = 4\nnet_new_logos = 3",
                "revenue = \"100000\"\ncertifications = 1\nnet_new_logos = 1",
            )],
            "name = \"gold\"",
            "gold takes no more than silver, so silver is never earned",
        ),
        (
            &[("certifications = 1\nnet_new_logos = 1", "certifications = 0\nnet_new_logos = 0"), ("revenue = \"100000\"", "revenue = 0")],
            "name = \"silver\"",
            "silver takes nothing, so registered is earned by whose refunds exceed its revenue, and by nobody else",
        ),
        (
            &[("routing = []", "routing = [{ region = \"EMEA\", min_amount = -1, reviewer = \"emea-desk\" }]")],
            "routing",
            "this routing to emea-desk is from -1 on, which every amount is; leave min_amount out",
        ),
        (
            &[("net_new_logos = 0", "net_new_logos = 1")],
            "name = \"registered\"",
            "registered is the lowest tier, which whoever earns no other earns: its thresholds keep nobody out",
        ),
        (
            &[("partner_cac = \"0\"", "partner_cac = \"5\"")],
            "partner_cac",
            "partner_cac is given and direct_cac is 0: every customer that a partner wins counts as a loss in ropi_total",
        ),
    ] {
        let text = changes.iter().fold(Rules::DEFAULT.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "the default has no {from:?}");
            text.replacen(from, to, 1)
        });
        let found = Rules::check(&text).expect("it does").warnings;
        let line = text.lines().position(|line| line.starts_with(key)).expect(key) + 1;
        assert_eq!(found.iter().map(|one| (one.line, one.message.as_str())).collect::<Vec<_>>(), [(line, message)]);
    }
    // What is as it would be without the other is not doubted.
    for (from, to) in [
        ("validity_days = 180", "validity_days = 0"),
        ("validity_days = 180", "validity_days = 90"),
        ("protection_days = 90", "protection_days = 0"),
        ("eligible_tiers = []", "eligible_tiers = [\"silver\", \"gold\"]"),
        ("eligible_tiers = []", "eligible_tiers = [\"silver\"]"),
        ("direct_cac = \"0\"", "direct_cac = \"5\""),
    ] {
        assert_eq!(Rules::check(&Rules::DEFAULT.replacen(from, to, 1)).expect(to).warnings, [], "{to}");
    }
}

#[test]
fn each_mistake_is_named_with_its_line_and_what_would_do() {
    let gold = line_of("name = \"gold\"");
    for (from, to, line, message) in [
        (
            "grace_days = 90",
            "grace_days = 90\ngrace_dasy = 90",
            line_of("grace_days") + 1,
            "unknown key \"grace_dasy\" in tier_policy; did you mean \"grace_days\"?",
        ),
        (
            "kinds = []",
            "kinds = []\nxyz = 1",
            line_of("kinds") + 1,
            "unknown key \"xyz\" in attribution; the keys here are window_days, kinds, half_life_days, u_shaped, w_shaped",
        ),
        (
            "revenue = \"500000\"",
            "revenue = \"50000\"",
            gold + 1,
            &format!(
                "falling thresholds: gold needs revenue 50000, less than silver's 100000 on line {}; tiers stand lowest first, and 100000 or more is accepted",
                gold - 5
            ),
        ),
        (
            "certifications = 4",
            "certifications = 0",
            gold + 2,
            &format!(
                "falling thresholds: gold needs certifications 0, less than silver's 1 on line {}; tiers stand lowest first, and 1 or more is accepted",
                gold - 4
            ),
        ),
        (
            "name = \"gold\"",
            "name = \"silver\"",
            gold,
            &format!("the tier silver is there already, on line {}; names must differ", gold - 6),
        ),
        ("revenue = \"0\"", "revenue = \"-1\"", line_of("revenue"), "tiers.revenue is -1; 0 or more is accepted"),
        (
            "revenue = \"0\"",
            "revenue = 0.5",
            line_of("revenue"),
            "tiers.revenue is the floating-point number 0.5, which a computer cannot keep exactly; write it in quotes: \"0.5\"",
        ),
        ("revenue = \"0\"", "revenue = \"1e3\"", line_of("revenue"), "tiers.revenue is \"1e3\"; a decimal like \"0.4\" is accepted"),
        (
            "protection_days = 90",
            "protection_days = 36501",
            line_of("protection_days"),
            "deal_registration.protection_days is 36501; 0 to 36500 days are accepted",
        ),
        (
            "protection_days = 90",
            "protection_days = -1",
            line_of("protection_days"),
            "deal_registration.protection_days is -1; 0 or more is accepted",
        ),
        (
            "protection_days = 90",
            "protection_days = \"90\"",
            line_of("protection_days"),
            "deal_registration.protection_days takes a whole number, not a string",
        ),
        (
            "\"product\"\n",
            "\"region\"\n",
            line_of("protection_scope"),
            "deal_registration.protection_scope is \"region\"; accepted are \"product\", \"account\"",
        ),
        (
            "extension_days = 90",
            "extension_days = 0",
            line_of("extension_days"),
            "extension_days is 0, yet max_extensions allows extensions; give 1 day or more, or max_extensions = 0",
        ),
        (
            "approval_sla_hours = 48",
            "approval_sla_hours = 9000",
            line_of("approval_sla"),
            "approval_sla_hours is 9000; 0 to 8784 hours are accepted",
        ),
        (
            "required_fields = []",
            "required_fields = [\"phone\"]",
            line_of("required_fields"),
            "deal_registration.required_fields is \"phone\"; accepted are \"region\", \"expected_close\", \"contact\"",
        ),
        ("\"0.92\"", "\"1.01\"", line_of("duplicate_similarity"), "duplicate_similarity is 1.01; \"0\" to \"1\" is accepted"),
        ("window_days = 365", "window_days = 0", line_of("window_days"), "tier_policy.window_days is 0; 1 to 36500 days are accepted"),
        (
            "levels = [\"professional\", \"expert\"]",
            "levels = []",
            line_of("levels"),
            "certifications.levels is empty; at least one level like \"professional\" is needed",
        ),
        ("\"expert\"]", "\"professional\"]", line_of("levels"), "the level \"professional\" is there twice; levels must differ"),
        (
            "eligible_tiers = []",
            "eligible_tiers = [\"platinum\"]",
            line_of("eligible_tiers"),
            "mdf.eligible_tiers names platinum, which is no tier; the tiers are registered, silver, gold",
        ),
        (
            "[\"0.4\", \"0.2\", \"0.4\"]",
            "[\"0.4\", \"0.2\", \"0.3\"]",
            line_of("u_shaped"),
            "the weights of attribution.u_shaped add up to 0.9; they must add up to exactly 1",
        ),
        ("[\"0.4\", \"0.2\", \"0.4\"]", "[\"0.5\", \"0.5\"]", line_of("u_shaped"), "attribution.u_shaped has 2 values; 3 are needed"),
        (
            "[\"0.3\", \"0.3\", \"0.3\", \"0.1\"]",
            "[\"1.3\", \"-0.3\", \"0\", 0]",
            line_of("w_shaped"),
            "attribution.w_shaped has the weight 1.3; \"0\" to \"1\" is accepted",
        ),
        (
            "\"USD\"",
            "\"DOLLAR\"",
            line_of("reporting_currency"),
            "reporting_currency is \"DOLLAR\", which does not do: \"DOLLAR\" is not an ISO 4217 currency code; it takes an ISO 4217 code in quotes like \"USD\"",
        ),
        ("name = \"Default partner program\"\n", "", 1, "name is missing; it takes a name of 1 to 200 characters in quotes"),
        ("claim_window_days = 90", "", line_of("[mdf]"), "mdf.claim_window_days is missing; it takes a whole number"),
        ("partner_cac = \"0\"", "partner_cac = -5", line_of("partner_cac"), "ropi.partner_cac is -5; 0 or more is accepted"),
    ] {
        let found = problems_with(from, to);
        assert_eq!(found.len(), 1, "{to}: {found:#?}");
        let (place, said) = found[0].split_once(": ").expect("a place and a message");
        assert!(place.starts_with(&format!("line {line}, column ")), "{to}: {place}, not line {line}");
        assert_eq!(said, message, "{to}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_lines() {
    let text = Rules::DEFAULT
        .replace("window_days = 365", "window_days = 0")
        .replace("[ropi]", "[ropy]")
        .replace("\"0.92\"", "0.92")
        .replace("name = \"gold\"", "nmae = \"gold\"");
    let problems = Rules::parse(&text).expect_err("five mistakes").problems;
    let said: Vec<_> = problems.iter().map(|p| p.message.split([';', ',']).next().unwrap_or_default()).collect();
    assert_eq!(
        said,
        [
            "ropi is missing",
            "tiers.name is missing",
            "unknown key \"nmae\" in tiers",
            "tier_policy.window_days is 0",
            "deal_registration.duplicate_similarity is the floating-point number 0.92",
            "unknown key \"ropy\"",
        ]
    );
    assert!(problems.is_sorted());
}

#[test]
fn a_routing_rule_that_never_matches_is_told_so() {
    for (rules, shadowed) in [
        ("[{reviewer=\"a\"}, {region=\"EMEA\", reviewer=\"b\"}]", true),
        ("[{region=\"EMEA\", reviewer=\"a\"}, {region=\"EMEA\", min_amount=5, reviewer=\"b\"}]", true),
        ("[{min_amount=5, reviewer=\"a\"}, {region=\"EMEA\", min_amount=\"5.0\", reviewer=\"b\"}]", true),
        ("[{min_amount=0, reviewer=\"a\"}, {reviewer=\"b\"}]", true),
        ("[{region=\"EMEA\", min_amount=5, reviewer=\"a\"}, {region=\"EMEA\", reviewer=\"b\"}, {reviewer=\"c\"}]", false),
        ("[{region=\"EMEA\", reviewer=\"a\"}, {region=\"APAC\", reviewer=\"b\"}]", false),
        ("[{min_amount=6, reviewer=\"a\"}, {min_amount=5, reviewer=\"b\"}]", false),
    ] {
        let text = Rules::DEFAULT.replace("routing = []\n", &format!("routing = {rules}\n"));
        let message = Rules::parse(&text).err().map(|e| e.to_string());
        assert_eq!(message.is_some(), shadowed, "{rules}: {message:?}");
        if let Some(message) = message {
            assert!(message.contains("this routing to b never matches: the rule on line"), "{message}");
        }
    }
}

#[test]
fn what_is_no_toml_is_told_by_line_and_column() {
    let error = Rules::parse("name = \"x\"\nreporting_currency = \n").expect_err("no value").to_string();
    assert!(error.starts_with("line 2, column "), "{error}");
    assert!(error.contains("not TOML"), "{error}");
    for word in ["ninety", "infinite", "tru", "falsely"] {
        let error = Rules::parse(&format!("grace_days = {word}")).expect_err("no TOML").to_string();
        assert!(error.ends_with("not TOML: a word is no value; a text stands in quotes"), "{error}");
    }
    let doubled = Rules::parse("name = \"x\"\nname = \"y\"\n").expect_err("a key twice").to_string();
    assert!(doubled.starts_with("line 2, column 1: not TOML: duplicate key"), "{doubled}");
}

#[test]
fn what_is_not_utf8_is_told_by_line_and_column() {
    let text = |file: &[u8]| Rules::text_of(file).map(str::to_owned).map_err(|error| error.to_string());
    for (file, place) in [(&b"\xff\xfen\0"[..], "line 1, column 1"), (b"# a\nname = \"\xc3\xa9 M\xfcller\"", "line 2, column 12")] {
        assert_eq!(text(file), Err(format!("{place}: not UTF-8: a program.toml must be saved as UTF-8")));
    }
    assert_eq!(text(Rules::DEFAULT.as_bytes()).as_deref(), Ok(Rules::DEFAULT));
}

#[test]
fn whole_numbers_and_decimals_in_quotes_are_one() {
    let plain = Rules::DEFAULT.replace("revenue = \"500000\"", "revenue = 500_000").replace("[\"0.4\", \"0.2\", \"0.4\"]", "[0, 1, 0]");
    let rules = Rules::parse(&plain).expect("whole numbers do");
    assert_eq!(rules.tiers[2].revenue, 500_000.into());
    assert_eq!(rules.attribution.u_shaped, [0.into(), 1.into(), 0.into()]);
}

#[test]
fn a_file_beyond_all_reason_is_not_read() {
    let text = "#".repeat(MAX_RULES_BYTES + 1);
    let error = Rules::parse(&text).expect_err("too long").to_string();
    assert_eq!(error, "line 1, column 1: the file has 262145 bytes; at most 262144 are accepted");
}

#[test]
fn a_list_beyond_all_reason_is_told_once() {
    let text = Rules::DEFAULT.replace("kinds = []", &format!("kinds = [{}]", "\"\", ".repeat(501)));
    let error = Rules::parse(&text).expect_err("too many").to_string();
    assert!(error.ends_with("attribution.kinds has 501 entries; at most 500 are accepted"), "{error}");
    let keys: String = (0..500).map(|n| format!("key-{n} = 1\n")).collect();
    assert_eq!(Rules::parse(&keys).expect_err("unknown keys").problems.len(), 100);
}
