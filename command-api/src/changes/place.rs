//! How far a listener has read: the place after a decision, in every slice. A listener that comes back names it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use pledger_ledger::{
    chain::ChainHead,
    log::{Log, LogError, Placed},
    slices::{Position, SliceId},
};

/// Why a listener cannot go on from where it says it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unplaced {
    /// It names no place of this ledger.
    #[error("the id is none that this stream gave")]
    Unknown,
    /// The ledger cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The id of an event: the decision's position for people, then the offset of the next record of every slice.
pub(super) fn event_id(position: Position, heads: &[ChainHead]) -> String {
    let mut offsets = Vec::with_capacity(heads.len() * 2);
    for head in heads {
        push(&mut offsets, head.next_offset);
    }
    format!("{position}/{}", URL_SAFE_NO_PAD.encode(offsets))
}

/// The heads of the place that an id names. The records before it are taken for valid, as they were when it was given.
pub(super) fn heads_of(log: &dyn Log, id: &str) -> Result<Vec<ChainHead>, Unplaced> {
    let (_, offsets) = id.split_once('/').ok_or(Unplaced::Unknown)?;
    let bytes = URL_SAFE_NO_PAD.decode(offsets).map_err(|_| Unplaced::Unknown)?;
    let mut rest = bytes.as_slice();
    let mut heads = Vec::with_capacity(usize::from(log.slices().count));
    for slice in log.slices().all() {
        let offset = take(&mut rest).ok_or(Unplaced::Unknown)?;
        heads.push(head_before(log, slice, offset)?.ok_or(Unplaced::Unknown)?);
    }
    if rest.is_empty() { Ok(heads) } else { Err(Unplaced::Unknown) }
}

/// The head right before `offset`; none where the ledger does not reach it.
pub(super) fn head_before(log: &dyn Log, slice: SliceId, offset: u64) -> Result<Option<ChainHead>, LogError> {
    let Some(last) = offset.checked_sub(1) else { return Ok(Some(ChainHead::default())) };
    Ok(log.read(slice, last, 1)?.first().map(|Placed { offset, record }| ChainHead {
        next_pseq: record.header.pseq + 1,
        next_offset: offset + 1,
        term: record.header.term,
        hash: record.header.hash,
    }))
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0_u64, 0_u32);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        number |= bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let mut bytes = Vec::new();
        numbers.iter().for_each(|number| push(&mut bytes, *number));
        let mut rest = bytes.as_slice();
        assert_eq!(numbers.map(|_| take(&mut rest)), numbers.map(Some));
        assert!(rest.is_empty());
        for broken in [&[][..], &[0x80], &[0xff; 10], &[0xff; 40]] {
            assert_eq!(take(&mut &*broken), None, "{broken:?}");
        }
    }
}
