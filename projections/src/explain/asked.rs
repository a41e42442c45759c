//! What is asked, as a question to a view and the decisions that may have answered it.

use serde_json::Value;

use super::{About, Figure, Known, streams_naming};
use crate::{
    engine::Moment,
    query::{Page, Query, QueryError, Rows, ViewSpec, answer},
};

/// The figures of `key` in a view: of a row its key, of `ropi` a partner, of `attribution` a deal, of `pipeline` a group
/// such as `region=EMEA,status=won`. `filters` narrow it; `query` holds the instant that is asked about. `ask` answers
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
            let accounts = accounts(&query, ask)?;
            (query, About::Accounts(accounts))
        }
        "ropi" => (Query { by: vec!["partner".to_owned()], ..filtered("partner", query) }, id),
        "attribution" => (filtered("deal", query), id),
        "conflicts" => {
            let account = key.split_once(',').map_or(key, |(account, _)| account).to_owned();
            (Query { key: Some(key.to_owned()), ..query }, About::Id(account))
        }
        _ => (Query { key: Some(key.to_owned()), ..query }, id),
    };
    Ok(Figure { view, query, field, moment, about, known: None })
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
    let About::Id(id) = &asked.about else { return Ok(asked) };
    // What all rows have no answer to, those of some streams have none to either.
    let page = answer(rows, view.name, &asked.query)?;
    let known = Some(Known { streams: streams_naming(rows, id), items: page.items });
    Ok(Figure { known, ..asked })
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

/// The accounts whose deals make a group.
fn accounts(query: &Query, ask: impl FnOnce(&Query) -> Result<Page, QueryError>) -> Result<Vec<Option<String>>, QueryError> {
    let by = query.by.iter().cloned().chain((!query.by.iter().any(|by| by == "account")).then(|| "account".to_owned())).collect();
    let page = ask(&Query { by, limit: None, ..query.clone() })?;
    let account = |item: &crate::query::Item| {
        let value = item.0.iter().find(|(name, _)| *name == "account").map_or(&Value::Null, |(_, value)| value);
        value.as_str().map(str::to_owned)
    };
    let mut accounts: Vec<_> = page.items.iter().map(account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    Ok(accounts)
}
