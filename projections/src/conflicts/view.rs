//! The view `conflicts`.

use std::borrow::Cow;

use compact_str::CompactString;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

use super::{
    around::{Around, contests},
    fold::product_subject_of,
    row::{Conflict, ConflictKey, ConflictKind},
    told::contender,
};
use crate::{
    accounts::{Duplicate, duplicates},
    cube::Values,
    figures::{decimal, text, time},
    page::{Selection, cursor, read_cursor},
    query::{Answer, FieldKind::*, FieldSpec, Item, Query, QueryError, Rows, ViewSpec},
    symbol::Symbol,
    table::Stand,
};

const NAME: &str = "conflicts";
/// Contenders that an item of a list shows; the item of a key shows all.
const SHOWN: usize = 10;
/// The kind of a pair of accounts that may be one.
const DUPLICATE: &str = "possible_duplicate";
/// What the subject of such a pair begins with; the other account follows.
pub const DUPLICATE_OF: &str = "duplicate:";
const KINDS: &[&str] =
    &["historical_overlap", "overlap", "direct_claim", "refused_direct_claim", "refused_registration", "dispute", DUPLICATE];
const STATUSES: &[&str] = &["open", "ruled"];

/// Who competed, what was decided and why, and what is still open.
pub const VIEW: ViewSpec = ViewSpec {
    name: NAME,
    summary: "Who competed for an account, what was decided under which rules, and what is still open.",
    key: Some("conflict_id"),
    by: &[],
    filters: FILTERS,
    fields: FIELDS,
    headline: &["account", "kind", "status", "product", "holder", "deal_id", "contender_count", "since"],
    tables: &["conflicts", "contenders", "accounts", "deals"],
    answer,
};

const FILTERS: &[FieldSpec] = &[
    FieldSpec::new("account", Text, "The account's key."),
    FieldSpec::new("partner", Text, "A partner that holds the account or contends for it."),
    FieldSpec::new("product", Text, "The product, however it is written; empty for the whole account."),
    FieldSpec::new(
        "kind",
        Text,
        "historical_overlap, overlap, direct_claim, refused_direct_claim, refused_registration, dispute or possible_duplicate.",
    ),
    FieldSpec::new("status", Text, "open or ruled."),
];

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("conflict_id", Text, "The account and what is contended on it."),
    FieldSpec::new("account", Text, "The account's key."),
    FieldSpec::new(
        "kind",
        Text,
        "historical_overlap, overlap, direct_claim, refused_direct_claim, refused_registration, dispute or possible_duplicate; of a contest the sharpest that happened.",
    ),
    FieldSpec::new(
        "status",
        Text,
        "open: a dispute without a ruling, several partners' open deals, one beside a direct claim, or a pair of accounts to look at; else ruled.",
    ),
    FieldSpec::new("product", Text, "The product; null where the whole account is contended."),
    FieldSpec::new("holder", Text, "The partner that held the account at the last decision; null where nobody did."),
    FieldSpec::new("deal_id", Text, "The holder's deal; of a dispute the deal in dispute."),
    FieldSpec::new("protected_until", Time, "Until when that deal protects its partner; null where it does not.")
        .under(&["deal_registration.protection_days", "deal_registration.protection_scope"]),
    FieldSpec::new(
        "protection_granted_until",
        Time,
        "Until when that deal's protection was granted last, also where the deal was closed since; null where none was.",
    )
    .under(&["deal_registration.protection_days", "deal_registration.protection_scope"]),
    FieldSpec::new("since", Time, "When it began; null for a possible duplicate."),
    FieldSpec::new("last_at", Time, "When something last happened."),
    FieldSpec::new("contender_count", Count, "How many contenders there are, an attempt that was refused counting each time."),
    FieldSpec::new("refused_count", Count, "How many attempts were refused."),
    FieldSpec::new(
        "contenders",
        Objects,
        "The last ten contenders, all of them where one conflict is asked for: partner or seller, deal, amount, when, command, what was decided, code, what it was told in words, of a refusal who was protected then by which deal until when (holder, holder_deal_id, holder_protected_until) and by which clause, else until when its own deal's protection was granted last (protection_granted_until), rules, position.",
    ),
    FieldSpec::new("escalated_to", Text, "To whom a dispute was escalated; null where it was not."),
    FieldSpec::new(
        "ruled_at",
        Time,
        "When it was ruled: a dispute by its ruling, a contest by the last refusal or by what left no two partners with open deals, and none beside a direct claim; null while it is open.",
    ),
    FieldSpec::new("shares", Objects, "How it was ruled: partner and share, adding up to 1."),
    FieldSpec::new("reason", Text, "Why, in the words of the ruling or of the one who opened the dispute."),
    FieldSpec::new("other_account", Text, "Of a possible duplicate the other key."),
    FieldSpec::new(
        "score",
        Decimal,
        "Of a possible duplicate how alike the two are: 1 for the same DUNS number or name and country, else the Jaro-Winkler similarity of the names as they are compared.",
    )
    .under(&["deal_registration.duplicate_similarity"]),
    FieldSpec::new("alike_by", Text, "Of a possible duplicate what is alike: duns, name_and_country or similar_name."),
    FieldSpec::new("position", Position, "The last decision that changed it."),
    FieldSpec::new("rules", Count, "The version of the rules of that decision."),
    FieldSpec::new("incomplete_since", Position, "A record of the account that could not be read; null where all is well."),
];

/// One conflict as a question sees it.
enum Fact<'a> {
    Contest(&'a ConflictKey, &'a Conflict, Stand),
    Duplicate(Duplicate),
}

impl<'a> Fact<'a> {
    fn account(&self) -> Symbol {
        match self {
            Self::Contest(key, ..) => key.account,
            Self::Duplicate(pair) => pair.account,
        }
    }

    fn contest(&self) -> Option<&'a ConflictKey> {
        match self {
            Self::Contest(key, ..) => Some(key),
            Self::Duplicate(_) => None,
        }
    }

    fn key(&self) -> Key<'_> {
        match self {
            Self::Contest(key, ..) => (key.account.name(), Cow::Borrowed(&key.subject)),
            Self::Duplicate(pair) => (pair.account.name(), Cow::Owned(format!("{DUPLICATE_OF}{}", pair.other))),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Contest(_, conflict, ..) => kind_word(conflict.kind),
            Self::Duplicate(_) => DUPLICATE,
        }
    }
}

/// Account and subject: what conflicts are ordered by.
type Key<'a> = (&'a str, Cow<'a, str>);

const fn kind_word(kind: ConflictKind) -> &'static str {
    KINDS[kind as usize]
}

/// Whether it is open, in a word.
fn status<'a>(fact: &Fact<'a>, around: &Around<'a>) -> &'static str {
    let open = match fact {
        Fact::Contest(key, conflict, _) => around.is_open(key, conflict),
        Fact::Duplicate(_) => true,
    };
    if open { "open" } else { "ruled" }
}

fn answer(rows: &Rows<'_>, query: &Query) -> Result<Answer, QueryError> {
    if let Some(dimension) = query.by.first() {
        return Err(QueryError::UnknownDimension { view: NAME, dimension: dimension.clone(), accepted: Vec::new() });
    }
    let filters = read_filters(query)?;
    let after = read_cursor(NAME, query, 2)?;
    let after = after.as_ref().map(|parts| (parts[0].as_str(), Cow::Borrowed(parts[1].as_str())));
    // Other rows are looked at for the whole ledger only where that says which conflicts are meant.
    let around_all = filters.iter().any(|(name, _)| ["status", "partner"].contains(name)).then(|| Around::of_all(rows));
    let facts = facts(rows, &filters);
    let mut selection = Selection::new(after, query.limit);
    for fact in &facts {
        let key = fact.key();
        if query.key.as_ref().is_none_or(|id| is_id(id, &key)) && admits(&filters, fact, around_all.as_ref()) {
            selection.push(key, fact);
        }
    }
    let (page, more) = selection.finish();
    let around = around_all.unwrap_or_else(|| Around::of(rows, page.iter().filter_map(|(_, fact)| fact.contest())));
    let shown = if query.key.is_some() { usize::MAX } else { SHOWN };
    let items: Vec<_> = page.iter().map(|(key, fact)| item(rows, key, fact, &around, shown)).collect();
    match &query.key {
        Some(key) if items.is_empty() => Err(QueryError::NotFound { view: NAME, key: key.clone() }),
        Some(key) if items.len() > 1 => {
            let candidates = page.iter().map(|(key, _)| conflict_id(key)).collect();
            Err(QueryError::Ambiguous { view: NAME, key: key.clone(), candidates })
        }
        _ => Ok(Answer { next: page.last().filter(|_| more).map(|((account, subject), _)| cursor(&[account, &**subject])), items }),
    }
}

/// The parts are apart by a comma, which no account key holds.
fn conflict_id((account, subject): &Key<'_>) -> String {
    format!("{account},{subject}")
}

/// An account stands for the only conflict that it has; both accounts of a pair do.
fn is_id(id: &str, (account, subject): &Key<'_>) -> bool {
    match id.split_once(',') {
        Some((known, rest)) => known == *account && rest == subject,
        None => id == *account || subject.strip_prefix(DUPLICATE_OF) == Some(id),
    }
}

/// The values asked for, by filter: empty for what has none, and of a product the subject of its contests.
type Filters = Vec<(&'static str, Vec<CompactString>)>;

fn read_filters(query: &Query) -> Result<Filters, QueryError> {
    let mut filters: Filters = Vec::new();
    for (name, value) in &query.filters {
        let spec = FILTERS.iter().find(|spec| spec.name == name).ok_or_else(|| QueryError::UnknownDimension {
            view: NAME,
            dimension: name.chars().take(80).collect(),
            accepted: FILTERS.iter().map(|spec| spec.name).collect(),
        })?;
        let values = match spec.name {
            "kind" => Values::Words(KINDS),
            "status" => Values::Words(STATUSES),
            _ => Values::Names,
        };
        let invalid = |expected| QueryError::InvalidValue { dimension: name.clone(), value: value.chars().take(80).collect(), expected };
        values.parse(value).map_err(invalid)?;
        let value = match spec.name {
            // However it is written: a contest is for all of them.
            "product" if !value.is_empty() => product_subject_of(value),
            _ => value.into(),
        };
        match filters.iter_mut().find(|(known, _)| *known == spec.name) {
            Some((_, values)) => values.push(value),
            None => filters.push((spec.name, vec![value])),
        }
    }
    Ok(filters)
}

fn admits<'a>(filters: &Filters, fact: &Fact<'a>, around: Option<&Around<'a>>) -> bool {
    filters.iter().all(|(name, values)| {
        let is = |text: Option<&str>| values.iter().any(|value| value == text.unwrap_or_default());
        match (*name, fact) {
            ("account", Fact::Duplicate(pair)) => is(Some(pair.account.name())) || is(Some(pair.other.name())),
            ("account", Fact::Contest(key, ..)) => is(Some(key.account.name())),
            ("kind", _) => is(Some(fact.kind())),
            ("status", _) => around.is_some_and(|around| is(Some(status(fact, around)))),
            // Accounts that may be one are about no product, and nobody takes part in them.
            ("product" | "partner", Fact::Duplicate(_)) => is(None),
            ("product", Fact::Contest(key, conflict, ..)) => is(conflict.product.is_some().then_some(&*key.subject)),
            ("partner", Fact::Contest(key, conflict, ..)) => {
                let mut listed = around.into_iter().flat_map(|around| around.listed(key));
                is(conflict.holder.map(Symbol::name)) || listed.any(|(_, row)| is(row.partner.map(Symbol::name)))
            }
            _ => false,
        }
    })
}

fn facts<'a>(rows: &'a Rows<'_>, filters: &Filters) -> Vec<Fact<'a>> {
    let mut facts: Vec<_> = contests(rows).map(|(key, conflict, stand)| Fact::Contest(key, conflict, stand)).collect();
    if wants_duplicates(filters) {
        let program = rows.program();
        let similarity = program.version(program.count()).and_then(|set| set.rules.deal_registration.duplicate_similarity.to_f64());
        facts.extend(duplicates(rows, similarity.unwrap_or(1.0)).into_iter().map(Fact::Duplicate));
    }
    facts
}

/// Pairs are made from every account: not where the filters would let none of them through.
fn wants_duplicates(filters: &Filters) -> bool {
    filters.iter().all(|(name, values)| match *name {
        "kind" => values.iter().any(|value| value == DUPLICATE),
        "status" => values.iter().any(|value| value == "open"),
        "partner" | "product" => values.iter().any(|value| value.is_empty()),
        _ => true,
    })
}

fn item<'a>(rows: &Rows<'_>, key: &Key<'_>, fact: &Fact<'a>, around: &Around<'a>, shown: usize) -> Item {
    let mut fields = vec![
        ("conflict_id", conflict_id(key).into()),
        ("account", fact.account().name().into()),
        ("kind", fact.kind().into()),
        ("status", status(fact, around).into()),
    ];
    match fact {
        Fact::Contest(key, conflict, stand) => {
            contest(&mut fields, key, conflict, *stand, around, shown);
        }
        Fact::Duplicate(pair) => duplicate(&mut fields, pair),
    }
    let incomplete = rows.incomplete_since("account", fact.account());
    fields.push(("incomplete_since", incomplete.map_or(Value::Null, |position| position.to_string().into())));
    Item(fields)
}

fn contest<'a>(
    fields: &mut Vec<(&'static str, Value)>,
    key: &'a ConflictKey,
    conflict: &Conflict,
    stand: Stand,
    around: &Around<'a>,
    shown: usize,
) {
    let mut listed: Vec<_> = around.listed(key).copied().collect();
    // The last ones first; at one moment in the order of their entries.
    listed.sort_unstable_by(|a, b| (b.1.at, &a.0.entry).cmp(&(a.1.at, &b.0.entry)));
    let deal = |id: &Option<CompactString>| id.as_ref().and_then(|id| around.deal(key.account, id));
    let listed: Vec<Value> = listed.iter().take(shown).map(|(_, row)| contender(row, deal(&row.deal))).collect();
    let held = deal(&conflict.deal);
    let shares: Vec<Value> = conflict.shares.0.iter().map(|share| json!({ "partner": share.partner, "share": share.share })).collect();
    fields.extend([
        ("product", text(conflict.product.map(Symbol::name))),
        ("holder", text(conflict.holder.map(Symbol::name))),
        ("deal_id", text(conflict.deal.as_deref())),
        ("protected_until", time(held.and_then(|deal| deal.protected_until))),
        ("protection_granted_until", time(held.and_then(|deal| deal.granted_until))),
        ("since", time(Some(conflict.since))),
        ("last_at", time(Some(conflict.last_at))),
        ("contender_count", conflict.contenders.into()),
        ("refused_count", conflict.refused.into()),
        ("contenders", Value::Array(listed)),
        ("escalated_to", text(conflict.escalated_to.map(Symbol::name))),
        ("ruled_at", time(conflict.ruled_at.filter(|_| !around.is_open(key, conflict)))),
        ("shares", Value::Array(shares)),
        ("reason", text(conflict.reason.as_deref())),
        ("other_account", Value::Null),
        ("score", Value::Null),
        ("alike_by", Value::Null),
        ("position", stand.position.to_string().into()),
        ("rules", stand.rules.into()),
    ]);
}

fn duplicate(fields: &mut Vec<(&'static str, Value)>, pair: &Duplicate) {
    let null = |name| (name, Value::Null);
    fields.extend(["product", "holder", "deal_id", "protected_until", "protection_granted_until", "since", "last_at"].map(null));
    fields.extend([("contender_count", 0.into()), ("refused_count", 0.into()), ("contenders", json!([]))]);
    fields.extend(["escalated_to", "ruled_at"].map(null));
    fields.extend([("shares", json!([])), ("reason", Value::Null), ("other_account", pair.other.name().into())]);
    fields.extend([("score", decimal(pair.score)), ("alike_by", pair.by.into())]);
    fields.extend(["position", "rules"].map(null));
}
