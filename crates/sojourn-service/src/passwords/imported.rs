//! Verifies the hashes that other software made. The core parsed them and bounded their cost.

use std::num::NonZeroU32;

use aws_lc_rs::{
    cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey},
    constant_time::verify_slices_are_equal,
    digest, hmac,
    iv::FixedLength,
    pbkdf2,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use sojourn_core::{
    imported_hash::{BcryptInput, Digest, Recipe, SaltOrder, ScryptFinish},
    password::Password,
};

use super::{PasswordsError, broken};

/// bcrypt reads no more, and libraries that refuse longer passwords have stored no hash of one.
const BCRYPT_BYTES: usize = 72;
/// The longest password for hashes that read it in each of up to a million rounds. Nobody types a
/// longer one.
const MAX_ITERATED_BYTES: usize = 512;
/// The white space that `trim` of PHP removes.
const PHP_SPACE: [char; 6] = [' ', '\n', '\r', '\t', '\u{b}', '\0'];

/// Whether the hash is of this password.
///
/// # Errors
/// [`PasswordsError::Broken`] if the recipe cannot be computed.
pub(super) fn matches(password: &Password, recipe: &Recipe) -> Result<bool, PasswordsError> {
    let bytes = password.as_bytes();
    Ok(match recipe {
        // `passwords.rs` computes Argon2, in the memory that it keeps for that.
        Recipe::Argon2 { .. } => return Err(broken("Argon2 has no recipe here")),
        Recipe::Bcrypt { input, cost, salt, expected } => {
            let input = bcrypt_input(bytes, input);
            // Implementations in C stop reading there, and then other passwords would match.
            !input.contains(&0) && same(&bcrypt(&input, *cost, *salt), expected)
        }
        Recipe::Pbkdf2 { digest, iterations, salt, expected } => {
            let iterations = NonZeroU32::new(*iterations).ok_or_else(|| broken("no iterations"))?;
            let mut out = vec![0; expected.len()];
            pbkdf2::derive(pbkdf2_algorithm(*digest)?, iterations, salt, bytes, &mut out);
            same(&out, expected)
        }
        Recipe::Scrypt { log_n, r, p, salt, finish, expected } => {
            let params = scrypt::Params::new(*log_n, *r, *p).map_err(broken)?;
            let normal = matches!(finish, ScryptFinish::Nfkc).then(|| password.nfkc());
            let bytes = normal.as_deref().map_or(bytes, str::as_bytes);
            let mut out = [0; 64];
            scrypt::scrypt(bytes, salt, &params, &mut out).map_err(broken)?;
            match finish {
                ScryptFinish::Encrypts(signer) => same(&encrypted(signer, &out[..32])?, expected),
                _ => same(&out, expected),
            }
        }
        Recipe::Fast { digest, salt, order, expected } => {
            let after = same(&hash(*digest, &[bytes, salt]), expected);
            let before = same(&hash(*digest, &[salt, bytes]), expected);
            after | (*order == SaltOrder::Either && before)
        }
        Recipe::Phpass { rounds_log2, salt, of_md5, expected } => {
            let inner = of_md5.then(|| hex::encode(hash(Digest::Md5, &[bytes])));
            let bytes = inner.as_deref().map_or(bytes, str::as_bytes);
            bytes.len() <= MAX_ITERATED_BYTES && same(&phpass(bytes, salt, *rounds_log2), expected)
        }
        Recipe::Symfony { iterations, salt, expected } => {
            bytes.len() <= MAX_ITERATED_BYTES && same(&symfony(bytes, salt, *iterations), expected)
        }
    })
}

fn same(computed: &[u8], expected: &[u8]) -> bool {
    verify_slices_are_equal(computed, expected).is_ok()
}

fn hash(algorithm: Digest, parts: &[&[u8]]) -> Vec<u8> {
    let algorithm = match algorithm {
        Digest::Md5 => return parts.iter().fold(Md5::new(), Md5::chain_update).finalize().to_vec(),
        Digest::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Digest::Sha256 => &digest::SHA256,
        Digest::Sha512 => &digest::SHA512,
    };
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

fn bcrypt_input(password: &[u8], input: &BcryptInput) -> Vec<u8> {
    match input {
        BcryptInput::Password => password.to_vec(),
        BcryptInput::Peppered(pepper) => [password, pepper.as_bytes()].concat(),
        BcryptInput::Sha256Hex => hex::encode(hash(Digest::Sha256, &[password])).into(),
        BcryptInput::WordPress => {
            let text = String::from_utf8_lossy(password);
            let key = hmac::Key::new(hmac::HMAC_SHA384, b"wp-sha384");
            STANDARD.encode(hmac::sign(&key, text.trim_matches(PHP_SPACE).as_bytes())).into()
        }
    }
}

/// The 23 bytes that are written.
fn bcrypt(input: &[u8], cost: u32, salt: [u8; 16]) -> Vec<u8> {
    let with_nul = [input, &[0]].concat();
    let out = bcrypt::bcrypt(cost, salt, &with_nul[..with_nul.len().min(BCRYPT_BYTES)]);
    out[..23].to_vec()
}

fn pbkdf2_algorithm(digest: Digest) -> Result<pbkdf2::Algorithm, PasswordsError> {
    match digest {
        Digest::Md5 => Err(broken("no hasher uses PBKDF2 with MD5")),
        Digest::Sha1 => Ok(pbkdf2::PBKDF2_HMAC_SHA1),
        Digest::Sha256 => Ok(pbkdf2::PBKDF2_HMAC_SHA256),
        Digest::Sha512 => Ok(pbkdf2::PBKDF2_HMAC_SHA512),
    }
}

fn encrypted(text: &[u8], key: &[u8]) -> Result<Vec<u8>, PasswordsError> {
    let key = UnboundCipherKey::new(&AES_256, key).and_then(EncryptingKey::ctr).map_err(broken)?;
    let mut out = text.to_vec();
    let zero = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(&mut out, zero).map_err(broken)?;
    Ok(out)
}

fn phpass(password: &[u8], salt: &[u8], rounds_log2: u8) -> Vec<u8> {
    let mut out = hash(Digest::Md5, &[salt, password]);
    for _ in 0..1_u32 << rounds_log2 {
        out = hash(Digest::Md5, &[&out, password]);
    }
    out
}

fn symfony(password: &[u8], salt: &str, iterations: u32) -> Vec<u8> {
    let salted = match salt {
        "" => password.to_vec(),
        salt => [password, b"{", salt.as_bytes(), b"}"].concat(),
    };
    let mut out = hash(Digest::Sha512, &[&salted]);
    for _ in 1..iterations {
        out = hash(Digest::Sha512, &[&out, &salted]);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize;
    use sojourn_core::imported_hash::{self, FORMS};

    use super::super::{Passwords, is_ours};
    use super::*;

    /// See scripts/make-password-vectors.
    #[derive(Deserialize)]
    struct Vector {
        hasher: String,
        made_by: String,
        password: String,
        digest: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/password_vectors/vectors.json")).expect("vectors")
    }

    #[tokio::test]
    async fn aut_03_digests_of_real_libraries_are_verified() {
        let passwords = Passwords::new();
        for Vector { hasher, made_by, password, digest } in vectors() {
            let stored = imported_hash::import(&digest, &hasher);
            let stored = stored.unwrap_or_else(|error| panic!("{hasher} by {made_by}: {error:?}: {digest}"));
            assert!(!is_ours(&stored), "{hasher} by {made_by} would never be replaced");
            let verify = async |text: &str| {
                passwords.verify(Password::present(text), Some(stored.clone())).await.expect("verified")
            };
            assert!(verify(&password).await, "{hasher} by {made_by}: {digest}");
            for wrong in ["", "grüße, Жук 🐎 "] {
                // WordPress removes white space at the ends.
                let is_same = hasher == "wordpress" && wrong.trim() == password;
                assert_eq!(verify(wrong).await, is_same, "{hasher} by {made_by}, {wrong:?}");
            }
        }
    }

    #[test]
    fn each_hasher_has_digests_of_real_libraries() {
        let tested: BTreeSet<String> = vectors().into_iter().map(|vector| vector.hasher).collect();
        assert_eq!(tested, FORMS.iter().map(|(name, _)| (*name).to_owned()).collect());
    }

    #[tokio::test]
    async fn a_password_with_nul_never_matches_bcrypt() {
        let vector = vectors().into_iter().find(|vector| vector.hasher == "bcrypt").expect("a vector");
        let stored = imported_hash::import(&vector.digest, "bcrypt").expect("imported");
        let password = Password::present(&format!("{}\0more", vector.password));
        assert!(!Passwords::new().verify(password, Some(stored)).await.expect("verified"));
    }

    #[test]
    fn the_longest_password_of_an_iterated_hash_is_bounded() {
        let vector = vectors().into_iter().find(|vector| vector.hasher == "phpass").expect("a vector");
        let stored = imported_hash::import(&vector.digest, "phpass").expect("imported");
        let recipe = imported_hash::recipe(&stored).expect("a recipe");
        assert!(!matches(&Password::present(&"x".repeat(4096)), &recipe).expect("computed"));
    }
}
