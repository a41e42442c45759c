//! The vendor's direct sellers claim an account (F42).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{AccountRef, DirectClaimId, InvalidAccount, InvalidCountry, Label, StaffId},
};

/// Claims an account, or one product on it, for the direct sellers. Refused while any partner's protection is in force
/// there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimAccountDirect {
    /// The claim; unique on the account.
    pub claim_id: DirectClaimId,
    /// The customer.
    pub account: AccountRef,
    /// Who claims it.
    pub seller: StaffId,
    /// Only this product; every product where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Label>,
}

impl CommandPayload for ClaimAccountDirect {
    const NAME: &'static str = "ClaimAccountDirect";
    const SUMMARY: &'static str = "Claims an unprotected account for the vendor's direct sellers.";
    const EXAMPLE: &'static str = r#"{"claim_id":"dc-1","account":"acme.com","seller":"s-weber"}"#;
    const DECIDED_BY: &'static [&'static str] = &["deal_registration.protection_scope"];
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::account(&self.account.opening_key()?)))
    }

    fn normalise(&mut self) -> Result<(), InvalidCountry> {
        self.account.normalise()
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        if state.has_direct_claim(&self.claim_id) {
            return Err(Rejection::DirectClaimExists { claim_id: self.claim_id.clone() });
        }
        state.unprotected(facts, self.product.as_ref(), None)?;
        Ok(vec![AccountEvent::DirectClaimed {
            claim_id: self.claim_id.clone(),
            seller: self.seller.clone(),
            product: self.product.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, protected_against, with};
    use super::*;
    use crate::rules::{DealRegistrationRules, ProtectionScope};
    use serde_json::json;

    #[test]
    fn protection_refuses_the_direct_sellers_too() {
        let claim = |fields| with(json!({"claim_id": "dc-1", "account": "acme.com", "seller": "s-1"}), fields);
        let everything = || claim(json!({}));
        let same = || claim(json!({"product": "gtx pro"}));
        let other = || claim(json!({"product": "GTX Basic"}));
        let by_account = |rules: &mut DealRegistrationRules| rules.protection_scope = ProtectionScope::Account;
        let claimed = Story::new().then("ClaimAccountDirect", &everything());
        let exists = Rejection::DirectClaimExists { claim_id: "dc-1".parse().expect("an id") };
        for (story, payload, refusal) in [
            (Story::new(), everything(), None),
            (Story::registered(), everything(), None),
            (Story::approved(), everything(), Some(protected_against(None))),
            (Story::approved(), same(), Some(protected_against(None))),
            (Story::approved(), other(), None),
            (Story::approved().rules(by_account), other(), Some(protected_against(None))),
            (Story::approved().at("2026-12-30"), everything(), None),
            (claimed, everything(), Some(exists)),
        ] {
            assert_eq!(story.decide("ClaimAccountDirect", &payload).err(), refusal, "{payload}");
        }
    }
}
