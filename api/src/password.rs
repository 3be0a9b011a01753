//! Passwords: which may be chosen, and what is kept of them.
//!
//! What is chosen is judged by its length and by whether it is among the first that anybody would try; it need not have
//! capitals, digits or signs (NIST SP 800-63B, 5.1.1.2; OWASP ASVS 4, 2.1).

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use chrono::TimeDelta;

/// The fewest characters. ASVS 4, 2.1.1 has 12; NIST SP 800-63B has 8, which a national service that patients use too
/// can ask for without sending them away.
pub const SHORTEST: usize = 8;

/// The most characters (ASVS 4, 2.1.2): nobody remembers more, and a manager of passwords needs no more.
pub const LONGEST: usize = 128;

/// For how long a first password is good: its owner may be away for a weekend (ASVS 4, 2.3.1).
pub const FIRST_LASTS: TimeDelta = TimeDelta::days(7);

/// What hashing costs, as OWASP's Password Storage Cheat Sheet has it for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Why a password cannot be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// It has too few characters.
    #[error("the password is too short: it needs {SHORTEST} characters or more; any will do, spaces too")]
    Short,
    /// It has too many.
    #[error("the password is too long: it can have {LONGEST} characters")]
    Long,
    /// It says who it belongs to.
    #[error("the password is a name that others know of you")]
    Name,
    /// It is among the first that anybody tries.
    #[error("the password is one of those that are tried first; choose one that is only yours")]
    Common,
}

/// Whether a password can be chosen by somebody who has these names.
pub fn check(password: &str, names: &[&str]) -> Result<(), Weakness> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Err(Weakness::Short);
    }
    if length > LONGEST {
        return Err(Weakness::Long);
    }
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|character| character.is_alphanumeric());
        kept.flat_map(char::to_lowercase).collect()
    };
    let plain_password = plain(password);
    if names.iter().any(|name| plain(name) == plain_password) {
        return Err(Weakness::Name);
    }
    let lower = password.to_lowercase();
    let common = COMMON.split_whitespace().any(|common| common == lower);
    let mut characters = lower.chars();
    let first = characters.next();
    if common || characters.all(|character| Some(character) == first) {
        return Err(Weakness::Common);
    }
    Ok(())
}

/// A first password, for nothing but choosing another one: a hundred random bits, as four groups of five letters and
/// digits of which none is taken for another.
pub fn first() -> String {
    const SIGNS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let bits: u128 = rand::random();
    let sign = |place: u32| char::from(SIGNS[(bits >> (5 * place)) as usize % SIGNS.len()]);
    let groups: Vec<String> = (0..4)
        .map(|group| (0..5).map(|place| sign(5 * group + place)).collect())
        .collect();
    groups.join("-")
}

/// What is kept of a password: a PHC string, with a salt of its own.
///
/// # Errors
///
/// When the system has no random bits.
pub fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    let hash = argon2().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// Whether it is the password of which this is kept. Where nothing is, it is not, and that takes as long.
pub fn is_password(password: &str, kept: Option<&str>) -> bool {
    match kept {
        // The string says with which parameters it was made.
        Some(kept) => PasswordVerifier::<str>::verify_password(&argon2(), password.as_bytes(), kept).is_ok(),
        None => {
            let mut nothing = [0; 32];
            let _ = argon2().hash_password_into(password.as_bytes(), &[0; 16], &mut nothing);
            false
        }
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.expect("the parameters are within those of argon2");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What is tried first, of those that are long enough: from the lists of the most common passwords that are published
/// year by year, with what goes by this product and this health service.
const COMMON: &str = "
    password password1 password12 password123 password1234 password12345 password! password1! passw0rd p@ssword
    p@ssw0rd pa$$word passwort motdepasse contraseña contrasena senha123 12345678 123456789 1234567890 12345678910
    123123123 123321123 1234512345 12341234 11223344 112233445566 87654321 987654321 9876543210 0123456789 01234567
    123456789a 12345678a a12345678 a123456789 1234abcd 1234qwer 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y q1w2e3r4 q1w2e3r4t5
    1qaz2wsx 1qaz2wsx3edc 1qazxsw2 2wsx3edc zaq12wsx zaq1zaq1 qazwsxedc qwertyui qwertyuiop qwerty12 qwerty123
    qwerty1234 qwerty12345 qwertz123 qwertzuiop azertyuiop azerty123 asdfghjk asdfghjkl asdfasdf asdf1234 zxcvbnm1
    zxcvbnm123 zxcvbnm, qweasdzxc qwer1234 qweqweqwe abcdefgh abcdefghi abcd1234 abc12345 abc123456 abc123abc abcabc123
    aa123456 aa12345678 a1b2c3d4 a1b2c3d4e5 iloveyou iloveyou1 iloveyou2 iloveyou! ilovegod loveyou1 lovelove
    princess princess1 sunshine sunshine1 football football1 baseball baseball1 basketball superman superman1 batman123
    spiderman pokemon1 pokemon123 starwars startrek1 michelle jennifer jessica1 jordan23 michael1 charlie1 danielle
    samantha alexander alexandra elizabeth victoria patricia christian christopher nicholas jonathan benjamin
    trustno1 whatever whatever1 letmein1 letmein123 letmein! letmeinnow welcome1 welcome12 welcome123 welcome1!
    changeme changeme1 changeme123 changeit default1 temporary temp1234 testtest test1234 test12345 testing1 testing123
    administrator admin123 admin1234 admin12345 adminadmin administrator1 root1234 rootroot toor1234 user1234 guest123
    secret123 secret12 mysecret topsecret internet computer computer1 samsung1 samsung123 google123 facebook
    liverpool liverpool1 liverpoolfc chelsea1 chelseafc arsenal1 arsenalfc manchester manutd123 everton1 rangers1
    celtic123 tottenham newcastle westham1 england1 scotland london12 london123 britain1 summer12 summer123 winter123
    spring123 autumn123 january1 february monday123 friday123 chocolate chocolate1 butterfly butterfly1 snowball
    midnight mustang1 corvette ferrari1 mercedes porsche1 harley12 dolphins cheese123 chicken1 blink182 metallica
    master123 master12 monkey123 monkey12 dragon123 dragon12 shadow123 shadow12 hunter123 hunter12 killer123 ginger12
    babygirl babygirl1 rockyou1 lastfm123 linkedin1 access14 matrix123 ninja123 mypassword mypassword1 thepassword
    hospital hospital1 hospital123 surgery1 surgery123 practice practice1 practice123 doctor12 doctor123 nurse123
    patient1 patient123 homeward homeward1 homeward12 homeward123 smartcard smartcard1 nhs12345 nhs123456 nhspassword
    systmone emisweb1 emisweb123
";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn first_passwords_differ_and_could_be_chosen() {
        let passwords: HashSet<String> = (0..1000).map(|_| first()).collect();
        assert_eq!(passwords.len(), 1000);
        for password in &passwords {
            assert_eq!(password.len(), 23);
            assert_eq!(check(password, &[]), Ok(()));
        }
    }

    #[test]
    fn what_may_be_chosen() {
        let names = ["dr.ng@example.org", "Mei Ng", "Wilhelmina Smith"];
        for (password, expected) in [
            ("seven77", Err(Weakness::Short)),
            ("eight8 8", Ok(())),
            // Characters count, not bytes.
            ("ëëëëëëë", Err(Weakness::Short)),
            ("zahlenweiß", Ok(())),
            ("correct horse battery staple", Ok(())),
            ("        ", Err(Weakness::Common)),
            ("aaaaaaaaaaaa", Err(Weakness::Common)),
            ("password", Err(Weakness::Common)),
            ("PassWord123", Err(Weakness::Common)),
            ("password of mine", Ok(())),
            ("wilhelmina smith", Err(Weakness::Name)),
            ("WilhelminaSmith", Err(Weakness::Name)),
            ("dr.ng@example.org", Err(Weakness::Name)),
        ] {
            assert_eq!(check(password, &names), expected, "{password}");
        }
        assert_eq!(check(&"ab".repeat(64), &[]), Ok(()));
        assert_eq!(check(&("ab".repeat(64) + "c"), &[]), Err(Weakness::Long));
        for common in COMMON.split_whitespace() {
            assert!(common.chars().count() >= SHORTEST, "{common} is refused as it is");
        }
    }

    #[test]
    fn what_is_kept_is_argon2id_with_a_salt_of_its_own_and_the_parameters_of_owasp() {
        let kept = hash("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("correct horse").unwrap());
        for (password, kept, expected) in [
            ("correct horse", Some(kept.as_str()), true),
            ("correct horse ", Some(kept.as_str()), false),
            ("Correct horse", Some(kept.as_str()), false),
            ("", Some(kept.as_str()), false),
            ("correct horse", Some(""), false),
            ("correct horse", None, false),
            ("", None, false),
        ] {
            assert_eq!(is_password(password, kept), expected, "{password:?} {kept:?}");
        }
    }
}
