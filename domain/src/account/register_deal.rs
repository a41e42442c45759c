//! A partner registers a deal on an account (F41).

use serde::{Deserialize, Serialize};

use super::{
    Account, AccountEvent, Contact, DealRegistered, business_date::close_still_expected, business_date::not_in_future,
    described_key::describe, required_fields::all_given, routing, standing::registering_partner,
};
use crate::{
    command::{Address, CommandPayload},
    facts::{Channel, Facts},
    rejection::Rejection,
    rules::RequiredField,
    stream::StreamName,
    values::{
        AccountDescription, AccountKey, AccountRef, Amount, DealId, InvalidAccount, InvalidCountry, KeyStrength, Label, PartnerId,
        PersonalVisitor, Timestamp,
    },
};

/// Registers a deal; it is up for decision at once unless it is a draft. Refused while another partner's protection
/// of the same scope is in force at the receipt, whatever date the sender gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterDeal {
    /// The deal, as the partner or the CRM names it; unique on its account.
    pub deal_id: DealId,
    /// Whose deal it is.
    pub partner_id: PartnerId,
    /// The customer. Only an import may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// What is sold.
    pub product: Label,
    /// The expected value.
    pub amount: Amount,
    /// Whether the amount is an estimate made by an import.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// The sales region; the partner's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
    /// When the partner expects to close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_close: Option<Timestamp>,
    /// Keep it as a draft for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
    /// A person at the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
}

impl RegisterDeal {
    /// The account's key, where it is one that matches anything.
    fn matching_key(&self) -> Option<AccountKey> {
        let key = self.account.as_ref().and_then(|account| account.key().ok())?;
        (key.strength() != KeyStrength::None).then_some(key)
    }

    /// As described now, else as described before, else what the key says.
    fn description(&self, state: &Account) -> Option<AccountDescription> {
        let key = self.matching_key()?;
        match &self.account {
            Some(AccountRef::Description(description)) => Some(description.clone()),
            Some(AccountRef::Key(_)) | None => Some(state.description().unwrap_or_else(|| describe(&key))),
        }
    }

    /// A draft may be completed later, all but its contact: an update carries no person.
    fn complete(&self, facts: &Facts) -> Result<(), Rejection> {
        all_given(facts, |field| match field {
            RequiredField::Region => self.draft || self.region.is_some(),
            RequiredField::ExpectedClose => self.draft || self.expected_close.is_some(),
            RequiredField::Contact => self.contact.is_some(),
        })
    }
}

impl CommandPayload for RegisterDeal {
    const NAME: &'static str = "RegisterDeal";
    const SUMMARY: &'static str = "Registers a partner's deal on an account.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","partner_id":"p-nordwind","account":{"name":"Acme Corporation","domain":"acme.com"},"product":"GTX Pro","amount":{"amount":"120000.00","currency":"USD"},"expected_close":"2027-03-31"}"#;
    const DECIDED_BY: &'static [&'static str] = &[
        "deal_registration.required_fields",
        "deal_registration.prerequisite_courses",
        "deal_registration.protection_scope",
        "deal_registration.routing",
        "deal_registration.default_reviewer",
        "deal_registration.approval_sla_hours",
    ];
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        let key = match &self.account {
            Some(account) => account.opening_key()?,
            None => AccountKey::none(&self.partner_id, &self.deal_id),
        };
        Ok(Address::Stream(StreamName::account(&key)))
    }

    fn normalise(&mut self) -> Result<(), InvalidCountry> {
        self.account.as_mut().map_or(Ok(()), AccountRef::normalise)
    }

    fn introduces(&self) -> Option<Address> {
        Some(Address::Deal(self.deal_id.clone()))
    }

    fn relies_on(&self, _state: &Account) -> Option<PartnerId> {
        Some(self.partner_id.clone())
    }

    fn visit_personal<V: PersonalVisitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        if let Some(contact) = &mut self.contact {
            visitor.field("contact.name", &mut contact.person_id, &mut contact.name)?;
            visitor.field("contact.email", &mut contact.person_id, &mut contact.email)?;
        }
        Ok(())
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        let partner = registering_partner(facts, &self.partner_id)?;
        self.complete(facts)?;
        close_still_expected(self.expected_close, facts)?;
        not_in_future(facts.effective_at, facts)?;
        let account = self.description(state);
        if account.is_none() && facts.channel != Channel::Import {
            return Err(Rejection::AccountRequired {});
        }
        if state.deal(&self.deal_id).is_some() {
            return Err(Rejection::DealExists { deal_id: self.deal_id.clone() });
        }
        if !facts.historical {
            state.unprotected(facts, Some(&self.product), Some(&self.partner_id))?;
        }
        let region = self.region.clone().or_else(|| partner.region().cloned());
        let (overlaps, overlap_count) = state.overlaps(facts, &self.partner_id, &self.product);
        Ok(vec![AccountEvent::DealRegistered(Box::new(DealRegistered {
            deal_id: self.deal_id.clone(),
            partner_id: self.partner_id.clone(),
            account,
            product: self.product.clone(),
            amount: self.amount,
            estimated: self.estimated,
            reviewer: Some(routing::reviewer(facts, region.as_ref(), self.amount)),
            region,
            expected_close: self.expected_close,
            draft: self.draft,
            historical: facts.historical,
            sla_due: routing::sla_due(facts).filter(|_| !self.draft),
            overlaps,
            overlap_count,
            contact: self.contact.clone(),
        }))])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, active, deal, protected_against, time, with};
    use super::*;
    use crate::{
        partner::PartnerEvent,
        rules::{ProtectionScope, RoutingRule},
        values::{PersonId, Personal, Text},
    };
    use serde_json::json;

    fn registered(story: &Story, payload: &serde_json::Value) -> DealRegistered {
        match story.event("RegisterDeal", payload) {
            AccountEvent::DealRegistered(registered) => *registered,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_registration_is_routed_and_promised_a_decision() {
        let story = Story::new().rules(|rules| {
            let label = |text| Label::parse(text).expect("a label");
            rules.routing = vec![
                RoutingRule { region: Some(label("APAC")), min_amount: None, reviewer: label("apac-desk") },
                RoutingRule { region: None, min_amount: Some("500".parse().expect("a number")), reviewer: label("large-deals") },
            ];
        });
        for (fields, region, reviewer) in [
            (json!({}), "EMEA", "large-deals"),
            (json!({"region": "apac"}), "apac", "apac-desk"),
            (json!({"amount": {"amount": "499.99", "currency": "USD"}}), "EMEA", "channel-desk"),
        ] {
            let event = registered(&story, &with(deal("d-1", "p-1"), fields));
            let routed = (event.region.as_ref().map(Label::as_str), event.reviewer.as_ref().map(Label::as_str));
            assert_eq!(routed, (Some(region), Some(reviewer)));
            assert_eq!((event.sla_due, event.draft, event.historical), (Some(time("2026-10-03")), false, false));
        }
        let draft = registered(&story, &with(deal("d-1", "p-1"), json!({"draft": true})));
        assert_eq!((draft.draft, draft.sla_due), (true, None));
        let unhurried = registered(&Story::new().rules(|rules| rules.approval_sla_hours = 0), &deal("d-1", "p-1"));
        assert_eq!(unhurried.sla_due, None);
    }

    #[test]
    fn the_partner_must_be_in_good_standing() {
        let id = || "p-9".parse::<PartnerId>().expect("an id");
        let inactive = |phase: &str| Rejection::PartnerNotActive { partner_id: id(), phase: phase.into() };
        let reason = Text::parse("late").expect("a text");
        let [applied, signed, activated] = active();
        let retiring = PartnerEvent::RetirementStarted { reason: None };
        let retired = PartnerEvent::RetirementCompleted { as_of: vec![] };
        let since = time("2026-10-01");
        for (events, now, history) in [
            (vec![], Some(Rejection::PartnerUnknown { partner_id: id() }), Some(Rejection::PartnerUnknown { partner_id: id() })),
            (vec![applied.clone()], Some(inactive("applied")), None),
            (vec![applied.clone(), signed.clone()], Some(inactive("onboarding")), None),
            (vec![applied.clone(), activated.clone()], Some(Rejection::AgreementNotSigned { partner_id: id() }), None),
            ([&active()[..], &[PartnerEvent::PartnerSuspended { reason }]].concat(), Some(inactive("suspended")), None),
            ([&active()[..], std::slice::from_ref(&retiring)].concat(), Some(Rejection::PartnerRetiring { partner_id: id(), since }), None),
            ([&active()[..], &[retiring, retired]].concat(), Some(inactive("retired")), Some(inactive("retired"))),
            (active().to_vec(), None, None),
        ] {
            let story = Story::new().partner("p-9", &events);
            assert_eq!(story.decide("RegisterDeal", &deal("d-1", "p-9")).err(), now, "{events:?}");
            assert_eq!(story.import(true).decide("RegisterDeal", &deal("d-1", "p-9")).err(), history, "{events:?}");
        }
    }

    #[test]
    fn courses_and_fields_may_be_required_first() {
        let course = || "101".parse().expect("an id");
        let story = Story::new().rules(|rules| rules.prerequisite_courses = vec![course()]);
        let missing = Rejection::PrerequisiteMissing { partner_id: "p-1".parse().expect("an id"), course: course() };
        assert_eq!(story.refusal("RegisterDeal", &deal("d-1", "p-1")), missing);
        let story = story.partner(
            "p-1",
            &[PartnerEvent::CourseCompleted {
                completion_id: None,
                person_id: "ada".parse().expect("an id"),
                course: course(),
                completed_at: time("2026-09-01"),
                hours: None,
                person_name: None,
            }],
        );
        assert_eq!(story.decide("RegisterDeal", &deal("d-1", "p-1")).err(), None);

        let all = vec![RequiredField::Region, RequiredField::ExpectedClose, RequiredField::Contact];
        let story = Story::new().rules(|rules| rules.required_fields = all);
        for (fields, missing) in [
            (json!({}), Some("region")),
            (json!({"region": "EMEA"}), Some("expected_close")),
            (json!({"region": "EMEA", "expected_close": "2026-11-01"}), Some("contact")),
            (json!({"draft": true}), Some("contact")),
            (json!({"draft": true, "contact": {"person_id": "ada"}}), None),
            (json!({"region": "EMEA", "expected_close": "2026-11-01", "contact": {"person_id": "ada"}}), None),
        ] {
            let refusal = missing.map(|field| Rejection::RequiredByRules { field: field.into() });
            assert_eq!(story.decide("RegisterDeal", &with(deal("d-1", "p-1"), fields.clone())).err(), refusal, "{fields}");
        }
    }

    #[test]
    fn dates_and_accounts_are_checked() {
        let past = || with(deal("d-1", "p-1"), json!({"expected_close": "2026-09-30"}));
        let none = || json!({"deal_id": "d-1", "partner_id": "p-1", "product": "x", "amount": {"amount": "1", "currency": "USD"}});
        let none_by_key = || with(none(), json!({"account": "none:p-1:d-1"}));
        let now = time("2026-10-01T08:00:00Z");
        for (story, payload, refusal) in [
            (Story::new(), past(), Some(Rejection::ExpectedCloseInPast { expected_close: time("2026-09-30"), now })),
            (Story::new(), with(past(), json!({"expected_close": "2026-10-01"})), None),
            (Story::new().import(true), past(), None),
            (Story::new(), none(), Some(Rejection::AccountRequired {})),
            (Story::new(), none_by_key(), Some(Rejection::AccountRequired {})),
            (Story::new().import(false), none(), None),
            (Story::new().import(true), none_by_key(), None),
            (Story::registered(), deal("d-1", "p-2"), Some(Rejection::DealExists { deal_id: "d-1".parse().expect("an id") })),
        ] {
            assert_eq!(story.at("2026-10-01T08:00:00Z").decide("RegisterDeal", &payload).err(), refusal, "{payload}");
        }
        let ahead = Story::new().dated("2026-10-02T00:00:01Z").refusal("RegisterDeal", &deal("d-1", "p-1"));
        assert_eq!(ahead, Rejection::DateInFuture { date: time("2026-10-02T00:00:01Z"), now: time("2026-10-01") });
    }

    #[test]
    fn protection_refuses_the_others_in_its_scope() {
        let by_account = |rules: &mut crate::rules::DealRegistrationRules| rules.protection_scope = ProtectionScope::Account;
        let other = || with(deal("d-2", "p-2"), json!({"product": "GTX Basic"}));
        let same = || with(deal("d-2", "p-2"), json!({"product": " gtx  PRO"}));
        let refused = || Some(protected_against(Some("p-2")));
        for (story, payload, refusal) in [
            (Story::approved(), deal("d-2", "p-2"), refused()),
            (Story::approved(), same(), refused()),
            (Story::approved(), with(same(), json!({"draft": true})), refused()),
            (Story::approved(), other(), None),
            (Story::approved().rules(by_account), other(), refused()),
            (Story::approved(), deal("d-2", "p-1"), None),
            (Story::approved().at("2026-12-29T23:59:59Z"), deal("d-2", "p-2"), refused()),
            (Story::approved().at("2026-12-30"), deal("d-2", "p-2"), None),
            // A back-dated registration does not beat protection, and a future date does not outlast it.
            (Story::approved().dated("2026-01-01"), deal("d-2", "p-2"), refused()),
            (Story::approved().at("2026-12-29").dated("2026-12-30"), deal("d-2", "p-2"), refused()),
            (Story::approved().import(false).dated("2026-01-01"), deal("d-2", "p-2"), refused()),
            (Story::registered(), deal("d-2", "p-2"), None),
        ] {
            assert_eq!(story.decide("RegisterDeal", &payload).err(), refusal, "{payload}");
        }
    }

    #[test]
    fn history_is_recorded_with_what_it_broke() {
        let story = Story::approved().import(true).dated("2016-10-20");
        let event = registered(&story, &deal("d-2", "p-2"));
        assert!(event.historical);
        assert_eq!((event.sla_due, event.overlap_count), (None, 1));
        assert_eq!(event.overlaps[0].deal_id.as_str(), "d-1");
        let story = story.rules(|rules| rules.protection_scope = ProtectionScope::Account);
        let event = registered(&story, &with(deal("d-2", "p-2"), json!({"product": "Other"})));
        assert_eq!((event.overlap_count, event.overlaps[0].deal_id.as_str()), (1, "d-1"));
    }

    #[test]
    fn overlaps_are_listed_up_to_ten_and_all_counted() {
        let story = (10..25).fold(Story::new(), |story, n| story.then("RegisterDeal", &deal(&format!("d-{n}"), "p-1")));
        let story = story.then("RegisterDeal", &with(deal("d-draft", "p-1"), json!({"draft": true})));
        let story = story.then("CancelDeal", &json!({"deal_id": "d-24"})).then("RegisterDeal", &deal("d-30", "p-3"));
        let event = registered(&story, &deal("d-2", "p-2"));
        assert_eq!((event.overlaps.len(), event.overlap_count), (10, 15));
        let own = registered(&story, &deal("d-1", "p-1"));
        assert_eq!((own.overlaps.len(), own.overlap_count), (1, 1));
    }

    #[test]
    fn the_description_is_given_remembered_or_made_from_the_key() {
        let account = json!({"name": "Acme Corporation", "domain": "acme.com"});
        let described = Story::new().then("RegisterDeal", &with(deal("d-1", "p-1"), json!({"account": account})));
        for (story, name) in [(described, "Acme Corporation"), (Story::new(), "acme.com")] {
            let account = registered(&story, &deal("d-2", "p-2")).account.expect("an account");
            assert_eq!((account.name.as_str(), account.domain.as_deref()), (name, Some("acme.com")));
        }
    }

    #[test]
    fn the_contact_is_sealed_under_one_subject() {
        struct Sealing(Vec<&'static str>);
        impl PersonalVisitor for Sealing {
            type Error = std::convert::Infallible;
            fn field(&mut self, name: &'static str, id: &mut Option<PersonId>, value: &mut Option<Personal>) -> Result<(), Self::Error> {
                self.0.push(name);
                id.get_or_insert_with(|| "ada".parse().expect("an id"));
                *value = value.take().map(|_| Personal::Sealed("AAEC".into()));
                Ok(())
            }
        }
        let contact = json!({"contact": {"name": "Ada Lovelace", "email": "ada@acme.com"}});
        let mut command: RegisterDeal = serde_json::from_value(with(deal("d-1", "p-1"), contact)).expect("a payload");
        assert!(serde_json::to_string(&command).is_err(), "a plain name is never written");
        let mut sealing = Sealing(vec![]);
        let Ok(()) = command.visit_personal(&mut sealing);
        assert_eq!(sealing.0, ["contact.name", "contact.email"]);
        let written = serde_json::to_value(&command).expect("sealed");
        assert_eq!(written["contact"], json!({"person_id": "ada", "name": {"sealed": "AAEC"}, "email": {"sealed": "AAEC"}}));
    }
}
