//! How many packages are built in more than one version; worth knowing, not worth failing for.

use std::collections::BTreeMap;

use crate::step::{Step, Verdict};

pub(crate) const STEP: Step = Step {
    name: "duplicates",
    about: "report: packages built in several versions",
    advice: "see what cargo tree says above",
    stops_the_run: false,
    run: |tree| {
        let args = ["tree", "--workspace", "--locked", "--duplicates", "--depth=0", "--prefix=none"];
        let count = duplicated(&tree.output("cargo", &args)?);
        Ok(Verdict::Passed(vec![format!("{count} packages in several versions (cargo tree -d)")]))
    },
};

/// The number of packages listed in more than one version. One version may be listed several
/// times, built with different features.
fn duplicated(listing: &str) -> usize {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in listing.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            let known = versions.entry(name).or_default();
            if !known.contains(&version) {
                known.push(version);
            }
        }
    }
    versions.values().filter(|versions| versions.len() > 1).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_not_lines() {
        let listing = "a v1.0.0\n\na v2.0.0\n\nb v1.0.0\n\nb v1.0.0 (*)\n\nc v1.0.0 (proc-macro)\nc v1.1.0\n";
        assert_eq!(duplicated(listing), 2);
    }
}
