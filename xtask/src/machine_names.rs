//! No file carries the name of the machine it was written on: a directory of somebody's, a
//! package mirror, a host of a private network.

use std::path::Path;

use crate::step::{Step, Verdict};
use crate::tree::Tree;

pub(crate) const STEP: Step = Step {
    name: "machine-names",
    about: "no file names somebody's directory, package mirror or private host",
    advice: "write a relative path, or a made-up name under example.com",
    stops_the_run: false,
    run,
};

/// Where people's own directories lie; a name follows.
const HOMES: &[&str] = &["/home/", "/Users/", "/root/", r"C:\Users\"];

/// Directories that a text may name without meaning this machine's.
const COMMON: &[&str] = &[
    "app",
    "build",
    "builds",
    "code",
    "data",
    "dev",
    "etc",
    "home",
    "mnt",
    "opt",
    "private",
    "proc",
    "repo",
    "root",
    "run",
    "src",
    "srv",
    "tmp",
    "Users",
    "usr",
    "var",
    "workspace",
];

/// Endings that only private networks give to hosts.
const PRIVATE_HOSTS: &[&str] = &[".internal", ".corp", ".lan", ".intranet"];

/// Settings that send package managers to a mirror. Looked for outside of sources and prose.
const MIRROR_SETTINGS: &[&str] = &["replace-with", "[registries", "[source.", "index-url", "GOPROXY=", "npm_config_registry"];

/// Where packages come from, as lock files write it.
const PUBLIC_SOURCES: &[&str] = &["registry+https://github.com/rust-lang/crates.io-index", "https://registry.npmjs.org/"];

fn run(tree: &Tree) -> anyhow::Result<Verdict> {
    let own = own_directories(tree.root());
    let mut findings = Vec::new();
    let files = tree.files("")?;
    for file in &files {
        let Some(text) = tree.text(file)? else {
            continue;
        };
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(objection) = objection(file, line, &own) {
                findings.push(format!("{file}:{number}: {objection}"));
            }
        }
    }
    Ok(Verdict::from_findings(findings, format!("{} files", files.len())))
}

/// The directories above the checkout, with a `/` at the end, that are peculiar to this machine.
fn own_directories(root: &Path) -> Vec<String> {
    let above = root.ancestors().skip(1).filter_map(|dir| {
        let name = dir.file_name()?.to_str()?;
        let common = dir.components().count() == 2 && COMMON.contains(&name);
        (!common).then(|| format!("{}/", dir.display()))
    });
    above.collect()
}

/// What a line says that it should not, if anything.
fn objection(file: &str, line: &str, own: &[String]) -> Option<String> {
    let absolute = HOMES.iter().find(|home| has_path(line, home)).map(|home| (*home).to_owned());
    let absolute = absolute.or_else(|| own.iter().find(|dir| has_path(line, dir)).cloned());
    if let Some(dir) = absolute {
        return Some(format!("a path below {dir}"));
    }
    if let Some(host) = private_host(line) {
        return Some(format!("the private host {host}"));
    }
    let is_setting = !file.ends_with(".rs") && !file.ends_with(".md");
    if let Some(setting) = MIRROR_SETTINGS.iter().find(|setting| is_setting && line.contains(**setting)) {
        return Some(format!("`{setting}` sends others to a mirror of ours"));
    }
    foreign_source(file, line).map(|source| format!("a package from {source}"))
}

/// Whether a path below `dir` begins somewhere in the line.
fn has_path(line: &str, dir: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '~');
    line.match_indices(dir).any(|(at, _)| {
        let begins = !line[..at].ends_with(is_name) && !line[..at].ends_with(['/', '\\', '}', '*']);
        begins && line[at + dir.len()..].starts_with(is_name)
    })
}

/// A host of a private network, where a URL names one.
fn private_host(line: &str) -> Option<&str> {
    let rests = line.split("://").skip(1);
    let hosts = rests.map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_' | '@'));
        &rest[..end.unwrap_or(rest.len())]
    });
    hosts.into_iter().find(|host| PRIVATE_HOSTS.iter().any(|ending| host.ends_with(ending)))
}

/// The source of a locked package, where it is not the public registry of its language.
fn foreign_source<'a>(file: &str, line: &'a str) -> Option<&'a str> {
    let key = if file.ends_with("Cargo.lock") {
        "source = "
    } else if file.ends_with("package-lock.json") {
        "\"resolved\": "
    } else {
        return None;
    };
    let source = line.trim().strip_prefix(key)?.trim_matches(['"', ',']);
    (!PUBLIC_SOURCES.iter().any(|public| source.starts_with(public))).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Spelt in two halves, so that this file passes its own check.
    const HOME: &str = concat!("/ho", "me/ada/pledger");
    const PRIVATE: &str = concat!("https:/", "/mirror.corp/x");

    fn check(file: &str, line: &str) -> Option<String> {
        objection(file, line, &own_directories(Path::new("/plaza/ada/pledger")))
    }

    #[test]
    fn directories_peculiar_to_the_machine_are_those_above_the_checkout() {
        let own = |root: &str| own_directories(Path::new(root));
        assert_eq!(own("/plaza/ada/pledger"), ["/plaza/ada/", "/plaza/"]);
        assert_eq!(own("/tmp/x/pledger"), ["/tmp/x/"]);
        assert_eq!(own("/src/pledger"), [""; 0]);
    }

    #[test]
    fn a_line_that_names_the_machine_is_found() {
        let cases = [
            ("a.md", format!("see {HOME}"), Some("a path below /home/")),
            ("a.md", "cd /plaza/shared".to_owned(), Some("a path below /plaza/")),
            ("a.md", format!("see {PRIVATE}"), Some("the private host mirror.corp")),
            ("c.toml", "replace-with = \"m\"".to_owned(), Some("`replace-with` sends others to a mirror of ours")),
            ("Cargo.lock", "source = \"git+https://x.org/y\"".to_owned(), Some("a package from git+https://x.org/y")),
        ];
        for (file, line, expected) in cases {
            assert_eq!(check(file, &line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn what_any_machine_has_is_fine() {
        let cases = [
            ("a.md", "data lies in /var/lib/pledger, or ./plaza/x"),
            ("a.md", "GET /v1/home/x on https://api.example.com/home/x"),
            ("a.rs", "const HOMES: &[&str] = &[\"/home/\"];"),
            ("a.md", "set `replace-with` as you like"),
            ("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\""),
        ];
        for (file, line) in cases {
            assert_eq!(check(file, line), None, "{line}");
        }
    }
}
