//! `pledger doctor`: what is reachable, what is behind, what is wrong, each with what to do about it.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use pledger_ledger::{keys::SqliteKeyStore, log::Log};
use pledger_projections::{
    engine::Stored,
    generation::{Generations, Order},
    store::Cursor,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    cluster::{self, PlaceFlags},
    connection::{Ask, Connection, Told},
    context::Context,
    ledger::{Ledger, ends},
    output,
    verbs::{generations, rules, void},
};

/// Say what is reachable, what is behind and what is wrong; exit 1 where something is wrong
#[derive(Args)]
#[command(after_help = "Examples:
  pledger doctor
  pledger doctor --json
  pledger doctor --kafka broker-1:9092 --postgres postgres://pledger@db/prm     void records, and how far the read models are
  pledger doctor --retry     try streams again that are folded no further, and say what came of it

Every hash of the ledger is checked by: pledger verify")]
pub(crate) struct Doctor {
    /// Try parked streams again first: after an upgrade that can read their records, or once missing rules have come
    #[arg(long)]
    retry: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

/// What one look found.
#[derive(Serialize)]
struct Finding {
    name: &'static str,
    ok: bool,
    detail: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn look(&mut self, name: &'static str, found: Result<String>) -> bool {
        let (ok, detail) = match found {
            Ok(detail) => (true, detail),
            Err(error) => (false, output::chain(&error)),
        };
        self.0.push(Finding { name, ok, detail });
        ok
    }
}

impl Doctor {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let mut findings = Findings::default();
        let cluster = self.place.cluster(context)?;
        let is_cluster = cluster.is_some();
        match Ledger::open(&self.place.cluster, context) {
            Err(error) => drop(findings.look("ledger", Err(error))),
            Ok(ledger) => {
                findings.look("ledger", about(&ledger));
                if let Some(cluster) = &cluster {
                    findings.look("topics", cluster::topics(cluster));
                    findings.look("commands", cluster::waiting(cluster));
                }
                let asks_the_keeper = is_cluster && self.place.names_a_database(context);
                if self.retry && asks_the_keeper {
                    retried(generations::ask(&self.place, context, Order::RetryParked), &mut findings);
                }
                if is_cluster {
                    self.look_at_cluster(&ledger, context, &mut findings);
                }
                if !is_cluster {
                    findings.look("keys", keys(context));
                }
                findings.look("rules", rules::in_force(&ledger));
                match Connection::to_read(context) {
                    Ok(connection) => {
                        if self.retry && !asks_the_keeper {
                            retried(connection.ask(Ask::post("/v1/parked/retry", Vec::new())), &mut findings);
                        }
                        ask(&connection, &ledger, &mut findings);
                        connection.close();
                    }
                    Err(_) if is_cluster => {
                        let where_it_is = "none was started with this data directory; name that of one with --data-dir".to_owned();
                        findings.look("server", Ok(where_it_is));
                    }
                    Err(error) => drop(findings.look("server", Err(error))),
                }
            }
        }
        let healthy = findings.0.iter().all(|finding| finding.ok);
        if context.json {
            output::print_json(&serde_json::json!({"healthy": healthy, "checks": findings.0}))?;
        } else {
            for Finding { name, ok, detail } in &findings.0 {
                output::print(format!("{}  {name:<12} {detail}", if *ok { "ok   " } else { "WRONG" }))?;
            }
        }
        Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Doctor {
    /// What a cluster has besides: void records, and read models in a database.
    fn look_at_cluster(&self, ledger: &Ledger, context: &Context, findings: &mut Findings) {
        let stored = match generations::of_database(&self.place, ledger, context) {
            Ok(None) => None,
            Ok(Some(generations)) => {
                findings.look("database", cluster::database(&self.place.postgres, context));
                look_at_read_models(&*generations, ledger, findings)
            }
            Err(error) => {
                findings.look("read models", Err(error));
                None
            }
        };
        findings.look("void", void::told(&*ledger.log, stored));
    }
}

/// Those in a database; how far they are, where there are some.
fn look_at_read_models(generations: &dyn Generations, ledger: &Ledger, findings: &mut Findings) -> Option<Vec<Cursor>> {
    match Stored::heads_in(generations) {
        Ok(Some(heads)) => {
            findings.look("read models", stored(generations, ledger, &heads));
            Some(heads)
        }
        Ok(None) => {
            findings.look("read models", Ok("none were made by these folds; a server that keeps them makes them".to_owned()));
            None
        }
        Err(error) => {
            findings.look("read models", Err(error.into()));
            None
        }
    }
}

fn about(ledger: &Ledger) -> Result<String> {
    let Ledger { log, created } = ledger;
    let generated = if created.generated.is_some() { ", a generated history" } else { "" };
    let records = output::cell(&ends(&**log)?.into());
    Ok(format!(
        "{records} records in {} slices, created {}{generated}, id {}; hashes are not looked at here, but by: pledger verify",
        created.slices.count, created.created_at, created.ledger_id
    ))
}

/// How far the stored read models are, by their cursors.
fn stored(generations: &dyn Generations, ledger: &Ledger, heads: &[Cursor]) -> Result<String> {
    let generation = generations.current()?.map_or_else(String::new, |generation| format!("generation {generation}, "));
    let folded = heads.iter().map(|(_, head)| head.next_offset).sum();
    Ok(match ends(&*ledger.log)?.saturating_sub(folded) {
        0 => format!("{generation}at the ledger's end"),
        records => format!("{generation}{} records behind the ledger", output::cell(&records.into())),
    })
}

fn keys(context: &Context) -> Result<String> {
    SqliteKeyStore::open_read_only(&context.data_dir)?;
    Ok("the key store opens".to_owned())
}

/// What the server says of itself, or what these very parts say in this process.
fn ask(connection: &Connection, ledger: &Ledger, findings: &mut Findings) {
    let server = match connection {
        Connection::Server { announcement, .. } => format!("running at {} (process {})", announcement.url, announcement.pid),
        Connection::Here { .. } => "not running; start it with: pledger serve".to_owned(),
    };
    findings.look("server", Ok(server));
    match connection.ask(Ask::get("/readyz")).and_then(|told| told.json()) {
        Ok(document) => checks(&document, findings),
        Err(error) => drop(findings.look("ready", Err(error))),
    }
    if let Some(assembly) = connection.assembly() {
        assembly.engine().wait_until_caught_up(super::FOLDING, |_| {});
    }
    let page = connection.ask(Ask::get("/v1/deals?limit=1")).and_then(|told| told.success());
    match page {
        Ok(page) => {
            findings.look("behind", behind(&page, &*ledger.log));
            findings.look("incomplete", incomplete(&page));
        }
        Err(error) => drop(findings.look("questions", Err(error))),
    }
}

/// The names of what `/readyz` checks, here and in a cluster.
const CHECKS: [&str; 9] = ["processor", "projections", "policies", "disk", "slices", "follower", "decisions", "ingest", "publisher"];

fn checks(document: &Value, findings: &mut Findings) {
    for check in document["checks"].as_array().into_iter().flatten() {
        let name = CHECKS.iter().find(|name| check["name"] == **name).copied().unwrap_or("ready");
        let reason = check["reason"].as_str().unwrap_or("it does not work").to_owned();
        findings.look(name, if check["ok"] == true { Ok("it works".to_owned()) } else { Err(anyhow::Error::msg(reason)) });
    }
}

/// How far the read models are behind the ledger. That is a moment's state, not a fault.
fn behind(page: &Value, log: &dyn Log) -> Result<String> {
    let folded: u64 =
        page["position"].as_object().into_iter().flat_map(|slices| slices.values()).filter_map(Value::as_u64).map(|pseq| pseq + 1).sum();
    let behind = ends(log)?.saturating_sub(folded);
    Ok(match behind {
        0 => "the read models are at the ledger's end".to_owned(),
        records => format!("the read models are {} records behind (void records count)", output::cell(&records.into())),
    })
}

/// What came of each parked stream that was tried again.
fn retried(asked: Result<Told>, findings: &mut Findings) {
    let told = asked.and_then(|told| told.success()).map(|document| {
        let lines: Vec<String> = document["items"].as_array().into_iter().flatten().map(outcome).collect();
        if lines.is_empty() { "no stream is parked".to_owned() } else { lines.join("\n      ") }
    });
    findings.look("retry", told);
}

fn outcome(item: &Value) -> String {
    let name = format!("{} since {}", output::cell(&item["stream"]), output::cell(&item["since"]));
    match item["outcome"].as_str() {
        Some("taken_up") => format!("{name}: taken up again, {} records were folded in their order", output::cell(&item["records"])),
        Some("needs_rebuild") => format!("{name}: it can be read now, and is put in its place by: pledger rebuild --promote"),
        Some(_) | None => format!("{name}: parked still, at {}: {}", output::cell(&item["at"]), output::cell(&item["reason"])),
    }
}

/// Streams of which a record could not be taken in.
fn incomplete(page: &Value) -> Result<String> {
    let Some(streams) = page["incomplete"].as_array().filter(|streams| !streams.is_empty()) else {
        return Ok("every record was taken in".to_owned());
    };
    let told: Vec<String> = streams
        .iter()
        .map(|one| format!("{} since {}: {}", output::cell(&one["stream"]), output::cell(&one["since"]), output::cell(&one["reason"])))
        .collect();
    bail!("{} streams are folded no further\n      {}", told.len(), told.join("\n      "))
}
