//! RS256 with a two-prime RSA-2048 key. The key is parsed once, because parsing costs more than
//! signing. The SDKs accept no faster algorithm.
//! Compat: clerk/javascript packages/backend/src/jwt/algorithms.ts

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::Serialize;
use serde_json::Value;
use sojourn_metrics::{SIGNATURES, Stopwatch};

/// The private key is not an RSA-2048 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key cannot be read; restore the database from a backup")]
pub struct SigningError;

/// Generates a private key as PKCS#8.
///
/// # Errors
/// [`SigningError`] if the system has no randomness.
pub fn generate_signing_key() -> Result<Vec<u8>, SigningError> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningError)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| SigningError)?;
    Ok(der.as_ref().to_vec())
}

/// The header of a token.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct JoseHeader<'a> {
    alg: &'static str,
    /// The kind of token; see `sojourn_core::claims::SESSION_CATEGORY`.
    cat: &'a str,
    kid: &'a str,
    /// The time of the claims, in seconds. It must be on every token or on none; otherwise browsers
    /// keep the older of two tokens.
    /// Compat: clerk/javascript packages/clerk-js/src/core/tokenFreshness.ts
    #[serde(skip_serializing_if = "Option::is_none")]
    oiat: Option<i64>,
    typ: &'static str,
}

/// The signing key of an instance.
pub struct Signer {
    pair: KeyPair,
    kid: String,
    modulus: String,
    exponent: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.kid)
    }
}

impl Signer {
    /// A signer with the PKCS#8 key `private_key` and the key id `kid`.
    ///
    /// # Errors
    /// [`SigningError`] if the key is not an RSA-2048 key.
    pub fn new(kid: &str, private_key: &[u8]) -> Result<Self, SigningError> {
        let pair = KeyPair::from_pkcs8(private_key).map_err(|_| SigningError)?;
        if pair.public_modulus_len() != 256 {
            return Err(SigningError);
        }
        let modulus = URL_SAFE_NO_PAD.encode(pair.public_key().modulus().big_endian_without_leading_zero());
        let exponent = URL_SAFE_NO_PAD.encode(pair.public_key().exponent().big_endian_without_leading_zero());
        Ok(Self { pair, kid: kid.to_owned(), modulus, exponent })
    }

    /// Signs a token with `claims`.
    pub fn sign(&self, category: &str, oiat: Option<i64>, claims: &impl Serialize) -> String {
        let started = Stopwatch::start();
        let header = JoseHeader { alg: "RS256", cat: category, kid: &self.kid, oiat, typ: "JWT" };
        let encode = |value: Vec<u8>| URL_SAFE_NO_PAD.encode(value);
        let mut token = encode(serde_json::to_vec(&header).expect("a header is plain data"));
        token.push('.');
        token += &encode(serde_json::to_vec(claims).expect("claims are plain data"));
        let mut signature = [0; 256];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .expect("an RSA-2048 key signs SHA-256 digests into 256 bytes");
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        SIGNATURES.observe(0, started.elapsed());
        token
    }

    /// Verifies a token of this instance and category, and returns its payload; `None` for any other
    /// token. The algorithm is given by the key, not by the token, and keys inside a token are
    /// ignored (JWT-01…03).
    pub fn verify(&self, token: &str, category: &str) -> Option<Value> {
        let mut parts = token.split('.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || token.len() > 16 * 1024 {
            return None;
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let fields: Value = serde_json::from_slice(&decode(header)?).ok()?;
        let fits =
            fields["alg"] == "RS256" && fields["kid"] == self.kid.as_str() && fields["cat"] == category;
        // A token with critical headers that we do not understand must be rejected (RFC 7515 4.1.11).
        if !fits || fields.get("crit").is_some() {
            return None;
        }
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key());
        key.verify(&token.as_bytes()[..header.len() + 1 + payload.len()], &decode(signature)?).ok()?;
        serde_json::from_slice(&decode(payload)?).ok()
    }

    /// The public key as PEM (RFC 7468), for SDKs that verify tokens without the JWKS.
    pub fn public_key_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> =
            self.pair.public_key().as_der().expect("an RSA key has this encoding");
        let text = STANDARD.encode(der.as_ref());
        let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem + "-----END PUBLIC KEY-----\n"
    }

    pub fn key_id(&self) -> &str {
        &self.kid
    }

    /// The modulus and the exponent of the public key, in the encoding of JSON Web Keys.
    pub fn public_key(&self) -> (&str, &str) {
        (&self.modulus, &self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn signer() -> Signer {
        Signer::new("ins_test", &generate_signing_key().expect("randomness")).expect("a fresh key")
    }

    #[test]
    fn an_independent_library_accepts_our_tokens() {
        let signer = signer();
        let token = signer.sign("cat", Some(1), &json!({"sub": "user_1", "exp": 4_000_000_000_u64}));
        let key =
            jsonwebtoken::DecodingKey::from_rsa_components(&signer.modulus, &signer.exponent).expect("key");
        let validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        let decoded = jsonwebtoken::decode::<Value>(&token, &key, &validation).expect("valid");
        assert_eq!(decoded.claims["sub"], "user_1");
        assert_eq!(decoded.header.kid.as_deref(), Some("ins_test"));
    }

    #[test]
    fn an_independent_library_reads_the_public_key_as_pem() {
        let signer = signer();
        let token = signer.sign("cat", None, &json!({"sub": "user_1", "exp": 4_000_000_000_u64}));
        let key = jsonwebtoken::DecodingKey::from_rsa_pem(signer.public_key_pem().as_bytes()).expect("PEM");
        let validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        jsonwebtoken::decode::<Value>(&token, &key, &validation).expect("valid");
    }

    #[test]
    fn a_token_of_another_kind_key_or_algorithm_is_not_ours() {
        let signer = signer();
        let token = signer.sign("cat", None, &json!({"a": 1}));
        assert_eq!(signer.verify(&token, "cat"), Some(json!({"a": 1})));
        assert_eq!(signer.verify(&token, "other"), None);
        assert_eq!(self::signer().verify(&token, "cat"), None);
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let payload = signed.split_once('.').expect("two parts").1;
        for alg in ["none", "None", "HS256", "RS512"] {
            let header = json!({"alg": alg, "cat": "cat", "kid": "ins_test", "typ": "JWT"});
            let forged = URL_SAFE_NO_PAD.encode(header.to_string());
            assert_eq!(signer.verify(&format!("{forged}.{payload}.{signature}"), "cat"), None, "{alg}");
            assert_eq!(signer.verify(&format!("{forged}.{payload}."), "cat"), None, "{alg}");
        }
        for cut in 0..token.len() {
            assert_eq!(signer.verify(&token[..cut], "cat"), None);
        }
    }
}
