//! Keys: the master key, which encrypts the other keys, the RSA keys that sign tokens, the
//! publishable key and the secret keys.

mod keyring;
mod master;
mod publishable;
mod secret;
mod signing;

pub use keyring::{KeyOfRing, Keyring, KeyringError, MasterKeys};
pub use master::{MasterKey, SealError};
pub use publishable::{cookie_suffix, publishable_key};
pub use secret::{SecretKeyKind, secret_key};
pub use signing::{JoseHeader, Signer, SigningError, generate_signing_key};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sojourn_core::id::Randomness;

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// A secret of 256 bits as 43 characters that are safe in URLs, headers and cookies.
pub fn random_secret(random: &mut dyn Randomness) -> String {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `bytes` random bytes as hexadecimal text.
pub fn random_hex(random: &mut dyn Randomness, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    random.fill(&mut buffer);
    hex::encode(buffer)
}
