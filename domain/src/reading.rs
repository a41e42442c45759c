//! Reading JSON from outside, and saying what is wrong with it in words that a sender knows.

/// Why JSON is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// The bytes are not JSON; why and where.
    Malformed(String),
    /// They are JSON of another form.
    Field {
        /// The path of the field, such as `account.domain`; empty for the whole.
        field: String,
        /// What is wrong with it and what would be accepted.
        reason: String,
    },
}

/// A field and what is wrong with it, in a sentence.
#[must_use]
pub fn sentence(field: &str, reason: &str) -> String {
    let continues = ["is ", "must "].iter().any(|verb| reason.starts_with(verb));
    match field {
        "" => reason.to_owned(),
        field if continues => format!("{field} {reason}"),
        field => format!("{field}: {reason}"),
    }
}

/// Reads a JSON object as a `T`.
///
/// # Errors
/// `Unreadable`, naming the field.
pub fn object<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> Result<T, Unreadable> {
    // A struct could be read from an array too, member by member, which nobody means.
    if json.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice::<serde::de::IgnoredAny>(json).map_err(|error| malformed(json, &error))?;
        return Err(Unreadable::Field { field: String::new(), reason: "an array stands where an object is expected".into() });
    }
    serde_json::from_slice(json).map_err(|error| if error.is_data() { locate::<T>(json, &error) } else { malformed(json, &error) })
}

fn malformed(json: &[u8], error: &serde_json::Error) -> Unreadable {
    Unreadable::Malformed(if json.trim_ascii().is_empty() { "it is empty".into() } else { error.to_string() })
}

/// Reads again, to find the field that the error is about. What is cut off is no JSON, whatever stands before that.
fn locate<'a, T: serde::Deserialize<'a>>(json: &'a [u8], error: &serde_json::Error) -> Unreadable {
    if let Err(cut_off) = serde_json::from_slice::<serde::de::IgnoredAny>(json) {
        return malformed(json, &cut_off);
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(located) => {
            let path = located.path().to_string();
            in_words(if path == "." { "" } else { &path }, &located.into_inner().to_string())
        }
        Ok(_) => malformed(json, error),
    }
}

/// What serde says, without its own words for things and with the field it means.
fn in_words(path: &str, said: &str) -> Unreadable {
    let said = said.rsplit_once(" at line ").map_or(said, |(said, _)| said);
    let inside = |member: &str| if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") };
    if let Some(member) = quoted(said, "missing field ") {
        return Unreadable::Field { field: inside(member), reason: "is missing".into() };
    }
    if let Some(member) = quoted(said, "duplicate field ") {
        return Unreadable::Field { field: inside(member), reason: "is given twice".into() };
    }
    let reason = match quoted(said, "unknown field ") {
        Some(member) => unknown(member, said),
        None => plain(said),
    };
    Unreadable::Field { field: path.to_owned(), reason }
}

/// The name in backquotes behind `what`.
fn quoted<'a>(said: &'a str, what: &str) -> Option<&'a str> {
    said.strip_prefix(what)?.strip_prefix('`')?.split('`').next()
}

fn unknown(member: &str, said: &str) -> String {
    let known: Vec<&str> = said.split('`').skip(3).step_by(2).collect();
    let scored = known.iter().map(|name| (strsim::jaro_winkler(name, member), *name));
    let nearest = scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    let meant = nearest.map(|(_, name)| format!(" (did you mean {name}?)")).unwrap_or_default();
    format!("is not known here{meant}; known are {}", known.join(", "))
}

/// An object is called so, whatever the type that it is read into.
fn plain(said: &str) -> String {
    let said = said.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    let Some((before, after)) = said.split_once("expected struct ") else { return said.to_owned() };
    let rest = after.split_once(' ').map(|(_, rest)| format!(" {rest}")).unwrap_or_default();
    format!("{before}expected an object{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account::RegisterDeal, fund::ClaimMDF};

    fn told<T: for<'a> serde::Deserialize<'a> + std::fmt::Debug>(json: &str) -> (String, String) {
        match object::<T>(json.as_bytes()).expect_err(json) {
            Unreadable::Field { field, reason } => (field, reason),
            Unreadable::Malformed(reason) => ("not JSON".into(), reason),
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_the_senders_words() {
        let deal = |account: &str, amount: &str| {
            format!(r#"{{"deal_id":"d-1","partner_id":"p-1","account":{account},"product":"GTX","amount":{amount}}}"#)
        };
        let usd = r#"{"amount":"1.00","currency":"USD"}"#;
        for (json, field, reason) in [
            (r#"{"deal_id":"d-1"}"#.into(), "partner_id", "is missing"),
            (r#"{"deal_id":"d-1","deal_id":"d-2"}"#.into(), "deal_id", "is given twice"),
            (r#"{"acount":"acme.com"}"#.into(), "acount", "is not known here (did you mean account?); known are deal_id, partner_id,"),
            (r#"{"deal_id":7}"#.into(), "deal_id", "integer `7`, expected a string"),
            ("null".into(), "", "null, expected an object"),
            ("[\"d-1\",\"p-1\"]".into(), "", "an array stands where an object is expected"),
            (deal(r#"{"name":"A","dom":"a.com"}"#, usd), "account.dom", "is not known here (did you mean domain?)"),
            (deal(r#"{"name":""}"#, usd), "account.name", "must not be empty"),
            (deal(r#"{"domain":"a.com"}"#, usd), "account.name", "is missing"),
            (deal(r#"["A"]"#, usd), "account", "sequence, expected an account key like"),
            (deal("7", usd), "account", "integer `7`, expected an account key like"),
            (deal(r#""not a key""#, usd), "account", r#""not a key" is not an account key like"#),
            (deal(r#""acme.com""#, "5"), "amount", r#"integer `5`, expected an object like {"amount":"1200.50","currency":"USD"}"#),
            (deal(r#""acme.com""#, r#"["1.00","USD"]"#), "amount", "sequence, expected an object like"),
            (deal(r#""acme.com""#, r#"{"amount":"1.00"}"#), "amount.currency", "is missing"),
            (String::new(), "not JSON", "it is empty"),
            ("{".into(), "not JSON", "EOF while parsing an object at line 1 column 1"),
            (r#"{"acount":"acme.com","#.into(), "not JSON", "EOF while parsing an object at line 1 column 21"),
            (r#"{"deal_id":7} {"#.into(), "not JSON", "trailing characters at line 1"),
            ("[1,".into(), "not JSON", "EOF while parsing a value at line 1 column 3"),
        ] {
            let (found, said) = told::<RegisterDeal>(&json);
            assert_eq!(found, field, "{json}: {said}");
            assert!(said.starts_with(reason), "{json}: {said}");
        }
        let claim = r#"{"claim_id":"c-1","request_id":"r-1","amount":{"amount":"1.00","currency":"USD"}}"#;
        assert_eq!(told::<ClaimMDF>(claim), ("proof".into(), "is missing".into()));
    }
}
