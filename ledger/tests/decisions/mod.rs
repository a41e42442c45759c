//! Small valid ledgers: chains of decisions, slice by slice.

use bytes::Bytes;
use pledger_domain::stream::StreamName;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    record::{LedgerCreated, Record},
    slices::{SliceId, Slices},
};
use serde_json::{Value, json};

/// A ledger of four slices, the first for reference.
pub(crate) fn created() -> LedgerCreated {
    serde_json::from_value(json!({
        "v": 1, "ledger_id": "test", "slices": {"count": 4, "reference": 1}, "created_at": "2026-01-01T00:00:00Z"
    }))
    .expect("what a ledger is")
}

/// Writes the records of every slice.
pub(crate) struct Scribe {
    pub(crate) slices: Slices,
    pub(crate) heads: Vec<ChainHead>,
    made: u32,
    versions: std::collections::HashMap<String, u64>,
}

impl Scribe {
    /// Goes on from these heads with streams that nobody wrote to.
    pub(crate) fn new(slices: Slices, heads: Vec<ChainHead>) -> Self {
        Self { slices, heads, made: 0, versions: std::collections::HashMap::new() }
    }

    /// Opens the next term of a slice.
    pub(crate) fn open(&mut self, slice: SliceId) -> Record {
        let term = self.heads[usize::from(slice)].term + 1;
        self.chain(slice, term, json!({"term_opened": {"v": 1, "opened_at": "2026-01-01T00:00:00Z", "writer": "test"}}))
    }

    /// The next decision, in streams and at a time of its own for each life of a writer; every fifth is a refusal.
    pub(crate) fn decide(&mut self, life: u32) -> Record {
        self.made += 1;
        let stream = format!("account/a{}-{life}.com", self.made % 7);
        let version = self.versions.entry(stream.clone()).or_insert(0);
        let accepted = !self.made.is_multiple_of(5);
        *version += u64::from(accepted);
        let decision = decision(&stream, *version, accepted, life + self.made);
        let slice = self.slices.of(&StreamName::parse(&stream).expect("a stream"));
        self.chain(slice, self.heads[usize::from(slice)].term, decision)
    }

    /// Chains any body.
    pub(crate) fn chain(&mut self, slice: SliceId, term: u64, body: Value) -> Record {
        let head = &mut self.heads[usize::from(slice)];
        let record = Record::chain(slice, head.next_pseq, term, head.hash, Bytes::from(body.to_string()));
        assert_eq!(head.accept(head.next_offset, &record), Verdict::Valid);
        record
    }
}

/// A decision's body; `second` orders it in time.
pub(crate) fn decision(stream: &str, version: u64, accepted: bool, second: u32) -> Value {
    let at = format!("2026-01-02T{:02}:{:02}:{:02}Z", second / 3600 % 24, second / 60 % 60, second % 60);
    let mut decision = json!({
        "v": 1, "stream": stream, "version": version,
        "command": {
            "id": format!("k{second}"), "type": "CancelDeal", "payload": {"deal_id": "d-1"}, "sender": "anonymous", "channel": "api",
            "received_at": at, "input": "0".repeat(32)
        },
        "rules": 1, "recorded_at": at, "effective_at": at
    });
    if accepted {
        decision["accepted"] = json!([{"type": "DealCanceled", "data": {"deal_id": "d-1"}}]);
    } else {
        decision["rejected"] = json!({"code": "DealUnknown", "facts": {"deal_id": "d-1"}});
    }
    json!({ "decision": decision })
}
