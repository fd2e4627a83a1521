//! What a password has to be. Hashing is the shell's business.

use unicode_normalization::UnicodeNormalization;

/// Fewest characters of a password.
pub const MIN_CHARS: usize = 8;
/// Most characters. The SDKs clamp what they announce to 72.
/// Compat: clerk/javascript packages/clerk-js/src/core/resources/UserSettings.ts
pub const MAX_CHARS: usize = 72;

/// A password that may be hashed: normalised (NFC), within bounds. Prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordRefusal {
    /// Fewer than [`MIN_CHARS`] characters.
    TooShort,
    /// More than [`MAX_CHARS`] characters.
    TooLong,
    /// Contains NUL or another control character, which only a mistake puts there.
    ControlCharacter,
}

impl Password {
    /// A password chosen by a user.
    ///
    /// # Errors
    /// [`PasswordRefusal`] when it breaks a rule.
    pub fn choose(text: &str) -> Result<Self, PasswordRefusal> {
        let password = Self::present(text);
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

    /// A password typed at sign-in: normalised as at choosing, never judged.
    pub fn present(text: &str) -> Self {
        Self(text.nfc().collect())
    }

    /// The bytes to hash: all of them.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
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
