//! The README names the two commands everybody starts with, word for word.

use crate::step::{Step, Verdict};

pub(crate) const STEP: Step = Step {
    name: "readme",
    about: "the README says how to try it and how to test it",
    advice: "put the commands named above into README.md, in a code block",
    stops_the_run: false,
    run: |tree| {
        if !tree.files("README.md")?.iter().any(|file| file == "README.md") {
            return Ok(Verdict::Failed(vec!["there is no README.md".to_owned()]));
        }
        let text = tree.text("README.md")?.unwrap_or_default();
        Ok(Verdict::from_findings(absent(&text), COMMANDS.join(", ")))
    },
};

const COMMANDS: &[&str] = &["cargo run --release -- demo", "cargo xtask test"];

/// A line for each command that begins no line of a code block.
fn absent(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut code = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            code.push(line.trim_start_matches("$ "));
        }
    }
    let named = |command: &&&str| code.iter().any(|line| line.starts_with(**command));
    let absent = COMMANDS.iter().filter(|command| !named(command));
    absent.map(|command| format!("no code block of README.md has `{command}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_commands_are_asked_for() {
        let text = "Try\n```sh\n$ cargo run --release -- demo --seed 1\n```\nthen `cargo xtask test`.\n";
        assert_eq!(absent(text), ["no code block of README.md has `cargo xtask test`"]);
        assert_eq!(absent(&format!("{text}\n```\ncargo xtask test   # all of CI\n```")), [""; 0]);
    }
}
