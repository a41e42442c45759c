//! Why a figure is what it is, and what it was on a day.

use std::path::Path;

use serde_json::Value;

use crate::program::{fail, json, succeed};

/// Cents of `{amount, currency}`.
fn cents(money: &Value) -> i64 {
    money["amount"].as_str().map_or(0, |amount| amount.replace('.', "").parse().expect("digits"))
}

#[test]
fn a_partners_return_is_explained_to_the_cent() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["demo", "--partners", "20", "--months", "12", "--no-serve"]);
    let ropi = json(dir, &["query", "ropi", "--by", "partner"]);
    let items = ropi["items"].as_array().expect("items");
    let best = items.iter().filter(|item| item["partner"].is_string()).max_by_key(|item| cents(&item["revenue"])).expect("partners");
    let partner = best["partner"].as_str().expect("a partner");

    let told = json(dir, &["explain", "ropi_revenue", partner]);
    let figure = &told["items"][0]["figures"][0];
    assert_eq!(figure["value"], best["ropi_revenue"]);
    assert_eq!(figure["formula"], "revenue / (commission + mdf + partner_manager)");
    let changes =
        told["decisions"].as_array().expect("decisions").iter().flat_map(|decision| decision["changes"].as_array().expect("changes"));
    let revenue: i64 =
        changes.filter(|change| change["field"] == "revenue").map(|change| cents(&change["after"]) - cents(&change["before"])).sum();
    assert_eq!(revenue, cents(&best["revenue"]), "what decisions brought adds up to the figure");

    // The same in parts, as a figure of very many decisions is told.
    let decision = |name: &str| told["decisions"][0][name].as_str().expect("a decision");
    let first = format!("{}@{}", decision("stream"), decision("position"));
    let parts = json(dir, &["explain", "ropi_revenue", partner, "--cursor", &first]);
    assert_eq!(parts["items"], told["items"]);
    for way in ["by_stream", "by_month"] {
        let groups = parts["groups"][way].as_array().expect("groups");
        let adds = groups.iter().flat_map(|group| group["adds"].as_array().expect("parts")).filter(|add| add["field"] == "revenue");
        assert_eq!(adds.map(|add| cents(&add["adds"])).sum::<i64>(), cents(&best["revenue"]), "{way}");
    }
    let words = succeed(dir, &["explain", "ropi_revenue", partner, "--cursor", &first]);
    assert!(words.contains("By month, adding up to ") && words.contains("stream by stream"), "{words}");
    assert!(fail(dir, &["explain", "ropi_revenue", partner, "--cursor", "here"], 2).contains("the cursor is none"));
    let nowhere = format!("{}@0:99999999", decision("stream"));
    assert!(fail(dir, &["explain", "ropi_revenue", partner, "--cursor", &nowhere], 2).contains("the cursor is none"));
    for (view, key) in
        [("ropi", "all"), ("mdf", "all"), ("partners", partner), ("tiers", partner), ("pipeline", "all"), ("attribution", "all")]
    {
        adds_up(dir, view, key);
    }

    // A moment in the middle has the part of it that was true by then.
    let past = json(dir, &["explain", "ropi", partner, "--field", "revenue", "--as-of", "2026-04-30"]);
    let as_of = json(dir, &["query", "ropi", "--by", "partner", "--filter", &format!("partner={partner}"), "--as-of", "2026-04-30"]);
    assert_eq!(past["items"][0]["figures"][0]["value"], as_of["items"][0]["revenue"]);
    assert!(cents(&as_of["items"][0]["revenue"]) < cents(&best["revenue"]), "{as_of}");

    let words = succeed(dir, &["explain", "ropi_revenue", partner]);
    assert!(words.contains(" = revenue / (commission + mdf + partner_manager) = "), "{words}");
    assert!(fail(dir, &["explain", "ropy", partner], 2).contains("did you mean ropi?"));
    assert!(fail(dir, &["explain", "ropi", partner, "--field", "ropi_margn"], 2).contains("did you mean ropi_margin?"));
    assert!(fail(dir, &["explain", "ropi_marign", partner], 2).contains("did you mean ropi_margin?"));
    assert!(fail(dir, &["explain", "revenue", partner], 2).contains("--field revenue"));
    assert!(fail(dir, &["explain", "tiers", ""], 2).contains("KEY is empty"));
    fail(dir, &["explain", "tiers", "nobody-at-all"], 1);
    let near = fail(dir, &["explain", "tiers", &partner.replace('-', "")], 1);
    assert!(near.contains(partner), "{near}");

    let open = json(dir, &["query", "deals", "--filter", "status=open", "--limit", "1"])["items"][0]["deal_id"].clone();
    let words = succeed(dir, &["explain", "attribution", open.as_str().expect("a deal")]);
    assert!(words.starts_with("attribution shows nothing of "), "{words}");

    // What was recorded from a place on, and up to it.
    let count = |arguments: &[&str]| succeed(dir, &[&["replay", "--json"], arguments].concat()).lines().count();
    let whole = count(&[]);
    let position = told["decisions"][0]["position"].as_str().expect("a position");
    let (from, to) = (count(&["--from", position]), count(&["--to", position]));
    assert!(from < whole && to < whole && from + to > whole, "{from} and {to} of {whole}");
    assert!(fail(dir, &["replay", "--from", "999:1"], 2).contains("slices"));
    assert!(fail(dir, &["replay", "--to", "0:99999999"], 2).contains("ends before it"));
    assert!(fail(dir, &["replay", "--from", "2026-02-01", "--to", "2026-01-01"], 2).contains("does not lie before"));
}

/// Every partner of a demo is told beside the tiers, in terms that add up.
/// What streams added, of a history with costs, funds and touches, is the figure, however that is told.
fn adds_up(dir: &Path, view: &str, key: &str) {
    let told = json(dir, &["explain", view, key]);
    let parts = if told["groups"].is_null() {
        let first = &told["decisions"][0];
        let cursor = format!("{}@{}", first["stream"].as_str().expect("a stream"), first["position"].as_str().expect("a position"));
        json(dir, &["explain", view, key, "--cursor", &cursor])
    } else {
        told.clone()
    };
    let number = |value: &Value| value.as_i64().unwrap_or_else(|| if value.is_object() { cents(value) } else { 0 });
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let figures = |told: &Value| list(&told["items"]).iter().flat_map(|item| list(&item["figures"])).collect::<Vec<_>>();
    assert_eq!(figures(&parts), figures(&told), "{view} {key}");
    let fields = list(&parts["groups"]["fields"]);
    assert!(!fields.is_empty(), "{view} {key}");
    for field in fields {
        let of = |values: Vec<Value>, name: &str| -> i64 {
            values.iter().filter(|value| value["field"] == field).map(|value| number(&value[name])).sum()
        };
        let adds = list(&parts["groups"]["by_stream"]).iter().flat_map(|group| list(&group["adds"])).collect();
        assert_eq!(of(adds, "adds"), of(figures(&parts), "value"), "{view} {key} {field}");
    }
}

#[test]
fn tiers_are_explained_by_their_thresholds_and_terms() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["demo", "--partners", "20", "--months", "12", "--no-serve"]);
    let tiers = json(dir, &["query", "tiers"]);
    for row in tiers["items"].as_array().expect("items") {
        let told = json(dir, &["explain", "tiers", row["partner"].as_str().expect("a partner")]);
        let held = &told["items"][0]["held"];
        let list = |name: &str| held[name].as_array().expect(name);
        assert_eq!(list("revenue").iter().map(|term| cents(&term["amount"])).sum::<i64>(), cents(&row["revenue"]), "{row}");
        assert_eq!(
            (list("net_new_logos").len(), list("certifications").len()),
            (count(&row["net_new_logos"]), count(&row["active_certifications"]))
        );
        let stands =
            |what: &str| list("tiers").iter().find(|tier| tier["stands"].as_array().is_some_and(|stands| stands.contains(&what.into())));
        assert_eq!(stands("earned").expect("one is earned")["tier"], row["tier_earned"]);
        assert_eq!(stands("next").map_or(&Value::Null, |tier| &tier["tier"]), &row["next_tier"]);
        for (place, missing) in ["missing_revenue", "missing_certifications", "missing_net_new_logos"].into_iter().enumerate() {
            assert_eq!(stands("next").map_or(&Value::Null, |tier| &tier["thresholds"][place]["missing"]), &row[missing], "{row}");
        }
    }
    let words = succeed(dir, &["explain", "tiers", "p-009"]);
    for said in [
        "Held against the tiers now, at 2026-10-01T",
        ": revenue and net-new logos count from 2025-10-02 to 2026-10-01, 365 days under rules 1.\n",
        "  silver (awarded, earned): revenue 316,834.00 of 100,000.00 USD, reached; certifications 3 of 1, reached; net-new logos 2 of 1, reached\n",
        "  gold (next): revenue 316,834.00 of 500,000.00 USD, missing 183,166.00; certifications 3 of 4, missing 1; net-new logos 2 of 3, missing 1\n",
        "  missing_revenue 183,166.00 USD = max(0, next_revenue - revenue) = max(0, 500000.00 - 316834.00)\n",
        " deal d-00006 revenue inv-d-00006: 205,800.00 USD\n",
    ] {
        assert!(words.contains(said), "{said} is not in {words}");
    }
    let past = succeed(dir, &["explain", "tiers", "p-009", "--field", "revenue", "--as-of", "2026-05-31"]);
    assert!(
        past.contains("Held against the tiers as of 2026-05-31T23:59:59.999999Z: revenue and net-new logos count from 2025-06-01"),
        "{past}"
    );
    assert!(past.contains("(next): revenue 205,800.00 of 500,000.00 USD, missing 294,200.00\n"), "{past}");
}

fn count(value: &Value) -> usize {
    value.as_u64().and_then(|count| count.try_into().ok()).expect("a count")
}

#[test]
fn every_open_conflict_and_credit_is_explained() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["demo", "--partners", "20", "--months", "12", "--no-serve"]);
    let open = json(dir, &["conflicts", "--open"]);
    let open = open["items"].as_array().expect("items");
    assert!(open.iter().any(|item| item["kind"] == "possible_duplicate"), "{open:?}");
    for item in open {
        let told = succeed(dir, &["explain", "conflicts", item["conflict_id"].as_str().expect("a key")]);
        assert!(told.contains(" RegisterDeal under rules 1"), "{told}");
    }

    let linear = json(dir, &["query", "attribution", "--filter", "model=linear", "--limit", "50"]);
    let shared = linear["items"].as_array().expect("items").iter().find(|item| item["weight"] != "1").expect("a shared deal");
    let told = succeed(dir, &["explain", "attribution", shared["deal"].as_str().expect("a deal"), "--filter", "model=linear"]);
    assert!(told.contains(" = (party_shares) / (all_shares) = ("), "{told}");
    assert!(told.contains(" RecordTouchpoint under rules 1\n    touch - -> place=1 of="), "{told}");
    assert!(!told.contains("sourced - "), "{told}");
    // A sum of credits stands on the same touches, each told with its deal.
    let partner = linear["items"].as_array().expect("items").iter().find_map(|item| item["partner"].as_str()).expect("a partner");
    let told = succeed(dir, &["explain", "attribution", &format!("partner={partner},model=linear")]);
    assert!(told.contains(" RecordTouchpoint under rules 1\n    deal=d-"), "{told}");
    assert!(told.contains(": touch - -> place=1 of="), "{told}");
}
