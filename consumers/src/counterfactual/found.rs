//! What a draft decides otherwise: counted and summed whole, told one by one as far as somebody wants to know.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use hashbrown::{HashMap, HashSet};
use pledger_domain::{
    stream::StreamName,
    values::{Currency, Month, Timestamp},
};
use pledger_ledger::slices::Position;

use super::{
    funds::FundsFigure,
    otherwise::{Change, Otherwise},
};

/// What one draft decides otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Kind by kind, in the order in which the first of each was recorded.
    pub kinds: Vec<OfKind>,
    /// The first of each kind, as many as are to be told, in the order in which they were recorded.
    pub decisions: Vec<Otherwise>,
    /// The money of funds that all of them move.
    pub funds: Vec<FundsSum>,
}

/// What decisions have in common that differ alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    command: &'static str,
    change: Change,
    /// Of `OtherConsequences`: the fields that differ.
    fields: BTreeSet<String>,
}

/// All decisions of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct OfKind {
    /// The kind.
    pub kind: Kind,
    /// How many.
    pub count: u64,
    /// What they are about, each once for its stream, is worth this together, in minor units.
    pub money: BTreeMap<Currency, i128>,
}

/// What decisions move of a partner's funds, in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundsSum {
    /// What becomes of the money.
    pub figure: FundsFigure,
    /// The partner; none where no decision names it.
    pub partner: Option<String>,
    /// The currency of the fund.
    pub currency: Currency,
    /// The month in which it is paid, of payments.
    pub paid_in: Option<Month>,
    /// How many decisions move it.
    pub decisions: u64,
    /// How much they move as recorded, in minor units.
    pub before: i128,
    /// How much they would, in minor units.
    pub after: i128,
}

impl Found {
    /// How many decisions there are, told or not.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.kinds.iter().map(|of_kind| of_kind.count).sum()
    }
}

impl Kind {
    /// What a decision counts under.
    #[must_use]
    pub fn of(decision: &Otherwise) -> Self {
        let Otherwise { command, change, .. } = decision;
        Self { command, change: *change, fields: Self::fields(decision).map(str::to_owned).collect() }
    }

    fn fields(decision: &Otherwise) -> impl Iterator<Item = &str> {
        let tells = decision.change == Change::OtherConsequences;
        decision.fields.iter().filter(move |_| tells).map(|field| field.field.as_str())
    }

    fn is_of(&self, decision: &Otherwise) -> bool {
        self.command == decision.command
            && self.change == decision.change
            && Self::fields(decision).all(|field| self.fields.contains(field))
            && self.fields.iter().all(|field| Self::fields(decision).any(|known| known == field))
    }
}

/// The command, and how it would differ.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, change, fields } = self;
        match change {
            Change::Refused => write!(f, "{command} refused"),
            Change::Accepted => write!(f, "{command} accepted"),
            Change::OtherReason => write!(f, "{command} refused otherwise"),
            Change::OtherDates => write!(f, "{command} refused with other dates"),
            Change::OtherTime => write!(f, "{command} at another time"),
            Change::FallsDue => write!(f, "{command} due"),
            Change::OtherConsequences => {
                let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                write!(f, "{command}: other {}", fields.join(", "))
            }
        }
    }
}

/// Where a decision stands among all: when it was recorded, or would have been, and where.
type Place = (Timestamp, Option<Position>);

/// Takes in what is decided otherwise, in whatever order it is come upon.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// The most decisions of each kind that are told.
    keeps: usize,
    kinds: Vec<Finding>,
    funds: BTreeMap<(FundsFigure, Option<String>, Currency, Option<Month>), Moved>,
    /// What was summed of the streams at hand, by the places of kinds.
    summed: HashMap<StreamName, HashSet<(usize, Option<String>)>>,
}

#[derive(Debug)]
struct Finding {
    of_kind: OfKind,
    first: Place,
    kept: Vec<(Timestamp, Otherwise)>,
    /// The last that is kept, where more were come upon: nothing after it is told.
    until: Option<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    decisions: u64,
    before: i128,
    after: i128,
}

impl Finder {
    /// One that keeps so many decisions of each kind to be told.
    pub(super) fn keeping(keeps: usize) -> Self {
        Self { keeps, ..Self::default() }
    }

    /// The same for other streams.
    pub(super) fn beside(&self) -> Self {
        Self::keeping(self.keeps)
    }

    /// Takes a decision in that was recorded at `at`, or would have been.
    pub(super) fn take(&mut self, at: Timestamp, decision: Otherwise) {
        let place = self.place_of(&decision, (at, decision.position));
        if let Some(money) = decision.amount
            && self.is_first_of(place, &decision)
        {
            *self.kinds[place].of_kind.money.entry(money.currency()).or_default() += i128::from(money.minor());
        }
        if let Some((currency, funds)) = decision.funds.as_ref().and_then(|funds| Some((funds.currency()?, funds))) {
            let paid_in = funds.paid_at.map(Timestamp::month);
            let moved = self.funds.entry((funds.figure, decision.partner.clone(), currency, paid_in)).or_default();
            let [before, after] = [funds.before, funds.after].map(|money| money.map_or(0, |money| i128::from(money.minor())));
            moved.add(Moved { decisions: 1, before, after });
        }
        let finding = &mut self.kinds[place];
        finding.of_kind.count += 1;
        finding.first = finding.first.min((at, decision.position));
        finding.keep(at, decision, self.keeps);
    }

    /// Where its kind is listed.
    fn place_of(&mut self, decision: &Otherwise, first: Place) -> usize {
        self.kinds.iter().position(|finding| finding.of_kind.kind.is_of(decision)).unwrap_or_else(|| {
            let of_kind = OfKind { kind: Kind::of(decision), count: 0, money: BTreeMap::new() };
            self.kinds.push(Finding { of_kind, first, kept: Vec::new(), until: None });
            self.kinds.len() - 1
        })
    }

    /// Whether nothing about the same was summed among its kind.
    fn is_first_of(&mut self, place: usize, decision: &Otherwise) -> bool {
        self.summed.entry_ref(&decision.stream).or_default().insert((place, decision.subject.clone()))
    }

    /// The streams at hand come to their ends.
    pub(super) fn end(&mut self) {
        self.summed.clear();
    }

    /// Takes over what another found in other streams.
    pub(super) fn absorb(&mut self, other: Self) {
        for (key, moved) in other.funds {
            self.funds.entry(key).or_default().add(moved);
        }
        for finding in other.kinds {
            let Finding { of_kind, first, kept, until: _ } = finding;
            match self.kinds.iter_mut().find(|known| known.of_kind.kind == of_kind.kind) {
                Some(known) => {
                    known.of_kind.count += of_kind.count;
                    for (currency, sum) in of_kind.money {
                        *known.of_kind.money.entry(currency).or_default() += sum;
                    }
                    known.first = known.first.min(first);
                    kept.into_iter().for_each(|(at, decision)| known.keep(at, decision, self.keeps));
                }
                None => self.kinds.push(Finding { of_kind, first, kept, until: None }),
            }
        }
    }

    /// All that was found, in order.
    pub(super) fn finish(mut self) -> Found {
        self.kinds.sort_by(|a, b| (a.first, &a.of_kind.kind).cmp(&(b.first, &b.of_kind.kind)));
        let (mut kinds, mut kept) = (Vec::new(), Vec::new());
        for mut finding in self.kinds {
            finding.cut(self.keeps);
            kept.append(&mut finding.kept);
            kinds.push(finding.of_kind);
        }
        sort(&mut kept);
        let decisions = kept.into_iter().map(|(_, decision)| decision).collect();
        let sum = |((figure, partner, currency, paid_in), Moved { decisions, before, after })| FundsSum {
            figure,
            partner,
            currency,
            paid_in,
            decisions,
            before,
            after,
        };
        Found { kinds, decisions, funds: self.funds.into_iter().map(sum).collect() }
    }
}

impl Finding {
    /// Keeps a decision to be told, unless enough come before it.
    fn keep(&mut self, at: Timestamp, decision: Otherwise, most: usize) {
        if most == 0 || self.until.is_some_and(|until| until < (at, decision.position)) {
            return;
        }
        self.kept.push((at, decision));
        if self.kept.len() >= most.saturating_mul(2).max(64) {
            self.cut(most);
        }
    }

    fn cut(&mut self, most: usize) {
        sort(&mut self.kept);
        if self.kept.len() > most {
            self.kept.truncate(most);
            self.until = self.kept.last().map(|(at, decision)| (*at, decision.position));
        }
    }
}

impl Moved {
    const fn add(&mut self, more: Self) {
        self.decisions += more.decisions;
        self.before += more.before;
        self.after += more.after;
    }
}

/// In the order in which they were recorded. What a thread found is in the order of each stream; the streams of several come
/// together here.
fn sort(found: &mut [(Timestamp, Otherwise)]) {
    found.sort_by(|(a_at, a), (b_at, b)| {
        (a_at, a.position, &a.stream, &a.command, &a.subject).cmp(&(b_at, b.position, &b.stream, &b.command, &b.subject))
    });
}

#[cfg(test)]
mod tests {
    use pledger_domain::values::Money;
    use pledger_ledger::slices::SliceId;
    use proptest::prelude::*;

    use super::*;
    use crate::counterfactual::otherwise::{FieldChange, Told};

    /// What is found in one stream at one time: one of few commands about one of few deals.
    fn decision(at: i64, (slice, command, deal, differs, minor): (u8, bool, u8, Option<u8>, Option<i64>)) -> (Timestamp, Otherwise) {
        let at = Timestamp::from_micros(at);
        let change = differs.map_or(Change::Refused, |_| Change::OtherConsequences);
        let field = |name: u8| FieldChange { field: format!("f{name}"), before: 1.into(), after: 2.into() };
        let otherwise = Otherwise {
            position: Some(Position { slice: SliceId::from(slice), pseq: u64::try_from(at.micros()).expect("after 1970") }),
            stream: StreamName::parse(&format!("account/{slice}.com")).expect("a stream"),
            command: if command { "ApproveDeal" } else { "RegisterDeal" },
            change,
            subject: Some(format!("deal {deal}")),
            partner: None,
            effective_at: at,
            recorded: Told::Nothing,
            draft: Told::Nothing,
            fields: differs.map(field).into_iter().collect(),
            amount: minor.map(|minor| Money::from_minor(minor, Currency::parse("USD").expect("a currency"))),
            funds: None,
            follows: None,
            caveats: Vec::new(),
        };
        (at, otherwise)
    }

    proptest! {
        /// Whoever comes upon what, and in whatever order streams come: what is told is the beginning of each kind, and counts and
        /// sums are of all.
        #[test]
        fn what_is_told_of_a_kind_is_its_beginning_and_sums_are_of_all(
            each in prop::collection::vec((0..6_u8, any::<bool>(), 0..9_u8, prop::option::of(0..2_u8), prop::option::of(1..1_000_i64)), 0..400),
            threads in 1..4_usize,
            keeps in 0..40_usize,
        ) {
            let all: Vec<_> = each.into_iter().enumerate().map(|(at, one)| decision(at as i64, one)).collect();
            let mut whole = Finder::keeping(usize::MAX);
            let mut finders: Vec<_> = (0..threads).map(|_| Finder::keeping(keeps)).collect();
            // A stream is one thread's, and in order there.
            let mut by_stream = all.clone();
            by_stream.sort_by_key(|(_, decision)| decision.stream.clone());
            for (at, decision) in by_stream {
                let thread = usize::from(decision.position.expect("recorded").slice) % threads;
                finders[thread].take(at, decision);
            }
            all.iter().cloned().for_each(|(at, decision)| whole.take(at, decision));
            let (whole, mut told) = (whole.finish(), Finder::keeping(keeps));
            finders.into_iter().for_each(|finder| told.absorb(finder));
            let told = told.finish();
            prop_assert_eq!(&whole.kinds, &told.kinds);
            prop_assert_eq!(whole.count(), all.len() as u64);
            prop_assert_eq!(whole.decisions.len(), all.len());
            let mut left: HashMap<Kind, usize> = HashMap::new();
            let first = |decision: &&Otherwise| {
                let told = left.entry(Kind::of(decision)).or_default();
                *told += 1;
                *told <= keeps
            };
            prop_assert_eq!(whole.decisions.iter().filter(first).collect::<Vec<_>>(), told.decisions.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_decisions_of_a_kind_are_about_is_worth_its_amount_once() {
        let mut finder = Finder::default();
        for (at, deal) in [1, 2, 1, 1].into_iter().enumerate() {
            let (at, decision) = decision(at as i64, (0, true, deal, None, Some(500)));
            finder.take(at, decision);
        }
        let found = finder.finish();
        assert_eq!(
            found.kinds.iter().map(|of_kind| (of_kind.count, of_kind.kind.to_string())).collect::<Vec<_>>(),
            [(4, "ApproveDeal refused".into())]
        );
        assert_eq!(found.kinds[0].money.values().collect::<Vec<_>>(), [&1_000]);
    }
}
