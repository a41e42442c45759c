//! Set-up: the programs the later steps call, installed where that is ours to do.

use std::env;

use anyhow::Context;

use crate::step::{Step, Verdict};
use crate::tree::Tree;

pub(crate) const STEP: Step = Step {
    name: "set-up",
    about: "what the later steps need is installed",
    advice: "install what is named above, then run again",
    stops_the_run: true,
    run,
};

/// A program the later steps call, and the Debian package it comes from.
struct Need {
    program: &'static str,
    package: &'static str,
    purpose: &'static str,
}

const NEEDS: &[Need] = &[
    Need { program: "cc", package: "gcc libc6-dev", purpose: "builds SQLite, and links" },
    Need { program: "git", package: "git", purpose: "lists the files to check" },
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
    if !missing(NEEDS, on_path).is_empty() && may_install(tree)? {
        install(tree, &missing(NEEDS, on_path))?;
    }
    findings.extend(missing(NEEDS, on_path).iter().map(|need| {
        let Need { program, package, purpose } = need;
        format!("{program} is missing ({purpose}): apt-get install {package}")
    }));
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

/// The needs whose program `has` does not know.
fn missing(needs: &[Need], has: impl Fn(&str) -> bool) -> Vec<&Need> {
    needs.iter().filter(|need| !has(need.program)).collect()
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
        let absent: Vec<_> = missing(NEEDS, |program| program == "git").iter().map(|need| need.program).collect();
        assert_eq!(absent, ["cc"]);
    }
}
