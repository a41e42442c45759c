//! The figures of a group, and the ratios made of them.

use pledger_domain::{cost::CostKind, values::Currency};
use serde_json::Value;

use crate::{
    figures::{money, ratio},
    lacking::INCOMPLETE_SINCE,
    query::{FieldKind::*, FieldSpec},
    revenue::DayFigures,
};

/// What `ropi` says of a group.
pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("currency", Text, "The currency of the amounts; a group has one item a currency, they are never added up."),
    FieldSpec::new("revenue", Money, "Revenue, refunds taken off; won deals without recorded revenue count with the amount won."),
    FieldSpec::new("gross_margin", Money, "Its gross margin, where that was given."),
    FieldSpec::new("revenue_without_margin", Money, "The part of the revenue whose margin was not given."),
    FieldSpec::new("commission", Money, "Cost of commissions."),
    FieldSpec::new("mdf", Money, "Market development funds: claims paid, and costs of the kind mdf that pay no claim."),
    FieldSpec::new("partner_manager", Money, "Cost of partner managers."),
    FieldSpec::new("staff", Money, "Cost of the program's staff."),
    FieldSpec::new("technology", Money, "Cost of the program's technology."),
    FieldSpec::new("other", Money, "Other costs."),
    FieldSpec::new("costs", Money, "All of them.").computed("commission + mdf + partner_manager + staff + technology + other"),
    FieldSpec::new("costs_listed", Money, "Costs that pay a claim or a payout, which counts already: in no sum."),
    FieldSpec::new("new_customers", Count, "Net-new logos, in the item of the reporting currency."),
    FieldSpec::new("cac_saved", Money, "new_customers x (direct CAC - partner CAC) of the rules in force; in the reporting currency.")
        .computed("new_customers * direct_cac - new_customers * partner_cac")
        .under_in_force(&["ropi.direct_cac", "ropi.partner_cac"]),
    FieldSpec::new("ropi_revenue", Decimal, "revenue / (commission + mdf + partner_manager), to six places; null where that is 0.")
        .computed("revenue / (commission + mdf + partner_manager)"),
    FieldSpec::new("ropi_margin", Decimal, "gross margin / (staff + technology + mdf), to six places; null where that is 0.")
        .computed("gross_margin / (staff + technology + mdf)"),
    FieldSpec::new("ropi_total", Decimal, "(gross margin + CAC saved) / all costs, to six places; null where there are none.")
        .computed("(gross_margin + cac_saved) / costs"),
    INCOMPLETE_SINCE,
];

/// Sums of one group and currency, in minor units.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) brought_in: DayFigures,
    /// In the order of `CostKind`.
    pub(super) costs: [i128; 6],
    pub(super) listed: i128,
    /// Customers won for the first time, each with what winning it through a partner saved.
    pub(super) new_customers: i64,
    pub(super) cac_saved: i128,
}

impl Figures {
    pub(super) fn add(&mut self, more: &Self) {
        self.brought_in.revenue += more.brought_in.revenue;
        self.brought_in.gross_margin += more.brought_in.gross_margin;
        self.brought_in.without_margin += more.brought_in.without_margin;
        self.costs.iter_mut().zip(more.costs).for_each(|(sum, cost)| *sum += cost);
        self.listed += more.listed;
        self.new_customers += more.new_customers;
        self.cac_saved += more.cac_saved;
    }

    fn cost(&self, kind: CostKind) -> i128 {
        self.costs[kind as usize]
    }

    /// The figures in the order of `FIELDS`, the currency left out.
    pub(super) fn values(self, currency: Currency) -> Vec<(&'static str, Value)> {
        let [commission, mdf, manager] = [CostKind::Commission, CostKind::Mdf, CostKind::PartnerManager].map(|kind| self.cost(kind));
        let [staff, technology, other] = [CostKind::Staff, CostKind::Technology, CostKind::Other].map(|kind| self.cost(kind));
        let all: i128 = self.costs.iter().sum();
        let DayFigures { revenue, gross_margin, without_margin, net_new_logos: _ } = self.brought_in;
        vec![
            ("revenue", money(revenue, currency)),
            ("gross_margin", money(gross_margin, currency)),
            ("revenue_without_margin", money(without_margin, currency)),
            ("commission", money(commission, currency)),
            ("mdf", money(mdf, currency)),
            ("partner_manager", money(manager, currency)),
            ("staff", money(staff, currency)),
            ("technology", money(technology, currency)),
            ("other", money(other, currency)),
            ("costs", money(all, currency)),
            ("costs_listed", money(self.listed, currency)),
            ("new_customers", self.new_customers.into()),
            ("cac_saved", money(self.cac_saved, currency)),
            ("ropi_revenue", ratio(revenue, commission + mdf + manager)),
            ("ropi_margin", ratio(gross_margin, staff + technology + mdf)),
            ("ropi_total", ratio(gross_margin + self.cac_saved, all)),
        ]
    }
}
