//! Texts without the differences that people make by accident.

use compact_str::CompactString;
use unicode_normalization::UnicodeNormalization;

/// A text as names of accounts and products are compared: compatibility forms, case and white space are one, and what cannot
/// be seen is not there. It is NFKC_Casefold of the Unicode standard (section 3.13), with one space between words.
#[must_use]
pub fn folded(text: &str) -> CompactString {
    if text.is_ascii() {
        // It has no other forms. Most products are, and every change of a deal comes by here.
        let mut folded = one_spaced(text);
        folded.make_ascii_lowercase();
        return folded;
    }
    let seen: String = text.nfkc().filter(|c| !is_ignorable(*c)).collect();
    one_spaced(&case_folded(&seen).nfkc().collect::<String>())
}

/// The standard's full case folding: what has the same capitals is the same, but for the dotless i, which folds to itself, and
/// the capital ß, which has two.
fn case_folded(text: &str) -> String {
    let same = |part: &str| part.replace('ẞ', "ß").to_uppercase().to_lowercase().replace('ς', "σ");
    let parts: Vec<String> = text.split('ı').map(same).collect();
    parts.join("ı")
}

/// The standard's `Default_Ignorable_Code_Point`s: they have no shape of their own.
const fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// The words with one space between each.
fn one_spaced(text: &str) -> CompactString {
    let mut spaced = CompactString::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    spaced
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_take_for_the_same_is_the_same() {
        for (one, other) in [
            ("GTX  Pro ", "gtx pro"),
            ("Straße AG", "STRASSE AG"),
            ("STRAẞE AG", "strasse ag"),
            ("ΟΔΥΣΣΕΥΣ", "Οδυσσευς"),
            ("Ｆｕｌｌ　Ｗｉｄｔｈ", "full width"),
            ("ﬁne", "FINE"),
            ("Zero\u{200b} Corp", "zero corp"),
            ("Acme\u{202e}", "ACME"),
            ("Cafe\u{301}", "CAFÉ"),
        ] {
            assert_eq!(folded(one), folded(other), "{one:?} {other:?}");
        }
        for (one, other) in [("Kız", "Kiz"), ("Müller", "Muller"), ("a b", "ab")] {
            assert_ne!(folded(one), folded(other));
        }
        assert_eq!(folded("\u{200b}\u{feff} "), "");
    }

    #[test]
    fn every_character_folds_once() {
        for c in '\0'..=char::MAX {
            let once = folded(c.encode_utf8(&mut [0; 4]));
            assert_eq!(folded(&once), once, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_folded_stays_as_it_is(text in any::<String>()) {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once);
        }
    }
}
