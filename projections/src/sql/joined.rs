//! Read models that combine tables: the same sums as over HTTP, for tools that speak SQL only.
//!
//! What goes by the rules in force (weighted amounts, tiers earned, customers' savings) is answered by pledger alone: SQL has no
//! rules but those that deals were won under.

use super::Dialect;
use crate::{
    attribution::{in_postgres, in_sqlite},
    cell::CellKind::{self, Count, Day, Flag, Money, Month, Text, Time, Weight},
};

/// A view over the views of the tables.
#[derive(Clone, Copy, Debug)]
pub struct JoinedView {
    /// Its name.
    pub name: &'static str,
    /// What a row of it is.
    pub about: &'static str,
    /// Name, kind and meaning of its columns, in their order.
    pub columns: &'static [(&'static str, CellKind, &'static str)],
    /// Its query, over the views of the tables.
    pub query: fn(Dialect) -> String,
}

/// Every such view, in the order in which they stand on each other.
pub const JOINED: &[JoinedView] = &[
    JoinedView {
        name: "pipeline",
        about: "How many deals there are and what they are worth, by everything that they are grouped by.",
        columns: &[
            ("partner", Text, "Whose they are now."),
            ("product", Text, "The product."),
            ("region", Text, "The region, as recorded at the registration."),
            ("status", Text, "`open`, `won`, `lost`, `rejected`, `expired` or `withdrawn`."),
            ("stage", Text, "The stage of the opportunity."),
            ("month", Month, "The month of the close for won and lost deals, of the registration otherwise: its first day."),
            ("registered_month", Month, "The month of the registration: its first day."),
            ("currency", Text, "The currency of the amounts."),
            ("count", Count, "How many deals."),
            ("amount", Money, "Their expected value, of won deals the value won."),
            ("approved", Count, "How many of them were ever approved."),
            ("decided", Count, "How many of them were approved or rejected."),
        ],
        query: |sql| {
            let at = sql.schema();
            let month = sql.month_at("CASE WHEN status IN ('won', 'lost') THEN coalesce(closed_at, registered_at) ELSE registered_at END");
            let registered = sql.month_at("registered_at");
            format!(
                "SELECT partner, product, region, status, stage, \
                {month} AS month, \
                {registered} AS registered_month, currency, \
                count(*) AS count, sum(amount) AS amount, \
                count(*) FILTER (WHERE approved) AS approved, count(*) FILTER (WHERE decided_at IS NOT NULL) AS decided \
                FROM {at}deals GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"
            )
        },
    },
    JoinedView {
        name: "mdf",
        about: "A budget and what became of it.",
        columns: &[
            ("budget", Text, "The budget."),
            ("currency", Text, "The currency of the fund."),
            ("starts_on", Time, "The first instant money may be asked for."),
            ("ends_on", Time, "The instant from which it may not."),
            ("amount", Money, "All of it."),
            ("allocated", Money, "Set aside for partners."),
            ("requested", Money, "Asked for; drafts and what was canceled left out."),
            ("approved", Money, "Approved of that."),
            ("released", Money, "Approved, not claimed in time, and gone back to the allocation."),
            ("claimed", Money, "Claimed and not rejected: what was claimed, or approved of it."),
            ("paid", Money, "Paid."),
            ("available", Money, "What may still be allocated."),
        ],
        query: |sql| {
            let at = sql.schema();
            format!(
                "SELECT b.budget, b.currency, b.starts_on, b.ends_on, b.amount, coalesce(a.allocated, 0) AS allocated, \
                coalesce(r.requested, 0) AS requested, coalesce(r.approved, 0) AS approved, coalesce(r.released, 0) AS released, \
                coalesce(r.claimed, 0) AS claimed, coalesce(r.paid, 0) AS paid, b.amount - coalesce(a.allocated, 0) AS available \
                FROM {at}mdf_budgets b \
                LEFT JOIN (SELECT budget, sum(amount) AS allocated FROM {at}mdf_allocations GROUP BY 1) a USING (budget) \
                LEFT JOIN (SELECT budget, sum(requested) FILTER (WHERE status NOT IN ('draft', 'canceled')) AS requested, \
                sum(approved) AS approved, sum(released) AS released, sum(claimed) AS claimed, sum(paid) AS paid \
                FROM {at}mdf_requests GROUP BY 1) r USING (budget)"
            )
        },
    },
    JoinedView {
        name: "revenue_days_counted",
        about: "The revenue of a partner on a day: recorded, or of a won deal that no record of revenue names yet.",
        columns: &[
            ("partner", Text, "The partner."),
            ("day", Day, "The day, in UTC."),
            ("currency", Text, "The currency."),
            ("revenue", Money, "Revenue, refunds taken off."),
            ("gross_margin", Money, "Its gross margin, where that was given."),
            ("revenue_without_margin", Money, "The part of the revenue whose margin was not given."),
            ("net_new_logos", Count, "Accounts whose first won deal was closed."),
        ],
        query: |sql| {
            let at = sql.schema();
            let day = sql.day_at("closed_at");
            let logos = sql.whole("sum(logos)");
            format!(
                "SELECT partner, day, currency, sum(revenue) AS revenue, sum(gross_margin) AS gross_margin, \
                sum(without_margin) AS revenue_without_margin, {logos} AS net_new_logos FROM (\
                SELECT partner, day, currency, revenue, gross_margin, without_margin, 0 AS logos FROM {at}revenue_days \
                UNION ALL \
                SELECT partner, {day}, currency, CASE WHEN revenues = 0 THEN amount ELSE 0 END, \
                CASE WHEN revenues = 0 THEN coalesce(gross_margin, 0) ELSE 0 END, \
                CASE WHEN revenues = 0 AND gross_margin IS NULL THEN amount ELSE 0 END, CASE WHEN net_new_logo THEN 1 ELSE 0 END \
                FROM {at}deals WHERE status = 'won' AND closed_at IS NOT NULL) counted GROUP BY 1, 2, 3"
            )
        },
    },
    JoinedView {
        name: "ropi",
        about: "What a partner brought in and cost in a month. Rows may be all zero, such as of the month of a win whose revenue was recorded in \
                another one: `pledger query ropi` leaves them out.",
        columns: &[
            ("partner", Text, "The partner; null for costs of the program as a whole."),
            ("month", Month, "The month: its first day."),
            ("currency", Text, "The currency of the amounts; they are never added up over currencies."),
            ("revenue", Money, "Revenue, refunds taken off; won deals without recorded revenue count with the amount won."),
            ("gross_margin", Money, "Its gross margin, where that was given."),
            ("commission", Money, "Cost of commissions."),
            ("mdf", Money, "Market development funds: claims paid, and costs of the kind mdf that pay no claim."),
            ("partner_manager", Money, "Cost of partner managers."),
            ("staff", Money, "Cost of the program's staff."),
            ("technology", Money, "Cost of the program's technology."),
            ("other", Money, "Other costs."),
            ("costs", Money, "All of them."),
            ("costs_listed", Money, "Costs that pay a claim or a payout, which counts already: in no sum."),
        ],
        query: |sql| {
            let at = sql.schema();
            let month = sql.month_of("day");
            format!(
                "SELECT partner, month, currency, sum(revenue) AS revenue, sum(gross_margin) AS gross_margin, \
                sum(cost) FILTER (WHERE kind = 'commission') AS commission, sum(cost) FILTER (WHERE kind = 'mdf') AS mdf, \
                sum(cost) FILTER (WHERE kind = 'partner_manager') AS partner_manager, sum(cost) FILTER (WHERE kind = 'staff') AS staff, \
                sum(cost) FILTER (WHERE kind = 'technology') AS technology, sum(cost) FILTER (WHERE kind = 'other') AS other, \
                sum(cost) AS costs, sum(listed) AS costs_listed FROM (\
                SELECT partner, {month} AS month, currency, revenue, gross_margin, NULL AS kind, 0 AS cost, 0 AS listed \
                FROM {at}revenue_days_counted \
                UNION ALL \
                SELECT nullif(partner, ''), month, currency, 0, 0, kind, amount, listed FROM {at}cost_months) counted GROUP BY 1, 2, 3"
            )
        },
    },
    JoinedView {
        name: "tiers",
        about: "The tier that a partner was awarded. What it earns under the rules in force is asked of pledger.",
        columns: &[
            ("partner", Text, "The partner."),
            ("name", Text, "Its legal name."),
            ("tier", Text, "The awarded tier; null for none."),
            ("grace_until", Time, "Until when the tier is kept although it is no longer earned."),
            ("at_risk_since", Time, "Since when the tier is no longer earned."),
            ("evaluated_until", Time, "The end of the latest period that it was held against the tiers for."),
            (
                "active_certifications",
                Count,
                "Certifications of its people in force now; a person counts for the partner whose certification of it began last.",
            ),
            ("is_retiring", Flag, "Whether its retirement has begun."),
        ],
        query: |sql| {
            let at = sql.schema();
            let now = sql.now();
            let by_bytes = sql.by_bytes();
            format!(
                "SELECT p.partner, p.name, p.tier, p.grace_until, p.at_risk_since, p.evaluated_until, \
                coalesce(c.active, 0) AS active_certifications, p.retiring_since IS NOT NULL AS is_retiring FROM {at}partners p \
                LEFT JOIN (SELECT partner, count(*) AS active FROM (\
                SELECT partner, first_value(partner) OVER (PARTITION BY person ORDER BY since DESC, partner {by_bytes}) AS counted_at \
                FROM {at}certifications WHERE since <= {now} AND {now} < expires_at AND (revoked_at IS NULL OR {now} < revoked_at)) held \
                WHERE partner = counted_at GROUP BY 1) c USING (partner)"
            )
        },
    },
    JoinedView {
        name: "attribution",
        about: "Who a won deal is credited to, by every model, under the rules that it was won under: one row a deal, model and credited party.",
        columns: &[
            ("deal", Text, "The won deal."),
            ("account", Text, "The account's key; null for an imported deal without one."),
            ("partner", Text, "The credited partner; null where a channel is credited."),
            ("channel", Text, "The credited channel; null where a partner is credited."),
            ("model", Text, "`first`, `last`, `linear`, `u_shaped`, `w_shaped` or `time_decay`: never add models up."),
            ("quarter", Month, "The quarter of the close: its first day."),
            ("currency", Text, "The currency of the amounts."),
            (
                "weight",
                Weight,
                "The party's part of the deal; those of a deal and model add up to exactly 1. By `time_decay` SQLite may differ in the last digit.",
            ),
            ("credited", Money, "Its part of the amount won; those of a deal and model add up to exactly that."),
            ("standing", Text, "`sourced`, `influenced` or `neither`: what partners had to do with it."),
            ("amount", Money, "What the deal was won for."),
            ("closed_at", Time, "When it was won."),
        ],
        query: |sql| match sql {
            Dialect::Postgres => in_postgres::query(),
            Dialect::Sqlite => in_sqlite::query(),
        },
    },
];
