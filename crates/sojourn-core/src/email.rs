//! E-mail addresses: normalised first, then checked (AUT-16).

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// A normalised address: NFKC, lower case, exactly one `@`, nothing that could
/// end a header line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// A text that is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an e-mail address")]
pub struct InvalidEmail;

impl Email {
    /// Normalises and checks `text`.
    ///
    /// # Errors
    /// [`InvalidEmail`] for anything a mail server would not take as one address.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let normal = text.trim().nfkc().collect::<String>().to_lowercase();
        // Lower-casing can leave a text that is not NFKC any more.
        let normal: String = normal.nfkc().collect();
        let (local, domain) = normal.split_once('@').ok_or(InvalidEmail)?;
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"@,;:<>()[]\\\"".contains(c);
        let well_formed = !local.is_empty()
            && local.len() <= 64
            && normal.len() <= 254
            && local.chars().all(plain)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && domain.contains('.')
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            });
        if well_formed { Ok(Self(normal)) } else { Err(InvalidEmail) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as people see it who have not proved to be its owner:
    /// `a***@example.com` (AUT-14).
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.split_once('@').unwrap_or((&self.0, ""));
        let first: String = local.chars().take(1).collect();
        format!("{first}***@{domain}")
    }

    /// Whether this is a test address (`name+clerk_test@…`), whose code is
    /// always 424242 in test mode and which gets no mail.
    pub fn is_test(&self) -> bool {
        self.0.split_once('@').is_some_and(|(local, _)| local.ends_with("+clerk_test"))
    }
}

impl std::fmt::Display for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for Email {
    /// Masked: debug output ends up in logs (LOG-01).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_normalised_before_it_is_checked() {
        assert_eq!(Email::parse(" Ada@Example.COM ").expect("valid").as_str(), "ada@example.com");
        // A full-width commercial at becomes an ordinary one, so there are two.
        assert_eq!(Email::parse("ada＠evil.com@example.com"), Err(InvalidEmail));
        assert_eq!(Email::parse("ada＠example.com").expect("valid").as_str(), "ada@example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada@example..com",
            "a b@example.com",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada@-example.com",
            "a@b@example.com",
            "ada.@example.com",
            "ada@exam\0ple.com",
            "<ada@example.com>",
        ] {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }

    #[test]
    fn only_a_plus_clerk_test_address_is_a_test_address() {
        assert!(Email::parse("ada+clerk_test@example.com").expect("valid").is_test());
        assert!(!Email::parse("ada+clerk_tests@example.com").expect("valid").is_test());
        assert!(!Email::parse("clerk_test@example.com").expect("valid").is_test());
    }

    #[test]
    fn debug_output_and_masks_hide_the_owner() {
        let email = Email::parse("ada@example.com").expect("valid");
        assert_eq!(format!("{email:?}"), "a***@example.com");
    }
}
