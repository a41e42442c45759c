//! Every package we build or test with comes under a licence that Apache-2.0 can live with.

use anyhow::Context;
use spdx::{Expression, Licensee, ParseMode};

use crate::metadata::{Edges, Metadata, arrow_path};
use crate::step::{Step, Verdict};

pub(crate) const STEP: Step = Step {
    name: "licences",
    about: "every dependency's licence is on the allow list",
    advice: "use another package, or, if the licence asks no more than attribution, add it to ALLOWED in xtask/src/licences.rs",
    stops_the_run: false,
    run: |tree| {
        let metadata = tree.metadata()?;
        let summary = format!("{} packages", metadata.packages.len());
        Ok(Verdict::from_findings(findings(metadata)?, summary))
    },
};

/// Licences that ask no more than attribution of whoever passes the program on.
const ALLOWED: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

fn findings(metadata: &Metadata) -> anyhow::Result<Vec<String>> {
    let allowed = ALLOWED
        .iter()
        .map(|licence| Licensee::parse(licence).with_context(|| format!("allowed licence {licence}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let members: Vec<_> = metadata.members().map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for path in metadata.reached(&members, Edges::All) {
        let Some(package) = path.last() else { continue };
        if let Some(objection) = objection(package.license.as_deref(), &allowed) {
            findings.push(format!("{} {}: {objection}; by {}", package.name, package.version, arrow_path(&path)));
        }
    }
    Ok(findings)
}

/// What is wrong with a package's licence expression, if anything is.
fn objection(licence: Option<&str>, allowed: &[Licensee]) -> Option<String> {
    let Some(licence) = licence else {
        return Some("names no licence".to_owned());
    };
    // Lax, because older packages write `MIT/Apache-2.0`.
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return Some(format!("`{licence}` is no SPDX expression"));
    };
    let fine = expression.evaluate(|asked| allowed.iter().any(|licensee| licensee.satisfies(asked)));
    (!fine).then(|| format!("`{licence}` is not allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::fake;

    #[test]
    fn a_licence_is_weighed_as_an_expression() {
        let allowed: Vec<_> = ALLOWED.iter().map(|licence| Licensee::parse(licence).unwrap()).collect();
        let cases = [
            (Some("MIT"), None),
            (Some("MIT/Apache-2.0"), None),
            (Some("GPL-3.0-only OR MIT"), None),
            (Some("Apache-2.0 WITH LLVM-exception"), None),
            (Some("GPL-3.0-only"), Some("`GPL-3.0-only` is not allowed")),
            (Some("MIT AND GPL-2.0-or-later"), Some("`MIT AND GPL-2.0-or-later` is not allowed")),
            (Some("MIT AND"), Some("`MIT AND` is no SPDX expression")),
            (None, Some("names no licence")),
        ];
        for (licence, expected) in cases {
            assert_eq!(objection(licence, &allowed).as_deref(), expected, "{licence:?}");
        }
    }

    #[test]
    fn the_offender_is_named_with_the_way_to_it() {
        let lines = ["*pledger: a, t [dev]", "a: b", "b:", "t:"];
        let metadata = fake::metadata(&lines, &[("b", "GPL-3.0-only"), ("t", "")]);
        assert_eq!(
            findings(&metadata).unwrap(),
            ["t 1.0.0: names no licence; by pledger -> t", "b 1.0.0: `GPL-3.0-only` is not allowed; by pledger -> a -> b",]
        );
    }
}
