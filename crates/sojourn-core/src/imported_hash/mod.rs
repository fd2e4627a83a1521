//! Password hashes that other software made: their forms, and how much work each may cost.
//!
//! An import stores a hash as it is. The first sign-in verifies it and replaces it by one of ours
//! (AUT-03, decision 52). `sojourn-service` does the hashing.

mod bounds;
mod forms;
mod parse;
#[cfg(test)]
mod tests;

pub use bounds::TooExpensive;
pub use forms::FORMS;

use crate::user::PasswordHash;

/// The longest digest in bytes. The longest real ones, of Firebase, have about 300.
const MAX_DIGEST_BYTES: usize = 2048;

/// Why a hash is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportRefused {
    /// No such hasher.
    Hasher,
    /// The vendor's API has this hasher, this server does not; the text says why.
    NotOffered(&'static str),
    /// The digest does not have the form of its hasher, which this is.
    Digest(&'static str),
    TooExpensive(TooExpensive),
}

/// What a hash is computed from, and what it has to be. `Debug` prints `***`: some digests contain a
/// secret of the system that made them.
#[derive(Clone, PartialEq, Eq)]
pub enum Recipe {
    Argon2 {
        variant: Argon2Variant,
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
    /// `expected` has 23 bytes: bcrypt's last one is never written.
    Bcrypt {
        input: BcryptInput,
        cost: u32,
        salt: [u8; 16],
        expected: Vec<u8>,
    },
    Pbkdf2 {
        digest: Digest,
        iterations: u32,
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
    Scrypt {
        log_n: u8,
        r: u32,
        p: u32,
        salt: Vec<u8>,
        finish: ScryptFinish,
        expected: Vec<u8>,
    },
    /// One round of a fast hash.
    Fast {
        digest: Digest,
        salt: Vec<u8>,
        order: SaltOrder,
        expected: Vec<u8>,
    },
    /// Iterated MD5. `of_md5`: the password is replaced by the hexadecimal text of its MD5 first.
    Phpass {
        rounds_log2: u8,
        salt: Vec<u8>,
        of_md5: bool,
        expected: Vec<u8>,
    },
    /// Symfony's `MessageDigestPasswordHasher` with SHA-512.
    Symfony {
        iterations: u32,
        salt: String,
        expected: Vec<u8>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argon2Variant {
    I,
    Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

/// What bcrypt gets instead of the password.
#[derive(Clone, PartialEq, Eq)]
pub enum BcryptInput {
    Password,
    /// The password, and this after it.
    Peppered(String),
    /// The hexadecimal text of the password's SHA-256.
    Sha256Hex,
    /// Base64 of HMAC-SHA384 with the key `wp-sha384` over the password without surrounding
    /// white space.
    WordPress,
}

/// What is done with the output of scrypt.
#[derive(Clone, PartialEq, Eq)]
pub enum ScryptFinish {
    /// It is the hash.
    Nothing,
    /// The same, and the password was normalised by NFKC.
    Nfkc,
    /// Its first 32 bytes are the key that encrypts this (AES-256 in counter mode from zero); the
    /// result is the hash.
    Encrypts(Vec<u8>),
}

/// Where the salt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaltOrder {
    AfterPassword,
    /// The vendor does not document the order, so both count.
    Either,
}

impl std::fmt::Debug for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipe(***)")
    }
}

impl std::fmt::Debug for BcryptInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BcryptInput(***)")
    }
}

impl std::fmt::Debug for ScryptFinish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScryptFinish(***)")
    }
}

/// The hash to store for a digest of `hasher`.
///
/// # Errors
/// [`ImportRefused`].
pub fn import(digest: &str, hasher: &str) -> Result<PasswordHash, ImportRefused> {
    let recipe = parse(digest, hasher)?;
    bounds::check(&recipe).map_err(ImportRefused::TooExpensive)?;
    // Argon2 keeps its own text, which names the variant.
    let is_argon2 = matches!(recipe, Recipe::Argon2 { .. });
    Ok(PasswordHash(if is_argon2 { digest.to_owned() } else { format!("{hasher}:{digest}") }))
}

/// How to verify a stored hash that is not ours; `None` if it cannot be read.
pub fn recipe(stored: &PasswordHash) -> Option<Recipe> {
    let text = stored.0.as_str();
    let (hasher, digest) = match text.strip_prefix('$') {
        Some(phc) => (phc.split('$').next()?, text),
        None => text.split_once(':')?,
    };
    parse(digest, hasher).ok()
}

fn parse(digest: &str, hasher: &str) -> Result<Recipe, ImportRefused> {
    if let Some((_, why)) = forms::NOT_OFFERED.iter().find(|(name, _)| *name == hasher) {
        return Err(ImportRefused::NotOffered(why));
    }
    let (_, form) = FORMS.iter().find(|(name, _)| *name == hasher).ok_or(ImportRefused::Hasher)?;
    let text = Some(digest).filter(|digest| digest.len() <= MAX_DIGEST_BYTES);
    text.and_then(|digest| parse::recipe(digest, hasher)).ok_or(ImportRefused::Digest(form))
}
