//! What a partner's tier figures are the sums of, and the thresholds beside them.

use std::collections::BTreeMap;

use compact_str::CompactString;
use pledger_domain::{
    account::{AccountEvent, RevenueKind},
    partner::tier::{Distance, distance},
    rules::TierRule,
    values::{Currency, DAY_US, Money, TierName, Timestamp},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
    slices::Position,
};
use serde_json::Value;

use super::{
    Figure,
    answer::{CertificationTerm, Held, HeldThreshold, HeldTier, LogoTerm, RevenueTerm},
};
use crate::{
    deals::{Deal, DealKey, DealStatus},
    figures::{amount, amount_needed, money},
    query::{FieldSpec, Rows},
    symbol::Symbol,
    tiers::{Against, counted_certifications},
};

/// The figures that tiers are held against.
const FIGURES: [&str; 3] = ["revenue", "active_certifications", "net_new_logos"];

/// What rows keep only the sums of, as decisions brought it.
#[derive(Default)]
pub(super) struct Noted {
    /// Which decision won a deal, the last time.
    wins: BTreeMap<(Symbol, CompactString), Position>,
    /// Every record of revenue.
    revenue: Vec<Recorded>,
}

/// A record of revenue, refunds with their sign.
#[derive(Clone)]
struct Recorded {
    partner: Symbol,
    minor: i128,
    currency: Currency,
    at: Timestamp,
    position: Position,
    stream: String,
    deal: Option<String>,
    revenue_id: Option<String>,
}

impl Noted {
    pub(super) fn take(&mut self, outline: &Outline<'_>, position: Position) {
        let Outcome::Accepted(Events::Account(events)) = &outline.outcome else { return };
        for event in events.iter() {
            if let AccountEvent::DealWon { deal_id, .. } = event {
                self.wins.insert((Symbol::of(outline.stream.key()), deal_id.as_str().into()), position);
            }
            if let AccountEvent::RevenueRecorded { revenue_id, partner_id: Some(partner), amount, deal_id, kind, recognized_at, .. } = event
            {
                let sign = match kind {
                    RevenueKind::New | RevenueKind::Renewal | RevenueKind::Expansion => 1,
                    RevenueKind::Refund => -1,
                };
                self.revenue.push(Recorded {
                    partner: Symbol::of(partner.as_str()),
                    minor: sign * i128::from(amount.minor()),
                    currency: amount.currency(),
                    at: *recognized_at,
                    position,
                    stream: outline.stream.to_string(),
                    deal: deal_id.as_ref().map(|deal| deal.as_str().to_owned()),
                    revenue_id: Some(revenue_id.as_str().to_owned()),
                });
            }
        }
    }
}

/// A partner held against the tiers, with the operands of its figures' formulas.
pub(super) struct HeldWith {
    pub(super) held: Held,
    pub(super) operands: Vec<(&'static str, Value)>,
}

/// The partner of the figures that are told, held against the tiers. Without anything noted, what rows know of revenue and wins is told.
pub(super) fn held(figure: &Figure, fields: &[FieldSpec], rows: &Rows<'_>, noted: Option<&Noted>) -> Option<HeldWith> {
    let is_told = |figure: &str| fields.iter().any(|field| field.name == figure);
    if figure.view.name != "tiers" || !FIGURES.into_iter().any(is_told) {
        return None;
    }
    let against = Against::read(rows, figure.query.at, figure.query.key.as_deref()?)?;
    let counted = Counted::of(noted, rows, &against);
    let currency = against.rules.rules.reporting_currency;
    debug_assert_eq!(counted.total(currency), i128::from(against.inputs.revenue.minor()), "what counts adds up to the figure");
    let mut operands = counted.operands(currency);
    operands.extend(next(&against));
    let Counted { wins, recorded, net_new_logos, certifications } = counted;
    let mut revenue: Vec<_> = wins.into_iter().chain(recorded).map(|(_, _, term)| term).collect();
    revenue.sort_by_key(|term| (term.at, term.position));
    let window = against.window();
    let day = |day: &i64| Timestamp::from_micros(0).plus_days(*day).date();
    let held = Held {
        at: against.at,
        rules: against.rules.version,
        window_from: day(window.start()),
        window_to: day(window.end()),
        window_days: against.rules.rules.tier_policy.window_days,
        tiers: against.rules.rules.tiers.iter().map(|rule| tier(rule, &against, fields)).collect(),
        revenue: if is_told("revenue") { revenue } else { Vec::new() },
        net_new_logos: if is_told("net_new_logos") { net_new_logos } else { Vec::new() },
        certifications: if is_told("active_certifications") { certifications } else { Vec::new() },
    };
    Some(HeldWith { held, operands })
}

/// What counts.
struct Counted {
    /// Won deals without recorded revenue, with their amounts.
    wins: Vec<(i128, Currency, RevenueTerm)>,
    recorded: Vec<(i128, Currency, RevenueTerm)>,
    net_new_logos: Vec<LogoTerm>,
    certifications: Vec<CertificationTerm>,
}

impl Counted {
    fn of(noted: Option<&Noted>, rows: &Rows<'_>, against: &Against) -> Self {
        let counts = |partner: Symbol, at: Timestamp| partner == against.partner && against.window().contains(&i64::from(at.day()));
        let deals = rows.shards().flat_map(|shard| shard.deals.deals.iter());
        let won = deals.filter(|(_, deal, _)| deal.status == DealStatus::Won).filter_map(|(key, deal, stand)| {
            let at = deal.closed_at.filter(|at| counts(deal.partner, *at))?;
            let by = noted.and_then(|noted| noted.wins.get(&(key.account, key.deal.clone()))).copied();
            Some((key, deal, at, by.unwrap_or(stand.position)))
        });
        let mut won: Vec<(&DealKey, &Deal, Timestamp, Position)> = won.collect();
        won.sort_by_key(|(_, _, at, position)| (*at, *position));
        let stream = |key: &DealKey| account_stream(key.account);
        let wins = won.iter().filter(|(_, deal, ..)| deal.revenues == 0).map(|(key, deal, at, position)| {
            let minor = i128::from(deal.amount);
            let (deal_id, amount) = (Some(key.deal.to_string()), money(minor, deal.currency));
            let term = RevenueTerm { position: *position, stream: stream(key), deal: deal_id, revenue_id: None, at: *at, amount };
            (minor, deal.currency, term)
        });
        let logos = won.iter().filter(|(_, deal, ..)| deal.net_new_logo);
        let logo = |(key, _, at, position): &(&DealKey, &Deal, Timestamp, Position)| LogoTerm {
            position: *position,
            stream: stream(key),
            deal: key.deal.to_string(),
            at: *at,
        };
        let mut recorded = match noted {
            Some(noted) => noted.revenue.iter().filter(|one| counts(one.partner, one.at)).cloned().collect(),
            None => recorded(rows, counts),
        };
        recorded.sort_by_key(|one| (one.at, one.position));
        let recorded = recorded.into_iter().map(|one| {
            let Recorded { minor, currency, at, position, stream, deal, revenue_id, partner: _ } = one;
            (minor, currency, RevenueTerm { position, stream, deal, revenue_id, at, amount: money(minor, currency) })
        });
        let (wins, recorded, net_new_logos) = (wins.collect(), recorded.collect(), logos.map(logo).collect());
        Self { wins, recorded, net_new_logos, certifications: certifications(rows, against) }
    }

    fn total(&self, currency: Currency) -> i128 {
        let counts = self.wins.iter().chain(&self.recorded).filter(|(_, of, _)| *of == currency);
        counts.map(|(minor, ..)| minor).sum()
    }

    /// What the formulas of the figures name, as it is computed by hand.
    fn operands(&self, currency: Currency) -> Vec<(&'static str, Value)> {
        let listed = |names: Vec<String>| Value::String(format!("[{}]", names.join(", ")));
        let account = |logo: &LogoTerm| logo.stream.trim_start_matches("account/").to_owned();
        let held = |one: &CertificationTerm| format!("{} {}", one.person_id, one.certification);
        vec![
            ("won_amounts", sum(&self.wins, currency).into()),
            ("recorded_revenue", sum(&self.recorded, currency).into()),
            ("logo_accounts", listed(self.net_new_logos.iter().map(account).collect())),
            ("certifications_in_force", listed(self.certifications.iter().map(held).collect())),
        ]
    }
}

fn account_stream(account: Symbol) -> String {
    format!("account/{}", account.name())
}

/// Recorded revenue that counts, day by day, as rows know it.
fn recorded(rows: &Rows<'_>, counts: impl Fn(Symbol, Timestamp) -> bool) -> Vec<Recorded> {
    let days = rows.shards().flat_map(|shard| shard.revenue.recorded.iter());
    let days = days.map(|(key, row, stand)| (key, row, stand, Timestamp::from_micros(i64::from(key.day) * DAY_US)));
    let counting = days.filter(|(key, _, _, at)| counts(key.partner, *at));
    let recorded = counting.map(|(key, row, stand, at)| Recorded {
        partner: key.partner,
        minor: row.revenue.into(),
        currency: key.currency,
        at,
        position: stand.position,
        stream: account_stream(key.account),
        deal: None,
        revenue_id: None,
    });
    recorded.collect()
}

fn certifications(rows: &Rows<'_>, against: &Against) -> Vec<CertificationTerm> {
    let counted = counted_certifications(rows.shards().flat_map(|shard| shard.partners.certifications.iter()), against.at);
    let mut terms: Vec<_> = counted
        .filter(|(key, ..)| key.partner == against.partner)
        .map(|(key, held, stand)| CertificationTerm {
            position: stand.position,
            person_id: key.person.to_string(),
            certification: key.certification.name(),
            level: held.level.name(),
            since: held.since,
            expires_at: held.expires_at,
        })
        .collect();
    terms.sort_by(|a, b| (a.expires_at, &a.person_id, a.certification).cmp(&(b.expires_at, &b.person_id, b.certification)));
    terms
}

/// The terms in a currency, added up as they are written.
fn sum(terms: &[(i128, Currency, RevenueTerm)], currency: Currency) -> String {
    let mut text = String::new();
    for (minor, ..) in terms.iter().filter(|(_, of, _)| *of == currency) {
        let sign = match (text.is_empty(), *minor < 0) {
            (true, false) => "",
            (true, true) => "-",
            (false, false) => " + ",
            (false, true) => " - ",
        };
        text.push_str(sign);
        text.push_str(&amount(minor.abs(), currency));
    }
    if text.is_empty() { "0".to_owned() } else { text }
}

/// The thresholds of the tier that follows.
fn next(against: &Against) -> Vec<(&'static str, Value)> {
    let rules = &against.rules.rules;
    let next = rules.tiers.iter().find(|rule| against.next.as_ref() == Some(&rule.name));
    let of = |pick: fn(&TierRule, Currency) -> Value| next.map_or(Value::Null, |rule| pick(rule, rules.reporting_currency));
    vec![
        ("next_revenue", of(|rule, currency| amount_needed(rule.revenue, currency))),
        ("next_certifications", of(|rule, _| rule.certifications.into())),
        ("next_net_new_logos", of(|rule, _| rule.net_new_logos.into())),
    ]
}

fn tier(rule: &TierRule, against: &Against, fields: &[FieldSpec]) -> HeldTier {
    let (inputs, currency) = (&against.inputs, against.rules.rules.reporting_currency);
    let Distance { revenue, certifications, net_new_logos } = distance(rule, inputs, currency);
    let threshold = |field, value, needed, missing, is_reached| HeldThreshold { field, value, needed, missing, is_reached };
    let of_money = |sum: Money| money(sum.minor().into(), sum.currency());
    let thresholds = [
        threshold(FIGURES[0], of_money(inputs.revenue), amount_needed(rule.revenue, currency), of_money(revenue), revenue.minor() == 0),
        threshold(FIGURES[1], inputs.active_certifications.into(), rule.certifications.into(), certifications.into(), certifications == 0),
        threshold(FIGURES[2], inputs.net_new_logos.into(), rule.net_new_logos.into(), net_new_logos.into(), net_new_logos == 0),
    ];
    let is_told = |threshold: &HeldThreshold| fields.iter().any(|field| field.name == threshold.field);
    let stands = [
        ("awarded", against.awarded),
        ("earned", against.earned.as_ref().map(TierName::as_str)),
        ("next", against.next.as_ref().map(TierName::as_str)),
    ];
    HeldTier {
        tier: rule.name.to_string(),
        is_reached: thresholds.iter().all(|threshold| threshold.is_reached),
        stands: stands.into_iter().filter_map(|(stands, tier)| (tier == Some(rule.name.as_str())).then_some(stands)).collect(),
        thresholds: thresholds.into_iter().filter(is_told).collect(),
    }
}
