//! Identifiers: typed, prefixed, `Copy`, made from `(now, randomness)`.
//!
//! The body has the KSUID layout that the wire shows: four bytes of seconds
//! since 2014-05-13 and sixteen random bytes, written as 27 base62 characters,
//! so that ids of one kind sort by the time they were made.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::Timestamp;

/// A source of random bytes: the operating system's in the server, a seeded
/// one in tests.
pub trait Randomness {
    /// Fills `bytes` with unpredictable bytes.
    fn fill(&mut self, bytes: &mut [u8]);

    /// An array of `N` unpredictable bytes.
    fn array<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// A text that is not an id of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ followed by 27 letters and digits")]
pub struct InvalidId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

/// KSUID counts seconds from this moment (2014-05-13T16:53:20Z).
const EPOCH_SECS: i64 = 1_400_000_000;
const BODY_LEN: usize = 27;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 20 bytes behind every id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Body([u8; 20]);

impl Body {
    fn generate(now: Timestamp, random: &mut dyn Randomness) -> Self {
        let mut bytes = [0; 20];
        let secs = u32::try_from((now.as_secs() - EPOCH_SECS).max(0)).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&secs.to_be_bytes());
        random.fill(&mut bytes[4..]);
        Self(bytes)
    }

    fn encode(self) -> [u8; BODY_LEN] {
        let mut digits = [b'0'; BODY_LEN];
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            let mut remainder = 0u32;
            for byte in &mut rest {
                let value = (remainder << 8) | u32::from(*byte);
                *byte = (value / 62) as u8;
                remainder = value % 62;
            }
            *digit = ALPHABET[remainder as usize];
        }
        digits
    }

    fn decode(text: &[u8]) -> Option<Self> {
        if text.len() != BODY_LEN {
            return None;
        }
        let mut bytes = [0u8; 20];
        for character in text {
            let mut carry = match character {
                b'0'..=b'9' => character - b'0',
                b'A'..=b'Z' => character - b'A' + 10,
                b'a'..=b'z' => character - b'a' + 36,
                _ => return None,
            } as u32;
            for byte in bytes.iter_mut().rev() {
                let value = u32::from(*byte) * 62 + carry;
                *byte = (value & 0xff) as u8;
                carry = value >> 8;
            }
            if carry != 0 {
                return None;
            }
        }
        Some(Self(bytes))
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Body);

        impl $name {
            /// What stands before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id; never the same twice for honest randomness.
            pub fn generate(now: Timestamp, random: &mut dyn Randomness) -> Self {
                Self(Body::generate(now, random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = self.0.encode();
                f.write_str(concat!($prefix, "_"))?;
                digits.iter().try_for_each(|digit| fmt::Write::write_char(f, char::from(*digit)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|body| Body::decode(body.as_bytes()))
                    .map(Self)
                    .ok_or(InvalidId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One tenant: settings, keys and users of its own.
    InstanceId "ins";
    /// One browser.
    ClientId "client";
    /// One account signed in on one client.
    SessionId "sess";
    /// One account.
    UserId "user";
    /// One identification of a user, an e-mail address.
    EmailAddressId "idn";
    /// One attempt to sign in.
    SignInId "sia";
    /// One attempt to sign up.
    SignUpId "sua";
    /// A ticket made by the application's server that signs one user in.
    SignInTokenId "sit";
    /// A ticket made by the application's server that lets somebody else act as
    /// one user.
    ActorTokenId "act";
    /// One mail in the development mailbox.
    MailId "mail";
    /// One recorded event.
    EventId "evt";
    /// One commit, so that a lost answer to COMMIT can be settled.
    CommitId "cmt";
}

/// One ticket, whichever kind: its prefix says what it lets people do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TicketId {
    /// Signs the user in.
    SignIn(SignInTokenId),
    /// Lets somebody else act as the user.
    Actor(ActorTokenId),
}

impl From<SignInTokenId> for TicketId {
    fn from(id: SignInTokenId) -> Self {
        Self::SignIn(id)
    }
}

impl From<ActorTokenId> for TicketId {
    fn from(id: ActorTokenId) -> Self {
        Self::Actor(id)
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn(id) => id.fmt(f),
            Self::Actor(id) => id.fmt(f),
        }
    }
}

impl fmt::Debug for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TicketId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let as_actor = || text.parse().map(Self::Actor);
        text.parse().map(Self::SignIn).or_else(|refused| as_actor().map_err(|_| refused))
    }
}

impl Serialize for TicketId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    #[test]
    fn a_ticket_is_told_by_its_prefix_and_by_nothing_else() {
        let mut dice = Dice::new(3);
        let id = ActorTokenId::generate(Timestamp::from_secs(1_700_000_000), &mut dice);
        assert_eq!(id.to_string().parse::<TicketId>(), Ok(TicketId::Actor(id)));
        let other = id.to_string().replacen("act_", "sit_", 1);
        assert!(matches!(other.parse::<TicketId>(), Ok(TicketId::SignIn(_))), "{other}");
        assert!(id.to_string().replacen("act_", "sess_", 1).parse::<TicketId>().is_err());
    }

    #[test]
    fn an_id_reads_back_as_what_was_written() {
        let mut dice = Dice::new(7);
        for n in 0..1000 {
            let id = SessionId::generate(Timestamp::from_secs(1_700_000_000 + n), &mut dice);
            let text = id.to_string();
            assert_eq!(text.len(), "sess_".len() + BODY_LEN);
            assert_eq!(text.parse::<SessionId>(), Ok(id));
        }
    }

    #[test]
    fn ids_sort_by_the_second_they_were_made_in() {
        let mut dice = Dice::new(1);
        let earlier = UserId::generate(Timestamp::from_secs(1_700_000_000), &mut dice);
        let later = UserId::generate(Timestamp::from_secs(1_700_000_001), &mut dice);
        assert!(earlier < later);
        assert!(earlier.to_string() < later.to_string());
    }

    #[test]
    fn an_id_of_another_kind_or_a_mangled_one_is_refused() {
        let mut dice = Dice::new(2);
        let text = SessionId::generate(Timestamp::from_secs(1_700_000_000), &mut dice).to_string();
        assert!(text.parse::<UserId>().is_err());
        for mangled in [
            "",
            "sess_",
            "sess_zzzzzzzzzzzzzzzzzzzzzzzzzzz",
            &text[..20],
            &format!("{text}0"),
            &text.replace("sess_", "sess-"),
        ] {
            assert_eq!(mangled.parse::<SessionId>(), Err(InvalidId { prefix: "sess" }), "{mangled}");
        }
    }

    #[test]
    fn a_known_ksuid_is_read_as_its_authors_read_it() {
        // The pair that the KSUID specification prints.
        let body = Body::decode(b"0ujtsYcgvSTl8PAuAdqWYSMnLOv").expect("27 characters");
        assert_eq!(u32::from_be_bytes(body.0[..4].try_into().expect("four")), 107_608_047);
        assert_eq!(&body.encode(), b"0ujtsYcgvSTl8PAuAdqWYSMnLOv");
    }
}
