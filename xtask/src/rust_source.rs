//! Reading Rust sources line by line, as far as that goes without a parser.
//!
//! It leans on rustfmt's layout: an item ends on a line no deeper than the one it began on.

/// The lines that end up in a release build: no comments, nothing behind `#[cfg(test)]`.
pub(crate) fn release_code(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("#![cfg(test)]") {
            return String::new();
        }
        if line.trim() == CFG_TEST {
            skip_item(&mut lines, indent(line));
        } else if !line.trim_start().starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The names of the modules a file declares for its tests alone, in files of their own.
pub(crate) fn test_modules(text: &str) -> Vec<&str> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == CFG_TEST).map(|pair| pair[1]);
    let modules = declared.filter_map(|line| line.strip_suffix(';')?.split_once("mod "));
    modules.map(|(_, name)| name).collect()
}

/// Whether `text` has a path that begins at the crate `name`: `name::`, `use name`.
pub(crate) fn names_crate(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let in_word = before.ends_with(is_word) || after.starts_with(is_word);
        let below_another = before.strip_suffix("::").is_some_and(|path| path.ends_with(is_word));
        let imported = before.ends_with("use ") || before.ends_with("extern crate ");
        !in_word && !below_another && (imported || after.starts_with("::"))
    })
}

const CFG_TEST: &str = "#[cfg(test)]";

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Moves past the item, field or variant that an attribute at `depth` belongs to.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>, depth: usize) {
    for line in lines {
        let ends = line.ends_with([';', '}', ',']);
        if ends && indent(line) <= depth && !line.trim_start().starts_with("#[") {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_comments_are_no_release_code() {
        let text = "\
//! serde::de
use csv::Reader;
#[cfg(test)]
use insta::assert_snapshot;

#[cfg(test)]
fn helper(
    of: tempfile::TempDir,
) -> u8 {
    1
}

impl A {
    #[cfg(test)]
    pub fn x() {
        rand::random();
    }
    // toml::from_str
    fn y() {}
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;
}
fn after() {}
";
        assert_eq!(release_code(text), "use csv::Reader;\n\n\nimpl A {\n    fn y() {}\n}\nfn after() {}\n");
        assert_eq!(release_code("#![cfg(test)]\nuse csv::Reader;\n"), "");
    }

    #[test]
    fn test_modules_in_files_are_found() {
        let text = "mod a;\n#[cfg(test)]\nmod b;\n#[cfg(test)]\npub(crate) mod c;\n#[cfg(test)]\nmod d {\n}\n";
        assert_eq!(test_modules(text), ["b", "c"]);
    }

    #[test]
    fn a_crate_is_named_where_a_path_begins() {
        let cases = [
            ("use toml;", true),
            ("use toml as _;", true),
            ("let x = toml::from_str(s);", true),
            ("#[derive(toml::X)]", true),
            ("::toml::from_str(s)", true),
            ("let toml = 1;", false),
            ("super::toml::read()", false),
            ("mytoml::x()", false),
            ("use tomlish;", false),
            ("\"pledger.toml\"", false),
        ];
        for (text, expected) in cases {
            assert_eq!(names_crate(text, "toml"), expected, "{text}");
        }
    }
}
