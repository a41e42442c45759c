//! Rules that are supposed to govern: what an engine folds and answers under in place of the rules that were published.

use std::sync::Arc;

use pledger_domain::{
    program::Program,
    rules::RuleSet,
    stream::{Stream, StreamName},
    values::{Currency, Month, Timestamp},
};
use pledger_ledger::{
    log::{Log, LogError, read_valid},
    outline::Outline,
    record::{Events, Outcome},
};

use super::EngineError;

/// Records that are read at once.
const READ: usize = 1_024;

/// The rules as published, read from the ledger.
///
/// # Errors
/// `LogError`.
pub fn published(log: &dyn Log) -> Result<Program, LogError> {
    let (mut program, mut offset) = (Program::default(), 0);
    loop {
        let placed = read_valid(log, &StreamName::program(), offset, READ)?;
        let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(program) };
        for placed in &placed {
            if let Ok(Some(decision)) = Outline::decode(&placed.record.body)
                && decision.stream == StreamName::program()
                && let Outcome::Accepted(Events::Program(events)) = &decision.outcome
            {
                events.iter().for_each(|event| program.evolve(event, decision.effective_at));
            }
        }
        offset = last + 1;
    }
}

/// A draft of the rules, as if it had been in force.
#[derive(Clone, Debug)]
pub struct Supposed {
    /// The draft. Its version has to be none that was published, unless it is that one.
    pub rules: Arc<RuleSet>,
    /// From when it governs: decisions that are effective before stand under the rules that they name. Always, where
    /// absent.
    pub from: Option<Timestamp>,
    /// What partners would be paid otherwise by it: their returns count it.
    pub paid: Vec<PaidOtherwise>,
}

/// Market development funds that a partner would be paid otherwise in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidOtherwise {
    /// The partner.
    pub partner: String,
    /// In which month.
    pub month: Month,
    /// In which currency.
    pub currency: Currency,
    /// How much more, in minor units; less than 0 where less is paid.
    pub more: i128,
}

impl Supposed {
    /// A published version for all of history, in place of those that decisions name; none where no version is named.
    pub(super) fn always(log: &dyn Log, version: Option<u32>) -> Result<Option<Self>, EngineError> {
        let Some(version) = version else { return Ok(None) };
        let rules = published(log)?.version(version).map(Arc::clone);
        rules.map(|rules| Some(Self { rules, from: None, paid: Vec::new() })).ok_or(EngineError::NoSuchRules(version))
    }

    /// The draft, where it governs at `at`.
    #[must_use]
    pub fn governing(&self, at: Timestamp) -> Option<&Arc<RuleSet>> {
        self.from.is_none_or(|from| from <= at).then_some(&self.rules)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use pledger_domain::{account::AccountEvent, rules::Rules};
    use proptest::prelude::*;

    use super::{
        super::{
            Engine,
            order::{decisions, ledger},
            tests::{LONG, options},
        },
        *,
    };
    use crate::{
        given::{Given, time},
        what_if::{Difference, Standing},
    };

    /// Of these decisions those that an account lets happen: a deal is closed once. Sums of credit go by that.
    fn closed_once(given: impl Iterator<Item = Given>) -> Vec<Given> {
        let mut closed = HashSet::new();
        let closes = |event: &AccountEvent| {
            if let AccountEvent::DealWon { deal_id, .. }
            | AccountEvent::DealLost { deal_id, .. }
            | AccountEvent::DealExpired { deal_id, .. }
            | AccountEvent::DealCanceled { deal_id } = event
            {
                Some(deal_id.clone())
            } else {
                None
            }
        };
        given
            .filter(|given| {
                let Outcome::Accepted(Events::Account(events)) = &given.outcome else { return true };
                events.iter().filter_map(closes).all(|deal| closed.insert((given.stream.clone(), deal)))
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn what_a_draft_says_of_recorded_rows_is_what_is_folded_under_it(
            decisions in decisions(),
            window in 1..200_u32,
            half_life in 1..60_u32,
        ) {
            let given = closed_once(decisions.into_iter().map(|(_, given)| given));
            let ledger = ledger(3, given);
            let [days, half] = [format!("window_days = {window}"), format!("half_life_days = {half_life}")];
            let text = Rules::DEFAULT.replacen("window_days = 180", &days, 1).replacen("half_life_days = 7", &half, 1);
            let rules = Arc::new(RuleSet { version: 99, effective_from: time("2020-01-01"), rules: Rules::parse(&text).expect("rules") });
            let recorded = Engine::in_memory(Arc::new(ledger.clone()), options(2)).expect("it starts");
            let supposed = Supposed { rules: Arc::clone(&rules), from: None, paid: Vec::new() };
            let draft = Engine::supposing(Arc::new(ledger), options(2), supposed).expect("it starts");
            for engine in [&recorded, &draft] {
                let is_there = engine.wait_until_caught_up(LONG, |_| {});
                prop_assert!(is_there);
            }
            let at = time("2026-06-01");
            let folded = Standing::read(&draft, at).expect("a reading");
            let read = Standing::supposing(&recorded, at, &rules, Vec::new()).expect("a reading");
            prop_assert_eq!(folded.changes_to(&read), Difference::default());
        }
    }
}
