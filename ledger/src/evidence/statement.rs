//! What a ledger's key signs: plain text, a line a fact, so that it can be read without pledger.

use std::fmt::{self, Write as _};

use pledger_domain::values::Timestamp;

use crate::slices::Position;

/// The first line.
const TITLE: &str = "pledger evidence 1";

/// The tree of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SliceRoot {
    /// How many valid records it has.
    pub(super) len: u64,
    /// The root over their hashes (RFC 6962).
    pub(super) root: [u8; 32],
}

/// Which ledger, about what, up to when, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) ledger_id: String,
    pub(super) about: String,
    /// When the ledger's last record was written.
    pub(super) until: Timestamp,
    pub(super) roots: Vec<SliceRoot>,
    pub(super) decisions: Vec<Position>,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}\nledger {}\nabout {}\nuntil {}", self.ledger_id, self.about, self.until)?;
        for (slice, SliceRoot { len, root }) in self.roots.iter().enumerate() {
            writeln!(f, "slice {slice} {len} {}", hex(root))?;
        }
        self.decisions.iter().try_for_each(|position| writeln!(f, "decision {position}"))
    }
}

impl Statement {
    /// Reads what `Display` writes, and nothing else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != TITLE {
            return None;
        }
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let (ledger_id, about) = (value("ledger")?, value("about")?);
        let until = Timestamp::parse(&value("until")?).ok()?;
        let (mut roots, mut decisions) = (Vec::new(), Vec::new());
        for line in lines {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["slice", _, len, root] => roots.push(SliceRoot { len: len.parse().ok()?, root: read_hex(root)? }),
                ["decision", position] => decisions.push(position.parse().ok()?),
                _ => return None,
            }
        }
        let statement = Self { ledger_id, about, until, roots, decisions };
        (statement.to_string() == text).then_some(statement)
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads exactly `N` bytes, in lower-case digits: there is one way only to write them.
pub(super) fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_reads_back_and_nothing_else_does() {
        let statement = Statement {
            ledger_id: "l-1".to_owned(),
            about: "account/acme.com".to_owned(),
            until: Timestamp::parse("2026-03-31").expect("a date"),
            roots: vec![SliceRoot { len: 3, root: [7; 32] }, SliceRoot { len: 0, root: [0; 32] }],
            decisions: vec![Position { slice: 0, pseq: 2 }],
        };
        let text = statement.to_string();
        assert_eq!(Statement::parse(&text), Some(statement));
        for other in [
            text.replace("evidence 1", "evidence 2"),
            text.replace("slice 1", "slice 2"),
            text.replace("slice 0 3", "slice 0 03"),
            text.replace('7', "g"),
            format!("{text}\n"),
            text.trim_end().to_owned(),
            String::new(),
        ] {
            assert_eq!(Statement::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn hexadecimal_digits_read_back() {
        assert_eq!(read_hex::<2>(&hex(&[0, 255])), Some([0, 255]));
        for wrong in ["0", "000", "+1ff", "zz00", "00FF", "00ff0"] {
            assert_eq!(read_hex::<2>(wrong), None, "{wrong}");
        }
    }
}
