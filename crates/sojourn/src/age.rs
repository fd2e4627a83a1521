//! Encryption of files in the age format, version 1 (c2sp.org/age), so that a backup can be
//! decrypted without Sojourn.
//!
//! Of the recipient types of the format this is X25519 (`age1…`) and scrypt (a passphrase). A new
//! file key encrypts the content in chunks, and each recipient can decrypt the file key.

mod header;
mod key;
mod stream;

use std::io::{self, BufRead as _, BufReader, Read, Write};

use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hkdf,
    rand::{SecureRandom as _, SystemRandom},
};

pub use self::key::{Identity, Passphrase, Recipient, SecretKey};
pub use self::stream::{Decryptor, Encryptor};

/// Why a file cannot be decrypted.
#[derive(Debug, thiserror::Error)]
pub enum AgeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is not encrypted in the age format")]
    Foreign,
    #[error("it ends within its header")]
    Truncated,
    /// Neither the keys nor the passphrase that were given decrypt the file.
    #[error("{0}")]
    WrongKey(&'static str),
    #[error("its header was changed")]
    Damaged,
    #[error("{0}")]
    Unsupported(&'static str),
}

/// A writer whose input is encrypted for `recipients` and written to `out`.
///
/// # Errors
/// `out` cannot be written, there is no recipient, or a passphrase and another recipient.
pub fn encrypt<W: Write>(recipients: &[Recipient], mut out: W) -> io::Result<Encryptor<W>> {
    let file_key: [u8; 16] = random()?;
    out.write_all(&header::write(recipients, &file_key)?)?;
    let nonce: [u8; 16] = random()?;
    out.write_all(&nonce)?;
    Ok(Encryptor::new(payload_key(&file_key, &nonce), out))
}

/// A reader of the decrypted content of `input`.
///
/// # Errors
/// [`AgeError`]. The content itself is verified while it is read.
pub fn decrypt<R: Read>(identity: &Identity, input: R) -> Result<Decryptor<R>, AgeError> {
    let mut input = BufReader::with_capacity(stream::SEALED + 1, input);
    let file_key = header::read(identity, &mut input)?;
    let mut nonce = [0; 16];
    input.read_exact(&mut nonce).map_err(|_| AgeError::Truncated)?;
    Ok(Decryptor::new(payload_key(&file_key, &nonce), input))
}

/// Whether the input begins like an encrypted file. It is not consumed.
pub fn is_encrypted<R: Read>(input: &mut BufReader<R>) -> io::Result<bool> {
    Ok(input.fill_buf()?.starts_with(header::MAGIC))
}

fn payload_key(file_key: &[u8; 16], nonce: &[u8; 16]) -> LessSafeKey {
    cipher(&derive(file_key, nonce, b"payload"))
}

/// HKDF-SHA256.
fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    let mut derived = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[info], hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(&mut derived))
        .expect("32 bytes are within what HKDF gives");
    derived
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has 32 bytes"))
}

/// Encrypts the file key. The nonce is zero, because each wrap key is used once.
fn wrap(key: &[u8; 32], file_key: &[u8; 16]) -> Vec<u8> {
    let mut body = file_key.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    cipher(key).seal_in_place_append_tag(nonce, Aad::empty(), &mut body).expect("16 bytes are few");
    body
}

fn unwrap(key: &[u8; 32], body: &[u8]) -> Option<[u8; 16]> {
    if body.len() != 32 {
        return None;
    }
    let mut body = body.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let plain = cipher(key).open_in_place(nonce, Aad::empty(), &mut body).ok()?;
    <[u8; 16]>::try_from(&*plain).ok()
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("the system's source of randomness failed"))?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "age/tests.rs"]
mod tests;
