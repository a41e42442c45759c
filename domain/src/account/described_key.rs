//! The description of an account of which only the key was given.

use percent_encoding::percent_decode_str;

use crate::values::{AccountDescription, AccountKey, Label};

/// The longest name, in characters, as `Label` allows.
const MAX_NAME: usize = 200;

/// What `key` says of its account; its name is the key's own text where nothing better is known.
pub(super) fn describe(key: &AccountKey) -> AccountDescription {
    let text = key.as_str();
    let named = |name: &str| {
        let decoded = percent_decode_str(name).decode_utf8_lossy();
        let short: String = decoded.chars().take(MAX_NAME).collect();
        Label::parse(&short).unwrap_or_else(|_| Label::parse("unnamed").expect("a word is a label"))
    };
    let description = |name, domain: Option<&str>, duns: Option<&str>, country: Option<&str>| AccountDescription {
        name,
        domain: domain.map(str::to_owned),
        duns: duns.map(str::to_owned),
        country: country.map(str::to_owned),
    };
    match text.split_once(':') {
        Some(("duns", number)) => description(named(number), None, Some(number), None),
        Some(("name", rest)) => match rest.split_once(':') {
            Some((name, country)) => description(named(name), None, None, Some(country)),
            None => description(named(rest), None, None, None),
        },
        Some(_) => description(named(text), None, None, None),
        None => description(named(text), Some(text), None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_made_from_a_key_has_that_key() {
        for key in ["acme.com", "duns:123456789", "name:acme%20corporation:us", "name:a%2Fb%3Ac", "name:%E6%9D%B1%E4%BA%AC"] {
            let key = AccountKey::parse(key).expect(key);
            assert_eq!(describe(&key).key(), Ok(key));
        }
    }
}
