//! Signatures as Svix and Standard Webhooks define them: HMAC-SHA256 over `id.timestamp.body`.
//! Source: Standard Webhooks specification, "Signature scheme"

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sojourn_core::{id::WebhookDeliveryId, time::Timestamp};

use super::SecretText;

/// 24 to 64 bytes are allowed. This length needs no padding in base64, about which verifiers differ.
pub const SECRET_BYTES: usize = 24;

/// The secret as receivers configure it: in standard base64, not in the variant for URLs.
pub fn text_of(secret: &[u8]) -> SecretText {
    SecretText(format!("whsec_{}", STANDARD.encode(secret)))
}

/// The signature header: one signature per valid secret, separated by spaces.
pub fn header(secrets: &[Vec<u8>], id: WebhookDeliveryId, wall: Timestamp, body: &str) -> String {
    let signed = format!("{id}.{}.{body}", wall.as_secs());
    let signature = |secret: &Vec<u8>| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes())))
    };
    secrets.iter().map(signature).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use sojourn_core::testing::SeededRng;

    use super::*;

    #[test]
    fn whk_01_each_valid_secret_gives_one_signature() {
        let id = WebhookDeliveryId::generate(Timestamp::from_secs(1_700_000_000), &mut SeededRng::new(1));
        let secrets = [vec![1; SECRET_BYTES], vec![2; SECRET_BYTES]];
        let wall = Timestamp::from_millis(1_700_000_000_999);
        let both = header(&secrets, id, wall, "{}");
        let first = header(&secrets[..1], id, wall, "{}");
        let [one, other] = both.split(' ').collect::<Vec<_>>().try_into().expect("two signatures");
        assert!(one == first && other != first && other.starts_with("v1,"), "{both}");
        assert_ne!(header(&secrets, id, wall, "{ }"), both);
        assert_ne!(header(&secrets, id, Timestamp::from_secs(1_700_000_001), "{}"), both);
    }

    #[test]
    fn a_secret_is_standard_base64_without_padding() {
        let text = text_of(&[0xfb; SECRET_BYTES]).0;
        assert_eq!(text, format!("whsec_{}", "+/v7".repeat(8)));
    }
}
