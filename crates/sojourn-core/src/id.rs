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
/// So many digits are one number below 2³².
const DIGITS: usize = 5;
const DIGITS_BASE: u64 = 62_u64.pow(DIGITS as u32);
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 20 bytes behind every id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(Debug))]
struct Body([u8; 20]);

impl Body {
    fn generate(now: Timestamp, random: &mut dyn Randomness) -> Self {
        let mut bytes = [0; 20];
        let secs = u32::try_from((now.as_secs() - EPOCH_SECS).max(0)).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&secs.to_be_bytes());
        random.fill(&mut bytes[4..]);
        Self(bytes)
    }

    /// Several digits with each division: ids are written many times per request.
    fn encode(self) -> [u8; BODY_LEN] {
        let mut digits = [b'0'; BODY_LEN];
        let mut limbs = self.limbs();
        for group in digits.rchunks_mut(DIGITS) {
            let mut remainder = 0_u64;
            for limb in &mut limbs {
                let value = (remainder << 32) | u64::from(*limb);
                *limb = (value / DIGITS_BASE) as u32;
                remainder = value % DIGITS_BASE;
            }
            for digit in group.iter_mut().rev() {
                *digit = ALPHABET[(remainder % 62) as usize];
                remainder /= 62;
            }
        }
        digits
    }

    fn limbs(self) -> [u32; 5] {
        let mut limbs = [0; 5];
        for (limb, bytes) in limbs.iter_mut().zip(self.0.as_chunks::<4>().0) {
            *limb = u32::from_be_bytes(*bytes);
        }
        limbs
    }

    fn decode(text: &[u8]) -> Option<Self> {
        if text.len() != BODY_LEN {
            return None;
        }
        let mut limbs = [0_u32; 5];
        // The first group is the short one, as in writing.
        let (first, groups) = text.split_at(BODY_LEN % DIGITS);
        for group in std::iter::once(first).chain(groups.chunks(DIGITS)) {
            let mut carry = 0_u64;
            let mut base = 1_u64;
            for character in group {
                carry = carry * 62 + u64::from(digit(*character)?);
                base *= 62;
            }
            for limb in limbs.iter_mut().rev() {
                let value = u64::from(*limb) * base + carry;
                *limb = (value & u64::from(u32::MAX)) as u32;
                carry = value >> 32;
            }
            if carry != 0 {
                return None;
            }
        }
        let mut bytes = [0; 20];
        for (bytes, limb) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(limbs) {
            *bytes = limb.to_be_bytes();
        }
        Some(Self(bytes))
    }
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'A'..=b'Z' => Some(character - b'A' + 10),
        b'a'..=b'z' => Some(character - b'a' + 36),
        _ => None,
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
                f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
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
    /// One secret key of the application's server.
    SecretKeyId "key";
    /// One commit, so that a lost answer to COMMIT can be settled.
    CommitId "cmt";
}

impl SecretKeyId {
    /// A key is known by its hash only, and so is its id.
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&hash[..20]);
        Self(Body(bytes))
    }
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
    use crate::testing::SeededRng;

    #[test]
    fn a_ticket_is_told_by_its_prefix_and_by_nothing_else() {
        let mut rng = SeededRng::new(3);
        let id = ActorTokenId::generate(Timestamp::from_secs(1_700_000_000), &mut rng);
        assert_eq!(id.to_string().parse::<TicketId>(), Ok(TicketId::Actor(id)));
        let other = id.to_string().replacen("act_", "sit_", 1);
        assert!(matches!(other.parse::<TicketId>(), Ok(TicketId::SignIn(_))), "{other}");
        assert!(id.to_string().replacen("act_", "sess_", 1).parse::<TicketId>().is_err());
    }

    #[test]
    fn an_id_reads_back_as_what_was_written() {
        let mut rng = SeededRng::new(7);
        for n in 0..1000 {
            let id = SessionId::generate(Timestamp::from_secs(1_700_000_000 + n), &mut rng);
            let text = id.to_string();
            assert_eq!(text.len(), "sess_".len() + BODY_LEN);
            assert_eq!(text.parse::<SessionId>(), Ok(id));
        }
    }

    #[test]
    fn ids_sort_by_the_second_they_were_made_in() {
        let mut rng = SeededRng::new(1);
        let earlier = UserId::generate(Timestamp::from_secs(1_700_000_000), &mut rng);
        let later = UserId::generate(Timestamp::from_secs(1_700_000_001), &mut rng);
        assert!(earlier < later);
        assert!(earlier.to_string() < later.to_string());
    }

    #[test]
    fn an_id_of_another_kind_or_a_mangled_one_is_refused() {
        let mut rng = SeededRng::new(2);
        let text = SessionId::generate(Timestamp::from_secs(1_700_000_000), &mut rng).to_string();
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
        // The least and the greatest, and one more than that.
        assert_eq!(&Body([0; 20]).encode(), b"000000000000000000000000000");
        assert_eq!(&Body([0xff; 20]).encode(), b"aWgEPTl1tmebfsQzFP4bxwgy80V");
        assert_eq!(Body::decode(b"aWgEPTl1tmebfsQzFP4bxwgy80V"), Some(Body([0xff; 20])));
        assert_eq!(Body::decode(b"aWgEPTl1tmebfsQzFP4bxwgy80W"), None);
    }
}
