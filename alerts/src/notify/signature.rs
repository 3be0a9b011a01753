use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The name of the header.
pub(super) const HEADER: &str = "homeward-signature";

/// What the header says: `t=<unix time>,v1=<hex>`, where the number is the HMAC-SHA256 of `<unix time>.<body>`
/// with the receiver's secret as the key. Whoever receives it should also look whether the time is recent, so
/// that nobody sends an old message again.
pub(super) fn header(secret: &[u8], now: DateTime<Utc>, body: &[u8]) -> String {
    let time = now.timestamp();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    let digest: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={time},v1={digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_other_programs_compute() {
        // printf '1795348800.{"id":1}' | openssl dgst -sha256 -hmac whsec_test
        let now = DateTime::from_timestamp(1_795_348_800, 0).unwrap();
        assert_eq!(
            header(b"whsec_test", now, br#"{"id":1}"#),
            "t=1795348800,v1=4f6a9378be41ab86088baa6fd7555fff6acb3fdd9de3e1e1c8f3d79a8436a686"
        );
    }
}
