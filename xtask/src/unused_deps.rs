//! Every dependency a crate names is referred to in its sources, by the sources that get it.

use std::path::Path;

use anyhow::Context;

use crate::metadata::{Dependency, Package};
use crate::rust_source::{names_crate, release_code, test_modules};
use crate::step::{Step, Verdict};
use crate::tree::Tree;

pub(crate) const STEP: Step = Step {
    name: "unused-deps",
    about: "crates use the dependencies they name",
    advice: "take the line out of Cargo.toml or move it to the section named; one wanted for its features alone is kept by `use name as _;` and a reason",
    stops_the_run: false,
    run,
};

/// A Rust file of a crate: its path inside the crate, and its text.
struct Source {
    path: String,
    text: String,
}

fn run(tree: &Tree) -> anyhow::Result<Verdict> {
    let metadata = tree.metadata()?;
    let mut findings = Vec::new();
    let mut looked_at = 0;
    for member in metadata.members() {
        let sources = sources_of(tree, member)?;
        looked_at += member.dependencies.len();
        findings.extend(unused(&member.dependencies, &sources).map(|line| format!("{}: {line}", member.name)));
    }
    Ok(Verdict::from_findings(findings, format!("{looked_at} dependencies")))
}

fn sources_of(tree: &Tree, member: &Package) -> anyhow::Result<Vec<Source>> {
    let dir = member.manifest_path.parent().context("a manifest lies in a directory")?;
    let dir = dir.strip_prefix(tree.root()).context("members lie in the workspace")?;
    let mut sources = Vec::new();
    for file in tree.files(".rs")? {
        if let Ok(path) = Path::new(&file).strip_prefix(dir) {
            let text = tree.text(&file)?.with_context(|| format!("{file} is no text"))?;
            sources.push(Source { path: path.display().to_string(), text });
        }
    }
    Ok(sources)
}

/// One line for each dependency that no source it is meant for refers to.
fn unused<'a>(dependencies: &'a [Dependency], sources: &[Source]) -> impl Iterator<Item = String> + use<'a> {
    let release = joined(release_sources(sources).iter().map(|source| release_code(&source.text)));
    // Examples in doc comments are tests as well, so comments stay in.
    let everywhere = joined(sources.iter().map(|source| source.text.clone()));
    let build = joined(sources.iter().filter(|source| source.path == "build.rs").map(|source| source.text.clone()));
    dependencies.iter().filter_map(move |dependency| {
        let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
        let identifier = name.replace('-', "_");
        if dependency.is_dev() {
            let used = names_crate(&everywhere, &identifier);
            return (!used).then(|| format!("no test or bench refers to `{identifier}`"));
        }
        if !dependency.is_normal() {
            let used = names_crate(&build, &identifier);
            return (!used).then(|| format!("build.rs does not refer to `{identifier}`"));
        }
        if names_crate(&release, &identifier) {
            None
        } else if names_crate(&everywhere, &identifier) {
            Some(format!("only tests refer to `{identifier}`: it belongs in [dev-dependencies]"))
        } else {
            Some(format!("no source refers to `{identifier}`"))
        }
    })
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join("\n")
}

/// The files that a release build compiles: those in `src` that no `#[cfg(test)] mod` declares.
fn release_sources(sources: &[Source]) -> Vec<&Source> {
    let mut for_tests = Vec::new();
    for source in sources {
        let path = Path::new(&source.path);
        let is_root = ["lib.rs", "main.rs", "mod.rs"].iter().any(|name| path.ends_with(name));
        let dir = if is_root { path.with_file_name("") } else { path.with_extension("") };
        for module in test_modules(&source.text) {
            for_tests.extend([dir.join(module), dir.join(module).with_extension("rs")]);
        }
    }
    let is_release =
        |source: &&Source| source.path.starts_with("src/") && !for_tests.iter().any(|test| Path::new(&source.path).starts_with(test));
    sources.iter().filter(is_release).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::fake;

    fn findings(line: &str, sources: &[(&str, &str)]) -> Vec<String> {
        let metadata = fake::metadata(&[line], &[]);
        let source = |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
        let sources: Vec<_> = sources.iter().map(source).collect();
        unused(&metadata.packages[0].dependencies, &sources).collect()
    }

    #[test]
    fn a_dependency_nobody_refers_to_is_named() {
        let sources = [("src/lib.rs", "//! Talks of serde_json::Value.\nuse tower_http::trace;\n")];
        assert_eq!(findings("*a: tower-http, csv", &sources), ["no source refers to `csv`"]);
    }

    #[test]
    fn a_dependency_of_the_tests_is_no_normal_one() {
        let finding = ["only tests refer to `csv`: it belongs in [dev-dependencies]"];
        let in_module = [("src/lib.rs", "#[cfg(test)]\nmod tests {\n    use csv::Reader;\n}\n")];
        let in_file = [("src/lib.rs", "#[cfg(test)]\nmod checks;\n"), ("src/checks.rs", "use csv::Reader;\n")];
        let deeper = [("src/a.rs", "#[cfg(test)]\nmod checks;\n"), ("src/a/checks/x.rs", "use csv::Reader;\n")];
        let beside = [("src/lib.rs", ""), ("tests/all.rs", "use csv::Reader;\n")];
        for sources in [&in_module[..], &in_file, &deeper, &beside] {
            assert_eq!(findings("*a: csv", sources), finding);
            assert_eq!(findings("*a: csv [dev]", sources), [""; 0]);
        }
    }

    #[test]
    fn each_kind_has_its_own_sources() {
        let sources = [("src/lib.rs", "use csv::Reader;\n"), ("build.rs", "use cc::Build;\n")];
        assert_eq!(
            findings("*a: csv, cc [build], toml [build], insta [dev]", &sources),
            ["build.rs does not refer to `toml`", "no test or bench refers to `insta`"]
        );
    }
}
