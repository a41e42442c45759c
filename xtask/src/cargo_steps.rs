//! The steps that are one cargo command each.

use std::time::Duration;

use crate::limited;
use crate::python;
use crate::service::Service;
use crate::step::{Step, Verdict};
use crate::tree::Tree;

/// `cargo fmt`.
pub(crate) const FORMAT: Step = Step {
    name: "format",
    about: "the code is formatted as rustfmt would",
    advice: "run `cargo fmt --all`",
    stops_the_run: false,
    run: |tree| Ok(Verdict::from_success(tree.cargo(&["fmt", "--all", "--check"], &[])?)),
};

/// `cargo clippy`, where every warning counts.
pub(crate) const CLIPPY: Step = Step {
    name: "clippy",
    about: "no lint has anything to say, in code and tests",
    advice: "mend what clippy names; where it is wrong, `#[expect(lint, reason = \"...\")]`",
    stops_the_run: false,
    run: |tree| {
        let everything = ["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"];
        // What is left without the engines that have to be asked for: nothing of it may be there for them alone.
        let least = ["clippy", "-p", "pledger", "--locked", "--", "-D", "warnings"];
        Ok(Verdict::from_success(tree.cargo(&everything, &[])? && tree.cargo(&least, &[])?))
    },
};

/// `cargo doc`, where every warning counts.
pub(crate) const DOCS: Step = Step {
    name: "docs",
    about: "the documentation builds, and its links lead somewhere",
    advice: "mend the doc comments rustdoc names",
    stops_the_run: false,
    run: |tree| {
        let args = ["doc", "--workspace", "--all-features", "--no-deps", "--locked"];
        Ok(Verdict::from_success(tree.cargo(&args, &[("RUSTDOCFLAGS", "-D warnings")])?))
    },
};

/// `cargo test`, all of it even when one crate fails.
pub(crate) const TESTS: Step = Step {
    name: "tests",
    about: "unit, property, scenario and documentation tests pass",
    advice: "find `FAILED` or `panicked` above; one crate alone: `cargo test -p CRATE`",
    stops_the_run: false,
    run: run_tests,
};

/// How long all tests may take, on a slow machine that builds everything first: one that waits for what never comes fails.
const LONGEST: Duration = Duration::from_secs(45 * 60);

fn run_tests(tree: &Tree) -> anyhow::Result<Verdict> {
    let mut services = tree.variables()?;
    let missing: Vec<Service> = Service::ALL.into_iter().filter(|service| !tree.has(*service)).collect();
    services.push((python::PYTHON.to_owned(), python::interpreter()?.display().to_string()));
    let env: Vec<_> = services.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut tests = tree.command("cargo");
    tests.args(["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"]).envs(env);
    let verdict = limited::run(&mut tests, LONGEST)?;
    // What needed them is done.
    tree.drop_services()?;
    for service in &missing {
        tree.leave_out(left_out(tree, *service, &missing)?);
    }
    Ok(verdict)
}

/// The tests that need the service: those in files that are named after it, and those named after it in a file of another
/// one that is there.
fn left_out(tree: &Tree, service: Service, missing: &[Service]) -> anyhow::Result<Vec<String>> {
    let mut tests = tests_of(tree, service)?;
    for other in Service::ALL.into_iter().filter(|other| !missing.contains(other)) {
        let needs_both = |test: &String| test.split("::").any(|part| part == service.name());
        tests.extend(tests_of(tree, other)?.into_iter().filter(needs_both));
    }
    Ok(tests)
}

/// The tests in the files that are named after a service.
fn tests_of(tree: &Tree, service: Service) -> anyhow::Result<Vec<String>> {
    let files = format!("{}*", service.name());
    let listed = tree.output(
        "cargo",
        &["test", "--workspace", "--all-features", "--locked", "--quiet", "--test", &files, "--", "--list", "--format=terse"],
    )?;
    Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}
