//! How long the Rust files are; a long one is a place to ask whether it is two things.

use crate::step::{Step, Verdict};
use crate::tree::Tree;

pub(crate) const STEP: Step =
    Step { name: "file-sizes", about: "report: lengths of the Rust files", advice: "see the error above", stops_the_run: false, run };

/// Longer files are listed.
const LONG_LINES: usize = 500;

fn run(tree: &Tree) -> anyhow::Result<Verdict> {
    let mut lengths = Vec::new();
    for file in tree.files(".rs")? {
        let lines = tree.text(&file)?.unwrap_or_default().lines().count();
        lengths.push((lines, file));
    }
    Ok(Verdict::Passed(report(lengths)))
}

fn report(mut lengths: Vec<(usize, String)>) -> Vec<String> {
    lengths.sort_unstable();
    let at = |tenths: usize| lengths.get(lengths.len() * tenths / 10).map_or(0, |(lines, _)| *lines);
    let mut report = vec![format!("{} files, half of them below {} lines, nine in ten below {}", lengths.len(), at(5), at(9))];
    let long = lengths.iter().rev().take_while(|(lines, _)| *lines > LONG_LINES);
    report.extend(long.map(|(lines, file)| format!("{file} has {lines} lines: is it two things?")));
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_listed_longest_first() {
        let lengths = [(501, "b"), (10, "a"), (900, "c"), (500, "d")];
        let lengths = lengths.map(|(lines, file)| (lines, file.to_owned())).to_vec();
        assert_eq!(
            report(lengths),
            [
                "4 files, half of them below 501 lines, nine in ten below 900",
                "c has 900 lines: is it two things?",
                "b has 501 lines: is it two things?",
            ]
        );
        assert_eq!(report(Vec::new()).len(), 1);
    }
}
