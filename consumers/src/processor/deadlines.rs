//! When to look at which stream again, because something falls due there. What falls due, the stream's state says.

use std::{cmp::Reverse, collections::BinaryHeap};

use pledger_domain::{
    account::AccountEvent, deadline::Deadline, fund::FundEvent, partner::PartnerEvent, stream::StreamName, values::Timestamp,
};
use pledger_ledger::record::Events;

use super::Processor;

/// When a deadline whose command was refused is looked at again.
const AGAIN_HOURS: i64 = 1;
/// The most deadlines that are taken at once.
const MAX_DUE: usize = 256;

/// The streams to look at, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<(Timestamp, StreamName)>>);

impl Deadlines {
    pub(super) fn push(&mut self, due: Timestamp, stream: StreamName) {
        self.0.push(Reverse((due, stream)));
    }

    /// Notes what events let fall due.
    pub(super) fn note(&mut self, stream: &StreamName, events: &Events<'_>) {
        match events {
            Events::Account(events) => events.iter().filter_map(account).for_each(|due| self.push(due, stream.clone())),
            Events::Partner(events) => events.iter().filter_map(partner).for_each(|due| self.push(due, stream.clone())),
            Events::Fund(events) => events.iter().filter_map(fund).for_each(|due| self.push(due, stream.clone())),
            Events::Program(_) | Events::Cost(_) => {}
        }
    }

    /// The streams to look at by `now`, each once.
    fn take(&mut self, now: Timestamp) -> Vec<StreamName> {
        let mut streams = Vec::new();
        while streams.len() < MAX_DUE && self.0.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((_, stream))) = self.0.pop() else { break };
            if !streams.contains(&stream) {
                streams.push(stream);
            }
        }
        streams
    }
}

impl Processor {
    /// Looks at a stream again at `due`.
    pub fn look_again(&mut self, stream: StreamName, due: Timestamp) {
        self.deadlines.push(due, stream);
    }

    /// What fell due by `now` and still stands, with its stream. Its commands are the driver's to send.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<(StreamName, Deadline)> {
        let mut due = Vec::new();
        for stream in self.deadlines.take(now) {
            let slice = self.log.slices().of(&stream);
            if !self.owns(slice) {
                continue;
            }
            if let Err(error) = self.refold_if_stale(slice, &stream) {
                tracing::warn!(%stream, %error, "what falls due in it is not known for now; it is looked at again");
                self.deadlines.push(now.plus_hours(AGAIN_HOURS), stream);
                continue;
            }
            let deadlines = self.slices[usize::from(slice)].streams.deadlines(&stream);
            let (standing, later): (Vec<_>, Vec<_>) = deadlines.into_iter().partition(|deadline| deadline.due <= now);
            let again = (!standing.is_empty()).then(|| now.plus_hours(AGAIN_HOURS));
            due.extend(standing.into_iter().map(|deadline| (stream.clone(), deadline)));
            // After a start a stream is noted with its earliest deadline only: the next one is noted here.
            if let Some(next) = later.into_iter().map(|deadline| deadline.due).chain(again).min() {
                self.deadlines.push(next, stream);
            }
        }
        due
    }
}

/// The expiry of a registration, and the instant by which it is to be decided.
fn account(event: &AccountEvent) -> Option<Timestamp> {
    match event {
        AccountEvent::DealRegistered(deal) => deal.sla_due,
        AccountEvent::DealUpdated { sla_due, .. } => *sla_due,
        AccountEvent::DealApproved { expires_at, .. } | AccountEvent::DealExtended { expires_at, .. } => *expires_at,
        AccountEvent::ProtectionOpened { protected_until, .. } => Some(*protected_until),
        AccountEvent::DealRejected { .. }
        | AccountEvent::DealInformationRequested { .. }
        | AccountEvent::DealWithdrawn { .. }
        | AccountEvent::DealCanceled { .. }
        | AccountEvent::DealExpired { .. }
        | AccountEvent::ApprovalSlaBreached { .. }
        | AccountEvent::StageAdvanced { .. }
        | AccountEvent::NextStepSet { .. }
        | AccountEvent::NoteAdded { .. }
        | AccountEvent::DealWon { .. }
        | AccountEvent::DealLost { .. }
        | AccountEvent::DirectClaimed { .. }
        | AccountEvent::DealReassigned { .. }
        | AccountEvent::TouchpointRecorded { .. }
        | AccountEvent::RevenueRecorded { .. }
        | AccountEvent::DisputeOpened { .. }
        | AccountEvent::DisputeEscalated { .. }
        | AccountEvent::DisputeRuled { .. } => None,
    }
}

/// The expiry of a certification.
fn partner(event: &PartnerEvent) -> Option<Timestamp> {
    match event {
        PartnerEvent::CertificationAwarded { expires_at, .. } | PartnerEvent::CertificationRenewed { expires_at, .. } => Some(*expires_at),
        PartnerEvent::PartnerNominated { .. }
        | PartnerEvent::PartnerRegistered { .. }
        | PartnerEvent::PartnerRoleAssigned { .. }
        | PartnerEvent::PartnerRoleRevoked { .. }
        | PartnerEvent::PartnerRegionAssigned { .. }
        | PartnerEvent::AgreementSigned { .. }
        | PartnerEvent::PartnerActivated {}
        | PartnerEvent::PartnerSuspended { .. }
        | PartnerEvent::RetirementStarted { .. }
        | PartnerEvent::RetirementCompleted { .. }
        | PartnerEvent::PartnerManagerAssigned { .. }
        | PartnerEvent::CourseCompleted { .. }
        | PartnerEvent::CertificationRevoked { .. }
        | PartnerEvent::CertificationExpired { .. }
        | PartnerEvent::TierEvaluated { .. }
        | PartnerEvent::TierPromoted { .. }
        | PartnerEvent::TierDemoted { .. }
        | PartnerEvent::TierGraceStarted { .. }
        | PartnerEvent::TierGraceEnded { .. }
        | PartnerEvent::TierOverridden { .. } => None,
    }
}

/// The end of a claim window.
fn fund(event: &FundEvent) -> Option<Timestamp> {
    match event {
        FundEvent::FundRequestApproved { claim_until, .. } => Some(*claim_until),
        FundEvent::BudgetOpened { .. }
        | FundEvent::FundsAllocated { .. }
        | FundEvent::FundsRequested { .. }
        | FundEvent::FundRequestAmended { .. }
        | FundEvent::FundRequestRecalled { .. }
        | FundEvent::FundRequestCanceled { .. }
        | FundEvent::FundRequestInformationRequested { .. }
        | FundEvent::FundRequestRejected { .. }
        | FundEvent::ClaimSubmitted { .. }
        | FundEvent::ClaimApproved { .. }
        | FundEvent::ClaimRejected { .. }
        | FundEvent::ClaimPaid { .. }
        | FundEvent::ClaimWindowClosed { .. } => None,
    }
}
