//! Drafts of the rules, checked and compared.

use pledger_domain::rules::Rules;
use serde_json::json;

use crate::stack::{Stack, in_a_year};

#[tokio::test]
async fn every_version_can_be_read_and_one_is_in_force() {
    let stack = Stack::ready().await;
    let later = Rules::DEFAULT.replacen("certifications = 4", "certifications = 6", 1);
    let published = stack.command("PublishRules", &json!({"program": later, "effective_from": in_a_year()}), &[]).await;
    assert_eq!(published.status, 200, "{}", published.text());
    let items = stack.get("/v1/rules").await.json()["items"].clone();
    let state = |item: &serde_json::Value| (item["version"].clone(), item["state"].clone());
    let states: Vec<_> = items.as_array().expect("items").iter().map(state).collect();
    assert_eq!(states, [(json!(1), json!("in_force")), (json!(2), json!("later"))]);
    assert_eq!((&items[0]["effective_from"], items[0]["name"].is_string()), (&json!("2020-01-01T00:00:00Z"), true));

    let second = stack.get("/v1/rules/2").await.json();
    assert_eq!((&second["program"], &second["state"], &second["version"]), (&json!(later), &json!("later"), &json!(2)));
    assert!(second["in_words"].as_array().is_some_and(|words| !words.is_empty()));
    assert_eq!(stack.get("/v1/rules/in-force").await.json(), stack.get("/v1/rules/1").await.json());
    for (version, detail) in [
        ("3", "there is no version 3 of the rules; there are 1 to 2"),
        ("0", "there is no version 0 of the rules; there are 1 to 2"),
        ("latest", "there is no version latest of the rules; there are 1 to 2"),
    ] {
        let unknown = stack.get(&format!("/v1/rules/{version}")).await;
        assert_eq!(unknown.problem(), (404, "UnknownRules".to_owned()));
        assert_eq!(unknown.json()["detail"], detail);
    }
    let none = Stack::bare().get("/v1/rules/in-force").await;
    assert_eq!(none.json()["detail"], "no rules are in force yet; none was published");
}

#[tokio::test]
async fn a_draft_is_checked_and_held_against_what_was_published() {
    let stack = Stack::ready().await;
    let post = async |path: &str, body: serde_json::Value| stack.post(path, "application/json", &[], body.to_string()).await;
    let draft = Rules::DEFAULT.replacen("certifications = 4", "certifications = 6", 1);
    let checked = post("/v1/rules/check", json!({"program": draft})).await.json();
    assert_eq!((&checked["valid"], checked["in_words"].as_array().map(Vec::is_empty)), (&json!(true), Some(false)));
    let wrong = post("/v1/rules/check", json!({"program": "tiers = 1"})).await.json();
    assert_eq!(wrong["valid"], false);
    let place = json!({"line": 1, "column": 9, "message": "tiers takes a list of tables, each begun by [[tiers]], not a whole number"});
    assert!(wrong["problems"].as_array().is_some_and(|problems| problems.contains(&place)), "{wrong}");

    let diff = post("/v1/rules/diff", json!({"program": draft})).await.json();
    assert_eq!(diff["version"], 1);
    assert_eq!(diff["changes"][0]["in_words"], "Gold needs 6 certifications instead of 4.");
    let none = post("/v1/rules/diff", json!({"program": Rules::DEFAULT, "version": 1})).await.json();
    assert_eq!(none, json!({"before": "version 1", "version": 1, "changes": []}));
    let drafts = post("/v1/rules/diff", json!({"program": Rules::DEFAULT, "before": draft})).await.json();
    assert_eq!(
        (&drafts["version"], &drafts["changes"][0]["in_words"]),
        (&json!(null), &json!("Gold needs 4 certifications instead of 6."))
    );
    for (body, status, code) in [
        (json!({"program": draft, "version": 9}), 404, "UnknownRules"),
        (json!({"program": "x"}), 422, "InvalidRules"),
        (json!({"program": draft, "before": "x"}), 422, "InvalidRules"),
        (json!({"program": draft, "before": draft, "version": 1}), 400, "InvalidBody"),
        (json!({"programm": "x"}), 400, "InvalidBody"),
    ] {
        assert_eq!(post("/v1/rules/diff", body.clone()).await.problem(), (status, code.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_draft_may_come_as_the_file_it_is() {
    let stack = Stack::ready().await;
    let draft = Rules::DEFAULT.replacen("certifications = 4", "certifications = 6", 1);
    let post = async |path: &str, kind: &str, body: Vec<u8>| stack.post(path, kind, &[], body).await;
    let diff = post("/v1/rules/diff", "application/toml; charset=utf-8", draft.into_bytes()).await.json();
    assert_eq!((&diff["version"], &diff["changes"][0]["in_words"]), (&json!(1), &json!("Gold needs 6 certifications instead of 4.")));
    assert_eq!(post("/v1/rules/check", "application/toml", b"tiers = 1".to_vec()).await.json()["valid"], false);
    let binary = post("/v1/rules/check", "application/toml", b"# a\n\xff\xfe".to_vec()).await.json();
    let place = json!({"line": 2, "column": 1, "message": "not UTF-8: a program.toml must be saved as UTF-8"});
    assert_eq!(binary, json!({"valid": false, "problems": [place], "warnings": [], "in_words": []}));
    let binary = post("/v1/rules/diff", "application/toml", vec![0xff, 0xfe]).await;
    assert_eq!(binary.problem(), (422, "InvalidRules".to_owned()));
    let other = post("/v1/rules/check", "text/csv", b"a,b".to_vec()).await;
    assert_eq!(other.problem(), (415, "UnsupportedMediaType".to_owned()));
    assert_eq!(other.json()["accepted"], json!(["application/json", "application/toml"]));
}
