//! The view `partners`.

use hashbrown::HashMap;
use pledger_domain::{partner::PartnerPhase, values::Timestamp};
use serde_json::{Value, json};

use super::row::{Partner, PartnerKey};
use crate::{
    cube::{Dim, DimValue, Plan, Values},
    deals::{DealStatus, facts},
    figures::{text, time, word},
    lacking::{Lacking, since},
    page::{Selection, cursor, read_cursor},
    query::{Answer, FieldKind::*, FieldSpec, Item, Query, QueryError, Rows, ViewSpec},
    symbol::Symbol,
    table::Stand,
};

const NAME: &str = "partners";
/// Where partners stand, in the order of `PartnerPhase`.
pub(crate) const PHASES: &[&str] = &["unknown", "prospect", "applied", "onboarding", "active", "suspended", "retired"];
const ROLE: FieldSpec = FieldSpec::new("role", Text, "A role that the partner holds, among others.");

/// One item a partner.
pub const VIEW: ViewSpec = ViewSpec {
    name: NAME,
    summary: "One item a partner: who it is, where it stands in the program, and what its deals say.",
    key: Some("partner_id"),
    by: &[],
    filters: FILTERS,
    fields: FIELDS,
    headline: &["partner_id", "name", "tier", "phase", "region", "deals", "won_deals", "certifications_held"],
    tables: &["partners", "certifications", "deals"],
    answer,
};

const PHASE: FieldSpec = FieldSpec::new("phase", Text, "prospect, applied, onboarding, active, suspended or retired.");
const REGION: FieldSpec = FieldSpec::new("region", Text, "The region that its registrations default to; null where there is none.");
const COUNTRY: FieldSpec = FieldSpec::new("country", Text, "Where it is registered; null where it did not say.");
const MANAGER: FieldSpec = FieldSpec::new("manager", Text, "Its partner manager's id; null where it has none.");
const TIER: FieldSpec = FieldSpec::new("tier", Text, "The awarded tier; null where none was awarded.");
const FILTERS: &[FieldSpec] = &[PHASE, REGION, COUNTRY, MANAGER, TIER, ROLE];

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("partner_id", Text, "The partner's id."),
    FieldSpec::new("name", Text, "Its legal name."),
    FieldSpec::new("roles", Texts, "What it does."),
    PHASE,
    REGION,
    COUNTRY,
    MANAGER,
    FieldSpec::new(
        "manager_name",
        Person,
        "The manager's name, sealed where one may not see it, erased once it was; null where none was given.",
    ),
    TIER,
    FieldSpec::new("grace_until", Time, "Until when the tier is kept although it is no longer earned; null where that is not so.")
        .under(&["tier_policy.grace_days"]),
    FieldSpec::new("registered_at", Time, "When it was nominated or registered."),
    FieldSpec::new("agreement_at", Time, "When the agreement was signed; null before."),
    FieldSpec::new("activated_at", Time, "When it was first activated; null before."),
    FieldSpec::new("retiring_since", Time, "Since when it is retiring; null where it is not."),
    FieldSpec::new("retirement_blocked_by", Texts, "What was found open when its retirement was last to be completed; null where nothing."),
    FieldSpec::new("first_deal_at", Time, "When it registered its first deal; null before."),
    FieldSpec::new("first_win_at", Time, "When its first won deal was closed; null before."),
    FieldSpec::new("deals", Count, "How many deals are its own."),
    FieldSpec::new("open_deals", Count, "How many of them are open."),
    FieldSpec::new("won_deals", Count, "How many of them are won."),
    FieldSpec::new(
        "certifications_held",
        Count,
        "Certifications that its people held there when something last happened to the partner. Those in force on a day, each person counted for one partner, are `active_certifications` of `tiers`.",
    ),
    FieldSpec::new("last_at", Time, "When something last happened to the partner."),
    FieldSpec::new("position", Position, "The last decision on the partner."),
    FieldSpec::new("rules", Count, "The version of the rules of that decision."),
    FieldSpec::new(
        "incomplete_since",
        Position,
        "A record of the partner, or of an account that it has a deal or revenue on, that could not be read; null where all is well.",
    ),
];

/// A partner as a question sees it.
#[derive(Clone, Copy)]
struct Fact<'a> {
    key: &'a PartnerKey,
    row: &'a Partner,
    stand: Stand,
}

/// What other rows say of a partner.
#[derive(Default)]
struct PartnerFigures {
    deals: u64,
    open: u64,
    won: u64,
    first_deal: Option<Timestamp>,
    first_win: Option<Timestamp>,
    certifications: u64,
}

/// Where a partner stands.
pub(crate) fn phase(phase: PartnerPhase) -> DimValue {
    DimValue::Word(phase as u8, PHASES[phase as usize])
}

const fn dims<'a>() -> [Dim<Fact<'a>>; 5] {
    [
        Dim { spec: PHASE, value: |fact| phase(fact.row.phase), values: Values::Words(PHASES) },
        Dim { spec: REGION, value: |fact| DimValue::name(fact.row.region), values: Values::Names },
        Dim { spec: COUNTRY, value: |fact| DimValue::name(fact.row.country), values: Values::Names },
        Dim { spec: MANAGER, value: |fact| DimValue::name(fact.row.manager), values: Values::Names },
        Dim { spec: TIER, value: |fact| DimValue::name(fact.row.tier), values: Values::Names },
    ]
}

fn answer(rows: &Rows<'_>, query: &Query) -> Result<Answer, QueryError> {
    if let Some(dimension) = query.by.first() {
        return Err(QueryError::UnknownDimension { view: NAME, dimension: dimension.clone(), accepted: Vec::new() });
    }
    // A partner holds several roles, so that they are no dimension with one value.
    let (roles, filters): (Vec<_>, Vec<_>) = query.filters.iter().cloned().partition(|(name, _)| name == ROLE.name);
    let dims = dims();
    let plan = Plan::read(NAME, &dims, &Query { filters, ..query.clone() })?;
    let after = read_cursor(NAME, query, 1)?;
    let mut selection = Selection::new(after.as_ref().map(|parts| parts[0].as_str()), query.limit);
    for shard in rows.shards() {
        for (key, row, stand) in shard.partners.partners.iter() {
            let fact = Fact { key, row, stand };
            let asked = query.key.as_ref().is_none_or(|id| id == key.partner.name());
            let is_held = |role: &str| match role {
                "" => row.roles.0.is_empty(),
                role => row.roles.0.iter().any(|held| json!(held) == json!(role)),
            };
            let has_role = roles.is_empty() || roles.iter().any(|(_, role)| is_held(role));
            if asked && has_role && plan.admits(&fact) {
                selection.push(key.partner.name(), fact);
            }
        }
    }
    let (partners, more) = selection.finish();
    let mut figures = deal_figures(rows, partners.iter().map(|(_, fact)| fact.key.partner));
    count_certifications(rows, &mut figures, &partners);
    let lacking = Lacking::of(rows);
    let items: Vec<_> = partners.iter().map(|(_, fact)| item(&lacking, fact, &figures)).collect();
    match &query.key {
        Some(key) if items.is_empty() => Err(QueryError::NotFound { view: NAME, key: key.clone() }),
        _ => Ok(Answer { next: partners.last().filter(|_| more).map(|(id, _)| cursor(&[id])), items }),
    }
}

fn deal_figures(rows: &Rows<'_>, partners: impl Iterator<Item = Symbol>) -> HashMap<Symbol, PartnerFigures> {
    let mut figures: HashMap<Symbol, PartnerFigures> = partners.map(|partner| (partner, PartnerFigures::default())).collect();
    for fact in facts(rows) {
        let deal = fact.deal;
        if let Some(figures) = figures.get_mut(&deal.partner) {
            figures.deals += 1;
            figures.open += u64::from(deal.status == DealStatus::Open);
            if deal.status == DealStatus::Won {
                figures.won += 1;
                figures.first_win = earlier(figures.first_win, deal.closed_at);
            }
        }
        if let Some(figures) = figures.get_mut(&deal.sourced_by) {
            figures.first_deal = earlier(figures.first_deal, Some(deal.registered_at));
        }
    }
    figures
}

fn earlier(known: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    known.into_iter().chain(other).min()
}

/// Counts the certifications in force at each partner's last event.
fn count_certifications(rows: &Rows<'_>, figures: &mut HashMap<Symbol, PartnerFigures>, partners: &[(&str, Fact<'_>)]) {
    let last: HashMap<Symbol, Timestamp> = partners.iter().map(|(_, fact)| (fact.key.partner, fact.row.last_at)).collect();
    for (key, row, _) in rows.shards().flat_map(|shard| shard.partners.certifications.iter()) {
        if let (Some(last), Some(figures)) = (last.get(&key.partner), figures.get_mut(&key.partner)) {
            figures.certifications += u64::from(row.in_force_at(*last));
        }
    }
}

fn item(lacking: &Lacking, fact: &Fact<'_>, figures: &HashMap<Symbol, PartnerFigures>) -> Item {
    let Fact { key, row, stand } = fact;
    let none = PartnerFigures::default();
    let figures = figures.get(&key.partner).unwrap_or(&none);
    Item(vec![
        ("partner_id", key.partner.name().into()),
        ("name", row.name.as_str().into()),
        ("roles", json!(row.roles.0)),
        ("phase", word(&row.phase)),
        ("region", text(row.region.map(Symbol::name))),
        ("country", text(row.country.map(Symbol::name))),
        ("manager", text(row.manager.map(Symbol::name))),
        ("manager_name", row.manager_name.as_ref().map_or(Value::Null, |name| json!(name.0))),
        ("tier", text(row.tier.map(Symbol::name))),
        ("grace_until", time(row.grace_until)),
        ("registered_at", time(row.registered_at)),
        ("agreement_at", time(row.agreement_at)),
        ("activated_at", time(row.activated_at)),
        ("retiring_since", time(row.retiring_since)),
        ("retirement_blocked_by", row.retirement_blocked_by.as_ref().map_or(Value::Null, |open| json!(open.0))),
        ("first_deal_at", time(figures.first_deal)),
        ("first_win_at", time(figures.first_win)),
        ("deals", figures.deals.into()),
        ("open_deals", figures.open.into()),
        ("won_deals", figures.won.into()),
        ("certifications_held", figures.certifications.into()),
        ("last_at", time(Some(row.last_at))),
        ("position", stand.position.to_string().into()),
        ("rules", stand.rules.into()),
        since(lacking.partner(key.partner)),
    ])
}
