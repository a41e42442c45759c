//! Simulations and evidence of a server: what the verbs make, for operators, one at a time.

use std::thread;

use serde_json::{Value, json};

use crate::program::{Server, json, succeed, token};

/// Without how many commands were decided again, and controlled: a server's policies add some while it is asked.
fn settled(mut report: Value) -> Value {
    let again = &mut report["decided_again"];
    assert!(again["decided"].take().as_u64() > Some(100));
    for counted in ["controlled", "controlled_streams"] {
        assert!(again[counted].take().is_u64(), "{counted}");
    }
    report
}

#[test]
fn a_server_simulates_and_proves_as_the_verbs_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let demo = json(dir, &["demo", "--partners", "20", "--months", "9", "--no-serve"]);
    assert_eq!(demo["pipeline"]["by_status"], json(dir, &["query", "pipeline", "--by", "status"])["items"]);
    let base = succeed(dir, &["rules", "show"]);
    let strict = base.replacen("certifications = 4", "certifications = 6", 1);
    std::fs::write(dir.join("strict.toml"), &strict).expect("written");
    let to = "2026-09-30";
    let by_verb = json(dir, &["simulate", "--rules", "strict.toml", "--to", to, "--verify"]);
    let rows = succeed(dir, &["simulate", "--rules", "strict.toml", "--to", to, "--format", "csv"]);
    let account = json(dir, &["query", "conflicts", "--limit", "1"])["items"][0]["account"].as_str().expect("an account").to_owned();
    let bundle = dir.join("verb.evidence");
    let key = succeed(dir, &["evidence", "--account", &account, "--out", bundle.to_str().expect("UTF-8")]);

    let server = Server::start(dir);
    let token = token(dir);
    let asked = json!({"drafts": [{"name": "strict.toml", "program": strict}], "to": to, "verify": true});
    let simulate = |accept: &str, asked: &Value, token: &str| {
        server.ask("POST", "/v1/simulate", &[("authorization", &format!("Bearer {token}")), ("accept", accept)], asked.to_string())
    };
    let (status, _, body) = simulate("application/json", &asked, &token);
    let by_http = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, settled(by_http)), (200, settled(by_verb)));
    let (status, _, body) = simulate("text/csv", &asked, &token);
    assert_eq!((status, String::from_utf8(body).expect("UTF-8").trim_end()), (200, rows.trim_end()));
    let file = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/toml")];
    let (status, _, body) = server.ask("POST", "/v1/simulate", &file, strict.clone());
    let (alone, drafted): (Value, Value) =
        (serde_json::from_slice(&body).expect("JSON"), json(dir, &["simulate", "--rules", "strict.toml"]));
    assert_eq!((status, &alone["drafts"][0]["draft"]), (200, &json!("draft 1")));
    assert_eq!(alone["drafts"][0]["summary"], drafted["drafts"][0]["summary"]);
    // What was hardly meant has no place in rows.
    let brief = strict.replacen("validity_days = 180", "validity_days = 30", 1);
    for (draft, said) in [(&strict, ""), (&brief, "draft 1: line 48, column 19: protection_days is 90, yet an approval runs out")] {
        let csv = [file[0], file[1], ("accept", "text/csv")];
        let (_, headers, _) = server.ask("POST", "/v1/simulate", &csv, draft.clone());
        let warning = headers.get("pledger-warning").map_or("", |warning| warning.to_str().expect("ASCII"));
        assert!(warning.starts_with(said) && warning.is_empty() == said.is_empty(), "{warning}");
    }
    // All else stands in the address, and nothing that is not read.
    let (status, _, body) = server.ask("POST", "/v1/simulate?verify=true&limit=0&to=2026-09-30", &file, strict.clone());
    let told: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, &told["limit"], &told["decided_again"]["every_command"]), (200, &json!(0), &json!(true)));
    for path in ["/v1/simulate?bogus=1", "/v1/rules/check?bogus=1", "/v1/rules/diff?bogus=1"] {
        let (status, _, body) = server.ask("POST", path, &file, strict.clone());
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((status, &problem["code"]), (400, &json!("UnknownParameter")), "{path}");
    }
    let (_, _, body) = simulate("application/x-ndjson", &asked, &token);
    let lines: Vec<Value> =
        body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).expect("JSON")).collect();
    assert_eq!(lines.len(), rows.lines().count() - 1);
    assert!(lines.iter().all(|line| line["draft"] == "strict.toml" && line["kind"].is_string()), "{lines:?}");

    for (asked, status, code) in [
        (json!({"drafts": []}), 400, "InvalidBody"),
        (json!({"drafts": [{"program": "half_life = 1"}]}), 422, "NotSimulated"),
        (json!({"drafts": [{"program": base}], "to": "soon"}), 400, "InvalidTime"),
        (json!({"drafts": [{"program": base}], "to": "2001-01-01"}), 422, "NotSimulated"),
    ] {
        let (found, _, body) = simulate("application/json", &asked, &token);
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{problem}");
    }
    assert_eq!(server.ask("POST", "/v1/simulate", &[], asked.to_string()).0, 403, "it is for operators");
    assert_eq!(simulate("application/json", &asked, "nobody").0, 401);

    // At once: one is made, and whoever comes meanwhile is told to come again.
    let both = json!({"drafts": vec![json!({"program": strict}); 4]});
    let answers = thread::scope(|scope| {
        let asking: Vec<_> = (0..3).map(|_| scope.spawn(|| simulate("application/json", &both, &token))).collect();
        asking.into_iter().map(|one| one.join().expect("an answer")).collect::<Vec<_>>()
    });
    let of = |status: u16| answers.iter().filter(|(found, _, _)| *found == status).collect::<Vec<_>>();
    assert!(
        !of(200).is_empty() && of(200).len() + of(429).len() == 3,
        "{:?}",
        answers.iter().map(|(status, _, _)| status).collect::<Vec<_>>()
    );
    assert!(of(429).iter().all(|(_, headers, _)| headers.contains_key("retry-after")));

    let operator = format!("Bearer {token}");
    let (status, headers, body) =
        server.ask("GET", &format!("/v1/evidence?account={account}"), &[("authorization", &operator)], String::new());
    assert_eq!((status, headers["pledger-ledger-key"].to_str().expect("ASCII")), (200, key.trim()));
    let file = dir.join("http.evidence");
    std::fs::write(&file, &body).expect("written");
    let file = file.to_str().expect("UTF-8");
    assert!(succeed(dir, &["evidence", "verify", file, "--key", key.trim()]).contains(&account));
    assert_eq!(
        json(dir, &["evidence", "verify", file])["decisions"],
        json(dir, &["evidence", "verify", bundle.to_str().expect("UTF-8")])["decisions"]
    );
    for (path, status) in [
        ("/v1/evidence", 400),
        ("/v1/evidence?deal=d-1&account=a.com", 400),
        ("/v1/evidence?account=nobody.example", 404),
        ("/v1/evidence?deal=d&x=1", 400),
    ] {
        assert_eq!(server.ask("GET", path, &[("authorization", &operator)], String::new()).0, status, "{path}");
    }
    assert_eq!(server.ask("GET", &format!("/v1/evidence?account={account}"), &[], String::new()).0, 403);
    let (_, _, body) = server.ask("GET", &format!("/v1/evidence?account=x{account}"), &[("authorization", &operator)], String::new());
    let problem: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(problem["nearest"].as_array().is_some_and(|nearest| nearest.contains(&account.into())), "{problem}");
    server.stop();
}
