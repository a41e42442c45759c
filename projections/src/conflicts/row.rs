//! The rows of conflicts.

use compact_str::CompactString;
use pledger_domain::values::{Currency, Timestamp};
use pledger_ledger::slices::Position;
use serde::{Deserialize, Serialize};

use crate::{cell::Json, row, symbol::Symbol, word_field};

/// What kind of conflict it is; of a contest the sharpest that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConflictKind {
    /// Deals of several partners stood beside each other in history from before the ledger.
    HistoricalOverlap,
    /// Deals of several partners came to stand beside each other, and nothing was protected.
    Overlap,
    /// The direct sellers claimed what a partner had an open deal for, or a partner registered one for what they had claimed.
    DirectClaim,
    /// The direct sellers' claim was refused because a partner was protected.
    RefusedDirectClaim,
    /// A registration, or its approval, was refused because another partner was protected.
    RefusedRegistration,
    /// A dispute over a deal.
    Dispute,
}

/// What was decided on a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decided {
    /// It was registered.
    Registered,
    /// A deal was given to it.
    Reassigned,
    /// The direct sellers' claim was let in.
    Claimed,
    /// It was refused.
    Refused,
    /// It opened a dispute.
    Disputed,
}

word_field!(ConflictKind {
    HistoricalOverlap = "historical_overlap",
    Overlap = "overlap",
    DirectClaim = "direct_claim",
    RefusedDirectClaim = "refused_direct_claim",
    RefusedRegistration = "refused_registration",
    Dispute = "dispute",
});
word_field!(Decided { Registered = "registered", Reassigned = "reassigned", Claimed = "claimed", Refused = "refused", Disputed = "disputed" });

/// A partner's share by a ruling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// Whose.
    pub partner: CompactString,
    /// Between 0 and 1, a decimal string.
    pub share: CompactString,
}

row! {
    /// A contest for a product on an account, or a dispute.
    Conflict keyed ConflictKey in "conflicts" {
        key {
            /// The account's key.
            account: Symbol,
            /// `product:<product>`, without differences of case and spacing, `account` where the whole account is contended, or `dispute:<id>`.
            subject: CompactString,
        }
        /// What kind of conflict it is.
        kind: ConflictKind,
        /// The product; none for the whole account.
        product: Option<Symbol>,
        /// Who held the account, as far as the last decision says.
        holder: Option<Symbol>,
        /// The holder's deal; of a dispute the deal in dispute.
        deal: Option<CompactString>,
        /// When it began.
        since: Timestamp,
        /// When something last happened.
        last_at: Timestamp,
        /// How many contenders it has.
        contenders: u32,
        /// How many attempts were refused.
        refused: u32,
        /// To whom a dispute was escalated.
        escalated_to: Option<Symbol>,
        /// When a dispute was ruled, or a contest was decided: by the last refusal, or by what left no two partners with open deals, and none beside a direct claim.
        ruled_at: Option<Timestamp>,
        /// How a dispute was ruled.
        shares: Json<Vec<Ruled>>,
        /// Why, in the words of the ruling or of the one who opened the dispute.
        reason: Option<CompactString>,
    }
}

row! {
    /// One who contended: a registration that was let in, a partner that was given one, or one attempt that was refused. A direct
    /// claim is kept where nobody contends it, too.
    Contender keyed ContenderKey in "contenders" {
        key {
            /// The account's key.
            account: Symbol,
            /// The conflict's subject.
            subject: CompactString,
            /// `deal:<id>` of a registration, `given:<n>` where the n-th contender was given one, `claim:<id>` of a direct claim, `refused:<n>` of the n-th refusal, `dispute`.
            entry: CompactString,
        }
        /// The partner; none for the vendor's own direct sellers.
        partner: Option<Symbol>,
        /// The direct seller.
        seller: Option<Symbol>,
        /// The deal; of a direct claim the claim's id.
        deal: Option<CompactString>,
        /// The value, in minor units, where the command named one.
        amount: Option<i64>,
        /// Its currency.
        currency: Option<Currency>,
        /// When.
        at: Timestamp,
        /// The command.
        command: Symbol,
        /// What was decided.
        decided: Decided,
        /// The code of a refusal.
        code: Option<Symbol>,
        /// Of a refusal the partner that was protected then.
        held_by: Option<Symbol>,
        /// Of a refusal the deal that protected it.
        held_deal: Option<CompactString>,
        /// Of a refusal until when that deal protected it then.
        held_until: Option<Timestamp>,
        /// The rules that decided.
        rules: u32,
        /// The decision that made it a contender.
        position: Position,
    }
}
