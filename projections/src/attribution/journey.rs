//! What happened on an account, and which part of it led to a won deal (F70, F71).

use compact_str::CompactString;
use pledger_domain::{rules::AttributionRules, values::Timestamp};

use super::{
    models::{Party, Touch},
    row::{Touchpoint, TouchpointKey},
};
use crate::symbol::Symbol;

/// The kind of touchpoint that makes a deal sourced where it comes first (F70).
const REFERRAL: &str = "referral";

/// How partners had part in a won deal (F70). Disjoint: a deal has one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// Its first qualifying act is a partner's registration or referral.
    Sourced,
    /// It has at least one partner touch, and is not sourced.
    Influenced,
    /// Its touches are all of the vendor's own channels, and one of them came before the registration.
    Neither,
}

impl Standing {
    /// What it is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sourced => "sourced",
            Self::Influenced => "influenced",
            Self::Neither => "neither",
        }
    }
}

/// A touchpoint as its account's history keeps it.
#[derive(Clone, Debug)]
pub(super) struct Act {
    at: Timestamp,
    /// Orders acts of one time.
    pub(super) id: CompactString,
    party: Party,
    kind: Symbol,
    deal: Option<CompactString>,
}

impl Act {
    pub(super) fn of(key: &TouchpointKey, row: &Touchpoint) -> Self {
        // A touchpoint that names neither partner nor channel is credited by what it was.
        let party = row.partner.map_or_else(|| Party::Channel(row.channel.unwrap_or(row.kind)), Party::Partner);
        Self { at: row.occurred_at, id: key.touchpoint.clone(), party, kind: row.kind, deal: row.deal.clone() }
    }

    /// Whether it counts for the deal closed at `closed_at`: up to the close, in the rules' window before it. A close that was
    /// given as a bare date is the whole day.
    pub(super) fn counts_for(&self, deal: &str, closed_at: Timestamp, rules: &AttributionRules) -> bool {
        self.at <= closed_at.last_instant() && self.at >= window_start(closed_at, rules) && self.is_about(deal) && self.is_counted(rules)
    }

    fn is_about(&self, deal: &str) -> bool {
        self.deal.as_ref().is_none_or(|named| named == deal)
    }

    fn is_counted(&self, rules: &AttributionRules) -> bool {
        rules.kinds.is_empty() || rules.kinds.iter().any(|kind| kind.as_str() == self.kind.name())
    }

    fn touch(&self) -> Touch {
        Touch { party: self.party, at: self.at }
    }
}

fn window_start(closed_at: Timestamp, rules: &AttributionRules) -> Timestamp {
    closed_at.plus_days(-i64::from(rules.window_days))
}

/// The touchpoints and the won deals of an account, in the order of their times.
#[derive(Debug, Default)]
pub(super) struct History {
    acts: Vec<Act>,
    wins: Vec<(Timestamp, CompactString)>,
}

impl History {
    /// Takes in a touchpoint; where it stands is found from the end, since most come in order.
    pub(super) fn touched(&mut self, act: Act) {
        let place = self.acts.partition_point(|known| (known.at, &known.id) <= (act.at, &act.id));
        self.acts.insert(place, act);
    }

    /// Takes in a win.
    pub(super) fn won(&mut self, closed_at: Timestamp, deal: CompactString) {
        let win = (closed_at, deal);
        let place = self.wins.partition_point(|known| *known <= win);
        if self.wins.is_empty() {
            // Most accounts have one won deal.
            self.wins.reserve_exact(1);
        }
        self.wins.insert(place, win);
    }

    /// Takes in rows in any order; `sort` has to follow.
    pub(super) fn load_act(&mut self, act: Act) {
        self.acts.push(act);
    }

    /// Takes in rows in any order; `sort` has to follow.
    pub(super) fn load_win(&mut self, closed_at: Timestamp, deal: CompactString) {
        self.wins.push((closed_at, deal));
    }

    pub(super) fn sort(&mut self) {
        self.acts.sort_unstable_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        self.wins.sort_unstable();
    }

    /// The wins that an act may have come too late for: closed no earlier than on the day that it took place, and no later
    /// than `days` after.
    pub(super) fn won_within(&self, act: &Act, days: u32) -> impl Iterator<Item = &(Timestamp, CompactString)> {
        let first = self.wins.partition_point(|(closed_at, _)| closed_at.day() < act.at.day());
        let end = act.at.plus_days(days.into());
        self.wins[first..].iter().take_while(move |(closed_at, _)| *closed_at <= end)
    }

    /// Whether any touchpoint is of this party.
    pub(super) fn has_party(&self, party: impl Fn(Party) -> bool) -> bool {
        self.acts.iter().any(|act| party(act.party))
    }

    /// The touchpoints that led to a won deal, in order.
    pub(super) fn led_to(&self, deal: &str, closed_at: Timestamp, rules: &AttributionRules) -> impl Iterator<Item = &Act> {
        let from = self.acts.partition_point(|act| act.at < window_start(closed_at, rules));
        let window = self.acts[from..].iter().take_while(move |act| act.at <= closed_at.last_instant());
        window.filter(move |act| act.counts_for(deal, closed_at, rules))
    }

    /// The touches that led to a won deal, in order, and how partners had part in it. None where there are none.
    pub(super) fn journey(
        &self,
        deal: &str,
        registered_at: Timestamp,
        closed_at: Timestamp,
        rules: &AttributionRules,
    ) -> Option<(Vec<Touch>, Standing)> {
        let mut acts = self.led_to(deal, closed_at, rules).peekable();
        let first = *acts.peek()?;
        let touches: Vec<_> = acts.map(Act::touch).collect();
        let standing = standing(first, &touches, registered_at);
        Some((touches, standing))
    }
}

/// F70: the first qualifying act is the earlier of the registration (which wins a tie) and the first touch that counts.
fn standing(first: &Act, touches: &[Touch], registered_at: Timestamp) -> Standing {
    let referred = matches!(first.party, Party::Partner(_)) && first.kind.name() == REFERRAL;
    if registered_at <= first.at || referred {
        Standing::Sourced
    } else if touches.iter().any(|touch| matches!(touch.party, Party::Partner(_))) {
        Standing::Influenced
    } else {
        Standing::Neither
    }
}
