//! The text form of secret keys.

const SECRET_KEY_BYTES: usize = 24;

/// The two prefixes that the SDKs know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKeyKind {
    Test,
    Live,
}

/// The text of a secret key.
///
/// The product's name in the key identifies it in the logs of a third party to which an SDK sends
/// it by mistake.
// Compat: the SDKs read at most the prefix `sk_test_` or `sk_live_`; the rest is opaque to them.
// clerk/javascript packages/shared/src/keys.ts, `isDevelopmentFromSecretKey`
pub fn secret_key(kind: SecretKeyKind, bytes: [u8; SECRET_KEY_BYTES]) -> String {
    let kind = match kind {
        SecretKeyKind::Test => "test",
        SecretKeyKind::Live => "live",
    };
    let text = hex::encode(bytes);
    format!("sk_{kind}_sojourn_{text}")
}
