//! Names of companies, made comparable.

/// Legal forms, which say nothing about which company it is.
const LEGAL_FORMS: &[&str] = &[
    "ab",
    "ag",
    "bv",
    "co",
    "company",
    "corp",
    "corporation",
    "gmbh",
    "holding",
    "holdings",
    "inc",
    "incorporated",
    "kg",
    "limited",
    "llc",
    "ltd",
    "nv",
    "oy",
    "plc",
    "pty",
    "sa",
    "sarl",
    "se",
    "spa",
    "srl",
];

/// The words of a name in lower case, without punctuation and legal forms at its end; never empty for a name that has
/// a letter or a digit.
pub(super) fn comparable(name: &str) -> String {
    let folded: String = name.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let mut words: Vec<&str> = folded.split_whitespace().collect();
    while words.len() > 1 && words.last().is_some_and(|word| LEGAL_FORMS.contains(word)) {
        words.pop();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn legal_forms_and_punctuation_do_not_count() {
        for (name, expected) in [
            ("Acme Corporation", "acme"),
            ("ACME, Inc.", "acme"),
            ("Nordwind GmbH & Co. KG", "nordwind"),
            ("The Company", "the"),
            ("Company", "company"),
            ("東京 株式会社", "東京 株式会社"),
            ("!!", ""),
        ] {
            assert_eq!(super::comparable(name), expected, "{name}");
        }
    }
}
