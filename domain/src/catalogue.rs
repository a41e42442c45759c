//! The command catalogue: one line a command. The HTTP routes, the command line's schemas, the inbox mapping and the
//! OpenAPI document all follow from it.

use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};

use crate::{
    account::Account,
    command::{Address, CommandPayload, Origin},
    cost::Cost,
    facts::Facts,
    fund::Fund,
    partner::Partner,
    program::Program,
    reading::{self, Unreadable},
    rejection::Rejection,
    rules::is_within,
    stream::{Stream, StreamKind},
    values::{InvalidAccount, InvalidCountry, PartnerId, PersonalVisitor, Timestamp},
};

type Schema = utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>;

/// What the outside needs to know of a command.
#[derive(Clone, Copy)]
pub struct CommandSpec {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// A payload that works, as JSON.
    pub example: &'static str,
    /// The kind of stream it is decided in.
    pub stream: StreamKind,
    /// Who may send it.
    pub origin: Origin,
    /// The clauses or sections of the rules that it is decided by.
    pub decided_by: &'static [&'static str],
    /// Whether it may be decided by a partner's facts.
    pub relies_on_a_partner: bool,
    /// Its payload's JSON schema (2020-12), with references into `#/components/schemas`.
    pub schema: fn() -> Schema,
    /// The named schemas that `schema` refers to.
    pub referenced: fn(&mut Vec<(String, Schema)>),
}

impl CommandSpec {
    const fn of<C: CommandPayload>() -> Self {
        Self {
            name: C::NAME,
            summary: C::SUMMARY,
            example: C::EXAMPLE,
            stream: <C::Stream as Stream>::KIND,
            origin: C::ORIGIN,
            decided_by: C::DECIDED_BY,
            relies_on_a_partner: C::RELIES_ON_A_PARTNER,
            schema: <C as utoipa::PartialSchema>::schema,
            referenced: <C as utoipa::ToSchema>::schemas,
        }
    }

    /// The command called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|spec| spec.name == name)
    }

    /// Whether rules that differ in this clause may decide it otherwise.
    #[must_use]
    pub fn is_decided_by(&self, clause: &str) -> bool {
        is_within(clause, self.decided_by)
    }
}

/// Why a payload is not one of its command's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPayload {
    /// There is no such command.
    #[error("there is no command {name:?}{}", .nearest.map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    UnknownCommand {
        /// What was asked for.
        name: String,
        /// The nearest name there is.
        nearest: Option<&'static str>,
    },
    /// The bytes are not JSON.
    #[error("the payload is not JSON: {0}")]
    Malformed(String),
    /// A field is missing, unknown or wrong.
    #[error("{}", reading::sentence(field, reason))]
    Field {
        /// The path of the field, such as `account.domain`; empty for the payload itself.
        field: String,
        /// What is wrong with it and what would be accepted.
        reason: String,
    },
}

fn parse<C: CommandPayload>(json: &[u8]) -> Result<C, InvalidPayload> {
    reading::object(json).map_err(|unreadable| match unreadable {
        Unreadable::Malformed(reason) => InvalidPayload::Malformed(reason),
        Unreadable::Field { field, reason } => InvalidPayload::Field { field, reason },
    })
}

macro_rules! catalogue {
    ($($kind:ident $commands:ident { $($module:ident :: $name:ident),* $(,)? })*) => {
        $(
            #[doc = concat!("A command of a stream of the kind `", stringify!($kind), "`.")]
            #[derive(Clone, Debug, PartialEq)]
            #[expect(missing_docs, reason = "each payload is documented where it is defined")]
            pub enum $commands { $($name(crate::$module::$name)),* }

            impl $commands {
                /// Decides: what happened, or why not.
                ///
                /// # Errors
                /// The named rejection.
                pub fn decide(&self, state: &$kind, facts: &Facts) -> Result<Vec<<$kind as Stream>::Event>, Rejection> {
                    match self { $(Self::$name(payload) => payload.decide(state, facts)),* }
                }

                /// The partner whose facts the decision needs.
                #[must_use]
                pub fn relies_on(&self, state: &$kind) -> Option<PartnerId> {
                    let (partner, may_be) = match self {
                        $(Self::$name(payload) => (payload.relies_on(state), crate::$module::$name::RELIES_ON_A_PARTNER)),*
                    };
                    debug_assert!(may_be || partner.is_none(), "it relies on {partner:?}, and does not say that it may");
                    partner
                }

                /// When the entity that this builds on came to be.
                #[must_use]
                pub fn builds_on(&self, state: &$kind) -> Option<Timestamp> {
                    match self { $(Self::$name(payload) => payload.builds_on(state)),* }
                }
            }
        )*

        /// Any command of the catalogue.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "one variant a kind of stream")]
        pub enum Command { $($kind(Arc<$commands>)),* }

        /// Every command there is.
        pub const COMMANDS: &[CommandSpec] = &[ $($(CommandSpec::of::<crate::$module::$name>()),*),* ];

        impl Command {
            /// Reads the payload of the command called `name`.
            ///
            /// # Errors
            /// `InvalidPayload`, naming the field.
            pub fn parse(name: &str, json: &[u8]) -> Result<Self, InvalidPayload> {
                match name {
                    $($(stringify!($name) => Ok(Self::$kind(Arc::new($commands::$name(parse(json)?)))),)*)*
                    _ => Err(InvalidPayload::UnknownCommand { name: name.chars().take(80).collect(), nearest: nearest(name) }),
                }
            }

            /// The command's entry in the catalogue.
            #[must_use]
            pub fn spec(&self) -> &'static CommandSpec {
                match self {
                    $(Self::$kind(command) => match &**command {
                        $($commands::$name(_) => const { &CommandSpec::of::<crate::$module::$name>() }),*
                    }),*
                }
            }

            /// Where it goes.
            ///
            /// # Errors
            /// Where the payload's account is none.
            pub fn address(&self) -> Result<Address, InvalidAccount> {
                match self {
                    $(Self::$kind(command) => match &**command { $($commands::$name(payload) => payload.address()),* }),*
                }
            }

            /// Puts what comes in anew in its usual form.
            ///
            /// # Errors
            /// Where the payload's country is none.
            pub fn normalise(&mut self) -> Result<(), InvalidCountry> {
                match self {
                    $(Self::$kind(command) => match Arc::make_mut(command) { $($commands::$name(payload) => payload.normalise()),* }),*
                }
            }

            /// The id that it makes known where it is accepted.
            #[must_use]
            pub fn introduces(&self) -> Option<Address> {
                match self {
                    $(Self::$kind(command) => match &**command { $($commands::$name(payload) => payload.introduces()),* }),*
                }
            }

            /// The payload's own business date.
            #[must_use]
            pub fn business_time(&self) -> Option<Timestamp> {
                match self {
                    $(Self::$kind(command) => match &**command { $($commands::$name(payload) => payload.business_time()),* }),*
                }
            }

            /// Shows every `Personal` field to `visitor`.
            ///
            /// # Errors
            /// The visitor's.
            pub fn visit_personal<V: PersonalVisitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
                match self {
                    $(Self::$kind(command) => match Arc::make_mut(command) {
                        $($commands::$name(payload) => payload.visit_personal(visitor)),*
                    }),*
                }
            }

            /// The payload as it is recorded. Fails where a `Personal` field is still plain.
            ///
            /// # Errors
            /// That of the serialiser.
            pub fn payload_json(&self) -> Result<Box<RawValue>, serde_json::Error> {
                match self {
                    $(Self::$kind(command) => match &**command { $($commands::$name(payload) => to_raw_value(payload)),* }),*
                }
            }
        }
    };
}

catalogue! {
    Program ProgramCommand { program::PublishRules }
    Partner PartnerCommand {
        partner::NominatePartner, partner::RegisterPartner,
        partner::AssignPartnerRole, partner::RevokePartnerRole, partner::AssignPartnerRegion, partner::AssignPartnerManager,
        partner::SignAgreement, partner::ActivatePartner, partner::SuspendPartner,
        partner::RetirePartner, partner::CompleteRetirement,
        partner::RecordCourseCompletion, partner::AwardCertification, partner::RecertifyPerson,
        partner::RevokeCertification, partner::ExpireCertification,
        partner::EvaluateTier, partner::OverrideTier,
    }
    Account AccountCommand {
        account::RegisterDeal, account::UpdateDeal,
        account::ApproveDeal, account::RejectDeal, account::RequestDealInformation, account::RecordSlaBreach,
        account::WithdrawDeal, account::CancelDeal, account::ExtendDeal, account::ExpireDeal,
        account::AdvanceStage, account::SetNextStep, account::AddNote, account::CloseWon, account::CloseLost,
        account::ClaimAccountDirect, account::OpenProtection, account::ReassignDeal,
        account::OpenDispute, account::EscalateDispute, account::RuleOnDispute,
        account::RecordTouchpoint, account::RecordRevenue,
    }
    Fund FundCommand {
        fund::OpenBudget,
        fund::AllocateFunds,
        fund::RequestFunds,
        fund::AmendFundRequest,
        fund::RecallFundRequest,
        fund::CancelFundRequest,
        fund::RequestFundInformation,
        fund::ApproveFundRequest,
        fund::RejectFundRequest,
        fund::ClaimMDF,
        fund::ApproveClaim,
        fund::RejectClaim,
        fund::PayClaim,
        fund::CloseClaimWindow,
    }
    Cost CostCommand { cost::RecordProgramCost }
}

/// The name nearest to `name`, where one is near enough to be meant.
fn nearest(name: &str) -> Option<&'static str> {
    COMMANDS
        .iter()
        .map(|spec| (strsim::jaro_winkler(&spec.name.to_lowercase(), &name.to_lowercase()), spec.name))
        .filter(|(score, _)| *score > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    #[test]
    fn commands_are_decided_by_clauses_that_there_are() {
        let rules = serde_json::to_value(Rules::parse(Rules::DEFAULT).expect("the default rules")).expect("JSON");
        for spec in COMMANDS {
            for clause in spec.decided_by {
                assert!(
                    !rules.pointer(&format!("/{}", clause.replace('.', "/"))).is_none_or(serde_json::Value::is_null),
                    "{} {clause}",
                    spec.name
                );
            }
        }
    }

    #[test]
    fn a_section_is_all_of_its_clauses() {
        let is_decided_by = |name, clause| CommandSpec::find(name).expect(name).is_decided_by(clause);
        for (name, clause, is) in [
            ("OverrideTier", "tiers", true),
            ("OverrideTier", "tiers.gold.revenue", true),
            ("OverrideTier", "tier_policy.grace_days", false),
            ("EvaluateTier", "tier_policy.grace_days", true),
            ("ApproveDeal", "deal_registration.protection_days", true),
            ("ApproveDeal", "deal_registration.extension_days", false),
            ("AddNote", "deal_registration.protection_days", false),
        ] {
            assert_eq!(is_decided_by(name, clause), is, "{name} {clause}");
        }
    }
}
