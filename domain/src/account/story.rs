//! Given, when, then: an account in a test, told as the commands that were sent to it.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{Account, AccountEvent};
use crate::{
    catalogue::{AccountCommand, Command},
    facts::{Channel, Facts},
    partner::{Partner, PartnerEvent, Role},
    rejection::Rejection,
    rules::{DealRegistrationRules, RuleSet, Rules},
    stream::Stream,
    values::{Label, PartnerId, Timestamp},
};

pub(super) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

/// A registration on acme.com: product "GTX Pro", 1,000.00 USD.
pub(super) fn deal(deal: &str, partner: &str) -> Value {
    json!({"deal_id": deal, "partner_id": partner, "account": "acme.com", "product": "GTX Pro",
           "amount": {"amount": "1000.00", "currency": "USD"}})
}

/// `payload` with `fields` in place of its own.
pub(super) fn with(mut payload: Value, fields: Value) -> Value {
    let (Value::Object(all), Value::Object(fields)) = (&mut payload, fields) else { panic!("two objects") };
    all.extend(fields);
    payload
}

/// Of the deal d-1.
pub(super) fn d1() -> Value {
    json!({"deal_id": "d-1"})
}

/// The protection that d-1 of p-1, approved on 2026-10-01, has against `contender`.
pub(super) fn protected_against(contender: Option<&str>) -> Rejection {
    Rejection::AccountProtected {
        holder: "p-1".parse().expect("an id"),
        deal_id: "d-1".parse().expect("an id"),
        product: "GTX Pro".into(),
        protected_until: time("2026-12-30"),
        contender: contender.map(|id| id.parse().expect("an id")),
    }
}

pub(super) fn wrong_phase(phase: &str) -> Rejection {
    Rejection::WrongDealPhase { deal_id: "d-1".parse().expect("an id"), phase: phase.into() }
}

/// An account at 2026-10-01 under the default rules; p-1, p-2 and p-3 are active partners in EMEA.
pub(super) struct Story {
    pub(super) account: Account,
    facts: Facts,
    partners: BTreeMap<PartnerId, Arc<Partner>>,
}

impl Story {
    pub(super) fn new() -> Self {
        let now = time("2026-10-01");
        let rules = Rules::parse(Rules::DEFAULT).expect("the default rules");
        let rules = Arc::new(RuleSet { version: 1, effective_from: time("2026-01-01"), rules });
        let facts = Facts { now, effective_at: now, channel: Channel::Api, historical: false, rules, partner: None };
        let story = Self { account: Account::default(), facts, partners: BTreeMap::new() };
        ["p-1", "p-2", "p-3"].into_iter().fold(story, |story, id| story.partner(id, &active()))
    }

    pub(super) fn partner(mut self, id: &str, events: &[PartnerEvent]) -> Self {
        let partner = self.partners.entry(id.parse().expect("an id")).or_default();
        events.iter().for_each(|event| Arc::make_mut(partner).evolve(event, self.facts.now));
        self
    }

    pub(super) fn rules(mut self, change: impl FnOnce(&mut DealRegistrationRules)) -> Self {
        change(&mut Arc::make_mut(&mut self.facts.rules).rules.deal_registration);
        self
    }

    /// From here on it is `now`.
    pub(super) fn at(mut self, now: &str) -> Self {
        (self.facts.now, self.facts.effective_at) = (time(now), time(now));
        self
    }

    /// From here on commands say that they were true at `date`.
    pub(super) fn dated(mut self, date: &str) -> Self {
        self.facts.effective_at = time(date);
        self
    }

    /// From here on an import sends history, or (not) what is true today.
    pub(super) fn import(mut self, historical: bool) -> Self {
        (self.facts.channel, self.facts.historical) = (Channel::Import, historical);
        self
    }

    /// From here on a service sends events.
    pub(super) fn ingest(mut self) -> Self {
        (self.facts.channel, self.facts.historical) = (Channel::Ingest, false);
        self
    }

    /// From here on somebody sends what is true today.
    pub(super) fn api(mut self) -> Self {
        (self.facts.channel, self.facts.historical) = (Channel::Api, false);
        self
    }

    /// What is decided, and when it is effective.
    fn dated_decision(&self, name: &str, payload: &Value) -> (Timestamp, Result<Vec<AccountEvent>, Rejection>) {
        let command = Command::parse(name, payload.to_string().as_bytes()).expect(name);
        let business_time = command.business_time();
        let Command::Account(command) = command else { panic!("{name} is no command of an account") };
        let command: &AccountCommand = &command;
        let partner = command.relies_on(&self.account).and_then(|id| self.partners.get(&id).cloned());
        let facts = Facts { partner, ..self.facts.clone() };
        let at = business_time.unwrap_or(facts.effective_at);
        (command.builds_on(&self.account).map_or(at, |begun| begun.max(at)), command.decide(&self.account, &facts))
    }

    pub(super) fn decide(&self, name: &str, payload: &Value) -> Result<Vec<AccountEvent>, Rejection> {
        self.dated_decision(name, payload).1
    }

    /// The one event that follows.
    pub(super) fn event(&self, name: &str, payload: &Value) -> AccountEvent {
        let events = self.decide(name, payload).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
        <[AccountEvent; 1]>::try_from(events).expect("one event")[0].clone()
    }

    pub(super) fn refusal(&self, name: &str, payload: &Value) -> Rejection {
        self.decide(name, payload).expect_err(name)
    }

    /// The command is accepted, and recorded as JSON.
    pub(super) fn then(mut self, name: &str, payload: &Value) -> Self {
        let (at, events) = self.dated_decision(name, payload);
        for event in events.unwrap_or_else(|rejection| panic!("{name}: {rejection}")) {
            let json = serde_json::to_string(&event).expect("recorded");
            assert_eq!(serde_json::from_str::<AccountEvent>(&json).expect("read again"), event);
            self.account.evolve(&event, at);
        }
        self
    }

    /// p-1 has registered d-1.
    pub(super) fn registered() -> Self {
        Self::new().then("RegisterDeal", &deal("d-1", "p-1"))
    }

    /// d-1 of p-1 is approved: protected until 2026-12-30, valid until 2027-03-30.
    pub(super) fn approved() -> Self {
        Self::registered().then("ApproveDeal", &d1())
    }

    /// The deal d-1.
    pub(super) fn d1(&self) -> &super::Deal {
        self.account.deal(&"d-1".parse().expect("an id")).expect("d-1 is registered")
    }
}

pub(super) fn applied() -> PartnerEvent {
    let region = Some(Label::parse("EMEA").expect("a label"));
    PartnerEvent::PartnerRegistered {
        name: Label::parse("A partner").expect("a label"),
        roles: vec![Role::Reseller],
        country: None,
        region,
    }
}

pub(super) fn active() -> [PartnerEvent; 3] {
    [applied(), PartnerEvent::AgreementSigned { signed_at: time("2026-01-01") }, PartnerEvent::PartnerActivated {}]
}
