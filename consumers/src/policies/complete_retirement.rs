//! The second step of a retirement: asked for as soon as nothing is open for the partner any more (F01, F02 Retired).

use pledger_domain::{partner::CompleteRetirement, rejection::Rejection, values::Timestamp};
use pledger_ledger::slices::Position;

use super::{Policy, PolicyView, Reading, Retiring, Unread, Wanted, policy::written};

/// The most open items that are named: the first in order. A refusal holds them all again, and a record has to stay small.
const MAX_NAMED: usize = 100;

/// Completes retirements.
///
/// Each is asked for once at first, be anything open or not, so that the ledger says what it waits for; then again
/// whenever what is named changed.
#[derive(Debug, Default)]
pub(super) struct CompleteRetirements {
    /// What the look before stood on.
    seen: Vec<Position>,
}

impl Policy for CompleteRetirements {
    fn sender(&self) -> &'static str {
        "policy:complete-retirement"
    }

    fn wanted(&mut self, view: &dyn PolicyView, now: Timestamp, most: usize) -> Result<Vec<Wanted>, Unread> {
        let reading = view.retiring(now)?;
        let wanted = due(&reading, &self.seen).take(most).collect();
        self.seen = reading.as_of;
        Ok(wanted)
    }

    fn expects(&self, rejection: &Rejection) -> bool {
        matches!(rejection, Rejection::RetirementBlocked { .. })
    }
}

/// What is to be asked, where the look before stood on `seen`.
///
/// A retirement waits for the second look at it: a deal that was being accepted when it started, on facts that did not
/// know of it, is in the ledger by then.
fn due<'r>(reading: &'r Reading<Retiring>, seen: &[Position]) -> impl Iterator<Item = Wanted> + use<'r> {
    let known = |started: Position| seen.iter().any(|last| last.slice == started.slice && last.pseq >= started.pseq);
    let old: Vec<&Retiring> = reading.found.iter().filter(|retiring| known(retiring.started)).collect();
    old.into_iter().filter(|retiring| !was_said(retiring)).map(|retiring| {
        let command = CompleteRetirement {
            partner_id: retiring.partner_id.clone(),
            still_open: named(retiring).to_vec(),
            as_of: written(&reading.as_of),
        };
        Wanted::new(&command, format!("retirement-{}", retiring.started), retiring.started.to_string(), &reading.as_of)
    })
}

fn named(retiring: &Retiring) -> &[String] {
    &retiring.open[..retiring.open.len().min(MAX_NAMED)]
}

/// Whether the ledger holds a refusal that names the same.
fn was_said(retiring: &Retiring) -> bool {
    !retiring.open.is_empty() && retiring.blocked_by.as_deref() == Some(named(retiring))
}

#[cfg(test)]
mod tests {
    use pledger_domain::values::PartnerId;
    use serde_json::{Value, json};

    use super::*;

    const STARTED: Position = Position { slice: 1, pseq: 7 };

    fn at(slice: u16, pseq: u64) -> Position {
        Position { slice, pseq }
    }

    fn retiring(open: &[&str], blocked_by: Option<&[&str]>) -> Retiring {
        let own = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        let partner_id = PartnerId::parse("p-1").expect("an id");
        Retiring { partner_id, started: STARTED, open: own(open), blocked_by: blocked_by.map(own) }
    }

    fn asked(retiring: Retiring, seen: &[Position]) -> Vec<Wanted> {
        due(&Reading { found: vec![retiring], as_of: vec![at(1, 9), at(5, 40)] }, seen).collect()
    }

    #[test]
    fn it_is_asked_at_first_and_whenever_what_is_open_changed() {
        let (one, two) = ("account/acme.com#d-1", "fund/b-1#request/r-1");
        for (open, blocked_by, still_open) in [
            (&[][..], None, Some(&[][..])),
            (&[one], None, Some(&[one])),
            (&[one], Some(&[one][..]), None),
            (&[one, two], Some(&[one]), Some(&[one, two])),
            (&[one], Some(&[one, two]), Some(&[one])),
            (&[], Some(&[one]), Some(&[])),
        ] {
            let wanted = asked(retiring(open, blocked_by), &[STARTED]);
            let payloads: Vec<Value> = wanted.iter().map(|wanted| serde_json::from_str(&wanted.payload).expect("JSON")).collect();
            let expected = still_open.map(|open| json!({"partner_id": "p-1", "still_open": open, "as_of": ["1:9", "5:40"]}));
            assert_eq!(payloads, Vec::from_iter(expected), "{open:?} {blocked_by:?}");
        }
    }

    #[test]
    fn its_key_and_its_cause_are_the_decision_that_started_it() {
        let wanted = asked(retiring(&[], None), &[at(1, 8)]).remove(0);
        assert_eq!((wanted.command, wanted.key.as_str(), wanted.cause.as_str()), ("CompleteRetirement", "retirement-1:7", "1:7"));
        assert_eq!(wanted.as_of, [at(1, 9), at(5, 40)]);
    }

    #[test]
    fn a_retirement_that_the_look_before_did_not_know_waits() {
        for seen in [vec![], vec![at(1, 6), at(5, 99)], vec![at(0, 99)]] {
            assert_eq!(asked(retiring(&[], None), &seen), [], "{seen:?}");
        }
    }

    #[test]
    fn a_long_list_is_cut_and_is_the_same_while_its_beginning_is() {
        let all: Vec<String> = (0..250).map(|n| format!("account/acme.com#d-{n:03}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let payload: Value = serde_json::from_str(&asked(retiring(&all, None), &[STARTED])[0].payload).expect("JSON");
        assert_eq!(payload["still_open"], json!(all[..100]));
        assert_eq!(asked(retiring(&all[..180], Some(&all[..100])), &[STARTED]), []);
    }
}
