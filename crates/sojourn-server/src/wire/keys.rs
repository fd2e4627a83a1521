use sojourn_api::{JsonWebKey, JsonWebKeySet};
use sojourn_service::{Service, keys::Signer};

/// The public keys that verify tokens: public members only.
pub fn key_set(service: &Service) -> JsonWebKeySet {
    let published = service.keyring().published(service.moment().wall);
    JsonWebKeySet { keys: published.iter().map(|signer| json_web_key(signer)).collect() }
}

fn json_web_key(signer: &Signer) -> JsonWebKey {
    let (modulus, exponent) = signer.public_key();
    JsonWebKey {
        kty: "RSA".to_owned(),
        alg: "RS256".to_owned(),
        usage: "sig".to_owned(),
        kid: signer.key_id().to_owned(),
        n: modulus.to_owned(),
        e: exponent.to_owned(),
    }
}
