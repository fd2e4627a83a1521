//! E-mail addresses, normalised and then checked (AUT-16).

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// A normalised address: NFKC, lower case, exactly one `@`, no character that could end a mail
/// header.
///
/// `Display` shows the address as the user typed it; comparisons use the ASCII form of its domain
/// (UTS 46): `ada@bücher.example` and `ada@xn--bcher-kva.example` are the same address.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email {
    text: String,
    /// The address with the ASCII form of its domain, if it differs from `text`.
    ascii: Option<String>,
}

/// The text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an e-mail address")]
pub struct InvalidEmail;

impl Email {
    /// Normalises and checks `text`.
    ///
    /// # Errors
    /// [`InvalidEmail`] for every text that a mail server would not accept as one address.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let normal = text.trim().nfkc().collect::<String>().to_lowercase();
        // Lower case can break NFKC, so normalise again.
        let normal: String = normal.nfkc().collect();
        let (local, domain) = normal.split_once('@').ok_or(InvalidEmail)?;
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"@,;:<>()[]\\\"".contains(c);
        // Lengths: RFC 5321 4.5.3.1 (local part 64 bytes, address 254), RFC 1035 2.3.4 (label 63).
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
        if !well_formed {
            return Err(InvalidEmail);
        }
        // A domain without an ASCII form is compared unchanged: no mail can be delivered there.
        let ascii = idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::URL).ok();
        let ascii = ascii.filter(|ascii| ascii != domain).map(|ascii| format!("{local}@{ascii}"));
        Ok(Self { text: normal, ascii })
    }

    /// The normalised address, with the domain as the user typed it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form that comparisons and unique indexes use.
    pub fn key(&self) -> &str {
        self.ascii.as_deref().unwrap_or(&self.text)
    }

    /// All other spellings of the same address, sorted.
    pub fn other_spellings(&self) -> Vec<String> {
        let (local, domain) = self.key().split_once('@').unwrap_or_default();
        let unicode = format!("{local}@{}", idna::domain_to_unicode(domain).0);
        let mut others = vec![self.key().to_owned(), unicode];
        others.sort();
        others.dedup();
        others.retain(|other| *other != self.text);
        others
    }

    /// The address for people who have not verified it: `a***@example.com` (AUT-14).
    pub fn masked(&self) -> String {
        let (local, domain) = self.text.split_once('@').unwrap_or((&self.text, ""));
        let first: String = local.chars().take(1).collect();
        format!("{first}***@{domain}")
    }

    /// Whether this is a test address (`name+clerk_test@…`). In test mode its code is always
    /// 424242, and it gets no mail.
    pub fn is_test(&self) -> bool {
        self.text.split_once('@').is_some_and(|(local, _)| local.ends_with("+clerk_test"))
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Email {}

impl PartialOrd for Email {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Email {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(other.key())
    }
}

impl std::hash::Hash for Email {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl std::fmt::Display for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Debug for Email {
    /// Masked, because debug output goes to logs (LOG-01).
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
        email.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_normalised_before_it_is_checked() {
        assert_eq!(Email::parse(" Ada@Example.COM ").expect("valid").as_str(), "ada@example.com");
        // NFKC replaces a full-width at sign by an ordinary one, so the text has two.
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
    fn one_domain_in_two_spellings_is_one_address() {
        let [unicode, ascii] = ["ada@Bücher.example", "ada@XN--Bcher-KVA.example"]
            .map(|text| Email::parse(text).expect("an address"));
        assert_eq!(unicode, ascii);
        assert_eq!(unicode.key(), "ada@xn--bcher-kva.example");
        // Each displays the spelling that was typed, and lists the other spelling.
        assert_eq!((unicode.as_str(), ascii.as_str()), ("ada@bücher.example", "ada@xn--bcher-kva.example"));
        assert_eq!(unicode.other_spellings(), [ascii.as_str()]);
        assert_eq!(ascii.other_spellings(), [unicode.as_str()]);
        let stored = serde_json::to_value(&unicode).expect("JSON");
        assert_eq!(stored, "ada@bücher.example");
        let plain = Email::parse("ada@example.com").expect("an address");
        assert!(plain.other_spellings().is_empty());
        // Only the recipient's server interprets the part before the at sign, so it must match
        // exactly.
        assert_ne!(Email::parse("bücher@example.com"), Email::parse("xn--bcher-kva@example.com"));
        // No ASCII form: compared unchanged.
        let broken = Email::parse("ada@xn--a.example").expect("an address");
        assert_eq!(broken.key(), "ada@xn--a.example");
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
