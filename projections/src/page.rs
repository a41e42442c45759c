//! Paging: the first items after a cursor, in the order of their keys, without sorting all of them.

use std::collections::BinaryHeap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::query::{Query, QueryError};

/// Keeps the smallest keys after a cursor.
pub struct Selection<K, T> {
    after: Option<K>,
    limit: usize,
    kept: BinaryHeap<Kept<K, T>>,
}

struct Kept<K, T>(K, T);

impl<K: Ord, T> PartialEq for Kept<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K: Ord, T> Eq for Kept<K, T> {}
impl<K: Ord, T> PartialOrd for Kept<K, T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K: Ord, T> Ord for Kept<K, T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<K: Ord, T> Selection<K, T> {
    /// A selection after `after`, of at most `limit` items.
    #[must_use]
    pub fn new(after: Option<K>, limit: Option<usize>) -> Self {
        Self { after, limit: limit.unwrap_or(usize::MAX - 1), kept: BinaryHeap::new() }
    }

    /// Shows an item.
    pub fn push(&mut self, key: K, item: T) {
        if self.after.as_ref().is_some_and(|after| key <= *after) {
            return;
        }
        // One more than asked for is kept: it says whether another page follows.
        if self.kept.len() > self.limit {
            if self.kept.peek().is_some_and(|largest| key >= largest.0) {
                return;
            }
            self.kept.pop();
        }
        self.kept.push(Kept(key, item));
    }

    /// The items in order, and whether more follow.
    #[must_use]
    pub fn finish(self) -> (Vec<(K, T)>, bool) {
        let mut items: Vec<_> = self.kept.into_sorted_vec().into_iter().map(|Kept(key, item)| (key, item)).collect();
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        (items, more)
    }
}

/// The cursor after an item whose key has these parts.
#[must_use]
pub fn cursor(parts: &[impl AsRef<str>]) -> String {
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&parts).expect("strings are JSON"))
}

/// The parts of the key that the cursor of a question stands after.
///
/// # Errors
/// `QueryError::InvalidCursor` where it has not `parts` parts.
pub fn read_cursor(view: &'static str, query: &Query, parts: usize) -> Result<Option<Vec<String>>, QueryError> {
    let Some(text) = &query.cursor else { return Ok(None) };
    let read = URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice::<Vec<String>>(&json).ok());
    read.filter(|read| read.len() == parts).map(Some).ok_or(QueryError::InvalidCursor { view })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let keys = [5, 3, 9, 1, 7, 2];
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let mut selection = Selection::new(after, Some(2));
            keys.iter().for_each(|key| selection.push(*key, ()));
            let (items, more) = selection.finish();
            seen.extend(items.iter().map(|(key, ())| *key));
            after = seen.last().copied();
            if !more {
                break;
            }
        }
        assert_eq!(seen, [1, 2, 3, 5, 7, 9]);
    }

    #[test]
    fn cursors_read_back_and_foreign_ones_do_not() {
        let query = |cursor: &str| Query { cursor: Some(cursor.to_owned()), ..Query::default() };
        let made = cursor(&["d,1", "acme.com"]);
        assert_eq!(read_cursor("deals", &query(&made), 2), Ok(Some(vec!["d,1".into(), "acme.com".into()])));
        for foreign in ["", "x", "WzFd", &cursor(&["one"])] {
            assert_eq!(read_cursor("deals", &query(foreign), 2), Err(QueryError::InvalidCursor { view: "deals" }));
        }
    }
}
