//! Read models that combine tables, in PostgreSQL: the same sums as over HTTP, for tools that speak SQL only.
//!
//! What goes by the rules in force (weighted amounts, tiers earned, attribution, customers' savings) is answered by pledger
//! alone: SQL has no rules.

use crate::cell::CellKind::{self, Count, Day, Flag, Money, Month, Text, Time};

/// A view over the views of the tables.
#[derive(Clone, Copy, Debug)]
pub struct JoinedView {
    /// Its name.
    pub name: &'static str,
    /// What a row of it is.
    pub about: &'static str,
    /// Name, kind and meaning of its columns, in their order.
    pub columns: &'static [(&'static str, CellKind, &'static str)],
    /// Its query; `{}` stands for the schema.
    pub query: &'static str,
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
        query: "SELECT partner, product, region, status, stage, \
                date_trunc('month', (CASE WHEN status IN ('won', 'lost') THEN coalesce(closed_at, registered_at) ELSE registered_at END) \
                AT TIME ZONE 'UTC')::date AS month, \
                date_trunc('month', registered_at AT TIME ZONE 'UTC')::date AS registered_month, currency, \
                count(*) AS count, sum(amount) AS amount, \
                count(*) FILTER (WHERE approved) AS approved, count(*) FILTER (WHERE decided_at IS NOT NULL) AS decided \
                FROM {}.deals GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
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
        query: "SELECT b.budget, b.currency, b.starts_on, b.ends_on, b.amount, coalesce(a.allocated, 0) AS allocated, \
                coalesce(r.requested, 0) AS requested, coalesce(r.approved, 0) AS approved, coalesce(r.released, 0) AS released, \
                coalesce(r.claimed, 0) AS claimed, coalesce(r.paid, 0) AS paid, b.amount - coalesce(a.allocated, 0) AS available \
                FROM {}.mdf_budgets b \
                LEFT JOIN (SELECT budget, sum(amount) AS allocated FROM {}.mdf_allocations GROUP BY 1) a USING (budget) \
                LEFT JOIN (SELECT budget, sum(requested) FILTER (WHERE status NOT IN ('draft', 'canceled')) AS requested, \
                sum(approved) AS approved, sum(released) AS released, sum(claimed) AS claimed, sum(paid) AS paid \
                FROM {}.mdf_requests GROUP BY 1) r USING (budget)",
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
        query: "SELECT partner, day, currency, sum(revenue) AS revenue, sum(gross_margin) AS gross_margin, \
                sum(without_margin) AS revenue_without_margin, sum(logos)::bigint AS net_new_logos FROM (\
                SELECT partner, day, currency, revenue, gross_margin, without_margin, 0 AS logos FROM {}.revenue_days \
                UNION ALL \
                SELECT partner, (closed_at AT TIME ZONE 'UTC')::date, currency, CASE WHEN revenues = 0 THEN amount ELSE 0 END, \
                CASE WHEN revenues = 0 THEN coalesce(gross_margin, 0) ELSE 0 END, \
                CASE WHEN revenues = 0 AND gross_margin IS NULL THEN amount ELSE 0 END, net_new_logo::integer \
                FROM {}.deals WHERE status = 'won' AND closed_at IS NOT NULL) counted GROUP BY 1, 2, 3",
    },
    JoinedView {
        name: "ropi",
        about: "What a partner brought in and cost in a month.",
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
        query: "SELECT partner, month, currency, sum(revenue) AS revenue, sum(gross_margin) AS gross_margin, \
                sum(cost) FILTER (WHERE kind = 'commission') AS commission, sum(cost) FILTER (WHERE kind = 'mdf') AS mdf, \
                sum(cost) FILTER (WHERE kind = 'partner_manager') AS partner_manager, sum(cost) FILTER (WHERE kind = 'staff') AS staff, \
                sum(cost) FILTER (WHERE kind = 'technology') AS technology, sum(cost) FILTER (WHERE kind = 'other') AS other, \
                sum(cost) AS costs, sum(listed) AS costs_listed FROM (\
                SELECT partner, date_trunc('month', day)::date AS month, currency, revenue, gross_margin, NULL AS kind, 0.0 AS cost, 0.0 AS listed \
                FROM {}.revenue_days_counted \
                UNION ALL \
                SELECT nullif(partner, ''), month, currency, 0, 0, kind, amount, listed FROM {}.cost_months) counted GROUP BY 1, 2, 3",
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
        query: "SELECT p.partner, p.name, p.tier, p.grace_until, p.at_risk_since, p.evaluated_until, \
                coalesce(c.active, 0) AS active_certifications, p.retiring_since IS NOT NULL AS is_retiring FROM {}.partners p \
                LEFT JOIN (SELECT partner, count(*) AS active FROM (\
                SELECT partner, first_value(partner) OVER (PARTITION BY person ORDER BY since DESC, partner COLLATE \"C\") AS counted_at \
                FROM {}.certifications WHERE since <= now() AND now() < expires_at AND (revoked_at IS NULL OR now() < revoked_at)) held \
                WHERE partner = counted_at GROUP BY 1) c USING (partner)",
    },
];
