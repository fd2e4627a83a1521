//! Bytes as text, as the systems write them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// The bytes of a text in `base64`, padded or not, or `hex`.
pub(super) fn decoded(text: &str, encoding: &str) -> Option<Vec<u8>> {
    match encoding {
        "base64" => STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok(),
        "hex" if text.len().is_multiple_of(2) && text.is_ascii() => {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
        }
        _ => None,
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
