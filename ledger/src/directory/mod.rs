//! The directory: which stream an id lives in, for commands that leave their account or budget out.
//!
//! It is folded from decisions alone. Two things are kept:
//!
//! - **where an id was introduced**: `DealRegistered`, `FundsAllocated`, `FundsRequested` and `ClaimSubmitted` say that the
//!   stream of their decision holds the id. Ids are never taken away, so the candidates of an id only grow;
//! - **what (sender, key) once resolved to**, so that a retry goes where the first attempt went although the id has become
//!   ambiguous since. A decision's stream had been looked up if and only if `Command::address` of its recorded payload is
//!   an id; payloads that name an account or a budget cannot be, so only the others are read again.

mod interned;
mod overlay;

use std::{collections::BTreeMap, fmt};

use hashbrown::HashSet;
use pledger_domain::{
    account::AccountEvent,
    catalogue::Command,
    command::Address,
    fund::FundEvent,
    stream::{StreamKind, StreamName},
};
use serde::{
    Deserialize, Serialize,
    de::{IgnoredAny, IntoDeserializer, value::StrDeserializer},
};
use xxhash_rust::xxh3::Xxh3;

use crate::{
    commands::CommandEnvelope,
    record::{CommandRecord, Decision, Events, Outcome},
};

use interned::Interned;
pub use overlay::Overlay;

/// At most so many candidates are named where an id is ambiguous.
pub const MAX_CANDIDATES: usize = 20;

/// What kind of thing an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// A deal, in an account.
    Deal,
    /// An allocation, in a fund.
    Allocation,
    /// A fund request, in a fund.
    Request,
    /// A claim, in a fund.
    Claim,
}

impl IdKind {
    /// The payload's field that holds the id.
    #[must_use]
    pub const fn id_field(self) -> &'static str {
        match self {
            Self::Deal => "deal_id",
            Self::Allocation => "allocation_id",
            Self::Request => "request_id",
            Self::Claim => "claim_id",
        }
    }

    /// The payload's field that names the stream and makes the look-up needless.
    #[must_use]
    pub const fn stream_field(self) -> &'static str {
        match self {
            Self::Deal => "account",
            Self::Allocation | Self::Request | Self::Claim => "budget_id",
        }
    }
}

impl fmt::Display for IdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deal => "deal",
            Self::Allocation => "allocation",
            Self::Request => "request",
            Self::Claim => "claim",
        })
    }
}

/// An id whose stream is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookUp<'a> {
    /// What it names.
    pub kind: IdKind,
    /// The id.
    pub id: &'a str,
}

impl<'a> LookUp<'a> {
    /// The look-up that an address asks for.
    ///
    /// # Errors
    /// The stream, where the address names it.
    pub fn of(address: &'a Address) -> Result<Self, &'a StreamName> {
        let (kind, id) = match address {
            Address::Stream(stream) => return Err(stream),
            Address::Deal(id) => (IdKind::Deal, id.as_str()),
            Address::Allocation(id) => (IdKind::Allocation, id.as_str()),
            Address::Request(id) => (IdKind::Request, id.as_str()),
            Address::Claim(id) => (IdKind::Claim, id.as_str()),
        };
        Ok(Self { kind, id })
    }
}

/// What the directory says to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This stream.
    Found(StreamName),
    /// The id is not known, or not yet: in a cluster the directory may be a moment behind.
    Unknown,
    /// It is known in these streams, sorted, at most `MAX_CANDIDATES` of them.
    Ambiguous(Vec<StreamName>),
}

/// Where ids live. See the module.
///
/// Measured: a million deals with ids of 39 characters on 333,334 accounts, and three decisions each that were looked up,
/// take 136 MB; their snapshot has 83 MB.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Directory {
    /// The names of the streams that hold an id.
    streams: Interned,
    deals: Homes,
    allocations: Homes,
    requests: Homes,
    claims: Homes,
    /// Hashes of (sender, key, id, stream) of decisions whose stream was looked up, and is a candidate of the id. Eight
    /// bytes each suffice: they only choose among the candidates.
    resolved: HashSet<u64>,
    /// By the hash of (sender, key, id): streams in which the id was looked for, but is not known, since the registration
    /// earlier in the same batch was refused.
    strays: BTreeMap<u64, u32>,
}

/// The ids of one kind, and the streams that hold them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Homes {
    ids: Interned,
    /// The first stream of each id, by the id's number.
    first: Vec<u32>,
    /// The further streams of the few ids that have them.
    further: BTreeMap<u32, Vec<u32>>,
}

impl Homes {
    fn learn(&mut self, id: &str, stream: u32) {
        let (number, new) = self.ids.insert(id);
        if new {
            self.first.push(stream);
        } else if self.first[number as usize] != stream {
            let further = self.further.entry(number).or_default();
            if !further.contains(&stream) {
                further.push(stream);
            }
        }
    }

    fn of(&self, id: &str) -> impl Iterator<Item = u32> {
        let number = self.ids.find(id);
        let first = number.map(|n| self.first[n as usize]);
        let further = number.and_then(|n| self.further.get(&n));
        first.into_iter().chain(further.into_iter().flatten().copied())
    }
}

impl Directory {
    /// Takes in a decision.
    pub fn apply(&mut self, decision: &Decision<'_>) {
        let Decision { stream, command, outcome, .. } = decision;
        if self.learn(stream, outcome)
            && let Some(address) = looked_up(stream, command)
        {
            self.remember(&address, stream, &command.sender, &command.id);
        }
    }

    /// Takes in what was decided to a command that is at hand: its payload need not be read again.
    pub fn take_in(&mut self, envelope: &CommandEnvelope, outcome: &Outcome<'_>) {
        if self.learn(&envelope.stream, outcome)
            && let Ok(address) = envelope.command.address()
        {
            self.remember(&address, &envelope.stream, &envelope.sender, &envelope.key);
        }
    }

    /// The stream of an address. What the same sender asked under the same key is answered as it was the first time.
    #[must_use]
    pub fn resolve(&self, address: &Address, sender: &str, key: &str) -> Resolution {
        match LookUp::of(address) {
            Ok(look_up) => self.find(look_up, &Overlay::default(), sender, key),
            Err(stream) => Resolution::Found(stream.clone()),
        }
    }

    /// The stream of an id, for an item of a batch whose earlier items are in `overlay`. Otherwise as `resolve`.
    #[must_use]
    pub fn find(&self, look_up: LookUp<'_>, overlay: &Overlay, sender: &str, key: &str) -> Resolution {
        if let Some(stream) = self.strays.get(&fingerprint(sender, key, look_up, None)) {
            return Resolution::Found(self.name(*stream));
        }
        let mut candidates: Vec<StreamName> = self.homes(look_up.kind).of(look_up.id).map(|stream| self.name(stream)).collect();
        if candidates.len() > 1 {
            let before = candidates.iter().find(|s| self.resolved.contains(&fingerprint(sender, key, look_up, Some(s))));
            if let Some(stream) = before {
                return Resolution::Found(stream.clone());
            }
        }
        candidates.extend_from_slice(overlay.candidates(look_up));
        candidates.sort_unstable();
        candidates.dedup();
        candidates.truncate(MAX_CANDIDATES);
        match candidates.len() {
            0 => Resolution::Unknown,
            1 => Resolution::Found(candidates.remove(0)),
            _ => Resolution::Ambiguous(candidates),
        }
    }

    /// How many ids are known.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.deals.ids.len() + self.allocations.ids.len() + self.requests.ids.len() + self.claims.ids.len()
    }

    /// Whether no id is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in what became known; whether the command's key is used up.
    fn learn(&mut self, stream: &StreamName, outcome: &Outcome<'_>) -> bool {
        match outcome {
            Outcome::Accepted(Events::Account(events)) => {
                events.iter().filter_map(introduced_by_account).for_each(|l| self.introduce(l, stream));
            }
            Outcome::Accepted(Events::Fund(events)) => {
                events.iter().filter_map(introduced_by_fund).for_each(|l| self.introduce(l, stream));
            }
            Outcome::Accepted(Events::Program(_) | Events::Partner(_) | Events::Cost(_)) => {}
            Outcome::Rejected(rejection) => return !rejection.may_pass_later(),
        }
        true
    }

    fn introduce(&mut self, look_up: LookUp<'_>, stream: &StreamName) {
        let (stream, _) = self.streams.insert(stream.as_str());
        self.homes_mut(look_up.kind).learn(look_up.id, stream);
    }

    /// Remembers where an id was looked for; nothing of an address that names its stream.
    fn remember(&mut self, address: &Address, stream: &StreamName, sender: &str, key: &str) {
        let Ok(look_up) = LookUp::of(address) else { return };
        let number = self.streams.find(stream.as_str());
        let is_candidate = number.is_some_and(|number| self.homes(look_up.kind).of(look_up.id).any(|home| home == number));
        if is_candidate {
            self.resolved.insert(fingerprint(sender, key, look_up, Some(stream)));
        } else {
            let (number, _) = self.streams.insert(stream.as_str());
            self.strays.entry(fingerprint(sender, key, look_up, None)).or_insert(number);
        }
    }

    const fn homes(&self, kind: IdKind) -> &Homes {
        match kind {
            IdKind::Deal => &self.deals,
            IdKind::Allocation => &self.allocations,
            IdKind::Request => &self.requests,
            IdKind::Claim => &self.claims,
        }
    }

    const fn homes_mut(&mut self, kind: IdKind) -> &mut Homes {
        match kind {
            IdKind::Deal => &mut self.deals,
            IdKind::Allocation => &mut self.allocations,
            IdKind::Request => &mut self.requests,
            IdKind::Claim => &mut self.claims,
        }
    }

    fn name(&self, stream: u32) -> StreamName {
        let text: StrDeserializer<'_, serde::de::value::Error> = self.streams.get(stream).into_deserializer();
        StreamName::deserialize(text).expect("it was a stream's name when it was interned")
    }
}

/// The hash of one look-up. Colliding hashes only lead to another stream that holds the id as well.
fn fingerprint(sender: &str, key: &str, look_up: LookUp<'_>, stream: Option<&StreamName>) -> u64 {
    let mut hash = Xxh3::new();
    for part in [sender, key, look_up.kind.id_field(), look_up.id, stream.map_or("", StreamName::as_str)] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.digest()
}

/// The address of a decision whose stream had been looked up.
fn looked_up(stream: &StreamName, command: &CommandRecord<'_>) -> Option<Address> {
    /// The fields that name a stream.
    #[derive(Deserialize)]
    struct Named {
        account: Option<IgnoredAny>,
        budget_id: Option<IgnoredAny>,
    }
    match stream.kind() {
        StreamKind::Account | StreamKind::Fund => {}
        StreamKind::Program | StreamKind::Partner | StreamKind::Cost => return None,
    }
    let payload = command.payload.get();
    let named: Named = serde_json::from_str(payload).ok()?;
    if named.account.is_some() || named.budget_id.is_some() {
        return None;
    }
    // A payload that this version no longer reads is of a command that this version does not take again either.
    let address = Command::parse(&command.name, payload.as_bytes()).ok()?.address().ok()?;
    LookUp::of(&address).is_ok().then_some(address)
}

/// The id that an event of an account makes known.
fn introduced_by_account(event: &AccountEvent) -> Option<LookUp<'_>> {
    match event {
        AccountEvent::DealRegistered(deal) => Some(LookUp { kind: IdKind::Deal, id: deal.deal_id.as_str() }),
        AccountEvent::DealUpdated { .. }
        | AccountEvent::DealApproved { .. }
        | AccountEvent::DealRejected { .. }
        | AccountEvent::DealInformationRequested { .. }
        | AccountEvent::DealWithdrawn { .. }
        | AccountEvent::DealCanceled { .. }
        | AccountEvent::DealExtended { .. }
        | AccountEvent::DealExpired { .. }
        | AccountEvent::ApprovalSlaBreached { .. }
        | AccountEvent::StageAdvanced { .. }
        | AccountEvent::NextStepSet { .. }
        | AccountEvent::NoteAdded { .. }
        | AccountEvent::DealWon { .. }
        | AccountEvent::DealLost { .. }
        | AccountEvent::DirectClaimed { .. }
        | AccountEvent::ProtectionOpened { .. }
        | AccountEvent::DealReassigned { .. }
        | AccountEvent::TouchpointRecorded { .. }
        | AccountEvent::RevenueRecorded { .. }
        | AccountEvent::DisputeOpened { .. }
        | AccountEvent::DisputeEscalated { .. }
        | AccountEvent::DisputeRuled { .. } => None,
    }
}

/// The id that an event of a fund makes known.
fn introduced_by_fund(event: &FundEvent) -> Option<LookUp<'_>> {
    match event {
        FundEvent::FundsAllocated { allocation_id, .. } => Some(LookUp { kind: IdKind::Allocation, id: allocation_id.as_str() }),
        FundEvent::FundsRequested { request_id, .. } => Some(LookUp { kind: IdKind::Request, id: request_id.as_str() }),
        FundEvent::ClaimSubmitted { claim_id, .. } => Some(LookUp { kind: IdKind::Claim, id: claim_id.as_str() }),
        FundEvent::BudgetOpened { .. }
        | FundEvent::FundRequestAmended { .. }
        | FundEvent::FundRequestRecalled { .. }
        | FundEvent::FundRequestCanceled { .. }
        | FundEvent::FundRequestInformationRequested { .. }
        | FundEvent::FundRequestApproved { .. }
        | FundEvent::FundRequestRejected { .. }
        | FundEvent::ClaimApproved { .. }
        | FundEvent::ClaimRejected { .. }
        | FundEvent::ClaimPaid { .. }
        | FundEvent::ClaimWindowClosed { .. } => None,
    }
}
