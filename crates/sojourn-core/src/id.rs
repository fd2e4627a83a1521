//! Identifiers: typed, with a prefix, `Copy`, generated from `(now, randomness)`.
//!
//! The body has the KSUID layout: four bytes of seconds since 2014-05-13 and sixteen random bytes,
//! encoded as 27 base62 characters. Ids of one kind therefore sort by creation time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::Timestamp;

/// A source of random bytes: the operating system in the server, a seeded generator in tests.
pub trait Randomness {
    /// Fills `bytes` with unpredictable bytes.
    fn fill(&mut self, bytes: &mut [u8]);

    /// Returns `N` unpredictable bytes.
    fn array<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// The text is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ followed by 27 letters and digits")]
pub struct InvalidId {
    pub prefix: &'static str,
}

/// The KSUID epoch (2014-05-13T16:53:20Z), in Unix seconds.
const EPOCH_SECS: i64 = 1_400_000_000;
const BODY_LEN: usize = 27;
/// The number of base62 digits whose value is below 2³².
const DIGITS: usize = 5;
const DIGITS_BASE: u64 = 62_u64.pow(DIGITS as u32);
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 20 bytes of an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(Debug))]
struct Body([u8; 20]);

impl Body {
    fn generate(now: Timestamp, random: &mut dyn Randomness) -> Self {
        let mut bytes = [0; 20];
        // Saturates: a clock outside the KSUID range (2014 to 2150) must not stop the server. Ids
        // stay unique, because 16 bytes are random; they only sort wrongly.
        let secs = u32::try_from((now.as_secs() - EPOCH_SECS).max(0)).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&secs.to_be_bytes());
        random.fill(&mut bytes[4..]);
        Self(bytes)
    }

    // Five digits per division, because each request encodes several ids.
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
        // The first group is shorter, because 27 is not a multiple of five.
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
            // 27 base62 digits can exceed the 160 bits of an id.
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
            /// The part before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id. Unique if `random` is unpredictable.
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
    /// A tenant with its own settings, keys and users.
    InstanceId "ins";
    ClientId "client";
    SessionId "sess";
    UserId "user";
    /// An e-mail address of a user.
    EmailAddressId "idn";
    SignInId "sia";
    SignUpId "sua";
    /// A ticket by the application's backend that signs a user in.
    SignInTokenId "sit";
    /// A ticket by the application's backend for an impersonation.
    ActorTokenId "act";
    /// A mail in the development mailbox.
    MailId "mail";
    EventId "evt";
    SecretKeyId "key";
    WebhookEndpointId "ep";
    /// The id of a webhook message, the same for every attempt.
    WebhookDeliveryId "msg";
    /// A commit. A node uses it to find out whether a commit with a lost response succeeded.
    CommitId "cmt";
    /// An entry of the audit log.
    AuditEntryId "aud";
}

impl AuditEntryId {
    /// A commit makes at most one entry, which has the same id but for the prefix.
    pub const fn of_commit(commit: CommitId) -> Self {
        Self(commit.0)
    }
}

impl SecretKeyId {
    /// The id of a secret key, derived from the key's hash: the key itself is not stored.
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&hash[..20]);
        Self(Body(bytes))
    }
}

/// The id of a ticket of either kind. The prefix tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TicketId {
    SignIn(SignInTokenId),
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
    fn the_prefix_alone_identifies_the_kind_of_a_ticket() {
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
    fn a_published_ksuid_decodes_to_its_published_bytes() {
        // The pair in the KSUID specification.
        let body = Body::decode(b"0ujtsYcgvSTl8PAuAdqWYSMnLOv").expect("27 characters");
        assert_eq!(u32::from_be_bytes(body.0[..4].try_into().expect("four")), 107_608_047);
        assert_eq!(&body.encode(), b"0ujtsYcgvSTl8PAuAdqWYSMnLOv");
        // The smallest value, the largest value, and one above it.
        assert_eq!(&Body([0; 20]).encode(), b"000000000000000000000000000");
        assert_eq!(&Body([0xff; 20]).encode(), b"aWgEPTl1tmebfsQzFP4bxwgy80V");
        assert_eq!(Body::decode(b"aWgEPTl1tmebfsQzFP4bxwgy80V"), Some(Body([0xff; 20])));
        assert_eq!(Body::decode(b"aWgEPTl1tmebfsQzFP4bxwgy80W"), None);
    }
}
