//! The deal workload: five commands a deal, and every tenth time a rival registration that must be refused.
//!
//! Deals come in lanes. In a lane one command follows the other; lanes share no account, so that they can be sent side
//! by side in any order. Everything follows from the number of a deal: the same workload every time.

use std::sync::Arc;

use anyhow::{Context, Result};
use pledger_domain::{facts::Channel, rules::Rules, values::Timestamp};
use pledger_ledger::{
    commands::CommandEnvelope,
    edge::{Edge, Incoming},
    slices::Position,
};

/// Partners of the program.
pub(crate) const PARTNERS: u64 = 1_000;
/// Products that they sell.
const PRODUCTS: u64 = 10;
/// Deals on an account, one after the other.
const DEALS_PER_ACCOUNT: u64 = 4;
/// Every such deal has a rival.
const RIVAL_EVERY: u64 = 10;
/// The history spans so many days up to today: 24 months.
const DAYS: i64 = 730;
/// A deal takes so many days, so that the last one is closed today.
const DEAL_DAYS: i64 = 40;
/// A rival's command stands between the second and the third of its deal.
const STEPS: [Step; 6] = [Step::Register, Step::Approve, Step::Rival, Step::Qualify, Step::Commit, Step::Close];

/// Who sends all of it.
const SENDER: &str = "anonymous";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Register,
    Approve,
    Rival,
    Qualify,
    Commit,
    Close,
}

impl Step {
    /// The command, and on which day of the deal it is given.
    const fn command(self) -> (&'static str, i64) {
        match self {
            Self::Register => ("RegisterDeal", 0),
            Self::Approve => ("ApproveDeal", 1),
            Self::Rival => ("RegisterDeal", 2),
            Self::Qualify => ("AdvanceStage", 7),
            Self::Commit => ("AdvanceStage", 21),
            Self::Close => ("CloseWon", DEAL_DAYS),
        }
    }
}

/// One command as a client would send it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) name: &'static str,
    pub(crate) payload: String,
    pub(crate) key: String,
    pub(crate) effective_at: Option<Timestamp>,
    /// Whether it must be refused.
    pub(crate) is_rival: bool,
}

impl Sent {
    /// Prepares it as the API does.
    pub(crate) fn prepare(&self, edge: &Edge, after: Vec<Position>) -> Result<CommandEnvelope> {
        let incoming = Incoming {
            key: Some(&self.key),
            effective_at: self.effective_at,
            after,
            ..Incoming::new(self.name, self.payload.as_bytes(), Arc::from(SENDER), Channel::Api)
        };
        edge.prepare(incoming).with_context(|| format!("the workload's {} was refused at the edge: {}", self.name, self.payload))
    }
}

/// The commands of one lane, without end.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    number: u64,
    lanes: u64,
    deal: u64,
    step: usize,
    today: Timestamp,
}

impl Lane {
    /// `lanes` lanes, beginning at deal `first` of each.
    pub(crate) fn all(lanes: u64, first: u64, today: Timestamp) -> Vec<Self> {
        (0..lanes).map(|number| Self { number, lanes, deal: first, step: 0, today }).collect()
    }

    fn sent(&self, step: Step) -> Sent {
        let deal = self.deal * self.lanes + self.number;
        let account = format!("company-{}-{}.example", self.number, self.deal / DEALS_PER_ACCOUNT);
        let (name, day) = step.command();
        let registered = self.today.plus_days(i64::try_from(drawn(deal, 1) % (DAYS - DEAL_DAYS) as u64).unwrap_or_default() - DAYS);
        let effective_at = registered.plus_days(day);
        let payload = match step {
            Step::Register => self.register(deal, &format!("d-{deal}"), partner(deal), &account),
            Step::Rival => self.register(deal, &format!("d-{deal}-rival"), (partner(deal) + 1) % PARTNERS, &account),
            Step::Approve => format!(r#"{{"deal_id":"d-{deal}","account":"{account}"}}"#),
            Step::Qualify => format!(r#"{{"deal_id":"d-{deal}","account":"{account}","stage":"qualified"}}"#),
            Step::Commit => format!(r#"{{"deal_id":"d-{deal}","account":"{account}","stage":"committed"}}"#),
            Step::Close => format!(
                r#"{{"deal_id":"d-{deal}","account":"{account}","amount":{{"amount":"{0}.00","currency":"USD"}},"gross_margin":{{"amount":"{1}.00","currency":"USD"}},"closed_at":"{effective_at}"}}"#,
                amount(deal),
                amount(deal) * 3 / 10,
            ),
        };
        let key = format!("{deal}-{step:?}");
        Sent { name, payload, key, effective_at: Some(effective_at), is_rival: step == Step::Rival }
    }

    fn register(&self, deal: u64, id: &str, partner: u64, account: &str) -> String {
        let product = drawn(deal, 3) % PRODUCTS;
        let expected = self.today.plus_days(60).date();
        let (amount, region) = (amount(deal), REGIONS[(drawn(deal, 5) % 3) as usize]);
        format!(
            r#"{{"deal_id":"{id}","partner_id":"partner-{partner:04}","account":{{"name":"{account} Inc.","domain":"{account}","country":"DE"}},"product":"Product {product}","amount":{{"amount":"{amount}.00","currency":"USD"}},"region":"{region}","expected_close":"{expected}"}}"#
        )
    }
}

impl Iterator for Lane {
    type Item = Sent;

    fn next(&mut self) -> Option<Sent> {
        let step = STEPS[self.step];
        let skip = step == Step::Rival && !self.deal.is_multiple_of(RIVAL_EVERY);
        let sent = self.sent(if skip { STEPS[self.step + 1] } else { step });
        self.step += 1 + usize::from(skip);
        if self.step == STEPS.len() {
            self.step = 0;
            self.deal += 1;
        }
        Some(sent)
    }
}

const REGIONS: [&str; 3] = ["EMEA", "AMER", "APAC"];

fn partner(deal: u64) -> u64 {
    drawn(deal, 2) % PARTNERS
}

/// Whole dollars.
fn amount(deal: u64) -> u64 {
    1_000 + drawn(deal, 4) % 250_000
}

/// SplitMix64 of the deal's number: looks random, is the same every time.
const fn drawn(deal: u64, what: u64) -> u64 {
    let mut z = deal.wrapping_mul(8).wrapping_add(what).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What comes before the first deal, in waves: each rests on the ones before.
pub(crate) fn program() -> Vec<Vec<Sent>> {
    let rules = serde_json::json!({"program": Rules::DEFAULT, "effective_from": "2020-01-01"}).to_string();
    let plain = |name, payload, key| Sent { name, payload, key, effective_at: None, is_rival: false };
    let each = |name, payload: &dyn Fn(u64) -> String| {
        (0..PARTNERS).map(|partner| plain(name, payload(partner), format!("{name}-{partner}"))).collect()
    };
    let named = |partner: u64| format!(r#"{{"partner_id":"partner-{partner:04}"}}"#);
    let register = |partner: u64| {
        let (role, region) = (["reseller", "msp", "si"][(partner % 3) as usize], REGIONS[(partner % 3) as usize]);
        format!(r#"{{"partner_id":"partner-{partner:04}","name":"Partner {partner}","roles":["{role}"],"region":"{region}"}}"#)
    };
    vec![
        vec![plain("PublishRules", rules, "rules".to_owned())],
        each("RegisterPartner", &register),
        each("SignAgreement", &named),
        each("ActivatePartner", &named),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deal_is_five_commands_and_every_tenth_has_a_rival() {
        let lane = &Lane::all(3, 0, Timestamp::from_micros(0))[2];
        let names: Vec<_> = lane.clone().take(11).map(|sent| (sent.name, sent.is_rival)).collect();
        let plain =
            [("RegisterDeal", false), ("ApproveDeal", false), ("AdvanceStage", false), ("AdvanceStage", false), ("CloseWon", false)];
        let mut expected = plain.to_vec();
        expected.insert(2, ("RegisterDeal", true));
        expected.extend(plain);
        assert_eq!(names, expected);
        assert_eq!(lane.clone().take(51 * 4).filter(|sent| sent.is_rival).count(), 4);
    }
}
