//! The view `pipeline`.

use super::figures::{FIELDS, Figures};
use crate::{
    cube::Plan,
    deals::{DIM_SPECS, dims, facts},
    lacking::Lacking,
    query::{Answer, Query, QueryError, Rows, ViewSpec},
};

const NAME: &str = "pipeline";

/// Figures of deals by any of their dimensions.
pub const VIEW: ViewSpec = ViewSpec {
    name: NAME,
    summary: "Count, value and quality of deals by partner, stage, status, region, product, account, month or quarter.",
    key: None,
    by: &DIM_SPECS,
    filters: &DIM_SPECS,
    fields: FIELDS,
    headline: &["count", "amount", "won", "approval_rate", "conversion", "weighted_amount"],
    tables: &["deals"],
    answer,
};

fn answer(rows: &Rows<'_>, query: &Query) -> Result<Answer, QueryError> {
    let dims = dims();
    let plan = Plan::read(NAME, &dims, query)?;
    if let Some(key) = &query.key {
        return Err(QueryError::NotFound { view: NAME, key: key.clone() });
    }
    let after = plan.after(NAME, query)?;
    let groups = plan.group_page::<Figures, _>(|| facts(rows), |fact| fact.deal.currency, Figures::add, after.as_ref(), query.limit);
    let answer = plan.page(groups, after, query.limit, |figures, currency| figures.values(currency, query.details));
    let lacking = Lacking::of(rows);
    let incomplete = facts(rows).filter_map(|fact| Some((fact, lacking.account(fact.key.account)?)));
    Ok(plan.tell_incomplete(answer, &lacking, incomplete))
}
