//! Every partner is held against the tiers once a quarter has ended (F30).

use pledger_domain::{
    partner::EvaluateTier,
    rejection::Rejection,
    values::{Period, Timestamp},
};
use pledger_ledger::slices::Position;

use super::{Policy, PolicyView, Unevaluated, Unread, Wanted, policy::written};

/// Evaluates tiers for the calendar quarter, in UTC, that ended last.
///
/// Only that one: a ledger that was at rest for years is not sent through every quarter in between, whose awards would all
/// be given today and undo each other. An award takes effect when it is decided, and so does the grace before a demotion:
/// nobody loses days of it because pledger was not running.
#[derive(Debug)]
pub(super) struct EvaluateTiers;

impl Policy for EvaluateTiers {
    fn sender(&self) -> &'static str {
        "policy:evaluate-tiers"
    }

    fn wanted(&mut self, view: &dyn PolicyView, now: Timestamp, most: usize) -> Result<Vec<Wanted>, Unread> {
        let period = Period::last_quarter(now);
        let reading = view.unevaluated(period, now)?;
        Ok(reading.found.into_iter().take(most).map(|due| evaluation(period, due, &reading.as_of)).collect())
    }

    fn expects(&self, _rejection: &Rejection) -> bool {
        false
    }
}

/// One evaluation a partner and period.
fn evaluation(period: Period, due: Unevaluated, as_of: &[Position]) -> Wanted {
    let key = format!("{}/{period}", due.partner_id);
    let command = EvaluateTier { partner_id: due.partner_id, period, inputs: due.inputs, as_of: written(as_of) };
    Wanted::new(&command, key, format!("period/{period}"), as_of)
}

#[cfg(test)]
mod tests {
    use pledger_domain::{
        partner::TierInputs,
        values::{Currency, Money, PartnerId},
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::policies::scripted::{Read, at};

    fn due(id: &str) -> Unevaluated {
        let inputs = TierInputs { revenue: Money::from_minor(12_050, Currency::USD), active_certifications: 2, net_new_logos: 1 };
        Unevaluated { partner_id: PartnerId::parse(id).expect(id), inputs }
    }

    #[test]
    fn the_quarter_that_ended_last_is_evaluated_partner_by_partner() {
        let view = Read::default().with_unevaluated("2026-Q3", vec![due("p-1"), due("p-2"), due("p-3")]);
        for (now, partners) in [("2026-09-30T23:59:59Z", &[][..]), ("2026-10-01", &["p-1", "p-2"]), ("2026-12-31", &["p-1", "p-2"])] {
            let wanted = EvaluateTiers.wanted(&view, at(now), 2).expect("it is read");
            let keys: Vec<&str> = wanted.iter().map(|wanted| wanted.key.as_str()).collect();
            assert_eq!(keys, partners.iter().map(|id| format!("{id}/2026-Q3")).collect::<Vec<_>>(), "{now}");
        }
    }

    #[test]
    fn figures_and_what_they_were_read_at_are_sent() {
        let view = Read::default().with_unevaluated("2026-Q3", vec![due("p-1")]);
        let wanted = EvaluateTiers.wanted(&view, at("2026-10-01"), 10).expect("it is read").remove(0);
        let payload: Value = serde_json::from_str(&wanted.payload).expect("JSON");
        let inputs = json!({"revenue": {"amount": "120.50", "currency": "USD"}, "active_certifications": 2, "net_new_logos": 1});
        assert_eq!(payload, json!({"partner_id": "p-1", "period": "2026-Q3", "inputs": inputs, "as_of": ["1:9", "5:40"]}));
        assert_eq!((wanted.command, wanted.cause.as_str()), ("EvaluateTier", "period/2026-Q3"));
    }
}
