//! Drafts of the rules, checked and compared.

use pledger_domain::rules::Rules;
use serde_json::json;

use crate::stack::Stack;

#[tokio::test]
async fn a_draft_is_checked_and_held_against_what_was_published() {
    let stack = Stack::ready().await;
    let post = async |path: &str, body: serde_json::Value| stack.post(path, "application/json", &[], body.to_string()).await;
    let draft = Rules::DEFAULT.replacen("certifications = 4", "certifications = 6", 1);
    let checked = post("/v1/rules/check", json!({"program": draft})).await.json();
    assert_eq!((&checked["valid"], checked["in_words"].as_array().map(Vec::is_empty)), (&json!(true), Some(false)));
    let wrong = post("/v1/rules/check", json!({"program": "tiers = 1"})).await.json();
    assert_eq!(wrong["valid"], false);
    assert!(wrong["problems"][0].as_str().is_some_and(|problem| problem.contains("line 1")), "{wrong}");

    let diff = post("/v1/rules/diff", json!({"program": draft})).await.json();
    assert_eq!(diff["version"], 1);
    assert_eq!(diff["changes"][0]["in_words"], "Gold needs 6 certifications instead of 4.");
    let none = post("/v1/rules/diff", json!({"program": Rules::DEFAULT, "version": 1})).await.json();
    assert_eq!(none, json!({"version": 1, "changes": []}));
    for (body, status, code) in [
        (json!({"program": draft, "version": 9}), 404, "UnknownRules"),
        (json!({"program": "x"}), 422, "InvalidRules"),
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
    let binary = post("/v1/rules/check", "application/toml", vec![0xff, 0xfe]).await.problem();
    assert_eq!(binary, (400, "InvalidBody".to_owned()));
    let other = post("/v1/rules/check", "text/csv", b"a,b".to_vec()).await;
    assert_eq!(other.problem(), (415, "UnsupportedMediaType".to_owned()));
    assert_eq!(other.json()["accepted"], json!(["application/json", "application/toml"]));
}
