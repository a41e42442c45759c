//! The arrows between crates are those drawn at the top of the workspace's `Cargo.toml`.
//!
//! Only normal dependencies count: a test may depend on what it likes, as nobody else gets it.

use crate::metadata::{Edges, Metadata, arrow_path};
use crate::step::{Step, Verdict};

pub(crate) const STEP: Step = Step {
    name: "arrows",
    about: "crates depend on each other as drawn at the top of Cargo.toml",
    advice: "move the code to the side of the arrow it belongs to; a new arrow is a decision, drawn in Cargo.toml and xtask/src/arrows.rs",
    stops_the_run: false,
    run: |tree| {
        let metadata = tree.metadata()?;
        let summary = format!("{} crates", metadata.members().count());
        Ok(Verdict::from_findings(findings(metadata), summary))
    },
};

/// Each member, and the crates its drawn arrows lead to. What those lead to is allowed as well.
///
/// The last three are not in the drawing: nothing may depend on them.
const DRAWN: &[(&str, &[&str])] = &[
    ("pledger-domain", &[]),
    ("pledger-ledger", &["pledger-domain"]),
    ("pledger-projections", &["pledger-ledger"]),
    ("pledger-consumers", &["pledger-ledger"]),
    ("pledger-command-api", &["pledger-projections"]),
    ("pledger", &["pledger-command-api", "pledger-consumers"]),
    ("pledger-bench", &["pledger-command-api", "pledger-consumers"]),
    ("xtask", &[]),
];

/// The pure crate, and what it must not reach by any way.
const PURE: &str = "pledger-domain";
const IMPURE: &[&str] = &["tokio", "sqlx", "sqlx-core", "rusqlite", "libsqlite3-sys", "rdkafka", "rdkafka-sys"];

/// A package that one crate alone may name, be it for its tests; and the benchmark, which measures the package itself.
const KAFKA_CLIENT: &str = "rdkafka";
const KAFKA_OWNER: &str = "pledger-ledger";
const KAFKA_MEASURER: &str = "pledger-bench";

fn findings(metadata: &Metadata) -> Vec<String> {
    let mut findings = undrawn_arrows(metadata);
    findings.extend(idle_arrows(metadata));
    findings.extend(impurities(metadata));
    findings.extend(kafka_elsewhere(metadata));
    findings
}

/// The crates a member may depend on: whatever its drawn arrows lead to, however far.
fn allowed(member: &str) -> Vec<&'static str> {
    let direct = drawn(member).unwrap_or_default();
    let further = direct.iter().flat_map(|next| allowed(next));
    direct.iter().copied().chain(further).collect()
}

fn drawn(member: &str) -> Option<&'static [&'static str]> {
    DRAWN.iter().find(|(from, _)| *from == member).map(|(_, to)| *to)
}

/// Dependencies between members that no arrow allows, and members that nobody drew.
fn undrawn_arrows(metadata: &Metadata) -> Vec<String> {
    let is_member = |name: &str| metadata.members().any(|member| member.name == name);
    let mut findings = Vec::new();
    for member in metadata.members() {
        if drawn(&member.name).is_none() {
            findings.push(format!("{} stands in no drawing of the crates", member.name));
            continue;
        }
        let allowed = allowed(&member.name);
        let normal = member.dependencies.iter().filter(|dependency| dependency.is_normal());
        let arrows = normal.filter(|dependency| is_member(&dependency.name));
        let undrawn = arrows.filter(|dependency| !allowed.contains(&dependency.name.as_str()));
        findings.extend(undrawn.map(|to| format!("{} must not depend on {}", member.name, to.name)));
    }
    findings
}

/// Arrows in the drawing of a member that are not in its manifest: the drawing would mislead.
fn idle_arrows(metadata: &Metadata) -> Vec<String> {
    let mut findings = Vec::new();
    for member in metadata.members() {
        let depends = |to: &str| member.dependencies.iter().any(|dep| dep.is_normal() && dep.name == to);
        let idle = drawn(&member.name).unwrap_or_default().iter().filter(|to| !depends(to));
        findings.extend(idle.map(|to| format!("{} no longer depends on {to}: take the arrow out of the drawing", member.name)));
    }
    findings
}

/// Ways from the pure crate to what does I/O.
fn impurities(metadata: &Metadata) -> Vec<String> {
    let reached = metadata.reached(&[PURE], Edges::Normal);
    let impure = reached.iter().filter(|path| path.last().is_some_and(|last| IMPURE.contains(&last.name.as_str())));
    impure.map(|path| format!("{PURE} reaches what does I/O: {}", arrow_path(path))).collect()
}

fn kafka_elsewhere(metadata: &Metadata) -> Vec<String> {
    let others = metadata.members().filter(|member| ![KAFKA_OWNER, KAFKA_MEASURER].contains(&member.name.as_str()));
    let naming = others.filter(|member| member.dependencies.iter().any(|dep| dep.name == KAFKA_CLIENT));
    naming.map(|member| format!("{} names {KAFKA_CLIENT}; only {KAFKA_OWNER} may", member.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::fake;

    /// The findings in a workspace as drawn, with the lines of some crates replaced or added.
    fn with(changes: &[&str]) -> Vec<String> {
        let drawn = [
            "*pledger-domain: serde",
            "*pledger-ledger: pledger-domain, rdkafka, tokio",
            "*pledger-projections: pledger-ledger, pledger-domain",
            "*pledger-consumers: pledger-ledger",
            "*pledger-command-api: pledger-projections, pledger-domain",
            "*pledger: pledger-command-api, pledger-consumers, pledger-ledger",
            "serde:",
            "tokio:",
            "rdkafka:",
        ];
        let name = |line: &&str| line.split(':').next().unwrap().to_owned();
        let changed: Vec<_> = changes.iter().map(name).collect();
        let mut lines: Vec<_> = drawn.into_iter().filter(|line| !changed.contains(&name(line))).collect();
        lines.extend(changes);
        findings(&fake::metadata(&lines, &[]))
    }

    #[test]
    fn the_drawing_itself_is_fine() {
        assert_eq!(with(&[]), [""; 0]);
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_named() {
        assert_eq!(
            with(&["*pledger-consumers: pledger-ledger, pledger-projections"]),
            ["pledger-consumers must not depend on pledger-projections"]
        );
        assert_eq!(with(&["*pledger-domain: xtask", "*xtask:"]), ["pledger-domain must not depend on xtask"]);
    }

    #[test]
    fn tests_may_depend_on_what_they_like() {
        assert_eq!(with(&["*pledger-consumers: pledger-ledger, pledger-projections [dev]"]), [""; 0]);
        assert_eq!(with(&["*pledger-domain: tokio [dev]"]), [""; 0]);
    }

    #[test]
    fn an_arrow_nobody_follows_is_named() {
        assert_eq!(
            with(&["*pledger: pledger-consumers"]),
            ["pledger no longer depends on pledger-command-api: take the arrow out of the drawing"]
        );
    }

    #[test]
    fn a_crate_nobody_drew_is_named() {
        assert_eq!(with(&["*pledger-extra: serde"]), ["pledger-extra stands in no drawing of the crates"]);
    }

    #[test]
    fn the_domain_reaches_no_runtime_however_indirectly() {
        assert_eq!(
            with(&["serde: sqlx", "sqlx: tokio"]),
            [
                "pledger-domain reaches what does I/O: pledger-domain -> serde -> sqlx",
                "pledger-domain reaches what does I/O: pledger-domain -> serde -> sqlx -> tokio",
            ]
        );
    }

    #[test]
    fn kafka_stays_in_the_ledger() {
        assert_eq!(
            with(&["*pledger-consumers: pledger-ledger, rdkafka [dev]"]),
            ["pledger-consumers names rdkafka; only pledger-ledger may"]
        );
    }
}
