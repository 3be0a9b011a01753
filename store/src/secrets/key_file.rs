//! The file with the keys: a line for each, its number and 64 hexadecimal digits. Lines that begin with `#` say something
//! else.
//!
//! It is never written in place: another file takes its place as a whole, once that is on the disk. So whoever dies at any
//! moment leaves the one or the other, and no key is lost with which something was sealed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Keys, SecretError};
use crate::audit::hex;

/// What stands above the keys.
const HEAD: &str = "# The keys of Homeward's secrets. The last one seals; the others open what they have sealed, also in\n\
    # backups. Whoever loses this file loses the second factors of all accounts and the secrets of all webhooks; whoever\n\
    # has it and the database has them all. Keep a copy where the database's backups are not.\n";

/// The keys of a file.
pub(super) fn read(path: &Path) -> Result<Keys, SecretError> {
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => SecretError::NoFile(path.to_owned()),
        _ => error("read", path, source),
    };
    let mode = fs::metadata(path).map_err(failed)?.mode();
    if mode & 0o007 != 0 {
        return Err(SecretError::OpenToAll(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Keys, SecretError> {
    let mut found = Keys::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let key = text.split_once(' ').and_then(|(number, digits)| {
            let bits = bits(digits.trim())?;
            Some((number.parse().ok()?, bits))
        });
        let (number, bits) = key.ok_or_else(|| SecretError::Line {
            path: path.to_owned(),
            line,
        })?;
        if found.insert(number, bits).is_some() {
            let path = path.to_owned();
            return Err(SecretError::Twice { path, key: number });
        }
    }
    match found.is_empty() {
        true => Err(SecretError::Empty(path.to_owned())),
        false => Ok(found),
    }
}

fn bits(digits: &str) -> Option<[u8; 32]> {
    let mut bits = [0; 32];
    if digits.len() != 2 * bits.len() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, place) in bits.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(place..place + 2)?, 16).ok()?;
    }
    Some(bits)
}

/// Makes a file with one key, unless there is one.
pub(super) fn create(path: &Path) -> Result<(), SecretError> {
    let failed = |source| error("make", path, source);
    if path.try_exists().map_err(failed)? {
        return Ok(());
    }
    let text = format!("{HEAD}{}", line(1));
    let written = write_beside(path, &text).map_err(failed)?;
    // Takes no other's place: two processes that make it at once have the same one.
    let linked = match fs::hard_link(&written, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    let removed = fs::remove_file(&written);
    linked
        .and(removed)
        .and_then(|()| sync_folder(path))
        .map_err(failed)
}

/// Adds a key to a file, and answers its number.
pub(super) fn add(path: &Path) -> Result<u32, SecretError> {
    let keys = read(path)?;
    let failed = |source| error("add a key to", path, source);
    let number = keys.last_key_value().map_or(0, |(last, _)| *last).checked_add(1);
    let number = number.ok_or_else(|| failed(io::Error::other("there is no number after the last")))?;
    let mut text = fs::read_to_string(path).map_err(failed)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&line(number));
    let written = write_beside(path, &text).map_err(failed)?;
    fs::rename(&written, path)
        .and_then(|()| sync_folder(path))
        .map_err(failed)?;
    Ok(number)
}

fn line(number: u32) -> String {
    let bits: [u8; 32] = rand::random();
    format!("{number} {}\n", hex(&bits))
}

/// Writes a new file in the same folder, to the disk.
fn write_beside(path: &Path, text: &str) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}", rand::random::<u64>()));
    let beside = PathBuf::from(name);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.map(|()| beside)
}

/// Has what is in a folder on the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn error(what: &'static str, path: &Path, source: io::Error) -> SecretError {
    SecretError::File {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_file_is_its_owner_s_alone_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert!(matches!(read(&path), Err(SecretError::NoFile(_))));
        create(&path).unwrap();
        add(&path).unwrap();
        let keys = read(&path).unwrap();
        assert_eq!(keys.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(read(&path), Err(SecretError::OpenToAll(_))));
    }

    #[test]
    fn what_is_no_key_is_named() {
        let digits = "0f".repeat(32);
        let parsed = |text: &str| parse(Path::new("keys"), text).map_err(|error| error.to_string());
        let keys = parsed(&format!("# a comment\n\n7 {digits}\n 3  {digits} \n")).unwrap();
        assert_eq!(keys, Keys::from([(3, [15; 32]), (7, [15; 32])]));
        for (text, why) in [
            (String::new(), "the key file keys has no key"),
            (
                format!("1 {digits}\n1 {digits}"),
                "the key file keys has two keys 1",
            ),
            (
                format!("# x\n1 {digits}0"),
                "line 2 of the key file keys is no key: expected",
            ),
            (format!("-1 {digits}"), "line 1 of"),
            (digits.clone(), "line 1 of"),
            (format!("1 {}", "é".repeat(32)), "line 1 of"),
        ] {
            let error = parsed(&text).unwrap_err();
            assert!(error.starts_with(why), "{error}");
            assert!(!error.contains(&digits), "{error}");
        }
    }
}
