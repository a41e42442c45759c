//! What figures lack: streams of which a record could not be taken in, as the rows of views know them.

use hashbrown::HashMap;
use pledger_ledger::slices::Position;
use serde_json::Value;

use crate::{
    cube::Plan,
    deals::facts,
    query::{Answer, FieldKind, FieldSpec, Item, Rows},
    symbol::Symbol,
};

/// Since when an item of a view lacks something; of a group, what it counts of such streams says so.
pub(crate) const INCOMPLETE_SINCE: FieldSpec = FieldSpec::new(
    "incomplete_since",
    FieldKind::Position,
    "A record that could not be read, of a stream that this counts something of: of returns any budget, where funds were paid. Null where all is well.",
);

/// The first record that is lacking, by account, partner and budget.
#[derive(Debug, Default)]
pub(crate) struct Lacking {
    accounts: HashMap<Symbol, Position>,
    /// Of the partner's own stream, or of an account that it has a deal or revenue on.
    partners: HashMap<Symbol, Position>,
    /// By partner; none is the program.
    costs: HashMap<Option<Symbol>, Position>,
    budgets: HashMap<Symbol, Position>,
}

impl Lacking {
    /// What these rows lack.
    pub(crate) fn of(rows: &Rows<'_>) -> Self {
        let mut lacking = Self::default();
        for one in rows.incomplete() {
            match one.stream.split_once('/') {
                Some(("account", key)) => _ = lacking.accounts.insert(Symbol::of(key), one.since),
                Some(("partner", key)) => _ = lacking.partners.insert(Symbol::of(key), one.since),
                Some(("cost", "program")) => _ = lacking.costs.insert(None, one.since),
                Some(("cost", key)) => _ = lacking.costs.insert(Some(Symbol::of(key)), one.since),
                Some(("fund", key)) => _ = lacking.budgets.insert(Symbol::of(key), one.since),
                // What names no stream, or the program, may concern everything: the answer as a whole says so.
                Some(_) | None => {}
            }
        }
        if !lacking.accounts.is_empty() {
            let owned = facts(rows).map(|fact| (fact.key.account, fact.deal.partner));
            let recorded = rows.shards().flat_map(|shard| shard.revenue.recorded.iter()).map(|(key, ..)| (key.account, key.partner));
            for (account, partner) in owned.chain(recorded) {
                if let Some(since) = lacking.account(account) {
                    let known = lacking.partners.entry(partner).or_insert(since);
                    *known = since.min(*known);
                }
            }
        }
        lacking
    }

    pub(crate) fn account(&self, account: Symbol) -> Option<Position> {
        self.accounts.get(&account).copied()
    }

    /// Of the partner's own stream, or of an account that it has a deal or revenue on.
    pub(crate) fn partner(&self, partner: Symbol) -> Option<Position> {
        self.partners.get(&partner).copied()
    }

    pub(crate) fn budget(&self, budget: Symbol) -> Option<Position> {
        self.budgets.get(&budget).copied()
    }

    /// Of what a partner, or the program, brought in and cost; `is_of_funds` where it is what budgets paid.
    pub(crate) fn returns(&self, partner: Option<Symbol>, is_of_funds: bool) -> Option<Position> {
        let own = partner.and_then(|partner| self.partner(partner));
        let funds = self.budgets.values().filter(|_| is_of_funds).copied();
        [own, self.costs.get(&partner).copied()].into_iter().flatten().chain(funds).min()
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.accounts.is_empty() && self.partners.is_empty() && self.costs.is_empty() && self.budgets.is_empty()
    }
}

/// The field as it is written.
pub(crate) fn since(position: Option<Position>) -> (&'static str, Value) {
    (INCOMPLETE_SINCE.name, position.map_or(Value::Null, |position| position.to_string().into()))
}

impl<F> Plan<'_, F> {
    /// The same groups, each with the first record that it lacks: `incomplete` has every fact of a stream that lacks one.
    pub(crate) fn tell_incomplete(&self, answer: Answer, lacking: &Lacking, incomplete: impl Iterator<Item = (F, Position)>) -> Answer {
        let mut first: HashMap<Vec<String>, Position> = HashMap::new();
        // Nearly always there is none.
        if !lacking.is_nothing() {
            for (fact, position) in incomplete.filter(|(fact, _)| self.admits(fact)) {
                let key = self.by.iter().map(|dim| (dim.value)(&fact).text()).collect();
                let known = first.entry(key).or_insert(position);
                *known = position.min(*known);
            }
        }
        let told = |Item(mut fields): Item| {
            let texts = fields.iter().take(self.by.len()).map(|(_, value)| value.as_str().unwrap_or_default().to_owned());
            let position = if first.is_empty() { None } else { first.get(&texts.collect::<Vec<_>>()).copied() };
            fields.push(since(position));
            Item(fields)
        };
        Answer { items: answer.items.into_iter().map(told).collect(), ..answer }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pledger_domain::{
        account::{AccountEvent, RevenueKind},
        fund::FundEvent,
        values::{AllocationId, PartnerId, RevenueId},
    };
    use pledger_ledger::record::{Events, Outcome};

    use super::*;
    use crate::{
        asked::{ask, by, lines},
        given::{Given, Ledger, approved, registered, time, usd, won},
        given_partners::joined,
    };

    fn budget(id: &str, partner: &str) -> Given {
        let events = vec![
            FundEvent::BudgetOpened { amount: usd("100.00"), starts_on: time("2026-01-01"), ends_on: time("2027-01-01") },
            FundEvent::FundsAllocated {
                allocation_id: AllocationId::parse("al").expect("an id"),
                partner_id: PartnerId::parse(partner).expect("an id"),
                amount: usd("10.00"),
            },
        ];
        Given::new(&format!("fund/{id}"), "2026-02-01", Outcome::Accepted(Events::Fund(events.into())))
    }

    fn history() -> Ledger {
        let deal = |account: &str, deal: &str, partner: &str| {
            let events = vec![registered(deal, partner, "GTX", "50.00"), approved(deal), won(deal, "50.00", "2026-03-01")];
            Given::account(account, "2026-01-10", events)
        };
        let deals = [deal("acme.com", "d1", "p1"), deal("umbrella.com", "d2", "p2"), deal("umbrella.com", "d3", "p1")];
        let lost = Given::account("acme.com", "2026-01-11", vec![registered("d4", "p3", "Pro", "1.00")]);
        Ledger::with(["p1", "p2", "p3"].map(joined).into_iter().chain(deals).chain([lost, budget("b1", "p1"), budget("b2", "p2")]))
    }

    /// Appends a record of the stream that cannot be read.
    fn poison(ledger: &Ledger, stream: &str) -> Position {
        let body = format!(r#"{{"decision":{{"stream":"{stream}","v":1,"nonsense":true}}}}"#);
        ledger.append(ledger.slice_of(stream), Bytes::from(body))
    }

    #[test]
    fn groups_say_what_they_lack() {
        let ledger = history();
        let (account, fund) = (poison(&ledger, "account/acme.com"), poison(&ledger, "fund/b1"));
        for (view, dims, expected) in [
            ("pipeline", &["partner"][..], vec![format!("p1 {account}"), "p2 -".to_owned(), format!("p3 {account}")]),
            ("pipeline", &["product"], vec![format!("GTX {account}"), format!("Pro {account}")]),
            ("attribution", &["partner"], [vec![format!("p1 {account}"); 6], vec!["p2 -".to_owned(); 6]].concat()),
            ("ropi", &["partner"], vec![format!("p1 {account}"), "p2 -".to_owned()]),
            ("mdf", &["budget_id"], vec![format!("b1 {fund}"), "b2 -".to_owned()]),
            ("mdf", &["partner"], vec![format!("p1 {fund}"), "p2 -".to_owned()]),
        ] {
            let page = ask(&ledger, view, &by(dims, &[]));
            assert_eq!(lines(&page, &[dims[0], "incomplete_since"]), expected, "{view} by {dims:?}");
        }
        // A group without what lacks a record lacks nothing, and neither does a deal of another account.
        let of_umbrella = ask(&ledger, "pipeline", &by(&["partner"], &[("account", "umbrella.com")]));
        assert_eq!(lines(&of_umbrella, &["partner", "incomplete_since"]), ["p1 -", "p2 -"]);
        let deals = ask(&ledger, "attribution", &by(&[], &[("model", "first")]));
        assert_eq!(lines(&deals, &["deal", "incomplete_since"]), [format!("d1 {account}"), "d2 -".to_owned(), "d3 -".to_owned()]);
        assert!(deals.incomplete.len() == 2, "the answer as a whole says both");
    }

    #[test]
    fn a_partners_own_stream_and_its_costs_are_lacking_in_its_returns() {
        let ledger = history();
        let (own, costs) = (poison(&ledger, "partner/p2"), poison(&ledger, "cost/p1"));
        let returns = ask(&ledger, "ropi", &by(&["partner"], &[]));
        assert_eq!(lines(&returns, &["partner", "incomplete_since"]), [format!("p1 {costs}"), format!("p2 {own}")]);
        // Revenue may be recorded for a partner on an account where others have the deals.
        let event = AccountEvent::RevenueRecorded {
            revenue_id: RevenueId::parse("r1").expect("an id"),
            partner_id: PartnerId::parse("p3").ok(),
            amount: usd("7.00"),
            gross_margin: None,
            deal_id: None,
            kind: RevenueKind::New,
            recognized_at: time("2026-03-01"),
        };
        ledger.add(Given::account("umbrella.com", "2026-03-01", vec![event]));
        let account = poison(&ledger, "account/umbrella.com");
        let returns = ask(&ledger, "ropi", &by(&["partner"], &[("partner", "p3")]));
        assert_eq!(lines(&returns, &["partner", "incomplete_since"]), [format!("p3 {account}")]);
        // Deals say nothing of a partner's own stream.
        let ledger = history();
        poison(&ledger, "partner/p2");
        let deals = ask(&ledger, "pipeline", &by(&["partner"], &[]));
        assert_eq!(lines(&deals, &["partner", "incomplete_since"]), ["p1 -", "p2 -", "p3 -"]);
    }
}
