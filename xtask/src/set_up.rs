//! Set-up: the programs the later steps call, installed where that is ours to do.

use std::env;
use std::process::Command;

use anyhow::Context;

use crate::python;
use crate::service::{Service, postgres};
use crate::step::{Step, Verdict};
use crate::tree::Tree;

pub(crate) const STEP: Step = Step {
    name: "set-up",
    about: "what the later steps need is installed",
    advice: "install what is named above, then run again",
    stops_the_run: true,
    run,
};

/// Something the later steps call or build with, and the Debian packages it comes from.
struct Need {
    what: What,
    package: &'static str,
    purpose: &'static str,
    /// Only the tests with this service need it.
    only_for: Option<Service>,
}

/// How a need is seen to be met.
#[derive(Clone, Copy)]
enum What {
    /// A program on the path.
    Program(&'static str),
    /// A library with headers, by pkg-config's name.
    Library(&'static str),
    /// PostgreSQL's programs, on the path or where Debian puts them.
    Postgres,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Program(name) | Self::Library(name) => name,
            Self::Postgres => "PostgreSQL 15 or later",
        }
    }
}

const NEEDS: &[Need] = &[
    Need { what: What::Program("cc"), package: "gcc libc6-dev", purpose: "builds SQLite and librdkafka, and links", only_for: None },
    Need { what: What::Program("c++"), package: "g++", purpose: "builds librdkafka", only_for: None },
    Need { what: What::Program("make"), package: "make", purpose: "builds librdkafka", only_for: None },
    Need {
        what: What::Program("python3"),
        package: "python3 python3-venv",
        purpose: "builds librdkafka, and reads exports back",
        only_for: None,
    },
    Need { what: What::Program("pkg-config"), package: "pkg-config", purpose: "finds OpenSSL", only_for: None },
    Need { what: What::Library("openssl"), package: "libssl-dev", purpose: "encrypts what goes to Kafka", only_for: None },
    Need { what: What::Program("git"), package: "git", purpose: "lists the files to check", only_for: None },
    Need { what: What::Postgres, package: "postgresql", purpose: "keeps the read models of a cluster", only_for: Some(Service::Postgres) },
    Need { what: What::Program("java"), package: "default-jre-headless", purpose: "runs Kafka", only_for: Some(Service::Kafka) },
    Need { what: What::Program("mvn"), package: "maven", purpose: "fetches Kafka; or set KAFKA_HOME", only_for: Some(Service::Kafka) },
    Need { what: What::Program("kcat"), package: "kcat", purpose: "is a Kafka client of others", only_for: Some(Service::Kafka) },
];

/// A part of the Rust toolchain, by the cargo command it brings.
const COMPONENTS: &[(&str, &str)] = &[("fmt", "rustfmt"), ("clippy", "clippy")];

fn run(tree: &Tree) -> anyhow::Result<Verdict> {
    let mut findings = Vec::new();
    for (command, component) in COMPONENTS {
        if tree.command("cargo").args([command, "--version"]).output()?.status.success() {
            continue;
        }
        findings.push(format!("cargo {command} is missing: rustup component add {component}"));
    }
    let needs: Vec<&Need> = NEEDS.iter().filter(|need| is_wanted(tree, need)).collect();
    if !missing(&needs, is_there).is_empty() && may_install(tree)? {
        install(tree, &missing(&needs, is_there))?;
    }
    findings.extend(missing(&needs, is_there).iter().map(|need| {
        let Need { what, package, purpose, .. } = need;
        format!("{} is missing ({purpose}): apt-get install {package}", what.name())
    }));
    if findings.is_empty()
        && let Err(error) = python::interpreter()
    {
        findings.push(format!("{error:#}"));
    }
    // Building this program mends a stale lock file in passing, which would hide it from the
    // `--locked` of the later steps. A fresh clone has nothing else to change it.
    if env::var_os("CI").is_some() && findings.is_empty() {
        let changed = tree.output("git", &["status", "--porcelain", "--", "Cargo.lock"])?;
        if !changed.is_empty() {
            findings.push("Cargo.lock is out of date: run `cargo check` and commit it".to_owned());
        }
    }
    Ok(Verdict::from_findings(findings, "nothing is missing".to_owned()))
}

/// Whether this run comes to a step that needs it.
fn is_wanted(tree: &Tree, need: &Need) -> bool {
    let given = |variable| env::var_os(variable).is_some();
    if need.only_for.is_some_and(|service| tree.is_without(service)) {
        return false;
    }
    match need.what {
        What::Postgres => !given(Service::Postgres.variable()),
        What::Program("mvn") => !given("KAFKA_HOME"),
        What::Program(_) | What::Library(_) => true,
    }
}

/// The needs that `has` does not know.
fn missing<'a>(needs: &[&'a Need], has: impl Fn(What) -> bool) -> Vec<&'a Need> {
    needs.iter().filter(|need| !has(need.what)).copied().collect()
}

fn is_there(what: What) -> bool {
    match what {
        What::Program(program) => on_path(program),
        What::Library(library) => Command::new("pkg-config").args(["--exists", library]).status().is_ok_and(|status| status.success()),
        What::Postgres => postgres::binaries().is_ok(),
    }
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Packages are ours to install only as root on a Debian, as in a CI container.
fn may_install(tree: &Tree) -> anyhow::Result<bool> {
    Ok(on_path("apt-get") && tree.output("id", &["-u"])?.trim() == "0")
}

/// A failure shows afterwards, as the program still missing.
fn install(tree: &Tree, needs: &[&Need]) -> anyhow::Result<()> {
    let apt = |args: &[&str]| {
        let mut command = tree.command("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        command.status().context("running apt-get")
    };
    let packages = needs.iter().flat_map(|need| need.package.split(' '));
    let install: Vec<_> = ["install", "--yes", "--no-install-recommends"].into_iter().chain(packages).collect();
    apt(&["update"])?;
    apt(&install)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_absent_is_missing() {
        let needs: Vec<&Need> = NEEDS.iter().collect();
        let has = |what: What| !matches!(what.name(), "make" | "openssl");
        let absent: Vec<_> = missing(&needs, has).iter().map(|need| need.package).collect();
        assert_eq!(absent, ["make", "libssl-dev"]);
    }
}
