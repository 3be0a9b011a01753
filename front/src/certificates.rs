//! The certificate by which this process is known, and whose certificates it believes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::der::{Decode, Tag, Tagged};

/// Where the certificates are: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate of this process, and after it those between it and an authority that clients know.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities, one of which has to have signed the certificate that each client then has to show.
    pub client_authority: Option<PathBuf>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is not there, or may not be read.
    #[error("could not read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} holds no {expected} in PEM")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong, where something is there.
        source: Option<pem::Error>,
    },
    /// Key and certificate are not of each other, or of a kind that nobody takes.
    #[error("{certificate} and {key} cannot be used together")]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// No client can be believed by them.
    #[error("{path} names no authority that can be used")]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: VerifierBuilderError,
    },
}

/// The certificates in use, read anew when their files change.
#[derive(Debug)]
pub struct Certificates {
    files: Files,
    protocol: &'static str,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    /// What the files held.
    contents: Vec<Vec<u8>>,
    config: Arc<ServerConfig>,
    valid_until: Option<SystemTime>,
}

impl Certificates {
    /// Reads the files. `protocol` is what is spoken behind TLS, for clients that ask (ALPN).
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used.
    pub fn load(files: Files, protocol: &'static str) -> Result<Certificates, CertificateError> {
        let current = Current::of(&files, contents(&files)?, protocol)?;
        Ok(Certificates {
            files,
            protocol,
            current: RwLock::new(current),
        })
    }

    /// Reads the files again, and from now on uses what is in them. Answers whether they have changed.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used. Then what was in use stays so.
    pub fn renew(&self) -> Result<bool, CertificateError> {
        let contents = contents(&self.files)?;
        if self.with_current(|current| current.contents == contents) {
            return Ok(false);
        }
        let renewed = Current::of(&self.files, contents, self.protocol)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(true)
    }

    /// Until when the certificate is valid, if it says so in a way that is understood.
    pub fn valid_until(&self) -> Option<SystemTime> {
        self.with_current(|current| current.valid_until)
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.with_current(|current| Arc::clone(&current.config))
    }

    fn with_current<T>(&self, look: impl FnOnce(&Current) -> T) -> T {
        look(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Current {
    fn of(files: &Files, contents: Vec<Vec<u8>>, protocol: &str) -> Result<Current, CertificateError> {
        let chain = certificates(&files.certificate, &contents[0])?;
        let valid_until = Certificate::from_der(&chain[0]).ok().map(|certificate| {
            certificate
                .tbs_certificate()
                .validity()
                .not_after
                .to_date_time()
                .into()
        });
        let key = PrivateKeyDer::from_pem_slice(&contents[1]).map_err(|source| CertificateError::Pem {
            path: files.key.clone(),
            expected: "private key",
            source: Some(source),
        })?;
        let unusable = |source| CertificateError::Unusable {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match files.client_authority.as_deref().zip(contents.get(2)) {
            None => builder.with_no_client_auth(),
            Some((path, content)) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(path, content)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|source| CertificateError::Authority {
                    path: path.to_owned(),
                    source,
                })?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![protocol.into()];
        // A fleet that comes back after an outage resumes its sessions, at a fraction of the work.
        config.ticketer = ring::Ticketer::new().map_err(unusable)?;
        Ok(Current {
            contents,
            config: Arc::new(config),
            valid_until,
        })
    }
}

fn contents(files: &Files) -> Result<Vec<Vec<u8>>, CertificateError> {
    let paths = [
        Some(&files.certificate),
        Some(&files.key),
        files.client_authority.as_ref(),
    ];
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|source| CertificateError::Read {
            path: path.clone(),
            source,
        })
    };
    paths.into_iter().flatten().map(read).collect()
}

fn certificates(path: &Path, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let none = |source| CertificateError::Pem {
        path: path.to_owned(),
        expected: "certificate",
        source,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(content)
        .collect::<Result<_, _>>()
        .map_err(|source| none(Some(source)))?;
    if chain.is_empty() {
        return Err(none(None));
    }
    Ok(chain)
}

/// The common name of a certificate.
pub(crate) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let subject = certificate.tbs_certificate().subject();
    let name = subject.iter().find(|part| part.oid == COMMON_NAME)?;
    match name.value.tag() {
        Tag::Utf8String => Some(name.value.decode_as::<Utf8StringRef<'_>>().ok()?.to_string()),
        Tag::PrintableString => Some(name.value.decode_as::<PrintableStringRef<'_>>().ok()?.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;

    /// Makes a certificate that is valid for so many days, and its key.
    fn make(folder: &TempDir, files: &Files, days: u32) {
        let output = Command::new("openssl")
            .current_dir(folder.path())
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ])
            .args(["-subj", "/O=A ward/CN=7", "-days", &days.to_string()])
            .args([
                Path::new("-out"),
                &files.certificate,
                Path::new("-keyout"),
                &files.key,
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn files(folder: &TempDir) -> Files {
        let path = |name| folder.path().join(name);
        Files {
            certificate: path("chain.pem"),
            key: path("key.pem"),
            client_authority: None,
        }
    }

    #[test]
    fn renewed_files_are_used_and_broken_ones_are_not() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        make(&folder, &files, 1);
        let certificates = Certificates::load(files.clone(), "mqtt").unwrap();
        let (first, until) = (certificates.config(), certificates.valid_until().unwrap());
        assert!(!certificates.renew().unwrap());
        assert!(Arc::ptr_eq(&first, &certificates.config()));

        make(&folder, &files, 9);
        assert!(certificates.renew().unwrap());
        let second = certificates.config();
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(certificates.valid_until().unwrap() > until);

        // Written, but not to the end.
        fs::write(&files.key, "").unwrap();
        certificates.renew().unwrap_err();
        assert!(Arc::ptr_eq(&second, &certificates.config()));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let folder = TempDir::new().unwrap();
        let good = files(&folder);
        make(&folder, &good, 1);
        let other = Files {
            key: folder.path().join("other.pem"),
            ..good.clone()
        };
        make(
            &folder,
            &Files {
                certificate: folder.path().join("unused.pem"),
                ..other.clone()
            },
            1,
        );
        let with_authority = |path: &Path| Files {
            client_authority: Some(path.to_owned()),
            ..good.clone()
        };
        let missing = folder.path().join("missing.pem");
        for (files, why) in [
            (with_authority(&missing), "could not read"),
            (with_authority(&good.key), "holds no certificate in PEM"),
            (
                Files {
                    key: good.certificate.clone(),
                    ..good.clone()
                },
                "holds no private key in PEM",
            ),
            (other, "cannot be used together"),
        ] {
            let error = Certificates::load(files, "mqtt").unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        Certificates::load(with_authority(&good.certificate), "mqtt").unwrap();
    }

    #[test]
    fn the_name_of_a_certificate_is_its_common_name() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        make(&folder, &files, 1);
        let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
        assert_eq!(common_name(&certificate).as_deref(), Some("7"));
        assert_eq!(
            common_name(&CertificateDer::from(b"no certificate".as_slice())),
            None
        );
    }
}
