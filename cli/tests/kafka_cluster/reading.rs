//! The command line asks a cluster's read models where they are stored, and is told what a server tells.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    sync::RwLockReadGuard,
};

use serde_json::{Value, json};

use crate::{
    keepers::CUT,
    processes::{Cluster, Process, agent, pledger, until},
    schemas::InPostgres,
};

/// A generated history in a cluster with a database.
pub(crate) struct Told {
    pub(crate) cluster: Cluster,
    /// The schemas are dropped with it.
    pub(crate) home: InPostgres,
    pub(crate) database: String,
    _uncut: RwLockReadGuard<'static, ()>,
}

impl Told {
    pub(crate) fn begin(brokers: &str, partners: &str) -> Self {
        let uncut = CUT.read().expect("nobody cut anything and failed");
        let home = InPostgres::new(&std::env::var("PLEDGER_TEST_POSTGRES").expect("left out where it is not there"));
        let parameters = if home.url.contains('?') { "&" } else { "?" };
        let database = format!("{}{parameters}schema={}", home.url, home.schema);
        let (old, cluster) = (tempfile::tempdir().expect("a directory"), Cluster::none(brokers));
        let made = pledger()
            .args(["demo", "--partners", partners, "--months", "9", "--seed", "3", "--no-serve", "--data-dir"])
            .arg(old.path())
            .output()
            .expect("pledger");
        succeeded(&made);
        let mut moving = pledger();
        moving.args(["migrate", "--to-kafka", brokers, "--topic-prefix", &cluster.prefix, "--replicas", "1"]);
        let moved = moving.args(["--postgres", &database, "--from"]).arg(old.path()).output().expect("pledger");
        assert!(succeeded(&moved).contains("--postgres"), "it says how to go on");
        Self { cluster, home, database, _uncut: uncut }
    }

    /// Runs a verb on the cluster and its database.
    pub(crate) fn run(&self, verb: &[&str], args: &[&str]) -> Output {
        let mut command = pledger();
        command.args(verb).args(["--kafka", &self.cluster.brokers, "--topic-prefix", &self.cluster.prefix]);
        let dir = tempfile::tempdir().expect("a directory");
        command.args(["--postgres", &self.database]).args(args).arg("--data-dir").arg(dir.path()).output().expect("pledger")
    }

    /// What it prints.
    pub(crate) fn succeed(&self, verb: &[&str], args: &[&str]) -> String {
        succeeded(&self.run(verb, args))
    }

    pub(crate) fn json(&self, verb: &[&str], args: &[&str]) -> Value {
        serde_json::from_str(&self.succeed(verb, &[args, &["--json"]].concat())).expect("JSON")
    }

    /// What it says when it fails with this code.
    pub(crate) fn fail(&self, verb: &[&str], args: &[&str], code: i32) -> String {
        let output = self.run(verb, args);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        said(&output)
    }

    pub(crate) fn serve(&self, args: &[&str]) -> Process {
        self.cluster.serve(&[&["--postgres", &self.database, "--take-over-after", "2"], args].concat())
    }
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    assert!(!said(output).contains('\u{1b}'), "no colours in a file: {}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a server answers.
pub(crate) fn over_http(process: &Process, path: &str) -> Value {
    let mut answer = agent().get(format!("{}{path}", process.url)).call().expect("an answer");
    answer.body_mut().read_json().expect("JSON")
}

/// A simulation and evidence over HTTP are those of the verbs.
fn analyses_are_the_same(told: &Told, server: &Process) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let shown = pledger().args(["rules", "show", "--kafka", &told.cluster.brokers, "--topic-prefix", &told.cluster.prefix]).output();
    let rules = succeeded(&shown.expect("pledger"));
    let draft = rules.replacen("certifications = 4", "certifications = 6", 1);
    std::fs::write(path("draft.toml"), &draft).expect("written");
    let operator = format!("Bearer {}", server.token());
    let asked = json!({"drafts": [{"name": path("draft.toml"), "program": draft}], "to": "2026-09-30"});
    let request = agent().post(format!("{}/v1/simulate", server.url)).header("authorization", &operator);
    let simulated: Value = request.send_json(&asked).expect("an answer").body_mut().read_json().expect("JSON");
    let by_verb = told.cluster.run("simulate", &["--rules", &path("draft.toml"), "--to", "2026-09-30", "--json"]);
    let by_verb: Value = serde_json::from_str(&succeeded(&by_verb)).expect("JSON");
    assert_eq!((&simulated["drafts"], &simulated["to"]), (&by_verb["drafts"], &by_verb["to"]));
    assert_eq!(simulated["drafts"][0]["changes"][0]["before"], "4");

    let deal = over_http(server, "/v1/deals?limit=1")["items"][0]["deal_id"].as_str().expect("a deal").to_owned();
    let request = agent().get(format!("{}/v1/evidence?deal={deal}", server.url)).header("authorization", &operator);
    let file = request.call().expect("an answer").body_mut().read_to_vec().expect("a file");
    std::fs::write(path("a.evidence"), file).expect("written");
    // The verb signs with the same key: the cluster's.
    let key = told.succeed(&["evidence", "--deal", &deal, "--out", &path("b.evidence")], &[]);
    let verified = pledger().args(["evidence", "verify", &path("a.evidence"), "--key", key.trim()]).output().expect("pledger");
    assert!(succeeded(&verified).contains(&format!("deal/{deal}")));
}

/// Writes to the first slice of a topic what nobody of ours would.
fn foreign_message(cluster: &Cluster, topic: &str) {
    let mut kcat = Command::new("kcat");
    kcat.args(["-P", "-b", &cluster.brokers, "-t", &format!("{}{topic}", cluster.prefix), "-p", "0"]);
    let mut child = kcat.stdin(Stdio::piped()).spawn().expect("kcat");
    child.stdin.take().expect("piped").write_all(b"hello").expect("it reads");
    assert!(child.wait().expect("an end").success());
}

pub(crate) fn verbs_answer_from_postgres_as_a_server_does(brokers: &str) {
    let told = Told::begin(brokers, "12");
    // Nobody has kept read models yet: they are folded on demand.
    let before = told.succeed(&["query"], &["pipeline", "--by", "region,status", "--format", "csv"]);
    let server = told.serve(&[]);
    let partner = json!({"partner_id": "p-new", "name": "Nordwind", "roles": ["reseller"]});
    assert_eq!(server.send("RegisterPartner", &partner, "k1").0, 200);
    until("SQL has it", || told.home.sql("SELECT partner FROM {}.partners WHERE partner = 'p-new'").is_ok_and(|rows| rows.len() == 1));
    assert_eq!(told.succeed(&["query"], &["pipeline", "--by", "region,status", "--format", "csv"]), before);
    for (verb, path) in [
        (&["query", "pipeline", "--by", "region,status"][..], "/v1/pipeline?by=region,status&limit=50"),
        (&["query", "partners", "p-new"], "/v1/partners/p-new"),
        (&["query", "tiers", "--limit", "1000"], "/v1/tiers?limit=1000"),
        (
            &["query", "attribution", "--by", "partner,model", "--filter", "model=linear"],
            "/v1/attribution?by=partner,model&model=linear&limit=50",
        ),
        (&["conflicts"], "/v1/conflicts?limit=50"),
        (&["explain", "partners", "p-new"], "/v1/partners/p-new/why"),
        (
            &["query", "deals", "--as-of", "2026-06-30", "--known-at", "2026-07-15"],
            "/v1/deals?as_of=2026-06-30&known_at=2026-07-15&limit=50",
        ),
        (&["query", "tiers", "--known-at", "2026-06-15"], "/v1/tiers?known_at=2026-06-15&limit=50"),
    ] {
        let (mut ours, mut theirs) = (told.json(verb, &[]), over_http(&server, path));
        // When an explanation was asked for is another instant each time.
        for document in [&mut ours, &mut theirs] {
            document.as_object_mut().expect("an object").remove("at");
        }
        assert_eq!(ours, theirs, "{verb:?}");
    }
    let pages = over_http(&server, "/v1/deals?limit=10000");
    let exported = told.succeed(&["export", "deals"], &["--format", "jsonl", "--out", "-"]);
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(Some(&lines), pages["items"].as_array(), "an export is the whole view");
    assert!(told.succeed(&["verify", "--projections"], &[]).contains("equal a fresh fold"));
    analyses_are_the_same(&told, &server);
    let doctor = told.succeed(&["doctor"], &[]);
    assert!(doctor.contains("generation 1, at the ledger's end") && doctor.contains("no record is void"), "{doctor}");
    assert!(doctor.contains("topics       all are there"), "{doctor}");
    server.stop();
    ["ledger", "commands"].into_iter().for_each(|topic| foreign_message(&told.cluster, topic));
    let doctor = told.cluster.run("doctor", &[]);
    assert!(said(&doctor).contains("1 records are void: 1 in slice 0"), "{}", said(&doctor));
    assert!(said(&doctor).contains("it is no record of pledger's"), "{}", said(&doctor));
    assert!(said(&doctor).contains(" lie behind the last records of the slices 0"), "{}", said(&doctor));
    assert_eq!(told.json(&["query", "partners", "p-new"], &[])["name"], "Nordwind", "the name is opened, and no server runs");
    told.home.sql("UPDATE {}_g1.partners SET region = 'nowhere' WHERE partner = 'p-new'").expect("the database's own user may");
    assert!(told.fail(&["verify", "--projections"], &[], 1).contains("differ from a fresh fold in partners"));
}

pub(crate) fn a_place_is_named_once_in_the_configuration(brokers: &str) {
    let told = Told::begin(brokers, "5");
    let dir = tempfile::tempdir().expect("a directory");
    let file = format!(
        "kafka = {brokers:?}\ntopic_prefix = {:?}\npostgres = {:?}\nroles = \"all\"\nslices = \"0-7\"\ntake_over_after = 2\n",
        told.cluster.prefix, told.database
    );
    let run = |text: &str, args: &[&str]| {
        std::fs::write(dir.path().join("pledger.toml"), text).expect("written");
        pledger().current_dir(dir.path()).args(args).output().expect("pledger")
    };
    let asked = ["query", "partners", "--json"];
    let found: Value = serde_json::from_str(&succeeded(&run(&file, &asked))).expect("JSON");
    assert_eq!(found, told.json(&["query", "partners"], &[]));
    // A flag wins over the file.
    let other = run(&file, &["query", "partners", "--topic-prefix", "nobody."]);
    assert!(other.status.code() == Some(1) && said(&other).contains("nobody.ledger"), "{}", said(&other));
    // A ledger that is moved goes there too, and there is another one.
    succeeded(
        &pledger().current_dir(dir.path()).args(["demo", "--partners", "2", "--months", "2", "--no-serve"]).output().expect("pledger"),
    );
    let prefix = format!("topic_prefix = {:?}\n", told.cluster.prefix);
    let moved = run(&prefix, &["migrate", "--from", "pledger-data", "--to-kafka", brokers]);
    assert!(moved.status.code() == Some(1) && said(&moved).contains("there is another ledger already"), "{}", said(&moved));
    for (text, args, what) in [
        ("roles = \"cook\"", &["serve"][..], "roles in the configuration"),
        ("slices = \"some\"", &["serve"], "slices in the configuration"),
        ("take_over_after = 0", &["serve"], "0 is not in 1..=300"),
        ("kafkas = \"b\"", &["doctor"], "column 1: unknown field, expected one of"),
    ] {
        let wrong = run(
            &format!("{file}\n").lines().filter(|line| !line.starts_with(&text[..5])).chain([text]).collect::<Vec<_>>().join("\n"),
            args,
        );
        assert!(wrong.status.code() == Some(2) && said(&wrong).contains(what), "{args:?}: {}", said(&wrong));
    }
    let alone = pledger().current_dir("/").args(["query", "partners", "--postgres", "postgres://db"]).output().expect("pledger");
    assert!(alone.status.code() == Some(2) && said(&alone).contains("goes with --kafka"), "{}", said(&alone));
    let nowhere = told.cluster.run("query", &["partners"]);
    assert!(nowhere.status.code() == Some(2) && said(&nowhere).contains("name it with --postgres"), "{}", said(&nowhere));
    let apart = told.cluster.run("serve", &["--roles", "api"]);
    assert!(apart.status.code() == Some(2) && said(&apart).contains("--postgres"), "{}", said(&apart));
}
