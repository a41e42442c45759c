//! The rules in plain words, one sentence each: what `pledger rules show` prints.

use rust_decimal::Decimal;

use super::{DealRegistrationRules, ProtectionScope, RequiredField, RoutingRule, Rules, TierRule};

impl Rules {
    /// The rules in plain words, one sentence each.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!("{}: figures are in {}.", self.name, self.reporting_currency)];
        lines.extend(self.tiers.iter().map(|tier| self.tier(tier)));
        lines.push(match self.tier_policy.grace_days {
            0 => "A tier is lost as soon as it is no longer earned.".to_owned(),
            days => format!("A tier that is no longer earned is kept for {}.", count(days, "day")),
        });
        lines.extend(self.deal_registration.summary(&self.reporting_currency.to_string()));
        lines.push(format!(
            "A certification lasts {} unless the award says otherwise; the levels are {}.",
            count(self.certifications.validity_days, "day"),
            list(&self.certifications.levels)
        ));
        lines.extend(self.mdf_summary());
        lines.extend(self.attribution_summary());
        lines.push(self.ropi_summary());
        lines
    }

    fn ropi_summary(&self) -> String {
        let (direct, partner) = (self.ropi.direct_cac, self.ropi.partner_cac);
        if direct.is_zero() && partner.is_zero() {
            return "No cost of winning a customer is given, so ropi_total counts no saving.".to_owned();
        }
        let currency = self.reporting_currency;
        format!("A customer won directly costs {} {currency}, one won through a partner {} {currency}.", grouped(direct), grouped(partner))
    }

    pub(super) fn tier(&self, tier: &TierRule) -> String {
        let mut needs = Vec::new();
        if !tier.revenue.is_zero() {
            needs.push(format!("{} {} of revenue", grouped(tier.revenue), self.reporting_currency));
        }
        if tier.certifications > 0 {
            needs.push(count(tier.certifications, "certification"));
        }
        if tier.net_new_logos > 0 {
            needs.push(count(tier.net_new_logos, "net-new logo"));
        }
        let name = capitalised(tier.name.as_str());
        match needs.as_slice() {
            [] => format!("{name} needs nothing."),
            _ => format!("{name} needs {} in {}.", list(&needs), count(self.tier_policy.window_days, "day")),
        }
    }

    fn mdf_summary(&self) -> [String; 2] {
        let who = match self.mdf.eligible_tiers.as_slice() {
            [] => "Partners of every tier may ask for market development funds.".to_owned(),
            tiers => format!("Partners of the tiers {} may ask for market development funds.", list(tiers)),
        };
        [who, format!("A claim has to be made within {} of the approval.", count(self.mdf.claim_window_days, "day"))]
    }

    fn attribution_summary(&self) -> [String; 3] {
        let rules = &self.attribution;
        let kinds = match rules.kinds.as_slice() {
            [] => "of every kind".to_owned(),
            kinds => format!("of the kinds {}", list(kinds)),
        };
        let [first, middle, last] = rules.u_shaped.map(percent);
        let [w_first, registration, w_last, others] = rules.w_shaped.map(percent);
        [
            format!(
                "Touches {kinds} count for {} before the close, and lose half their weight every {} (time_decay).",
                count(rules.window_days, "day"),
                count(rules.half_life_days, "day")
            ),
            format!("U-shaped attribution gives {first} to the first touch, {middle} to the middle and {last} to the last."),
            format!(
                "W-shaped attribution gives {w_first} to the first touch, {registration} to the one that led to the registration, {w_last} to the last and {others} to the others."
            ),
        ]
    }
}

impl DealRegistrationRules {
    fn summary(&self, currency: &str) -> Vec<String> {
        let mut lines = vec![self.protection(), self.validity(), self.extensions(), self.decision()];
        if !self.required_fields.is_empty() {
            let fields: Vec<_> = self.required_fields.iter().map(|field| field.in_words()).collect();
            lines.push(format!("A registration has to name {}.", list(&fields)));
        }
        if !self.prerequisite_courses.is_empty() {
            let courses = list(&self.prerequisite_courses);
            lines.push(format!("Before its first registration, somebody at the partner has to complete {courses}."));
        }
        lines.push(format!("Account names at least {} alike are flagged as duplicates.", percent(self.duplicate_similarity)));
        lines.extend(self.routing.iter().map(|rule| rule.in_words(currency)));
        let rest = if self.routing.is_empty() { "Registrations are" } else { "All other registrations are" };
        lines.push(format!("{rest} decided by {}.", self.default_reviewer));
        lines
    }

    fn protection(&self) -> String {
        let scope = self.protection_scope.in_words();
        match self.protection_days {
            0 => "An approval grants no protection.".to_owned(),
            days => format!("An approval protects {scope} for {}.", count(days, "day")),
        }
    }

    fn validity(&self) -> String {
        match self.validity_days {
            0 => "An approved deal does not expire.".to_owned(),
            days => format!("An approved deal that is not closed expires after {}.", count(days, "day")),
        }
    }

    fn extensions(&self) -> String {
        match self.max_extensions {
            0 => "A deal cannot be extended.".to_owned(),
            1 => format!("A deal can be extended once, by {}.", count(self.extension_days, "day")),
            times => format!("A deal can be extended {times} times, by {} each.", count(self.extension_days, "day")),
        }
    }

    fn decision(&self) -> String {
        match self.approval_sla_hours {
            0 => "There is no promise of when a registration is decided.".to_owned(),
            hours => format!("A registration is to be decided within {}.", count(hours, "hour")),
        }
    }
}

impl ProtectionScope {
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Product => "the registered product on the account",
            Self::Account => "the whole account",
        }
    }
}

impl RequiredField {
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Region => "its region",
            Self::ExpectedClose => "the expected close",
            Self::Contact => "a contact",
        }
    }
}

impl RoutingRule {
    fn in_words(&self, currency: &str) -> String {
        let region = self.region.as_ref().map_or_else(String::new, |region| format!(" of {region}"));
        // The threshold is compared with the registration's own number, whatever its currency.
        let amount = self.min_amount.map_or_else(String::new, |least| format!(" from {} on ({currency} or any other)", grouped(least)));
        format!("Registrations{region}{amount} are decided by {}.", self.reviewer)
    }

    /// The same in few words: `EMEA from 250,000 to vp-emea`.
    pub(super) fn in_brief(&self) -> String {
        let who = self.region.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
        let amount = self.min_amount.map_or_else(String::new, |least| format!(" from {}", grouped(least)));
        format!("{who}{amount} to {}", self.reviewer)
    }
}

pub(super) fn count(number: u32, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {what}{ending}", grouped(number.into()))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list<T: ToString>(items: &[T]) -> String {
    let words: Vec<_> = items.iter().map(T::to_string).collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Thousands apart by commas: `500,000`.
pub(super) fn grouped(number: Decimal) -> String {
    let text = number.normalize().to_string();
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), String::new()), |(w, f)| (w, format!(".{f}")));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let parts: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("{sign}{}{fraction}", parts.join(","))
}

pub(super) fn percent(share: Decimal) -> String {
    format!("{} %", (share * Decimal::ONE_HUNDRED).normalize())
}

pub(super) fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_program_in_plain_words() {
        let rules = Rules::parse(Rules::DEFAULT).expect("the default parses");
        insta::assert_snapshot!(rules.summary().join("\n"), @r"
        Default partner program: figures are in USD.
        Registered needs nothing.
        Silver needs 100,000 USD of revenue, 1 certification and 1 net-new logo in 365 days.
        Gold needs 500,000 USD of revenue, 4 certifications and 3 net-new logos in 365 days.
        A tier that is no longer earned is kept for 90 days.
        An approval protects the registered product on the account for 90 days.
        An approved deal that is not closed expires after 180 days.
        A deal can be extended once, by 90 days.
        A registration is to be decided within 48 hours.
        Account names at least 92 % alike are flagged as duplicates.
        Registrations are decided by channel-desk.
        A certification lasts 365 days unless the award says otherwise; the levels are professional and expert.
        Partners of every tier may ask for market development funds.
        A claim has to be made within 90 days of the approval.
        Touches of every kind count for 180 days before the close, and lose half their weight every 7 days (time_decay).
        U-shaped attribution gives 40 % to the first touch, 20 % to the middle and 40 % to the last.
        W-shaped attribution gives 30 % to the first touch, 30 % to the one that led to the registration, 30 % to the last and 10 % to the others.
        No cost of winning a customer is given, so ropi_total counts no saving.
        ");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        for (number, written) in [("0", "0"), ("999", "999"), ("1000", "1,000"), ("1234567.50", "1,234,567.5"), ("-1000", "-1,000")] {
            assert_eq!(grouped(number.parse().expect(number)), written);
        }
        assert_eq!((count(1, "day"), count(2, "day")), ("1 day".to_owned(), "2 days".to_owned()));
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn what_a_program_asks_beyond_the_default_is_said_too() {
        let text = Rules::DEFAULT
            .replace("required_fields = []", "required_fields = [\"region\", \"contact\"]")
            .replace("prerequisite_courses = []", "prerequisite_courses = [\"101\"]")
            .replace("routing = []", "routing = [{ region = \"EMEA\", min_amount = 250000, reviewer = \"vp-emea\" }]")
            .replace("direct_cac = \"0\"", "direct_cac = \"12000.50\"")
            .replace("max_extensions = 1", "max_extensions = 2")
            .replace("eligible_tiers = []", "eligible_tiers = [\"silver\", \"gold\"]");
        let summary = Rules::parse(&text).expect("valid rules").summary();
        for sentence in [
            "A registration has to name its region and a contact.",
            "Before its first registration, somebody at the partner has to complete 101.",
            "Registrations of EMEA from 250,000 on (USD or any other) are decided by vp-emea.",
            "All other registrations are decided by channel-desk.",
            "A customer won directly costs 12,000.5 USD, one won through a partner 0 USD.",
            "A deal can be extended 2 times, by 90 days each.",
            "Partners of the tiers silver and gold may ask for market development funds.",
        ] {
            assert!(summary.iter().any(|line| line == sentence), "{sentence}\n{summary:#?}");
        }
    }
}
