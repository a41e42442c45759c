//! What is asked, as a question to a view and the decisions that may have answered it.

use serde_json::Value;

use super::{
    About, Figure, Known,
    from_rows::{streams_naming, streams_of},
};
use crate::{
    conflicts::DUPLICATE_OF,
    engine::Moment,
    query::{Page, Query, QueryError, Rows, ViewSpec, answer},
};

/// The figures of `key` in a view: of a row its key, of `ropi` a partner, of `attribution` a deal, and of a view with `by` a
/// group such as `region=EMEA,status=won`, or `all`. `filters` narrow it; `query` holds the instant that is asked about. `ask` answers
/// questions to the view as of the same moment.
///
/// # Errors
/// `QueryError`.
pub fn figure(
    view: &'static ViewSpec,
    key: &str,
    field: Option<String>,
    query: Query,
    moment: Moment,
    ask: impl FnOnce(&Query) -> Result<Page, QueryError>,
) -> Result<Figure, QueryError> {
    let filtered = |dimension: &str, query: Query| {
        let filters = [vec![(dimension.to_owned(), key.to_owned())], query.filters].concat();
        Query { filters, ..query }
    };
    let id = About::Id(key.to_owned());
    let query = Query { details: true, ..query };
    let (query, about) = match view.name {
        "pipeline" => {
            let query = group(view, key, query)?;
            let accounts = members(&query, "account", ask)?;
            (query, About::Accounts(accounts))
        }
        "ropi" | "attribution" | "mdf" if key == "all" || key.contains('=') => {
            let query = group(view, key, query)?;
            let (member, first) = match view.name {
                "ropi" => ("partner", None),
                "mdf" => ("budget_id", None),
                // Without any group it has an item a deal.
                _ => ("deal", Some("model")),
            };
            let mut asked = query.clone();
            if view.name == "attribution" {
                // By this model everybody is credited who is by any: to ask all six takes six times as long.
                asked.filters.retain(|(dimension, _)| dimension != "model");
                asked.filters.push(("model".to_owned(), "linear".to_owned()));
            }
            let ids = members(&asked, member, ask)?;
            let by = if query.by.is_empty() { first.map(str::to_owned).into_iter().collect() } else { query.by };
            (Query { by, ..query }, About::Ids(ids))
        }
        "ropi" => (Query { by: vec!["partner".to_owned()], ..filtered("partner", query) }, id),
        "attribution" => (filtered("deal", query), id),
        "conflicts" => {
            // An account stands for the only conflict that it has, of whichever kind.
            let only = if key.contains(',') { None } else { only_conflict(key, &query, ask)? };
            let key = only.as_deref().unwrap_or(key);
            let (account, subject) = key.split_once(',').unwrap_or((key, ""));
            let about = match subject.strip_prefix(DUPLICATE_OF) {
                Some(other) => About::Accounts(vec![Some(account.to_owned()), Some(other.to_owned())]),
                None => About::Id(account.to_owned()),
            };
            (Query { key: Some(key.to_owned()), ..query }, about)
        }
        _ => (Query { key: Some(key.to_owned()), ..query }, id),
    };
    Ok(Figure { view, query, field, moment, about, known: None, rules_version: None })
}

/// The same, with what the rows know of it.
///
/// # Errors
/// `QueryError`.
pub fn figure_of_rows(
    view: &'static ViewSpec,
    key: &str,
    field: Option<String>,
    query: Query,
    moment: Moment,
    rows: &Rows<'_>,
) -> Result<Figure, QueryError> {
    let asked = figure(view, key, field, query, moment, |query| answer(rows, view.name, query))?;
    // What all rows have no answer to, those of some streams have none to either.
    let page = answer(rows, view.name, &asked.query)?;
    let streams = match &asked.about {
        About::Id(id) => streams_naming(rows, view, &asked.query, &[id]),
        About::Ids(ids) => streams_naming(rows, view, &asked.query, &ids.iter().flatten().map(String::as_str).collect::<Vec<_>>()),
        About::Accounts(accounts) => streams_of(rows, accounts),
    };
    Ok(Figure { known: Some(Known { streams, items: page.items }), rules_version: rows.rules_version(), ..asked })
}

/// The id of the one conflict that an account has.
fn only_conflict(account: &str, query: &Query, ask: impl FnOnce(&Query) -> Result<Page, QueryError>) -> Result<Option<String>, QueryError> {
    let page = ask(&Query { key: Some(account.to_owned()), ..query.clone() })?;
    let id = page.items.first().and_then(|item| item.0.iter().find(|(name, _)| *name == "conflict_id"));
    Ok(id.and_then(|(_, id)| id.as_str().map(str::to_owned)))
}

/// A group by its dimensions and their values; `all` for everything.
fn group(view: &'static ViewSpec, key: &str, query: Query) -> Result<Query, QueryError> {
    let mut query = query;
    for pair in key.split(',').filter(|pair| *pair != "all") {
        let (dimension, value) = pair.split_once('=').ok_or_else(|| QueryError::InvalidValue {
            dimension: view.name.to_owned(),
            value: key.to_owned(),
            expected: "a group such as region=EMEA,status=won, or all".to_owned(),
        })?;
        query.by.push(dimension.to_owned());
        query.filters.push((dimension.to_owned(), value.to_owned()));
    }
    Ok(query)
}

/// The accounts, partners, deals or budgets that make a group: the values of a dimension within it.
fn members(
    query: &Query,
    dimension: &str,
    ask: impl FnOnce(&Query) -> Result<Page, QueryError>,
) -> Result<Vec<Option<String>>, QueryError> {
    let by = query.by.iter().cloned().chain((!query.by.iter().any(|by| by == dimension)).then(|| dimension.to_owned())).collect();
    let page = ask(&Query { by, limit: None, ..query.clone() })?;
    let member = |item: &crate::query::Item| {
        let value = item.0.iter().find(|(name, _)| *name == dimension).map_or(&Value::Null, |(_, value)| value);
        value.as_str().map(str::to_owned)
    };
    let mut members: Vec<_> = page.items.iter().map(member).collect();
    members.sort_unstable();
    members.dedup();
    Ok(members)
}
