//! The program costs something (F72).

use serde::{Deserialize, Serialize};

use super::{Cost, CostEvent, CostKind};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    partner::Partner,
    rejection::Rejection,
    stream::StreamName,
    values::{Amount, ClaimId, CostId, InvalidAccount, PartnerId, PayoutId, Period},
};

/// Records a cost of the program, for one partner or for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordProgramCost {
    /// The cost, as the ERP names it.
    pub cost_id: CostId,
    /// What for.
    pub kind: CostKind,
    /// How much.
    pub amount: Amount,
    /// For which partner; absent for the program as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_id: Option<PartnerId>,
    /// The month, quarter or year it is booked on.
    pub period: Period,
    /// The claim that it paid: such a cost is listed, not summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
    /// The payout that it paid: such a cost is listed, not summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payout_id: Option<PayoutId>,
}

impl CommandPayload for RecordProgramCost {
    const NAME: &'static str = "RecordProgramCost";
    const SUMMARY: &'static str = "Records a cost of the program, for one partner or for all.";
    const EXAMPLE: &'static str = r#"{"cost_id":"c-77","kind":"partner_manager","amount":{"amount":"8000.00","currency":"USD"},"partner_id":"p-nordwind","period":"2027-Q1"}"#;
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Cost;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::cost(self.partner_id.as_ref())))
    }

    fn relies_on(&self, _state: &Cost) -> Option<PartnerId> {
        self.partner_id.clone()
    }

    fn decide(&self, state: &Cost, facts: &Facts) -> Result<Vec<CostEvent>, Rejection> {
        if state.is_recorded(&self.cost_id) {
            return Err(Rejection::CostExists { cost_id: self.cost_id.clone() });
        }
        // In whatever phase: a partner that left still cost what it cost.
        if let Some(partner_id) = &self.partner_id
            && !facts.partner.as_deref().is_some_and(Partner::is_known)
        {
            return Err(Rejection::PartnerUnknown { partner_id: partner_id.clone() });
        }
        Ok(vec![CostEvent::ProgramCostRecorded {
            cost_id: self.cost_id.clone(),
            kind: self.kind,
            amount: self.amount,
            partner_id: self.partner_id.clone(),
            period: self.period,
            claim_id: self.claim_id.clone(),
            payout_id: self.payout_id.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        facts::Channel,
        partner::{PartnerEvent, Role},
        rules::{RuleSet, Rules},
        stream::Stream,
        values::{Label, Timestamp},
    };
    use serde_json::json;

    fn facts(partner: Option<Partner>) -> Facts {
        let now = Timestamp::parse("2026-11-05").expect("a date");
        let rules = Rules::parse(Rules::DEFAULT).expect("the default rules");
        Facts {
            now,
            effective_at: now,
            channel: Channel::Api,
            historical: false,
            rules: Arc::new(RuleSet { version: 1, effective_from: now, rules }),
            partner: partner.map(Arc::new),
        }
    }

    fn nordwind(events: &[PartnerEvent]) -> Option<Partner> {
        let registered = PartnerEvent::PartnerRegistered {
            name: Label::parse("Nordwind GmbH").expect("a name"),
            roles: vec![Role::Reseller],
            country: None,
            region: None,
        };
        let mut partner = Partner::default();
        let at = Timestamp::parse("2026-01-05").expect("a date");
        [vec![registered], events.to_vec()].concat().iter().for_each(|event| partner.evolve(event, at));
        Some(partner)
    }

    fn cost(id: &str, partner: Option<&str>) -> RecordProgramCost {
        let amount = json!({ "amount": "8000.00", "currency": "USD" });
        let payload =
            json!({ "cost_id": id, "kind": "mdf", "amount": amount, "partner_id": partner, "period": "2026-Q4", "claim_id": "cl-1" });
        serde_json::from_value(payload).expect("a payload")
    }

    fn recorded(command: RecordProgramCost) -> CostEvent {
        let RecordProgramCost { cost_id, kind, amount, partner_id, period, claim_id, payout_id } = command;
        CostEvent::ProgramCostRecorded { cost_id, kind, amount, partner_id, period, claim_id, payout_id }
    }

    #[test]
    fn a_cost_is_recorded_once_for_a_known_partner() {
        let mut state = Cost::default();
        state.evolve(&recorded(cost("c-1", None)), Timestamp::from_micros(0));
        let unknown = Rejection::PartnerUnknown { partner_id: PartnerId::parse("p-1").expect("an id") };
        let exists = Rejection::CostExists { cost_id: CostId::parse("c-1").expect("an id") };
        let retired = nordwind(&[PartnerEvent::RetirementCompleted { as_of: vec![] }]);
        for (id, partner, known, refusal) in [
            ("c-2", None, None, None),
            ("c-2", Some("p-1"), nordwind(&[]), None),
            ("c-2", Some("p-1"), retired, None),
            ("c-2", Some("p-1"), None, Some(unknown.clone())),
            ("c-2", Some("p-1"), Some(Partner::default()), Some(unknown)),
            ("c-1", None, None, Some(exists)),
        ] {
            let command = cost(id, partner);
            let expected = refusal.map_or_else(|| Ok(vec![recorded(command.clone())]), Err);
            assert_eq!(command.decide(&state, &facts(known)), expected, "{command:?}");
        }
    }

    #[test]
    fn a_cost_goes_to_its_partner_or_to_the_program() {
        for (partner, stream) in [(None, "cost/program"), (Some("p-1"), "cost/p-1")] {
            let command = cost("c-1", partner);
            assert_eq!(command.address(), Ok(Address::Stream(StreamName::parse(stream).expect("a stream"))));
            assert_eq!(command.relies_on(&Cost::default()).as_ref().map(PartnerId::as_str), partner);
        }
    }
}
