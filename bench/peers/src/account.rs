//! The aggregate that both libraries are given: an account, its deals and who is protected on it.
//!
//! The rules are those of pledger that the workload meets, and no more.

use std::collections::BTreeMap;

use disintegrate::{Event, StateQuery};
use serde::{Deserialize, Serialize};

/// Where a deal is; each follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Registered,
    Approved,
    Qualified,
    Committed,
    Won,
}

impl Stage {
    /// As the read model has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Approved => "approved",
            Self::Qualified => "qualified",
            Self::Committed => "committed",
            Self::Won => "won",
        }
    }

    const fn before(self) -> Option<Self> {
        match self {
            Self::Registered => None,
            Self::Approved => Some(Self::Registered),
            Self::Qualified => Some(Self::Approved),
            Self::Committed => Some(Self::Qualified),
            Self::Won => Some(Self::Committed),
        }
    }

    /// Whether nobody else may register the same on the account.
    const fn protects(self) -> bool {
        matches!(self, Self::Approved | Self::Qualified | Self::Committed)
    }
}

/// What is registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Registration {
    pub(crate) partner_id: String,
    pub(crate) name: String,
    pub(crate) country: String,
    pub(crate) product: String,
    /// Whole dollars.
    pub(crate) amount: i64,
    pub(crate) region: String,
    pub(crate) expected_close: String,
}

/// What stands beside every event: who asked for it, how and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Context {
    pub(crate) sender: String,
    pub(crate) channel: String,
    /// The idempotency key.
    pub(crate) key: String,
    /// SHA-256 of the input in pledger; here only as long.
    pub(crate) input_hash: String,
    pub(crate) effective_at: String,
    pub(crate) received_at: String,
    pub(crate) rules: String,
}

/// What is asked of an account.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    Register(Registration),
    Approve { protected_until: String },
    Advance { to: Stage },
    Close { amount: i64, gross_margin: i64 },
}

/// A command with its address.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) account_id: String,
    pub(crate) deal_id: String,
    pub(crate) ask: Ask,
    pub(crate) context: Context,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
pub(crate) enum DealEvent {
    DealRegistered {
        #[id]
        account_id: String,
        deal_id: String,
        registration: Registration,
        context: Context,
    },
    DealApproved {
        #[id]
        account_id: String,
        deal_id: String,
        protected_until: String,
        context: Context,
    },
    StageAdvanced {
        #[id]
        account_id: String,
        deal_id: String,
        from: Stage,
        to: Stage,
        context: Context,
    },
    DealWon {
        #[id]
        account_id: String,
        deal_id: String,
        amount: i64,
        gross_margin: i64,
        context: Context,
    },
}

impl DealEvent {
    /// The account that it is of.
    pub(crate) fn account_id(&self) -> &str {
        match self {
            Self::DealRegistered { account_id, .. }
            | Self::DealApproved { account_id, .. }
            | Self::StageAdvanced { account_id, .. }
            | Self::DealWon { account_id, .. } => account_id,
        }
    }
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the account is protected for {0}")]
    AccountProtected(String),
    #[error("the account has such a deal")]
    DealExists,
    #[error("the account has no such deal")]
    UnknownDeal,
    #[error("the deal is {0:?}")]
    OutOfOrder(Stage),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Deal {
    partner_id: String,
    product: String,
    stage: Stage,
}

/// The state that decisions are made on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, StateQuery)]
#[state_query(DealEvent)]
pub(crate) struct Account {
    #[id]
    account_id: String,
    deals: BTreeMap<String, Deal>,
}

impl Account {
    /// One without deals.
    pub(crate) fn new(account_id: &str) -> Self {
        Self { account_id: account_id.to_owned(), deals: BTreeMap::new() }
    }

    /// What comes of a command, without taking it in.
    pub(crate) fn decide(&self, command: &Command) -> Result<DealEvent, Refusal> {
        let Command { account_id, deal_id, ask, context } = command.clone();
        match ask {
            Ask::Register(registration) => {
                self.free_for(&registration)?;
                if self.deals.contains_key(&deal_id) {
                    return Err(Refusal::DealExists);
                }
                Ok(DealEvent::DealRegistered { account_id, deal_id, registration, context })
            }
            Ask::Approve { protected_until } => {
                self.moves(&deal_id, Stage::Approved)?;
                Ok(DealEvent::DealApproved { account_id, deal_id, protected_until, context })
            }
            Ask::Advance { to } => {
                let from = self.moves(&deal_id, to)?;
                Ok(DealEvent::StageAdvanced { account_id, deal_id, from, to, context })
            }
            Ask::Close { amount, gross_margin } => {
                self.moves(&deal_id, Stage::Won)?;
                Ok(DealEvent::DealWon { account_id, deal_id, amount, gross_margin, context })
            }
        }
    }

    fn free_for(&self, asked: &Registration) -> Result<(), Refusal> {
        let stands_against = |deal: &&Deal| deal.stage.protects() && deal.product == asked.product && deal.partner_id != asked.partner_id;
        match self.deals.values().find(stands_against) {
            Some(deal) => Err(Refusal::AccountProtected(deal.partner_id.clone())),
            None => Ok(()),
        }
    }

    /// Where the deal is, if it may go on to `to`.
    fn moves(&self, deal_id: &str, to: Stage) -> Result<Stage, Refusal> {
        let deal = self.deals.get(deal_id).ok_or(Refusal::UnknownDeal)?;
        if to.before() == Some(deal.stage) { Ok(deal.stage) } else { Err(Refusal::OutOfOrder(deal.stage)) }
    }

    /// Takes in what was decided.
    pub(crate) fn evolve(&mut self, event: DealEvent) {
        match event {
            DealEvent::DealRegistered { deal_id, registration: Registration { partner_id, product, .. }, .. } => {
                self.deals.insert(deal_id, Deal { partner_id, product, stage: Stage::Registered });
            }
            DealEvent::DealApproved { deal_id, .. } => self.put(&deal_id, Stage::Approved),
            DealEvent::StageAdvanced { deal_id, to, .. } => self.put(&deal_id, to),
            DealEvent::DealWon { deal_id, .. } => self.put(&deal_id, Stage::Won),
        }
    }

    fn put(&mut self, deal_id: &str, stage: Stage) {
        if let Some(deal) = self.deals.get_mut(deal_id) {
            deal.stage = stage;
        }
    }
}
