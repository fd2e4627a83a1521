//! The publishable key, and the cookie suffix that the SDKs derive from it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// `pk_live_` and the standard base64 without padding of `<host>$`, for development instances too
/// (D1): with a `pk_test_` key and a host of our own, clerk-js throws on redirects to other
/// origins.
/// Compat: clerk/javascript packages/shared/src/keys.ts
pub fn publishable_key(host: &str) -> String {
    format!("pk_live_{}", STANDARD_NO_PAD.encode(format!("{host}$")))
}

/// The first 8 characters of base64url(SHA-1(key)).
/// Compat: clerk/javascript packages/shared/src/keys.ts getCookieSuffix
pub fn cookie_suffix(publishable_key: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, publishable_key.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref()).chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_suffixes_are_what_the_sdks_compute() {
        assert_eq!(publishable_key("clerk.sojourn.test"), "pk_live_Y2xlcmsuc29qb3Vybi50ZXN0JA");
        assert_eq!(cookie_suffix("pk_live_Y2xlcmsuc29qb3Vybi50ZXN0JA"), "dBT-gjlv");
        assert_eq!(cookie_suffix("pk_test_Y2xlcmsuc29qb3Vybi50ZXN0JA"), "Evoo8MeX");
        assert_eq!(cookie_suffix("pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk"), "nx2hSE6I");
    }
}
