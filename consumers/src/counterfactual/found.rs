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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

impl Extend<(Timestamp, Otherwise)> for Finder {
    fn extend<T: IntoIterator<Item = (Timestamp, Otherwise)>>(&mut self, found: T) {
        found.into_iter().for_each(|(at, decision)| self.take(at, decision));
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
    use proptest::prelude::*;

    use super::*;
    use crate::counterfactual::{
        funds::FundsMoved,
        otherwise::{FieldChange, Told},
    };

    /// What may be found: in a slice, at a time, of a command about a deal, the field that differs, the amount, and whether funds move.
    type Given = (u8, u8, bool, u8, Option<u8>, Option<i64>, bool);

    fn decision(pseq: usize, (slice, at, command, deal, differs, minor, moves): Given) -> (Timestamp, Otherwise) {
        // What falls due under a draft alone may follow from no decision; nothing else falls due at that instant here.
        let has_position = !pseq.is_multiple_of(5);
        let at = Timestamp::from_micros(if has_position { i64::from(at) } else { 100 + pseq as i64 });
        let change = differs.map_or(Change::Refused, |_| Change::OtherConsequences);
        let field = |name: u8| FieldChange { field: format!("f{name}"), before: 1.into(), after: 2.into() };
        let usd = |minor| Money::from_minor(minor, Currency::USD);
        let funds = FundsMoved { figure: FundsFigure::Paid, before: minor.map(usd), after: None, paid_at: Some(at) };
        let otherwise = Otherwise {
            position: has_position.then(|| Position { slice: slice.into(), pseq: pseq as u64 }),
            stream: StreamName::parse(&format!("account/{slice}.com")).expect("a stream"),
            command: if command { "ApproveDeal" } else { "RegisterDeal" },
            change,
            subject: Some(format!("deal {deal}")),
            partner: Some(format!("p-{}", deal % 3)),
            effective_at: at,
            recorded: Told::Nothing,
            draft: Told::Nothing,
            fields: differs.map(field).into_iter().collect(),
            amount: minor.map(usd),
            funds: moves.then_some(funds),
            follows: None,
            caveats: vec![],
        };
        (at, otherwise)
    }

    /// Everything in order, without a limit, counted and summed anew.
    fn by_hand(all: &[(Timestamp, Otherwise)], keeps: usize) -> Found {
        let mut sorted = all.to_vec();
        sort(&mut sorted);
        let mut found = Found::default();
        let mut summed = HashSet::new();
        let mut funds: BTreeMap<_, (u64, i128)> = BTreeMap::new();
        for (_, decision) in &sorted {
            let kind = Kind::of(decision);
            if !found.kinds.iter().any(|known| known.kind == kind) {
                found.kinds.push(OfKind { kind: kind.clone(), count: 0, money: BTreeMap::new() });
            }
            let of_kind = found.kinds.iter_mut().find(|known| known.kind == kind).expect("it is there");
            of_kind.count += 1;
            if of_kind.count <= keeps as u64 {
                found.decisions.push(decision.clone());
            }
            let minor = decision.amount.map(|amount| i128::from(amount.minor()));
            if let Some(minor) = minor.filter(|_| summed.insert((kind.to_string(), decision.stream.clone(), decision.subject.clone()))) {
                *of_kind.money.entry(Currency::USD).or_default() += minor;
            }
            if let Some((before, _)) = minor.zip(decision.funds.as_ref()) {
                let sum = funds.entry(decision.partner.clone()).or_default();
                *sum = (sum.0 + 1, sum.1 + before);
            }
        }
        let (figure, currency, paid_in) = (FundsFigure::Paid, Currency::USD, Some(Timestamp::from_micros(0).month()));
        let sum = |(partner, (decisions, before))| FundsSum { figure, partner, currency, paid_in, decisions, before, after: 0 };
        found.funds = funds.into_iter().map(sum).collect();
        found
    }

    proptest! {
        /// Whoever comes upon what, and in whatever order streams come: what is told is the beginning of each kind, and counts and
        /// sums are of all. What is about the same has the same amount here.
        #[test]
        fn what_is_told_of_a_kind_is_its_beginning_and_sums_are_of_all(
            each in prop::collection::vec(
                (0..6_u8, 0..99_u8, any::<bool>(), 0..9_u8, prop::option::of(0..2_u8), Just(None), any::<bool>()),
                0..400,
            ),
            threads in 1..4_usize,
            keeps in 0..40_usize,
        ) {
            let worth = |given: Given| (given.0, given.1, given.2, given.3, given.4, (given.3 > 2).then(|| 100 + i64::from(given.3)), given.6);
            let all: Vec<_> = each.into_iter().enumerate().map(|(pseq, given)| decision(pseq, worth(given))).collect();
            let mut told = Finder::keeping(keeps);
            for thread in 0..threads {
                let mut finder = told.beside();
                // A stream is one thread's, and the slices at hand come to their ends one after the other.
                for slice in (0..6).filter(|slice| slice % threads == thread) {
                    let stream = format!("account/{slice}.com");
                    let of_stream = all.iter().filter(|(_, decision)| decision.stream.as_str() == stream);
                    of_stream.cloned().for_each(|(at, decision)| finder.take(at, decision));
                    finder.end();
                }
                told.absorb(finder);
            }
            prop_assert_eq!(told.finish(), by_hand(&all, keeps));
        }
    }

    #[test]
    fn what_decisions_of_a_kind_are_about_is_worth_its_amount_once() {
        let mut finder = Finder::default();
        for (pseq, deal) in [1, 2, 1, 1].into_iter().enumerate() {
            let (at, decision) = decision(pseq, (0, 0, true, deal, None, Some(500), false));
            finder.take(at, decision);
        }
        let found = finder.finish();
        assert_eq!((found.kinds[0].count, found.kinds[0].kind.to_string()), (4, "ApproveDeal refused".to_owned()));
        assert_eq!(found.kinds[0].money.values().collect::<Vec<_>>(), [&1_000]);
    }
}
