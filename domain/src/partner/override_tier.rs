//! A partner's tier is set by hand (F30).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, guard, tier};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, StaffId, Text, TierName, Timestamp},
};

/// Sets a partner's tier by hand, with a reason and an approver; ends any grace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideTier {
    /// The partner.
    pub partner_id: PartnerId,
    /// One of the rules' tiers.
    pub tier: TierName,
    /// Why.
    pub reason: Text,
    /// Who approved it.
    pub approver: StaffId,
}

impl CommandPayload for OverrideTier {
    const NAME: &'static str = "OverrideTier";
    const SUMMARY: &'static str = "Sets a partner's tier by hand, with a reason and an approver; ends any grace.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","tier":"gold","reason":"Strategic alliance signed","approver":"s-3"}"#;
    const DECIDED_BY: &'static [&'static str] = &["tiers"];
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        if tier::rank(&facts.rules.rules, &self.tier).is_none() {
            return Err(Rejection::UnknownTier { tier: self.tier.clone() });
        }
        Ok(vec![PartnerEvent::TierOverridden {
            from: state.tier().cloned(),
            to: self.tier.clone(),
            reason: self.reason.clone(),
            approver: self.approver.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{active_and, check_open_to_all_in_program, command, facts, text};

    fn set(name: &str) -> OverrideTier {
        command(json!({"partner_id": "p-1", "tier": name, "reason": "alliance", "approver": "s-3"}))
    }

    fn overridden(from: Option<&str>, to: &str) -> PartnerEvent {
        let tier = |name: &str| TierName::parse(name).expect(name);
        let approver = StaffId::parse("s-3").expect("an id");
        PartnerEvent::TierOverridden { from: from.map(tier), to: tier(to), reason: text("alliance"), approver }
    }

    #[test]
    fn any_partner_in_the_program_may_be_given_a_tier() {
        check_open_to_all_in_program(&set("gold"), &[overridden(None, "gold")]);
    }

    #[test]
    fn the_tier_is_one_of_the_rules_and_the_old_one_is_named() {
        let state = active_and(&[overridden(None, "gold")]);
        let platinum = TierName::parse("platinum").expect("a tier");
        assert_eq!(set("silver").decide(&state, &facts()), Ok(vec![overridden(Some("gold"), "silver")]));
        assert_eq!(set("platinum").decide(&state, &facts()), Err(Rejection::UnknownTier { tier: platinum }));
    }
}
