//! What is wrong with a `program.toml`, and where.

use std::{cell::RefCell, fmt, ops::Range};

use super::{CheckedRules, Rules};

/// The most problems that are told at once.
const MAX_PROBLEMS: usize = 100;

/// Everything that is wrong with a `program.toml`, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(RuleProblem::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidRules {
    /// 1 to 100.
    pub problems: Vec<RuleProblem>,
}

impl InvalidRules {
    /// Nothing can be read after this text.
    pub(super) fn at_the_end_of(text: &str, message: &str) -> Self {
        let (line, column) = Findings::new(text).place(text.len());
        Self { problems: vec![RuleProblem { line, column, message: message.to_owned() }] }
    }
}

/// One thing that is wrong. Written `line 14, column 11: what is wrong and what would be accepted`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleProblem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be accepted.
    pub message: String,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// A text under examination, and what was found so far.
#[derive(Debug)]
pub(super) struct Findings<'t> {
    text: &'t str,
    wrong: RefCell<Vec<RuleProblem>>,
    doubtful: RefCell<Vec<RuleProblem>>,
}

impl<'t> Findings<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, wrong: RefCell::new(Vec::new()), doubtful: RefCell::new(Vec::new()) }
    }

    /// Notes what is wrong at `span`, a range of bytes of the text.
    pub(super) fn note(&self, span: &Range<usize>, message: impl Into<String>) {
        self.add(&self.wrong, span, message.into());
    }

    /// Notes what does, and was hardly meant, at `span`.
    pub(super) fn warn(&self, span: &Range<usize>, message: impl Into<String>) {
        self.add(&self.doubtful, span, message.into());
    }

    fn add(&self, to: &RefCell<Vec<RuleProblem>>, span: &Range<usize>, message: String) {
        if to.borrow().len() < MAX_PROBLEMS {
            let (line, column) = self.place(span.start);
            to.borrow_mut().push(RuleProblem { line, column, message });
        }
    }

    /// The line of `span`, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.place(span.start).0
    }

    fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// What was read, with what is doubtful of it; what is wrong, where anything is.
    pub(super) fn into_result(self, rules: Option<Rules>) -> Result<CheckedRules, InvalidRules> {
        let [problems, warnings] = [self.wrong, self.doubtful].map(|found| {
            let mut found = found.into_inner();
            found.sort();
            found.dedup();
            found
        });
        match rules {
            Some(rules) if problems.is_empty() => Ok(CheckedRules { rules, warnings }),
            _ => Err(InvalidRules { problems }),
        }
    }
}
