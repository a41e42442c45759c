//! Relative links in Markdown files lead to a file of this repository, and to a heading in it.

use std::path::{Component, Path, PathBuf};

use crate::step::{Step, Verdict};
use crate::tree::Tree;

pub(crate) const STEP: Step = Step {
    name: "links",
    about: "relative links in the Markdown files lead somewhere",
    advice: "mend the links named above; they are relative to the file they stand in",
    stops_the_run: false,
    run,
};

fn run(tree: &Tree) -> anyhow::Result<Verdict> {
    let mut findings = Vec::new();
    let mut followed = 0;
    let files = tree.files("")?;
    for file in files.iter().filter(|file| file.ends_with(".md")) {
        let text = tree.text(file)?.unwrap_or_default();
        for link in relative_links(&text) {
            followed += 1;
            if let Some(objection) = objection(tree, &files, file, &link)? {
                findings.push(format!("{file}: {link}: {objection}"));
            }
        }
    }
    Ok(Verdict::from_findings(findings, format!("{followed} links")))
}

/// Why a link in `file` leads nowhere, if it does. What git ignores does not count as somewhere.
fn objection(tree: &Tree, files: &[String], file: &str, link: &str) -> anyhow::Result<Option<String>> {
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { Some(file.into()) } else { resolve(file, path) };
    let Some(target) = target else {
        return Ok(Some("leads out of the repository".to_owned()));
    };
    if !files.iter().any(|file| Path::new(file).starts_with(&target)) {
        return Ok(Some(format!("there is no {}", target.display())));
    }
    let is_markdown = target.extension().is_some_and(|extension| extension == "md");
    if heading.is_empty() || !is_markdown {
        return Ok(None);
    }
    let text = tree.text(&target.to_string_lossy())?.unwrap_or_default();
    let known = anchors(&text).iter().any(|anchor| anchor == heading);
    Ok((!known).then(|| format!("no heading of {} makes #{heading}", target.display())))
}

/// The place a path in `file` leads to, from the root; `None` when that is outside.
fn resolve(file: &str, path: &str) -> Option<PathBuf> {
    let dir = Path::new(file).parent()?;
    let mut resolved = PathBuf::new();
    for component in dir.join(path).components() {
        match component {
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::ParentDir => resolved.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(resolved)
}

/// The targets of inline links, images and link definitions that are not URLs.
fn relative_links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(text) {
        links.extend(line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target));
        if line.starts_with('[') && !line.starts_with("[^") {
            links.extend(line.split_once("]: ").map(|(_, target)| target));
        }
    }
    let targets = links.iter().filter_map(|target| target.split_whitespace().next());
    let targets = targets.map(|target| target.trim_matches(['<', '>']));
    targets.filter(|target| !target.contains(':')).map(str::to_owned).collect()
}

/// The lines outside of code blocks, without their code spans.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    let lines = text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    // Where backticks pair up, every second piece between them is code.
    lines.flat_map(|line| {
        let paired = line.matches('`').count() % 2 == 0;
        let pieces = line.split('`').enumerate();
        pieces.filter(move |(at, _)| !paired || at % 2 == 0).map(|(_, piece)| piece)
    })
}

/// The anchors that headings make, as GitHub does, and those written as HTML.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let html = ["id=\"", "name=\""].iter().filter_map(|key| line.split_once(key)?.1.split_once('"'));
        anchors.extend(html.map(|(name, _)| name.to_owned()));
        let title = line.trim_start_matches('#');
        if in_code || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let anchor = anchor(title.trim());
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let mut candidates = std::iter::once(anchor.clone()).chain(numbered);
        anchors.extend(candidates.find(|candidate| !anchors.contains(candidate)));
    }
    anchors
}

fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_where_a_reader_sees_them() {
        let text = "\
See [a](docs/a.md), ![b](b.svg \"title\") and [c](<c.md#x>).
[site](https://example.com/x) [mail](mailto:a@example.com) `[no](no.md)`
```
[no](no.md)
```
[`code`](d.md)
[ref]: ../e.md
[^1]: A footnote.
";
        assert_eq!(relative_links(text), ["docs/a.md", "b.svg", "c.md#x", "d.md", "../e.md"]);
    }

    #[test]
    fn a_path_is_relative_to_its_file_and_stays_inside() {
        let cases = [
            ("docs/a.md", "b.md", Some("docs/b.md")),
            ("docs/a.md", "../README.md", Some("README.md")),
            ("docs/x/a.md", "./../b.md", Some("docs/b.md")),
            ("README.md", "../shared/x.md", None),
            ("README.md", "/etc/hosts", None),
        ];
        for (file, path, expected) in cases {
            assert_eq!(resolve(file, path), expected.map(PathBuf::from), "{path} in {file}");
        }
    }

    #[test]
    fn headings_make_the_anchors_github_makes() {
        let text = "# What's `pledger`?\n## Add a rule\n## Add a rule\n```\n# no\n```\n<a id=\"x\"></a>\n#no\n";
        assert_eq!(anchors(text), ["whats-pledger", "add-a-rule", "add-a-rule-1", "x"]);
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        let tree = Tree::here().unwrap();
        let files = tree.files("").unwrap();
        let objection = |link| objection(&tree, &files, "xtask/README.md", link).unwrap();
        assert_eq!(objection("../Cargo.toml"), None);
        assert_eq!(objection("src"), None);
        assert_eq!(objection("..").as_deref(), None);
        assert_eq!(objection("../.git").as_deref(), Some("there is no .git"));
        assert_eq!(objection("nowhere.md").as_deref(), Some("there is no xtask/nowhere.md"));
        assert_eq!(objection("../../x.md").as_deref(), Some("leads out of the repository"));
    }
}
