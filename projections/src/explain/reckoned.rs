//! Deadlines, reckoned: from when, and how long the rules give.

use std::cell::LazyCell;

use pledger_domain::{rules::Rules, values::Timestamp};
use pledger_ledger::outline::Outline;
use serde_json::Value;

use super::{Change, Reckoned};
use crate::query::{FieldKind, FieldSpec};

/// The clause that begins where the deadline before ended.
const EXTENSION: &str = "extension_days";

/// Says of the deadlines that a decision set how the rules that it names give them.
pub(super) fn reckon(changes: &mut [Change], fields: &[FieldSpec], decision: &Outline<'_>, rules: &Rules) {
    let received_at = decision.command().and_then(|command| command.received_at);
    let asked_at = [received_at, Some(decision.recorded_at), Some(decision.effective_at)];
    let rules = LazyCell::new(|| serde_json::to_value(rules).unwrap_or_default());
    let set = changes.iter_mut().filter_map(|change| {
        let field = fields.iter().find(|field| field.name == change.field)?;
        (field.kind == FieldKind::Time && !field.clauses.is_empty()).then_some((change, field))
    });
    for (change, field) in set {
        let Some(until) = instant(&change.after) else { continue };
        let begins = |clause: &str| {
            if clause.ends_with(EXTENSION) { [instant(&change.before); 3] } else { asked_at }
        };
        let found = field.clauses.iter().find_map(|clause| {
            let begins = begins(clause).into_iter().flatten();
            begins
                .filter_map(|from| given(&rules, clause, from))
                .find(|(end, _)| *end == until)
                .map(|(_, computed)| Reckoned { clause, computed })
        });
        change.reckoned = found;
    }
}

/// When the time of a clause is over that begins `from` then, and that in words.
fn given(rules: &Value, clause: &str, from: Timestamp) -> Option<(Timestamp, String)> {
    let many = clause.split('.').try_fold(rules, |value, part| value.get(part))?.as_i64()?;
    let (end, unit) = match clause.rsplit_once('_')?.1 {
        "days" => (from.plus_days(many), "days"),
        "hours" => (from.plus_hours(many), "hours"),
        _ => return None,
    };
    (many > 0).then(|| (end, format!("{from} + {many} {unit}")))
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(|text| Timestamp::parse(text).ok())
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use bytes::Bytes;
    use pledger_domain::account::AccountEvent;
    use serde_json::json;

    use super::*;
    use crate::{
        engine::{Engine, Moment, Options},
        explain::{Explanation, explain, figure_of_rows},
        given::{Given, Ledger, approved, deal_id, registered, time},
        query::{Query, find_view},
    };

    fn explained(ledger: &Ledger, field: Option<&str>) -> Explanation {
        let engine = Engine::in_memory(Arc::new(ledger.clone()), Options::default()).expect("it starts");
        assert!(engine.wait_until_caught_up(Duration::from_secs(20), |_| {}));
        let (view, query) = (find_view("deals").expect("a view"), Query { at: Some(time("2026-06-01")), ..Query::default() });
        let asked = engine.read(|rows| figure_of_rows(view, "d1", field.map(str::to_owned), query, Moment::default(), rows));
        explain(ledger, &asked.expect("a figure")).expect("an explanation")
    }

    /// Protected for 90 days by the rules, then for 90 more, then moved by hand.
    fn protected() -> Ledger {
        let until = |day: &str| Some(time(day));
        let given = |at: &str, event| Given::account("acme.com", at, vec![event]);
        let (d1, moved_until) = (deal_id("d1"), time("2026-09-01"));
        Ledger::with([
            given("2026-01-10", registered("d1", "p1", "GTX", "100.00")),
            given(
                "2026-01-12",
                AccountEvent::DealApproved { deal_id: d1.clone(), protected_until: until("2026-04-12"), expires_at: until("2026-07-11") },
            ),
            given(
                "2026-02-01",
                AccountEvent::DealExtended { deal_id: d1.clone(), protected_until: until("2026-07-11"), expires_at: until("2026-10-09") },
            ),
            given("2026-02-02", AccountEvent::ProtectionOpened { deal_id: d1, protected_until: moved_until }),
        ])
    }

    #[test]
    fn deadlines_are_reckoned_from_the_clause_that_gave_them() {
        let told = explained(&protected(), Some("protected_until"));
        let reckoned = told.decisions.iter().flat_map(|decision| &decision.changes).map(|change| change.reckoned.clone());
        assert_eq!(
            reckoned.collect::<Vec<_>>(),
            [
                Some(Reckoned { clause: "deal_registration.protection_days", computed: "2026-01-12T00:00:00Z + 90 days".to_owned() }),
                Some(Reckoned { clause: "deal_registration.extension_days", computed: "2026-04-12T00:00:00Z + 90 days".to_owned() }),
                // By no clause: as the decision says.
                None,
            ]
        );
        assert!(told.clauses.iter().all(|clause| clause.in_force && clause.rules == 1), "{:?}", told.clauses);
    }

    #[test]
    fn what_comes_after_a_record_that_cannot_be_read_is_left_out_and_said() {
        let ledger = Ledger::with([Given::account("acme.com", "2026-01-10", vec![registered("d1", "p1", "GTX", "100.00")])]);
        let body = br#"{"decision":{"stream":"account/acme.com","v":1,"nonsense":true}}"#;
        let since = ledger.append(ledger.slice_of("account/acme.com"), Bytes::from_static(body));
        ledger.add(Given::account("acme.com", "2026-01-12", vec![approved("d1")]));
        let told = explained(&ledger, Some("registration"));
        assert_eq!(told.items[0].figures[0].value, json!("in_review"));
        assert_eq!((told.decisions.len(), told.looked_at), (1, 3));
        let incomplete: Vec<_> = told.incomplete.iter().map(|one| (one.stream.as_str(), one.since)).collect();
        assert_eq!(incomplete, [("account/acme.com", since)]);
    }
}
