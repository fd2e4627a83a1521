//! The master key: it encrypts private keys at rest (JWT-08). A development instance's secret key
//! and the key of code hashes are derived from it.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};
use sojourn_core::id::Randomness;

/// 32 bytes from outside the database. `Debug` prints `***`.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

/// The bytes were encrypted with another key, or were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the master key does not open what this database holds; use the key that was made with it")]
pub struct SealError;

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

const NONCE_LEN: usize = 12;

impl MasterKey {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Derives an independent key for `purpose` (HKDF-SHA256): one derived key reveals nothing
    /// about the others.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let info = [purpose.as_bytes()];
        let mut derived = [0; 32];
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"sojourn")
            .extract(&self.0)
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(&mut derived))
            .expect("32 bytes are within what HKDF gives");
        derived
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, &self.derive("seal")).expect("the key has 32 bytes");
        LessSafeKey::new(key)
    }

    /// Encrypts `plain` with AES-256-GCM. `label` (the key id) is authenticated and must be the
    /// same in [`Self::open`].
    pub fn seal(&self, label: &str, plain: &[u8], random: &mut dyn Randomness) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        self.cipher()
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(label.as_bytes()),
                &mut sealed,
            )
            .expect("a private key is within what AES-GCM seals");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts the output of [`Self::seal`].
    ///
    /// # Errors
    /// [`SealError`] for another key, another label or changed bytes.
    pub fn open(&self, label: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut buffer = rest.to_vec();
        let plain = self.cipher().open_in_place(nonce, Aad::from(label.as_bytes()), &mut buffer);
        plain.map(|plain| plain.to_vec()).map_err(|_| SealError)
    }
}

#[cfg(test)]
mod tests {
    use sojourn_core::testing::SeededRng;

    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_label_only() {
        let (key, other) = (MasterKey::new([1; 32]), MasterKey::new([2; 32]));
        let mut sealed = key.seal("ins_1", b"private", &mut SeededRng::new(1));
        assert_eq!(key.open("ins_1", &sealed), Ok(b"private".to_vec()));
        assert_eq!(key.open("ins_2", &sealed), Err(SealError));
        assert_eq!(other.open("ins_1", &sealed), Err(SealError));
        assert_eq!(key.open("ins_1", &sealed[..5]), Err(SealError));
        sealed[20] ^= 1;
        assert_eq!(key.open("ins_1", &sealed), Err(SealError));
    }
}
