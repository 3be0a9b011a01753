//! Codes of a second factor: six digits for each half minute, as RFC 6238 has them and every authenticator shows them.

use chrono::{DateTime, Utc};
use totp_rs::{Algorithm, Builder, Secret, Totp};

/// The name under which authenticators list the account.
const ISSUER: &str = "Homeward";

/// How long a code is shown, in seconds. The one before and the one after are taken too (RFC 6238, 5.2): clocks differ.
const STEP_SECONDS: u64 = 30;
const STEPS_EITHER_WAY: u16 = 1;

/// The step of time whose code this is, near a time; `None`: of none.
pub(super) fn step_of(secret: &[u8], code: &str, now: DateTime<Utc>) -> Option<i64> {
    let code: String = code
        .chars()
        .filter(|character| !character.is_whitespace())
        .collect();
    let seconds = u64::try_from(now.timestamp()).ok()?;
    let step = totp(secret, "account").check(&code, seconds)?;
    i64::try_from(step).ok()
}

/// What an authenticator reads out of a picture: the address of a secret, with the name of its account.
pub(super) fn address(secret: &[u8; 20], sign_in_name: &str) -> String {
    let url = totp(secret, sign_in_name).to_url();
    url.expect("a sign-in name has no colon")
}

/// The secret, as it is typed.
pub(super) fn as_typed(secret: &[u8; 20]) -> String {
    Secret::new(Box::new(*secret)).to_base32()
}

fn totp(secret: &[u8], sign_in_name: &str) -> Totp {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(STEPS_EITHER_WAY)
        .with_step_duration(STEP_SECONDS)
        .with_secret(Secret::new(secret.into()))
        .with_issuer(Some(ISSUER))
        .with_account_name(sign_in_name)
        .build()
        .expect("the record takes secrets of 20 bytes only, and sign-in names without a colon")
}

/// The code of a time.
#[cfg(test)]
pub(super) fn at(secret: &[u8], at: DateTime<Utc>) -> String {
    totp(secret, "account")
        .generate(at.timestamp() as u64)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc_for_a_step_either_way() {
        // RFC 6238, appendix B, SHA-1: the last six of its eight digits.
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
            for (off, taken) in [(0, true), (30, true), (-30, true), (60, false), (-60, false)] {
                let step = step_of(secret, code, time(seconds + off));
                assert_eq!(step, taken.then_some(seconds / 30), "{code} {off}");
            }
        }
        let spaced = DateTime::from_timestamp(59, 0).unwrap();
        assert_eq!(step_of(secret, "287 082", spaced), Some(1));
        for wrong in ["", "28708", "2870820", "94287082", "28708a", "٢٨٧٠٨٢"] {
            assert_eq!(step_of(secret, wrong, spaced), None, "{wrong}");
        }
    }

    #[test]
    fn authenticators_can_read_the_address() {
        assert_eq!(
            address(b"12345678901234567890", "ada@example.org"),
            "otpauth://totp/Homeward:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Homeward"
        );
        assert_eq!(
            as_typed(b"12345678901234567890"),
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        );
    }
}
