//! The deal workload as pledger's benchmark has it (`bench/src/workload.rs`): five commands a deal, and at every tenth
//! deal a rival registration that must be refused.
//!
//! A task has a lane of its own. In a lane one command follows the other; lanes share no account.

use std::collections::BTreeMap;

use crate::account::{Account, Ask, Command, Context, DealEvent, Refusal, Registration, Stage};

/// Partners of the program.
const PARTNERS: u64 = 1_000;
/// Products that they sell.
const PRODUCTS: u64 = 10;
/// Deals on an account, one after the other.
const DEALS_PER_ACCOUNT: u64 = 4;
/// Every such deal has a rival.
const RIVAL_EVERY: u64 = 10;
const REGIONS: [&str; 3] = ["EMEA", "AMER", "APAC"];

/// A command, and whether it must be refused.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) command: Command,
    pub(crate) is_rival: bool,
}

/// The deals of one task, without end.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    accounts: &'static str,
    number: u64,
    lanes: u64,
    deal: u64,
}

impl Lane {
    /// So many, side by side, on accounts whose names begin like this.
    pub(crate) fn all(accounts: &'static str, lanes: u64) -> Vec<Self> {
        (0..lanes).map(|number| Self { accounts, number, lanes, deal: 0 }).collect()
    }
}

impl Iterator for Lane {
    /// The commands of a deal.
    type Item = Vec<Sent>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.deal * self.lanes + self.number;
        let account = format!("{}-{}-{}.example", self.accounts, self.number, self.deal / DEALS_PER_ACCOUNT);
        self.deal += 1;
        Some(deal(number, &account))
    }
}

/// The commands of a deal on an account. Its rival comes between the second and the third.
fn deal(number: u64, account: &str) -> Vec<Sent> {
    let partner = drawn(number, 2) % PARTNERS;
    let amount = 1_000 + (drawn(number, 4) % 250_000) as i64;
    let step = |name: &str, day: u64, deal_id: String, ask: Ask| Sent {
        is_rival: name == "rival",
        command: Command { account_id: account.to_owned(), deal_id, ask, context: context(number, name, day) },
    };
    let named = || format!("d-{number}");
    let mut steps = vec![
        step("register", 0, named(), Ask::Register(registration(number, partner, account, amount))),
        step("approve", 1, named(), Ask::Approve { protected_until: date(number, 61) }),
        step("qualify", 7, named(), Ask::Advance { to: Stage::Qualified }),
        step("commit", 21, named(), Ask::Advance { to: Stage::Committed }),
        step("close", 40, named(), Ask::Close { amount, gross_margin: amount * 3 / 10 }),
    ];
    if number.is_multiple_of(RIVAL_EVERY) {
        let rival = registration(number, (partner + 1) % PARTNERS, account, amount);
        steps.insert(2, step("rival", 2, format!("d-{number}-rival"), Ask::Register(rival)));
    }
    steps
}

fn registration(number: u64, partner: u64, account: &str, amount: i64) -> Registration {
    Registration {
        partner_id: format!("partner-{partner:04}"),
        name: format!("{account} Inc."),
        country: "DE".to_owned(),
        product: format!("Product {}", drawn(number, 3) % PRODUCTS),
        amount,
        region: REGIONS[(drawn(number, 5) % 3) as usize].to_owned(),
        expected_close: date(number, 60),
    }
}

fn context(number: u64, step: &str, day: u64) -> Context {
    let effective_at = date(number, day);
    Context {
        sender: "anonymous".to_owned(),
        channel: "api".to_owned(),
        key: format!("{number}-{step}"),
        input_hash: (10..14).map(|what| format!("{:016x}", drawn(number, what + day))).collect(),
        received_at: effective_at.clone(),
        effective_at,
        rules: "2020-01-01/1".to_owned(),
    }
}

/// The deal's own day 0 and so many days on, in months of 28 days.
fn date(number: u64, days: u64) -> String {
    let day = drawn(number, 1) % 600 + days;
    format!("{}-{:02}-{:02}T09:00:00.000000Z", 2024 + day / 336, day % 336 / 28 + 1, day % 28 + 1)
}

/// SplitMix64 of the deal's number: looks random, is the same every time.
const fn drawn(deal: u64, what: u64) -> u64 {
    let mut z = deal.wrapping_mul(64).wrapping_add(what).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What is decided of the first deals of 64 lanes taken in turn: a history to fill a store with.
pub(crate) fn history(deals: u64) -> Result<Vec<DealEvent>, Refusal> {
    let mut lanes = Lane::all("client", 64);
    let mut accounts = BTreeMap::new();
    let mut events = Vec::new();
    let in_turn = (0..deals).map(|deal| (deal % 64) as usize);
    for sent in in_turn.filter_map(|lane| lanes[lane].next()).flatten().filter(|sent| !sent.is_rival) {
        let id = &sent.command.account_id;
        let account = accounts.entry(id.clone()).or_insert_with(|| Account::new(id));
        let event = account.decide(&sent.command)?;
        account.evolve(event.clone());
        events.push(event);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deal_is_five_events_and_every_tenth_has_a_rival_that_is_refused() {
        let (mut accepted, mut refused) = (0, 0);
        for lane in Lane::all("company", 3) {
            let mut accounts = BTreeMap::new();
            for sent in lane.take(40).flatten() {
                let account: &mut Account = accounts.entry(sent.command.account_id.clone()).or_default();
                match account.decide(&sent.command) {
                    Ok(event) => {
                        assert!(!sent.is_rival, "{sent:?}");
                        account.evolve(event);
                        accepted += 1;
                    }
                    Err(refusal) => {
                        assert!(sent.is_rival && matches!(refusal, Refusal::AccountProtected(_)), "{sent:?}: {refusal}");
                        refused += 1;
                    }
                }
            }
        }
        assert_eq!((accepted, refused), (3 * 40 * 5, 3 * 40 / 10));
    }

    #[test]
    fn an_event_has_about_400_bytes() {
        let events = history(1_000).expect("no rival is in it");
        assert_eq!(events.len(), 5_000);
        let bytes: usize = events.iter().map(|event| serde_json::to_vec(event).expect("an event serialises").len()).sum();
        assert!((380..=460).contains(&(bytes / events.len())), "{} bytes", bytes / events.len());
    }
}
