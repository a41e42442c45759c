//! Bytes as digits: every record has them several times, which is why they are not formatted.

/// Writes two digits a byte, in small letters.
pub(crate) fn write<'a>(bytes: &[u8], into: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in into.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    std::str::from_utf8(into).expect("digits are ASCII")
}

/// Reads what `write` writes, and nothing else.
pub(crate) fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for number in [0, 1, 0x0123_4567_89ab_cdef_u128 << 60, u128::MAX] {
            let mut digits = [0; 32];
            let text = write(&number.to_be_bytes(), &mut digits);
            assert_eq!(text, format!("{number:032x}"));
            assert_eq!(read(text), Some(number.to_be_bytes()));
        }
        for other in ["", "0", "0A", "0g", "000", " 0"] {
            assert_eq!(read::<1>(other), None, "{other:?}");
        }
    }
}
