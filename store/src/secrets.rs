//! Secrets that have to be known as they are, and so cannot be kept as hashes: those of second factors, and those that sign
//! what goes to webhooks. The record has them sealed, by a key that is not in it: whoever gets hold of the database, or
//! of a copy, has none of them.
//!
//! What is sealed is bound to whose it is, so that it opens nowhere else. It names its key, of which there may be several in
//! the [`key_file`]: the one with the highest number seals, the others open what they have sealed. [`seal_all`] seals anew
//! what others have sealed, or nobody.

mod kept;
mod key_file;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use crate::Error;

pub use kept::{Forgotten, KeyUse, Sealed, any_sealed, forget_key, key_uses, lock_keys, seal_all};

/// How what is sealed begins, so that it is told from what is not. After it come the number of the key, the nonce, and the
/// secret with its tag.
const MARK: &[u8; 4] = b"hws1";
const KEY_ENDS: usize = MARK.len() + size_of::<u32>();
const NONCE_LENGTH: usize = 24;
const NONCE_ENDS: usize = KEY_ENDS + NONCE_LENGTH;

/// Whose a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The second factor of an account, or one that it was offered.
    SecondFactorOf(i64),
    /// What signs messages to a receiver.
    WebhookOf(i64),
    /// What an identity provider says of who signed in with an account. It lasts as long as the session, so nobody seals it
    /// anew.
    IdTokenOf(i64),
}

impl fmt::Display for Whose {
    /// As it goes into the seal: nothing of this may ever change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whose::SecondFactorOf(account) => write!(f, "second factor of account {account}"),
            Whose::WebhookOf(receiver) => write!(f, "webhook of receiver {receiver}"),
            Whose::IdTokenOf(account) => write!(f, "ID token of account {account}"),
        }
    }
}

/// Why a key file cannot be used, or a secret not opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or written.
    #[error("could not {what} the key file {}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// There is none, where one is needed.
    #[error("there is no key file {}", .0.display())]
    NoFile(PathBuf),
    /// Everybody can read it.
    #[error("everybody can read the key file {}; let only Homeward (chmod 600)", .0.display())]
    OpenToAll(PathBuf),
    /// A line of it is no key.
    #[error("line {line} of the key file {} is no key: expected a number and 64 hexadecimal digits", .path.display())]
    Line {
        /// Where it is.
        path: PathBuf,
        /// Which.
        line: usize,
    },
    /// Two lines of it have one number.
    #[error("the key file {} has two keys {key}", .path.display())]
    Twice {
        /// Where it is.
        path: PathBuf,
        /// The number.
        key: u32,
    },
    /// It has none at all.
    #[error("the key file {} has no key", .0.display())]
    Empty(PathBuf),
    /// What has sealed secrets of the record is not there.
    #[error("{secrets} secrets of the record are sealed with key {key}, which {} does not have", in_words(.file))]
    Missing {
        /// How many.
        secrets: i64,
        /// The key.
        key: u32,
        /// Where it was looked for.
        file: Option<PathBuf>,
    },
    /// They are the keys of something else.
    #[error("no secret of the record opens with the keys of {}: they are others of the same numbers", in_words(.0))]
    Foreign(Option<PathBuf>),
    /// What has sealed a secret is not there.
    #[error("the {whose} is sealed with key {key}, which is not there")]
    NoKey {
        /// Whose secret.
        whose: Whose,
        /// The key.
        key: u32,
    },
    /// It was sealed for another, or changed since.
    #[error("the {0} does not open: it was sealed for another, or changed since")]
    Broken(Whose),
}

fn in_words(file: &Option<PathBuf>) -> String {
    match file {
        Some(file) => format!("the key file {}", file.display()),
        None => "this configuration, since it names no key file,".to_owned(),
    }
}

/// The keys that seal secrets and open them.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    /// Where the keys come from; none: there are none, or no others.
    file: Option<PathBuf>,
    keys: RwLock<Keys>,
}

/// Keys by their numbers.
type Keys = BTreeMap<u32, [u8; 32]>;

impl fmt::Debug for Keyring {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("file", &self.0.file)
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// Without a key: what is to be sealed stays as it is.
    pub fn empty() -> Keyring {
        Keyring::of(None, Keys::new())
    }

    /// A key of this process alone.
    pub fn random() -> Keyring {
        Keyring::of(None, Keys::from([(1, rand::random())]))
    }

    /// Without a key too, for want of this file.
    pub fn without(file: &Path) -> Keyring {
        Keyring::of(Some(file.to_owned()), Keys::new())
    }

    /// The keys of a file.
    ///
    /// # Errors
    ///
    /// When there is no such file, everybody can read it, or what is in it is no key.
    pub fn load(file: &Path) -> Result<Keyring, SecretError> {
        Ok(Keyring::of(Some(file.to_owned()), key_file::read(file)?))
    }

    /// Makes a file with one key, which only its owner can read; one that is there already stays as it is.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn create(file: &Path) -> Result<(), SecretError> {
        key_file::create(file)
    }

    /// Adds a key to a file, with which everything is sealed from then on. Answers its number. Only one at a time may do
    /// that.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub fn add_key(file: &Path) -> Result<u32, SecretError> {
        key_file::add(file)
    }

    fn of(file: Option<PathBuf>, keys: Keys) -> Keyring {
        let keys = RwLock::new(keys);
        Keyring(Arc::new(Inner { file, keys }))
    }

    /// Whether this key is there.
    pub fn has(&self, key: u32) -> bool {
        self.key(key).is_some()
    }

    /// Seals a secret for its owner.
    pub fn seal(&self, whose: Whose, secret: &[u8]) -> Vec<u8> {
        let Some((key, bits)) = self.current() else {
            return secret.to_owned();
        };
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let mut sealed = [&MARK[..], &key.to_be_bytes(), &nonce].concat();
        let bound = bound_to(whose, &sealed[..KEY_ENDS]);
        let payload = Payload {
            msg: secret,
            aad: &bound,
        };
        let cipher = XChaCha20Poly1305::new(&bits.into());
        let closed = cipher.encrypt(&XNonce::from(nonce), payload);
        sealed.extend(closed.expect("a secret is shorter than 256 GB"));
        sealed
    }

    /// Opens what was sealed for its owner. What was not sealed is as it is.
    ///
    /// # Errors
    ///
    /// When the key is not there, or it was sealed for another.
    pub fn open(&self, whose: Whose, kept: &[u8]) -> Result<Vec<u8>, SecretError> {
        let Some(key) = key_of(kept) else {
            return Ok(kept.to_owned());
        };
        let bits = self.key(key).ok_or(SecretError::NoKey { whose, key })?;
        let (head, closed) = kept
            .split_at_checked(NONCE_ENDS)
            .ok_or(SecretError::Broken(whose))?;
        let (named, nonce) = head.split_at(KEY_ENDS);
        let nonce = XNonce::try_from(nonce).map_err(|_| SecretError::Broken(whose))?;
        let payload = Payload {
            msg: closed,
            aad: &bound_to(whose, named),
        };
        let cipher = XChaCha20Poly1305::new(&bits.into());
        cipher
            .decrypt(&nonce, payload)
            .map_err(|_| SecretError::Broken(whose))
    }

    /// The key that seals, if there is one.
    fn current(&self) -> Option<(u32, [u8; 32])> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.last_key_value().map(|(key, bits)| (*key, *bits))
    }

    /// A key that may have been added to the file since it was read.
    fn key(&self, key: u32) -> Option<[u8; 32]> {
        let known = |keys: &Keys| keys.get(&key).copied();
        let found = known(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner));
        if found.is_some() {
            return found;
        }
        let read = key_file::read(self.0.file.as_deref()?).ok()?;
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        *keys = read;
        known(&keys)
    }
}

/// What opens a secret for this owner alone, and by this key alone.
fn bound_to(whose: Whose, named: &[u8]) -> Vec<u8> {
    [named, whose.to_string().as_bytes()].concat()
}

/// The number of the key that has sealed this; none if nothing has.
fn key_of(kept: &[u8]) -> Option<u32> {
    let key = kept.strip_prefix(MARK)?.first_chunk()?;
    Some(u32::from_be_bytes(*key))
}

/// How what this key has sealed begins.
fn sealed_by(key: u32) -> Vec<u8> {
    [&MARK[..], &key.to_be_bytes()].concat()
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Error {
        Error::new("open a secret", sqlx::Error::Decode(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Whose = Whose::SecondFactorOf(7);

    #[test]
    fn a_secret_opens_for_its_owner_alone_and_only_as_it_was_sealed() {
        let keys = Keyring::random();
        let sealed = keys.seal(OWNER, b"12345678901234567890");
        assert_eq!(sealed.len(), 68);
        assert_ne!(
            sealed,
            keys.seal(OWNER, b"12345678901234567890"),
            "a nonce of its own"
        );
        assert_eq!(keys.open(OWNER, &sealed).unwrap(), b"12345678901234567890");
        for other in [
            Whose::SecondFactorOf(8),
            Whose::SecondFactorOf(70),
            Whose::WebhookOf(7),
        ] {
            let error = keys.open(other, &sealed).unwrap_err();
            assert!(matches!(error, SecretError::Broken(whose) if whose == other));
        }
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            match place {
                // Then it is nothing that was sealed.
                0..4 => assert_eq!(keys.open(OWNER, &changed).unwrap(), changed),
                4..8 => assert!(matches!(
                    keys.open(OWNER, &changed),
                    Err(SecretError::NoKey { .. })
                )),
                _ => assert!(matches!(keys.open(OWNER, &changed), Err(SecretError::Broken(_)))),
            }
        }
        for length in 8..sealed.len() {
            assert!(keys.open(OWNER, &sealed[..length]).is_err(), "{length}");
        }
        let error = Keyring::random().open(OWNER, &sealed).unwrap_err();
        assert!(
            matches!(error, SecretError::Broken(_)),
            "by another key of the same number"
        );
    }

    #[test]
    fn without_a_key_secrets_stay_as_they_are_and_none_opens() {
        let none = Keyring::empty();
        assert_eq!(none.seal(OWNER, b"secret"), b"secret");
        assert_eq!(none.open(OWNER, b"secret").unwrap(), b"secret");
        let sealed = Keyring::random().seal(OWNER, b"secret");
        let error = none.open(OWNER, &sealed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the second factor of account 7 is sealed with key 1, which is not there"
        );
    }

    #[test]
    fn the_last_key_seals_and_the_others_open() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        Keyring::create(&file).unwrap();
        let before = Keyring::load(&file).unwrap();
        let old = before.seal(OWNER, b"secret");
        Keyring::create(&file).unwrap();
        assert_eq!(Keyring::add_key(&file).unwrap(), 2, "and what was there stayed");
        let after = Keyring::load(&file).unwrap();
        let new = after.seal(OWNER, b"secret");
        assert_eq!((key_of(&old), key_of(&new)), (Some(1), Some(2)));
        // Also whoever has read the file before the key was added.
        for keys in [&after, &before] {
            for sealed in [&old, &new] {
                assert_eq!(keys.open(OWNER, sealed).unwrap(), b"secret");
            }
        }
        assert_eq!(key_of(&before.seal(OWNER, b"secret")), Some(2));
    }
}
