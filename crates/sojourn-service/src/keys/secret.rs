//! The text of secret keys.

/// Random bytes of a secret key.
const SECRET_KEY_BYTES: usize = 24;

/// The two prefixes that SDKs know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKeyKind {
    /// Of a development instance.
    Test,
    /// Of a production instance.
    Live,
}

/// The text of a secret key.
///
/// The product's name in it says whose key it is, in the logs of anybody to whom an SDK sends it by mistake.
// Compat: SDKs read the prefix `sk_test_` or `sk_live_` at most; the rest is opaque to them.
// clerk/javascript packages/shared/src/keys.ts, `isDevelopmentFromSecretKey`
pub fn secret_key(kind: SecretKeyKind, bytes: [u8; SECRET_KEY_BYTES]) -> String {
    let kind = match kind {
        SecretKeyKind::Test => "test",
        SecretKeyKind::Live => "live",
    };
    let text = hex::encode(bytes);
    format!("sk_{kind}_sojourn_{text}")
}
