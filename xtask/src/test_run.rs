//! `cargo xtask test`: runs the steps, times them, and says at the end what to do.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;

use crate::service::Service;
use crate::step::{Step, Verdict};
use crate::tree::Tree;

/// Findings printed for one step; the rest are counted.
const MAX_LINES_A_STEP: usize = 200;

/// A step that is nothing without an earlier one, and that one.
const STANDS_ON: &[(&str, &str)] = &[("tests", "kafka"), ("tests", "postgres")];

/// What to run.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Run this step only; may be given several times.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// List the steps and run nothing.
    #[arg(long)]
    list: bool,
    /// Leave out the tests that need this service; they are named at the end.
    #[arg(long, value_enum, value_name = "SERVICE")]
    without: Vec<Service>,
}

/// A step that was run.
struct Done {
    step: Step,
    passed: bool,
}

/// Runs the chosen steps; the exit code is 1 when any of them failed. An error is a run that could
/// not begin.
pub(crate) fn run(steps: &[Step], args: &TestArgs) -> anyhow::Result<ExitCode> {
    let chosen = choose(steps, &args.only)?;
    if args.list {
        for step in chosen {
            println!("{:<16} {}", step.name, step.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let tree = Tree::here()?.without(args.without.clone());
    let mut done = Vec::new();
    for step in &chosen {
        println!("==> {}: {}", step.name, step.about);
        let started = Instant::now();
        let verdict = (step.run)(&tree).unwrap_or_else(|error| Verdict::Failed(vec![format!("{error:#}")]));
        let passed = matches!(verdict, Verdict::Passed(_));
        print!("{}", report(step, &verdict, started.elapsed()));
        done.push(Done { step: *step, passed });
        if step.stops_the_run && !passed {
            break;
        }
    }
    print!("{}", summary(&done, &chosen[done.len()..], &tree.left_out()));
    Ok(if done.iter().all(|done| done.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The steps named by `only` and those they stand on, in the order they run in; all of them when none is named.
fn choose(steps: &[Step], only: &[String]) -> anyhow::Result<Vec<Step>> {
    let known = |name: &String| steps.iter().any(|step| step.name == name);
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        let names: Vec<_> = steps.iter().map(|step| step.name).collect();
        bail!("no step is called `{unknown}`; the steps are {}", names.join(", "));
    }
    let asked = |step: &str| only.iter().any(|name| name == step);
    let stood_on = |step: &str| STANDS_ON.iter().any(|(upper, lower)| *lower == step && asked(upper));
    let wanted = |step: &&Step| only.is_empty() || asked(step.name) || stood_on(step.name);
    Ok(steps.iter().filter(wanted).copied().collect())
}

/// What one step found, then how it ended and what it took.
fn report(step: &Step, verdict: &Verdict, took: Duration) -> String {
    let (word, lines) = match verdict {
        Verdict::Passed(lines) => ("ok", lines),
        Verdict::Failed(lines) => ("FAILED", lines),
    };
    let mut text = String::new();
    for line in lines.iter().take(MAX_LINES_A_STEP) {
        writeln!(text, "    {line}").expect("a string takes any text");
    }
    if let Some(more @ 1..) = lines.len().checked_sub(MAX_LINES_A_STEP) {
        writeln!(text, "    ... and {more} more").expect("a string takes any text");
    }
    writeln!(text, "    {word} {} ({:.1} s)", step.name, took.as_secs_f64()).expect("a string takes any text");
    text
}

/// What failed and what to do about it, what was not run, and last of all the count.
fn summary(done: &[Done], not_run: &[Step], left_out: &[String]) -> String {
    let mut text = String::from("\n");
    let failed: Vec<_> = done.iter().filter(|done| !done.passed).map(|done| done.step).collect();
    for step in &failed {
        writeln!(text, "FAILED {name}: {advice}\n       again: cargo xtask test --only {name}", name = step.name, advice = step.advice)
            .expect("a string takes any text");
    }
    if !not_run.is_empty() {
        let names: Vec<_> = not_run.iter().map(|step| step.name).collect();
        writeln!(text, "not run: {}", names.join(", ")).expect("a string takes any text");
    }
    if !left_out.is_empty() {
        writeln!(text, "left out, {} tests for want of a service:\n    {}", left_out.len(), left_out.join("\n    "))
            .expect("a string takes any text");
    }
    writeln!(text, "{} passed, {} failed", done.len() - failed.len(), failed.len()).expect("a string takes any text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &'static str) -> Step {
        Step { name, about: "about", advice: "mend it", stops_the_run: false, run: |_| Ok(Verdict::from_success(true)) }
    }

    fn names(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.name).collect()
    }

    #[test]
    fn steps_run_in_their_own_order_not_in_the_order_asked() {
        let steps = [step("a"), step("b"), step("c")];
        let chosen = choose(&steps, &["c".to_owned(), "a".to_owned()]).unwrap();
        assert_eq!(names(&chosen), ["a", "c"]);
        assert_eq!(names(&choose(&steps, &[]).unwrap()), ["a", "b", "c"]);
    }

    #[test]
    fn what_a_step_stands_on_comes_along() {
        let steps = [step("docs"), step("kafka"), step("postgres"), step("tests")];
        assert_eq!(names(&choose(&steps, &["tests".to_owned()]).unwrap()), ["kafka", "postgres", "tests"]);
        assert_eq!(names(&choose(&steps, &["docs".to_owned()]).unwrap()), ["docs"]);
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_known_ones() {
        let refusal = choose(&[step("a"), step("b")], &["z".to_owned()]).err().unwrap();
        assert_eq!(refusal.to_string(), "no step is called `z`; the steps are a, b");
    }

    #[test]
    fn the_summary_says_what_to_do_and_ends_with_the_count() {
        let done = [Done { step: step("a"), passed: true }, Done { step: step("b"), passed: false }];
        let expected = "\nFAILED b: mend it\n       again: cargo xtask test --only b\n\
                        not run: c\n1 passed, 1 failed\n";
        assert_eq!(summary(&done, &[step("c")], &[]), expected);
        let left_out = ["x", "y"].map(str::to_owned);
        let text = summary(&done, &[], &left_out);
        assert!(text.ends_with("\nleft out, 2 tests for want of a service:\n    x\n    y\n1 passed, 1 failed\n"), "{text}");
    }

    #[test]
    fn a_long_report_is_cut_and_the_rest_counted() {
        let verdict = Verdict::Failed(vec!["x".to_owned(); MAX_LINES_A_STEP + 2]);
        let text = report(&step("a"), &verdict, Duration::from_millis(1500));
        assert_eq!(text.lines().count(), MAX_LINES_A_STEP + 2);
        assert!(text.ends_with("    ... and 2 more\n    FAILED a (1.5 s)\n"), "{text}");
    }
}
