//! Keys in the age format: `age1…` encrypts, `AGE-SECRET-KEY-1…` decrypts.

use std::fmt;
use std::io;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use bech32::{Bech32, Hrp};

const RECIPIENT: &str = "age";
const SECRET: &str = "age-secret-key-";

/// Who can decrypt a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// The holder of the secret key of this public key.
    Key([u8; 32]),
    Passphrase(Passphrase),
}

/// How a file is decrypted.
#[derive(Clone, Debug)]
pub enum Identity {
    /// One of these is the right one.
    Keys(Vec<SecretKey>),
    Passphrase(Passphrase),
}

/// A passphrase. `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(pub String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(***)")
    }
}

/// The secret half of a key pair. `Debug` prints `***`.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

impl Recipient {
    /// Reads `age1…`.
    pub fn parse(text: &str) -> Option<Self> {
        decode(RECIPIENT, text).filter(|_| text.starts_with(RECIPIENT)).map(Self::Key)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(&encode(RECIPIENT, key)),
            Self::Passphrase(_) => f.write_str("a passphrase"),
        }
    }
}

impl SecretKey {
    pub fn generate() -> io::Result<Self> {
        super::random().map(Self)
    }

    /// Reads `AGE-SECRET-KEY-1…`.
    pub fn parse(text: &str) -> Option<Self> {
        decode(SECRET, text).map(Self)
    }

    /// All keys of a file: one per line, and comments after `#`. `None` if a line is something else.
    pub fn parse_file(text: &str) -> Option<Vec<Self>> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Vec<Self> = lines.map(Self::parse).collect::<Option<_>>()?;
        (!keys.is_empty()).then_some(keys)
    }

    /// The text for a file. It is secret.
    pub fn text(&self) -> String {
        encode(SECRET, &self.0).to_ascii_uppercase()
    }

    fn private_key(&self) -> PrivateKey {
        PrivateKey::from_private_key(&X25519, &self.0).expect("the key has 32 bytes")
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        let public = self.private_key().compute_public_key().expect("an X25519 key has a public one");
        public.as_ref().try_into().expect("a public key has 32 bytes")
    }

    pub fn recipient(&self) -> Recipient {
        Recipient::Key(self.public())
    }

    /// The secret that both halves have in common; `None` for a public key of low order.
    pub fn agree(&self, with: &[u8; 32]) -> Option<[u8; 32]> {
        let peer = UnparsedPublicKey::new(&X25519, with);
        agree(&self.private_key(), peer, (), |shared| <[u8; 32]>::try_from(shared).map_err(|_| ())).ok()
    }
}

fn encode(prefix: &str, key: &[u8; 32]) -> String {
    bech32::encode::<Bech32>(Hrp::parse_unchecked(prefix), key)
        .expect("32 bytes are within what bech32 takes")
}

fn decode(prefix: &str, text: &str) -> Option<[u8; 32]> {
    let decoded = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text.trim()).ok()?;
    let fits = decoded.hrp().as_str().eq_ignore_ascii_case(prefix);
    decoded.byte_iter().collect::<Vec<u8>>().try_into().ok().filter(|_| fits)
}
