use sojourn_api::{JsonWebKey, JsonWebKeySet};
use sojourn_service::keys::Signer;

/// The public keys that verify tokens: public members only.
pub fn key_set(signer: &Signer) -> JsonWebKeySet {
    let (modulus, exponent) = signer.public_key();
    let key = JsonWebKey {
        kty: "RSA".to_owned(),
        alg: "RS256".to_owned(),
        usage: "sig".to_owned(),
        kid: signer.key_id().to_owned(),
        n: modulus.to_owned(),
        e: exponent.to_owned(),
    };
    JsonWebKeySet { keys: vec![key] }
}
