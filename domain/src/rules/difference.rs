//! What changes from one set of rules to another, clause by clause and in plain words: `pledger rules diff`.

use std::fmt::Display;

use rust_decimal::Decimal;
use serde::Serialize;

use super::{
    AttributionRules, CertificationRules, DealRegistrationRules, MdfRules, RopiRules, RoutingRule, Rules, TierPolicy, TierRule,
    describe::{capitalised, count, grouped, list, percent},
};

/// One clause that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleChange {
    /// Where it stands in `program.toml`, such as `tiers.gold.certifications`.
    pub clause: String,
    /// What it was; none where the clause is new.
    pub before: Option<String>,
    /// What it is; none where the clause is gone.
    pub after: Option<String>,
    /// The change in one sentence.
    pub in_words: String,
}

impl RuleChange {
    /// Whether its clause is one of these, or in one of these sections.
    #[must_use]
    pub fn is_within(&self, clauses: &[&str]) -> bool {
        is_within(&self.clause, clauses)
    }
}

/// Whether a clause is one of these, or in one of these sections.
pub(crate) fn is_within(clause: &str, clauses: &[&str]) -> bool {
    clauses.iter().any(|of| clause.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

impl Rules {
    /// What changes from these rules to `after`, in the order of `program.toml`; empty where both decide alike.
    #[must_use]
    pub fn changes_to(&self, after: &Self) -> Vec<RuleChange> {
        // Taken apart, so that a new clause cannot be forgotten here.
        let Self { name, reporting_currency, tiers, tier_policy, deal_registration, certifications, mdf, attribution, ropi } = self;
        let mut changes = Changes::default();
        changes.value("name", name, &after.name, |was, is| format!("The program is called {is} instead of {was}."));
        changes.value("reporting_currency", reporting_currency, &after.reporting_currency, |was, is| {
            format!("Figures are in {is} instead of {was}.")
        });
        changes.tiers(tiers, after);
        changes.tier_policy(tier_policy, &after.tier_policy);
        changes.deal_registration(deal_registration, &after.deal_registration);
        changes.certifications(certifications, &after.certifications);
        changes.mdf(mdf, &after.mdf);
        changes.attribution(attribution, &after.attribution);
        changes.ropi(ropi, after);
        changes.0
    }
}

#[derive(Default)]
struct Changes(Vec<RuleChange>);

impl Changes {
    fn value<T: PartialEq + Display>(&mut self, clause: &str, before: &T, after: &T, in_words: impl FnOnce(&T, &T) -> String) {
        if before != after {
            self.push(clause, Some(before.to_string()), Some(after.to_string()), in_words(before, after));
        }
    }

    /// A number of `unit`s that `sentence` ends on: "... 60 days instead of 90".
    fn number(&mut self, clause: &str, [before, after]: [u32; 2], unit: &str, sentence: &str) {
        self.value(clause, &before, &after, |was, is| format!("{sentence} {} instead of {}.", count(*is, unit), grouped((*was).into())));
    }

    /// The same, where zero stands for something else: `never` says what in a sentence, `none` after "instead of".
    fn number_or_none(&mut self, clause: &str, [before, after]: [u32; 2], unit: &str, sentence: &str, [never, none]: [&str; 2]) {
        self.value(clause, &before, &after, |was, is| match (*was, *is) {
            (was, 0) => format!("{never} any more; it was {}.", count(was, unit)),
            (0, is) => format!("{sentence} {} instead of {none}.", count(is, unit)),
            (was, is) => format!("{sentence} {} instead of {}.", count(is, unit), grouped(was.into())),
        });
    }

    fn names<T: PartialEq + ToString>(&mut self, clause: &str, before: &[T], after: &[T], what: &str, none: &str) {
        if before != after {
            let text = |names: &[T]| if names.is_empty() { none.to_owned() } else { list(names) };
            let [was, is] = [text(before), text(after)];
            let in_words = format!("{what}: {is} instead of {was}.");
            self.push(clause, Some(was), Some(is), in_words);
        }
    }

    fn weights<const N: usize>(&mut self, clause: &str, before: &[Decimal; N], after: &[Decimal; N], model: &str) {
        if before != after {
            let [was, is] = [before, after].map(|weights| weights.iter().map(|share| percent(*share)).collect::<Vec<_>>().join(" / "));
            let in_words = format!("{model} attribution weighs {is} instead of {was}.");
            self.push(clause, Some(was), Some(is), in_words);
        }
    }

    fn push(&mut self, clause: &str, before: Option<String>, after: Option<String>, in_words: String) {
        self.0.push(RuleChange { clause: clause.to_owned(), before, after, in_words });
    }

    fn tiers(&mut self, before: &[TierRule], rules: &Rules) {
        let after = rules.tiers.as_slice();
        for was in before {
            let clause = format!("tiers.{}", was.name);
            match after.iter().find(|tier| tier.name == was.name) {
                Some(is) => self.tier(&clause, was, is, rules),
                None => self.push(&clause, Some(was.name.to_string()), None, format!("There is no tier {} any more.", was.name)),
            }
        }
        for is in after.iter().filter(|is| before.iter().all(|was| was.name != is.name)) {
            let in_words = format!("There is a new tier: {}", rules.tier(is));
            self.push(&format!("tiers.{}", is.name), None, Some(is.name.to_string()), in_words);
        }
        let common = |tiers: &[TierRule], others: &[TierRule]| -> Vec<String> {
            let kept = tiers.iter().filter(|tier| others.iter().any(|other| other.name == tier.name));
            kept.map(|tier| tier.name.to_string()).collect()
        };
        let [was, is] = [common(before, after), common(after, before)];
        self.names("tiers", &was, &is, "The tiers rank differently, lowest first", "none");
    }

    fn tier(&mut self, clause: &str, was: &TierRule, is: &TierRule, rules: &Rules) {
        let TierRule { name, revenue, certifications, net_new_logos } = was;
        let needs = format!("{} needs", capitalised(name.as_str()));
        self.value(&format!("{clause}.revenue"), revenue, &is.revenue, |was, is| {
            format!("{needs} {} {} of revenue instead of {}.", grouped(*is), rules.reporting_currency, grouped(*was))
        });
        self.number(&format!("{clause}.certifications"), [*certifications, is.certifications], "certification", &needs);
        self.number(&format!("{clause}.net_new_logos"), [*net_new_logos, is.net_new_logos], "net-new logo", &needs);
    }

    fn tier_policy(&mut self, was: &TierPolicy, is: &TierPolicy) {
        let TierPolicy { window_days, grace_days } = was;
        self.number("tier_policy.window_days", [*window_days, is.window_days], "day", "Revenue and net-new logos count for");
        self.number("tier_policy.grace_days", [*grace_days, is.grace_days], "day", "A tier that is no longer earned is kept for");
    }

    fn deal_registration(&mut self, was: &DealRegistrationRules, is: &DealRegistrationRules) {
        let DealRegistrationRules {
            protection_days,
            protection_scope,
            validity_days,
            extension_days,
            max_extensions,
            approval_sla_hours,
            required_fields,
            prerequisite_courses,
            duplicate_similarity,
            routing,
            default_reviewer,
        } = was;
        let clause = |name: &str| format!("deal_registration.{name}");
        self.number(&clause("protection_days"), [*protection_days, is.protection_days], "day", "An approval protects for");
        self.value(&clause("protection_scope"), &protection_scope.in_words(), &is.protection_scope.in_words(), |was, is| {
            format!("Protection covers {is} instead of {was}.")
        });
        self.number_or_none(
            &clause("validity_days"),
            [*validity_days, is.validity_days],
            "day",
            "An approved deal expires after",
            ["No approved deal expires", "never"],
        );
        self.number(&clause("extension_days"), [*extension_days, is.extension_days], "day", "An extension adds");
        self.number(&clause("max_extensions"), [*max_extensions, is.max_extensions], "time", "A deal can be extended");
        let sla = [*approval_sla_hours, is.approval_sla_hours];
        self.number_or_none(
            &clause("approval_sla_hours"),
            sla,
            "hour",
            "A registration is to be decided within",
            ["When a registration is decided is not promised", "no promise"],
        );
        let [fields_was, fields_is] =
            [required_fields, &is.required_fields].map(|fields| fields.iter().map(|field| field.in_words()).collect::<Vec<_>>());
        self.names(&clause("required_fields"), &fields_was, &fields_is, "A registration has to name", "nothing more");
        let courses = "Before its first registration a partner has to complete";
        self.names(&clause("prerequisite_courses"), prerequisite_courses, &is.prerequisite_courses, courses, "no course");
        self.value(&clause("duplicate_similarity"), duplicate_similarity, &is.duplicate_similarity, |was, is| {
            format!("Account names at least {} alike are flagged as duplicates, instead of {}.", percent(*is), percent(*was))
        });
        self.routing(routing, &is.routing);
        self.value(&clause("default_reviewer"), default_reviewer, &is.default_reviewer, |was, is| {
            format!("Registrations that no rule routes are decided by {is} instead of {was}.")
        });
    }

    fn routing(&mut self, before: &[RoutingRule], after: &[RoutingRule]) {
        if before != after {
            let text = |rules: &[RoutingRule]| match rules {
                [] => "nothing is routed".to_owned(),
                rules => rules.iter().map(RoutingRule::in_brief).collect::<Vec<_>>().join("; "),
            };
            let [was, is] = [text(before), text(after)];
            let in_words = format!("Registrations are routed differently: {is} (before: {was}).");
            self.push("deal_registration.routing", Some(was), Some(is), in_words);
        }
    }

    fn certifications(&mut self, was: &CertificationRules, is: &CertificationRules) {
        let CertificationRules { validity_days, levels } = was;
        self.number("certifications.validity_days", [*validity_days, is.validity_days], "day", "A certification lasts");
        self.names("certifications.levels", levels, &is.levels, "The levels of certifications", "none");
    }

    fn mdf(&mut self, was: &MdfRules, is: &MdfRules) {
        let MdfRules { eligible_tiers, claim_window_days } = was;
        let who = "The tiers that may ask for market development funds";
        self.names("mdf.eligible_tiers", eligible_tiers, &is.eligible_tiers, who, "all");
        self.number("mdf.claim_window_days", [*claim_window_days, is.claim_window_days], "day", "A claim has to be made within");
    }

    fn attribution(&mut self, was: &AttributionRules, is: &AttributionRules) {
        let AttributionRules { window_days, kinds, half_life_days, u_shaped, w_shaped } = was;
        self.number("attribution.window_days", [*window_days, is.window_days], "day", "Touches before the close count for");
        self.names("attribution.kinds", kinds, &is.kinds, "The kinds of touches that count", "all");
        self.number(
            "attribution.half_life_days",
            [*half_life_days, is.half_life_days],
            "day",
            "A touch loses half its weight (time_decay) in",
        );
        self.weights("attribution.u_shaped", u_shaped, &is.u_shaped, "U-shaped");
        self.weights("attribution.w_shaped", w_shaped, &is.w_shaped, "W-shaped");
    }

    fn ropi(&mut self, was: &RopiRules, rules: &Rules) {
        let RopiRules { direct_cac, partner_cac } = was;
        let currency = rules.reporting_currency;
        for (name, how, was, is) in [
            ("direct_cac", "directly", direct_cac, &rules.ropi.direct_cac),
            ("partner_cac", "through a partner", partner_cac, &rules.ropi.partner_cac),
        ] {
            self.value(&format!("ropi.{name}"), was, is, |was, is| {
                format!("A customer won {how} costs {} {currency} instead of {}.", grouped(*is), grouped(*was))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default() -> Rules {
        Rules::parse(Rules::DEFAULT).expect("the default parses")
    }

    fn sentences(replaced: &[(&str, &str)]) -> Vec<String> {
        let text = replaced.iter().fold(Rules::DEFAULT.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let after = Rules::parse(&text).expect("valid rules");
        default().changes_to(&after).into_iter().map(|change| change.in_words).collect()
    }

    #[test]
    fn rules_that_are_alike_change_nothing() {
        assert_eq!(default().changes_to(&default()), []);
        assert_eq!(sentences(&[("revenue = \"500000\"", "revenue = \"500000.00\"")]), Vec::<String>::new());
    }

    #[test]
    fn every_clause_that_changes_is_a_sentence() {
        for (from, to, sentence) in [
            ("\"Default partner program\"", "\"Allies\"", "The program is called Allies instead of Default partner program."),
            ("reporting_currency = \"USD\"", "reporting_currency = \"EUR\"", "Figures are in EUR instead of USD."),
            ("revenue = \"500000\"", "revenue = \"750000\"", "Gold needs 750,000 USD of revenue instead of 500,000."),
            ("certifications = 4", "certifications = 6", "Gold needs 6 certifications instead of 4."),
            ("net_new_logos = 3", "net_new_logos = 1", "Gold needs 1 net-new logo instead of 3."),
            ("window_days = 365", "window_days = 730", "Revenue and net-new logos count for 730 days instead of 365."),
            ("grace_days = 90", "grace_days = 0", "A tier that is no longer earned is kept for 0 days instead of 90."),
            ("protection_days = 90", "protection_days = 60", "An approval protects for 60 days instead of 90."),
            (
                "protection_scope = \"product\"",
                "protection_scope = \"account\"",
                "Protection covers the whole account instead of the registered product on the account.",
            ),
            ("validity_days = 180", "validity_days = 0", "No approved deal expires any more; it was 180 days."),
            ("approval_sla_hours = 48", "approval_sla_hours = 1", "A registration is to be decided within 1 hour instead of 48."),
            (
                "approval_sla_hours = 48",
                "approval_sla_hours = 0",
                "When a registration is decided is not promised any more; it was 48 hours.",
            ),
            ("max_extensions = 1", "max_extensions = 2", "A deal can be extended 2 times instead of 1."),
            ("required_fields = []", "required_fields = [\"region\"]", "A registration has to name: its region instead of nothing more."),
            (
                "duplicate_similarity = \"0.92\"",
                "duplicate_similarity = \"0.8\"",
                "Account names at least 80 % alike are flagged as duplicates, instead of 92 %.",
            ),
            (
                "routing = []\n# Who",
                "routing = [{ region = \"EMEA\", reviewer = \"emea-desk\" }]\n# Who",
                "Registrations are routed differently: EMEA to emea-desk (before: nothing is routed).",
            ),
            (
                "default_reviewer = \"channel-desk\"",
                "default_reviewer = \"desk\"",
                "Registrations that no rule routes are decided by desk instead of channel-desk.",
            ),
            (
                "eligible_tiers = []",
                "eligible_tiers = [\"gold\"]",
                "The tiers that may ask for market development funds: gold instead of all.",
            ),
            ("claim_window_days = 90", "claim_window_days = 30", "A claim has to be made within 30 days instead of 90."),
            ("half_life_days = 7", "half_life_days = 1", "A touch loses half its weight (time_decay) in 1 day instead of 7."),
            (
                "u_shaped = [\"0.4\", \"0.2\", \"0.4\"]",
                "u_shaped = [\"0.5\", \"0\", \"0.5\"]",
                "U-shaped attribution weighs 50 % / 0 % / 50 % instead of 40 % / 20 % / 40 %.",
            ),
            ("direct_cac = \"0\"", "direct_cac = \"12000\"", "A customer won directly costs 12,000 USD instead of 0."),
        ] {
            assert_eq!(sentences(&[(from, to)]), [sentence]);
        }
    }

    #[test]
    fn tiers_come_go_and_change_their_rank() {
        let platinum = "[[tiers]]\nname = \"platinum\"\nrevenue = \"900000\"\ncertifications = 9\nnet_new_logos = 9\n\n# How tiers are";
        assert_eq!(
            sentences(&[("# How tiers are", platinum)]),
            ["There is a new tier: Platinum needs 900,000 USD of revenue, 9 certifications and 9 net-new logos in 365 days."]
        );
        assert_eq!(
            sentences(&[("name = \"gold\"", "name = \"premier\"")]),
            [
                "There is no tier gold any more.",
                "There is a new tier: Premier needs 500,000 USD of revenue, 4 certifications and 3 net-new logos in 365 days."
            ]
        );
        let swapped = sentences(&[
            ("name = \"silver\"", "name = \"x\""),
            ("name = \"gold\"", "name = \"silver\""),
            ("name = \"x\"", "name = \"gold\""),
        ]);
        assert_eq!(swapped.len(), 7, "{swapped:#?}");
        assert_eq!(
            swapped[6],
            "The tiers rank differently, lowest first: registered, gold and silver instead of registered, silver and gold."
        );
    }

    #[test]
    fn a_change_names_its_clause_and_both_values() {
        let after = Rules::parse(&Rules::DEFAULT.replace("certifications = 4", "certifications = 6")).expect("valid rules");
        let expected = RuleChange {
            clause: "tiers.gold.certifications".to_owned(),
            before: Some("4".to_owned()),
            after: Some("6".to_owned()),
            in_words: "Gold needs 6 certifications instead of 4.".to_owned(),
        };
        assert_eq!(default().changes_to(&after), [expected]);
    }
}
