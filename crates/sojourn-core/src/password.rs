//! The rules for passwords. `sojourn-service` hashes them.

use unicode_normalization::UnicodeNormalization;

/// Minimum length in characters.
pub const MIN_CHARS: usize = 8;
/// Maximum length in characters. The SDKs reduce a larger announced maximum to 72.
/// Compat: clerk/javascript packages/clerk-js/src/core/resources/UserSettings.ts
pub const MAX_CHARS: usize = 72;

/// A password that meets the rules: normalised (NFC) and within the length bounds. `Debug` prints
/// `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a password is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordRefusal {
    TooShort,
    TooLong,
    /// It contains NUL or another control character, which users do not type on purpose.
    ControlCharacter,
}

impl Password {
    /// Checks a new password.
    ///
    /// # Errors
    /// [`PasswordRefusal`] for the first rule that it breaks.
    pub fn choose(text: &str) -> Result<Self, PasswordRefusal> {
        let password = Self::present(text);
        // Counted after normalisation: composed and decomposed letters have the same length.
        let chars = password.0.chars().count();
        if chars < MIN_CHARS {
            Err(PasswordRefusal::TooShort)
        } else if chars > MAX_CHARS {
            Err(PasswordRefusal::TooLong)
        } else if password.0.chars().any(char::is_control) {
            Err(PasswordRefusal::ControlCharacter)
        } else {
            Ok(password)
        }
    }

    /// A password entered at sign-in: normalised in the same way, but not checked.
    pub fn present(text: &str) -> Self {
        Self(text.nfc().collect())
    }

    /// The complete normalised password, for hashing.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The password in the normal form NFKC, which other software may have hashed.
    pub fn nfkc(&self) -> String {
        self.0.nfkc().collect()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_characters_not_bytes() {
        assert_eq!(Password::choose("äöüäöüä").unwrap_err(), PasswordRefusal::TooShort);
        assert!(Password::choose("äöüäöüäö").is_ok());
        assert!(Password::choose(&"ß".repeat(72)).is_ok());
        assert_eq!(Password::choose(&"ß".repeat(73)).unwrap_err(), PasswordRefusal::TooLong);
    }

    #[test]
    fn two_ways_to_type_one_letter_are_one_password() {
        assert_eq!(Password::present("caf\u{e9}"), Password::present("cafe\u{301}"));
    }
}
