//! Snapshots: the state of a slice at an acknowledged chain head, so that a start reads only the tail.
//!
//! A snapshot is trusted only when its own SHA-256 fits and the ledger's record at its head has the head's hash and
//! content; otherwise it is left aside and the slice is folded from its beginning.

use pledger_domain::{stream::StreamName, values::Timestamp};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    directory::Directory,
    log::{Log, LogError, Placed},
    record::{Body, FORMAT, Hash},
    slices::{Position, SliceId},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    DIRECTORY, Processor, SnapshotStore,
    aggregate::{Decides, Live},
    key_window::KeyWindow,
    places::Places,
    recover::{find_in, tell_missing_end},
    slice::{Slice, Store},
};

/// The version of the snapshot's own form: another one is left aside.
const SNAPSHOT_FORM: u32 = 6;

/// Why no snapshot could be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The ledger, which was needed for it, could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// It could not be written out.
    #[error("it cannot be written out: {0}")]
    Form(#[from] postcard::Error),
}

/// Why a snapshot is left aside.
#[derive(Debug, thiserror::Error)]
pub enum UnfitSnapshot {
    /// It is damaged.
    #[error("its checksum does not fit")]
    Checksum,
    /// It is of another form, or of a pledger with other states.
    #[error("it cannot be read: {0}")]
    Form(#[from] postcard::Error),
    /// It is of another version.
    #[error("it has the form {0}")]
    OtherForm(u32),
    /// It is of another ledger.
    #[error("it is another ledger's")]
    OtherLedger,
}

#[derive(Serialize, Deserialize)]
struct Head {
    form: u32,
    format: u32,
    ledger: [u8; 32],
    slice: SliceId,
    next_pseq: u64,
    next_offset: u64,
    term: u64,
    hash: [u8; 32],
    last_recorded_at: Timestamp,
    /// Where the slice goes on in the commands topic.
    next_command: Option<u64>,
    places: Places,
}

impl Processor {
    /// The state of a slice at its acknowledged head. Nothing of the slice may be in flight.
    ///
    /// # Errors
    /// `SnapshotError`.
    ///
    /// # Panics
    /// Where something of the slice is in flight.
    pub fn snapshot(&self, slice: SliceId) -> Result<Vec<u8>, SnapshotError> {
        let state = &self.slices[usize::from(slice)];
        assert!(state.in_flight.is_empty(), "a snapshot holds acknowledged records only");
        // What a failed append made the slice forget would be missing from it for ever.
        state.streams.stale().iter().try_for_each(|stream| self.refold_if_stale(slice, stream))?;
        let settled = state.writer.settled();
        let head = Head {
            form: SNAPSHOT_FORM,
            format: FORMAT,
            ledger: self.ledger()?.0,
            slice,
            next_pseq: settled.next_pseq,
            next_offset: settled.next_offset,
            term: settled.term,
            hash: settled.hash.0,
            last_recorded_at: state.last_recorded_at,
            next_command: state.place.settled,
            places: state.places.clone(),
        };
        let mut bytes = postcard::to_extend(&head, vec![0; 32])?;
        bytes = write_store(&state.streams.program, bytes)?;
        bytes = write_store(&state.streams.partner, bytes)?;
        bytes = write_store(&state.streams.account, bytes)?;
        bytes = write_store(&state.streams.fund, bytes)?;
        bytes = write_store(&state.streams.cost, bytes)?;
        bytes = postcard::to_extend(&state.keys, bytes)?;
        let checksum: [u8; 32] = Sha256::digest(&bytes[32..]).into();
        bytes[..32].copy_from_slice(&checksum);
        Ok(bytes)
    }

    /// How many records of a slice are acknowledged.
    #[must_use]
    pub fn settled(&self, slice: SliceId) -> u64 {
        self.slices[usize::from(slice)].writer.settled().next_pseq
    }

    /// How many records of a slice the snapshot held that it was restored from; 0 where there was none that fitted.
    #[must_use]
    pub fn from_snapshot(&self, slice: SliceId) -> u64 {
        self.from_snapshots[usize::from(slice)]
    }

    /// The same of the directory, of all slices together.
    #[must_use]
    pub const fn directory_from_snapshot(&self) -> u64 {
        self.directory_from_snapshot
    }

    /// The directory, with the head of every slice that it stands at. Nothing may be in flight.
    ///
    /// # Errors
    /// `SnapshotError`.
    pub fn directory_snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let heads: Heads = self.slices.iter().map(stored_head).collect();
        let bytes = postcard::to_extend(&(SNAPSHOT_FORM, self.ledger()?.0, heads), vec![0; 32])?;
        let mut bytes = postcard::to_extend(&*self.directory.read(), bytes)?;
        let checksum: [u8; 32] = Sha256::digest(&bytes[32..]).into();
        bytes[..32].copy_from_slice(&checksum);
        Ok(bytes)
    }

    /// Loads the snapshots of the slices and of the directory, those that fit the ledger. Answers the positions at which
    /// some were kept and which this ledger does not reach, although they are its own.
    pub(super) fn load_snapshots(&mut self, snapshots: &dyn SnapshotStore) -> Result<Vec<Position>, LogError> {
        let all: Vec<SliceId> = self.log.slices().all().collect();
        let (ledger, mut beyond, mut unfit) = (self.ledger()?, Vec::new(), Vec::new());
        for slice in &all {
            if let Some(bytes) = snapshots.load(*slice) {
                match read(*slice, ledger, &bytes) {
                    Ok(state) => beyond.extend(self.load_snapshot(*slice, state)),
                    Err(error) => unfit.push(error),
                }
            }
        }
        if let Some(first) = unfit.first() {
            // An upgrade leaves all of them aside: that is one thing to tell.
            tracing::warn!(snapshots = unfit.len(), %first, "snapshots were left aside; their slices are folded from the ledger");
        }
        let mut stands_at = vec![ChainHead::default(); all.len()];
        if let Some(bytes) = snapshots.load(DIRECTORY) {
            match read_directory(ledger, &bytes) {
                Ok((heads, directory)) if heads.len() == all.len() => {
                    let missing = beyond_the_end(&*self.log, &heads)?;
                    if missing.is_empty() && self.has_all(&heads)? {
                        self.directory_from_snapshot = heads.iter().map(|head| head.next_pseq).sum();
                        stands_at = heads;
                        *self.directory.write() = directory;
                    } else {
                        tracing::warn!("a snapshot of the directory was left aside: the ledger has other records at its heads");
                    }
                    beyond.extend(missing);
                }
                Ok(_) => tracing::warn!("a snapshot of the directory was left aside: it has another number of slices"),
                Err(error) => tracing::warn!(%error, "a snapshot of the directory was left aside"),
            }
        }
        all.into_iter().zip(stands_at).try_for_each(|(slice, head)| self.bring_directory(slice, head))?;
        Ok(beyond)
    }

    /// Loads the snapshot of one slice, where there is one that fits the ledger. Answers where it was kept, if the ledger
    /// does not reach that.
    pub(super) fn load_slice(&mut self, slice: SliceId, snapshots: &dyn SnapshotStore) -> Result<Option<Position>, LogError> {
        let Some(bytes) = snapshots.load(slice) else { return Ok(None) };
        match read(slice, self.ledger()?, &bytes) {
            Ok(state) => Ok(self.load_snapshot(slice, state)),
            Err(error) => {
                tracing::warn!(slice, %error, "a snapshot was left aside; the slice is folded from the ledger");
                Ok(None)
            }
        }
    }

    /// What tells this ledger from every other one: the hash of its first record, which says when it was created. A
    /// ledger without any record is told from none.
    fn ledger(&self) -> Result<Hash, LogError> {
        ledger_of(&*self.log)
    }

    /// Whether the ledger has the last record of each head.
    fn has_all(&self, heads: &[ChainHead]) -> Result<bool, LogError> {
        for (slice, head) in self.log.slices().all().zip(heads) {
            let Some(offset) = head.next_offset.checked_sub(1) else { continue };
            let has = |placed: &Placed| placed.record.header.hash == head.hash && placed.record.is_intact();
            if !self.log.read(slice, offset, 1)?.first().is_some_and(has) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Brings the directory to the head of a slice's snapshot, where it stands before that.
    fn bring_directory(&self, slice: SliceId, mut head: ChainHead) -> Result<(), LogError> {
        let until = self.slices[usize::from(slice)].writer.settled().next_pseq;
        while head.next_pseq < until {
            let placed = self.log.read(slice, head.next_offset, 4_096)?;
            if placed.is_empty() {
                return Ok(());
            }
            for Placed { offset, record } in placed {
                let taken = head.next_pseq < until && head.accept(offset, &record) == Verdict::Valid;
                if taken && let Ok(Body::Decision(decision)) = Body::decode(&record.body) {
                    self.directory.write().apply(&decision);
                }
                head.next_offset = head.next_offset.max(offset + 1);
            }
        }
        Ok(())
    }

    /// Puts a snapshot in place of an empty slice, where it fits the ledger. Answers where it was kept, if the ledger
    /// does not reach that.
    fn load_snapshot(&mut self, slice: SliceId, state: Slice) -> Option<Position> {
        if self.stands_on(&state) {
            self.refer_to(&state);
            self.from_snapshots[usize::from(slice)] = state.writer.settled().next_pseq;
            self.slices[usize::from(slice)] = state;
            return None;
        }
        tracing::warn!(slice, "a snapshot was left aside: the ledger has another record at its head, or none");
        let last = state.writer.settled().next_pseq.checked_sub(1);
        let missing = last.filter(|pseq| self.log.end(slice).is_ok_and(|end| state.places.offset(*pseq) >= end));
        missing.map(|pseq| Position { slice, pseq })
    }

    /// Whether the ledger has the record that the state ends with.
    fn stands_on(&self, state: &Slice) -> bool {
        let head = state.writer.settled();
        let Some(pseq) = head.next_pseq.checked_sub(1) else { return true };
        find_in(&*self.log, state, pseq).is_ok_and(|record| record.header.hash == head.hash)
    }

    /// The reference facts that the state holds.
    fn refer_to(&self, state: &Slice) {
        let mut references = self.references.write();
        if let Some(pseq) = state.writer.settled().next_pseq.checked_sub(1)
            && state.id < self.log.slices().reference
            && references.has_seen(&[Position { slice: state.id, pseq }])
        {
            // They stand there or later already.
            return;
        }
        state.streams.program.unit.for_each(|_, live| references.put_program(live.version, &live.state));
        state.streams.partner.unit.for_each(|stream, live| references.put_partner(stream, live.version, &live.state));
        if let Some(pseq) = state.writer.settled().next_pseq.checked_sub(1) {
            references.advance(Position { slice: state.id, pseq });
        }
    }
}

/// Says what is missing of a ledger that does not reach the positions at which its own state was kept.
///
/// # Errors
/// Where the log cannot be read.
pub fn missing_end(log: &dyn Log, snapshots: &dyn SnapshotStore) -> Result<Option<String>, LogError> {
    let Some(bytes) = snapshots.load(DIRECTORY) else { return Ok(None) };
    let Ok((heads, _)) = read_heads(ledger_of(log)?, &bytes) else { return Ok(None) };
    let ends = log.slices().all().map(|slice| log.end(slice)).collect::<Result<Vec<u64>, _>>()?;
    Ok(tell_missing_end(beyond_the_end(log, &heads)?, |slice| ends[usize::from(slice)]))
}

fn ledger_of(log: &dyn Log) -> Result<Hash, LogError> {
    Ok(log.read(0, 0, 1)?.first().map(|first| first.record.header.hash).unwrap_or_default())
}

/// The last positions of heads that lie behind the ledger's end.
fn beyond_the_end(log: &dyn Log, heads: &[ChainHead]) -> Result<Vec<Position>, LogError> {
    let mut beyond = Vec::new();
    for (slice, head) in log.slices().all().zip(heads) {
        if let Some(pseq) = head.next_pseq.checked_sub(1)
            && head.next_offset > log.end(slice)?
        {
            beyond.push(Position { slice, pseq });
        }
    }
    Ok(beyond)
}

/// Where each slice of the directory's snapshot ends: sequence, the offset right after it, term and hash.
type Heads = Vec<(u64, u64, u64, [u8; 32])>;

fn stored_head(slice: &Slice) -> (u64, u64, u64, [u8; 32]) {
    let head = slice.writer.settled();
    let next_offset = head.next_pseq.checked_sub(1).map_or(0, |last| slice.places.offset(last) + 1);
    (head.next_pseq, next_offset, head.term, head.hash.0)
}

fn read_directory(ledger: Hash, bytes: &[u8]) -> Result<(Vec<ChainHead>, Directory), UnfitSnapshot> {
    let (heads, rest) = read_heads(ledger, bytes)?;
    Ok((heads, postcard::from_bytes(rest)?))
}

/// The heads that a directory's snapshot stands at, and the bytes of the directory.
fn read_heads(ledger: Hash, bytes: &[u8]) -> Result<(Vec<ChainHead>, &[u8]), UnfitSnapshot> {
    let ((form, of, heads), rest): ((u32, [u8; 32], Heads), _) = postcard::take_from_bytes(checked(bytes)?)?;
    if form != SNAPSHOT_FORM {
        return Err(UnfitSnapshot::OtherForm(form));
    }
    if of != ledger.0 {
        return Err(UnfitSnapshot::OtherLedger);
    }
    let head = |(next_pseq, next_offset, term, hash)| ChainHead { next_pseq, next_offset, term, hash: Hash(hash) };
    Ok((heads.into_iter().map(head).collect(), rest))
}

/// The content behind the checksum, where that fits.
fn checked(bytes: &[u8]) -> Result<&[u8], UnfitSnapshot> {
    let (checksum, rest) = bytes.split_at_checked(32).ok_or(UnfitSnapshot::Checksum)?;
    if <[u8; 32]>::from(Sha256::digest(rest)) == checksum { Ok(rest) } else { Err(UnfitSnapshot::Checksum) }
}

fn read(slice: SliceId, ledger: Hash, bytes: &[u8]) -> Result<Slice, UnfitSnapshot> {
    let rest = checked(bytes)?;
    let (head, rest): (Head, _) = postcard::take_from_bytes(rest)?;
    if head.form != SNAPSHOT_FORM || head.format != FORMAT || head.slice != slice {
        return Err(UnfitSnapshot::OtherForm(head.form));
    }
    if head.ledger != ledger.0 {
        return Err(UnfitSnapshot::OtherLedger);
    }
    let mut state = Slice::new(slice);
    let Head { next_pseq, next_offset, term, hash, .. } = head;
    state.writer.resume(ChainHead { next_pseq, next_offset, term, hash: Hash(hash) });
    state.last_recorded_at = head.last_recorded_at;
    state.place.settle(head.next_command);
    state.place.catch_up();
    state.places = head.places;
    let rest = read_store(&state.streams.program, rest)?;
    let rest = read_store(&state.streams.partner, rest)?;
    let rest = read_store(&state.streams.account, rest)?;
    let rest = read_store(&state.streams.fund, rest)?;
    let rest = read_store(&state.streams.cost, rest)?;
    let (keys, _): (KeyWindow, _) = postcard::take_from_bytes(rest)?;
    state.keys = keys;
    state.streams.program.unit.for_each_mut(|live| live.state.restore());
    Ok(state)
}

/// Writes the aggregates of one kind: their number, then each with its stream.
fn write_store<S: Decides>(store: &Store<S>, bytes: Vec<u8>) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = postcard::to_extend(&store.unit.len(), bytes)?;
    let mut result = Ok(());
    store.unit.for_each(|stream, live| {
        if result.is_ok() {
            match postcard::to_extend(&(stream, live), std::mem::take(&mut bytes)) {
                Ok(more) => bytes = more,
                Err(error) => result = Err(error),
            }
        }
    });
    result.map(|()| bytes)
}

fn read_store<'a, S: Decides>(store: &Store<S>, bytes: &'a [u8]) -> Result<&'a [u8], postcard::Error> {
    let (count, mut rest): (usize, _) = postcard::take_from_bytes(bytes)?;
    for _ in 0..count {
        let ((stream, live), after): ((StreamName, Live<S>), _) = postcard::take_from_bytes(rest)?;
        store.unit.put(stream, live);
        rest = after;
    }
    Ok(rest)
}
