//! What a step of the test run is, and what it answers.

use crate::tree::Tree;

/// One line of the test run.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// What `--only` takes: one short word, or several joined by dashes.
    pub(crate) name: &'static str,
    /// What holds when the step passes, in one line.
    pub(crate) about: &'static str,
    /// What to do when it fails, in one line.
    pub(crate) advice: &'static str,
    /// Whether the steps after this one would be meaningless without it.
    pub(crate) stops_the_run: bool,
    /// The work. An error is a step that could not be carried out, and fails too.
    pub(crate) run: fn(&Tree) -> anyhow::Result<Verdict>,
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In order; the lines are worth reading, but ask for nothing.
    Passed(Vec<String>),
    /// Not in order; one line a finding. Empty when a child process has already said why.
    Failed(Vec<String>),
}

impl Verdict {
    /// Passed if and only if nothing was found; `summary` is what a clean result says.
    pub(crate) fn from_findings(findings: Vec<String>, summary: String) -> Self {
        if findings.is_empty() { Self::Passed(vec![summary]) } else { Self::Failed(findings) }
    }

    /// Passed if and only if the child process did; its own output says the rest.
    pub(crate) fn from_success(success: bool) -> Self {
        if success { Self::Passed(Vec::new()) } else { Self::Failed(Vec::new()) }
    }
}
