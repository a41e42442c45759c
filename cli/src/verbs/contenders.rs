//! Who contends for an account, in the words of a table.

use serde_json::Value;

use crate::output;

/// The letters of a time that are its day.
const DAY: usize = 10;

/// A conflict with its contenders in words, a line each: the one that is protected first, where it is not listed anyway.
pub(crate) fn in_words(conflict: &Value) -> Value {
    let mut told = conflict.clone();
    let listed: Vec<&Value> = conflict["contenders"].as_array().into_iter().flatten().collect();
    if listed.is_empty() {
        return told;
    }
    let protection = protection(conflict);
    let mut is_told = false;
    let mut lines: Vec<String> = Vec::new();
    for contender in listed {
        let holds =
            contender["partner"] == conflict["holder"] && contender["deal_id"] == conflict["deal_id"] && contender["code"].is_null();
        is_told = is_told || holds;
        let granted = day(&contender["protection_granted_until"]).map(|until| format!("protection was granted until {until}"));
        let protected = if holds { protection.clone() } else { granted };
        let protected = protected.map(|protected| format!("; {protected}")).unwrap_or_default();
        lines.push(format!("{}: {}{protected}", who(contender), decided(contender)));
    }
    if let Some(protection) = protection.filter(|_| !is_told) {
        lines.insert(0, format!("{} ({}): {protection}", output::cell(&conflict["holder"]), output::cell(&conflict["deal_id"])));
    }
    told["contenders"] = lines.join("\n").into();
    told
}

/// Until when the holder is protected, or was.
fn protection(conflict: &Value) -> Option<String> {
    let stands = day(&conflict["protected_until"]).map(|until| format!("protected until {until}"));
    let ended = || day(&conflict["protection_granted_until"]).map(|until| format!("was protected, until {until} or the deal's end"));
    stands.or_else(ended)
}

fn day(time: &Value) -> Option<&str> {
    time.as_str().map(|time| time.get(..DAY).unwrap_or(time))
}

/// `p-2 (d-2)`.
fn who(contender: &Value) -> String {
    let who = match (contender["partner"].as_str(), contender["seller"].as_str()) {
        (Some(partner), _) => partner.to_owned(),
        (None, Some(seller)) => format!("direct seller {seller}"),
        (None, None) => "direct sales".to_owned(),
    };
    let deal = contender["deal_id"].as_str().map(|deal| format!(" ({deal})")).unwrap_or_default();
    format!("{who}{deal}")
}

/// `RegisterDeal refused on 2026-01-05 under rules 1 (AccountProtected): the account is protected for ...`.
fn decided(contender: &Value) -> String {
    let when = day(&contender["at"]).map(|day| format!(" on {day}")).unwrap_or_default();
    let under = contender["rules"].as_u64().map(|rules| format!(" under rules {rules}")).unwrap_or_default();
    match (contender["decided"].as_str(), contender["code"].as_str()) {
        (Some("refused"), Some(code)) => {
            let told = contender["told"].as_str().map(|told| format!(": {told}")).unwrap_or_default();
            let asked = contender["command"].as_str().map(|command| format!("{command} ")).unwrap_or_default();
            format!("{asked}refused{when}{under} ({code}){told}")
        }
        (Some("reassigned"), _) => format!("was given the deal{when}{under}"),
        (Some(decided), _) => format!("{decided}{when}{under}"),
        (None, _) => output::cell(contender),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(conflict: &Value) -> String {
        output::cell(&in_words(conflict)["contenders"])
    }

    fn contender(partner: Option<&str>, deal: &str, decided: &str, code: Option<&str>) -> Value {
        json!({"partner": partner, "seller": null, "deal_id": deal, "decided": decided, "code": code, "at": "2026-01-05T09:00:00Z",
               "command": "RegisterDeal", "told": "the account is protected", "rules": 2, "protection_granted_until": null})
    }

    #[test]
    fn contenders_say_what_was_decided_on_them() {
        let mut conflict = json!({"holder": "acme-partners", "deal_id": "d-1", "protected_until": "2026-03-01T08:00:00Z",
            "protection_granted_until": "2026-03-01T08:00:00Z", "contenders": [
            contender(Some("north"), "d-2", "refused", Some("AccountProtected")),
            // It asked again for what it has.
            contender(Some("acme-partners"), "d-1", "refused", Some("AlreadyRegistered")),
            contender(None, "c-1", "refused", Some("AccountProtected")),
            contender(Some("south"), "d-3", "reassigned", None),
        ]});
        let why = |code: &str| format!("RegisterDeal refused on 2026-01-05 under rules 2 ({code}): the account is protected");
        let refused = format!(
            "north (d-2): {}\nacme-partners (d-1): {}\ndirect sales (c-1): {}\nsouth (d-3): was given the deal on 2026-01-05 under rules 2",
            why("AccountProtected"),
            why("AlreadyRegistered"),
            why("AccountProtected")
        );
        assert_eq!(told(&conflict), format!("acme-partners (d-1): protected until 2026-03-01\n{refused}"));
        conflict["protected_until"] = Value::Null;
        assert_eq!(told(&conflict), format!("acme-partners (d-1): was protected, until 2026-03-01 or the deal's end\n{refused}"));
        conflict["protection_granted_until"] = Value::Null;
        assert_eq!(told(&conflict), refused);
    }

    #[test]
    fn who_is_listed_is_told_with_its_protection() {
        let mut east = contender(Some("east"), "d-4", "registered", None);
        east["protection_granted_until"] = "2026-02-01T00:00:00Z".into();
        let mut conflict = json!({"holder": "acme-partners", "deal_id": "d-1", "protected_until": "2026-03-01T08:00:00Z",
            "contenders": [contender(Some("acme-partners"), "d-1", "registered", None), east]});
        let registered = "registered on 2026-01-05 under rules 2";
        assert_eq!(
            told(&conflict),
            format!(
                "acme-partners (d-1): {registered}; protected until 2026-03-01\n\
                 east (d-4): {registered}; protection was granted until 2026-02-01"
            )
        );
        conflict["contenders"] = json!([]);
        assert_eq!(in_words(&conflict), conflict);
    }
}
