//! Calling webhooks: one connection a call, HTTP/1.1, no redirects.

use std::io;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::http::uri::{Authority, InvalidUri, PathAndQuery, Scheme};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls_native_certs::load_native_certs;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::signature;

/// The header that numbers a message: the same with each attempt, so that its receiver can tell a repetition.
const DELIVERY: &str = "homeward-delivery";

/// Why a text is not the URL of a webhook.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It is not a URL.
    #[error("it is not a URL")]
    Malformed(#[from] InvalidUri),
    /// Only the web is called.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// A password in a URL ends up in logs; the signature says who calls.
    #[error("it has a user name in it")]
    User,
}

/// Why webhooks cannot be called.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up")]
pub struct WebhookSetupError(#[from] rustls::Error);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("its address cannot be used")]
    Url(#[from] UrlError),
    #[error("its host's name cannot be used")]
    Name(#[from] InvalidDnsNameError),
    #[error("it cannot be reached")]
    Connect(#[from] io::Error),
    #[error("it does not speak HTTP as expected")]
    Http(#[from] hyper::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
}

/// A webhook's URL, in parts.
struct Target {
    tls: bool,
    authority: Authority,
    path: PathAndQuery,
}

/// Makes sure that a text is the URL of a webhook.
pub fn check_url(text: &str) -> Result<(), UrlError> {
    Target::parse(text).map(drop)
}

impl Target {
    fn parse(text: &str) -> Result<Target, UrlError> {
        let parts = text.parse::<Uri>()?.into_parts();
        let tls = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTPS => true,
            Some(scheme) if scheme == Scheme::HTTP => false,
            _ => return Err(UrlError::Scheme),
        };
        let authority = parts.authority.ok_or(UrlError::Scheme)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::User);
        }
        let root = || PathAndQuery::from_static("/");
        Ok(Target {
            tls,
            authority,
            path: parts.path_and_query.unwrap_or_else(root),
        })
    }

    /// The host's name or address, without the brackets of an IPv6 address.
    fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    fn port(&self) -> u16 {
        let usual = if self.tls { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }
}

/// Calls webhooks.
pub(super) struct Webhooks {
    tls: TlsConnector,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhooks").finish_non_exhaustive()
    }
}

impl Webhooks {
    /// Trusts the authorities that this system trusts.
    pub(super) fn new() -> Result<Webhooks, WebhookSetupError> {
        let mut roots = RootCertStore::empty();
        let (good, _) = roots.add_parsable_certificates(load_native_certs().certs);
        if good == 0 {
            tracing::warn!(
                "this system has no certificates of authorities: no webhook can be called with https"
            );
        }
        Webhooks::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Result<Webhooks, WebhookSetupError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Webhooks {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Posts a body. Any answer from 200 to 299 means that it was received; what it says is not read.
    pub(super) async fn post(
        &self,
        url: &str,
        message: i64,
        signature: &str,
        body: String,
    ) -> Result<(), CallError> {
        let target = Target::parse(url)?;
        let request = Request::post(target.path.as_str())
            .header(HOST, target.authority.as_str())
            .header(USER_AGENT, concat!("homeward/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(DELIVERY, message)
            .header(signature::HEADER, signature)
            .body(Full::new(Bytes::from(body)))
            .expect("parts of a URL, numbers and hexadecimal digits make a request");
        let stream = TcpStream::connect((target.host(), target.port())).await?;
        let status = if target.tls {
            let name = ServerName::try_from(target.host().to_owned())?;
            exchange(self.tls.connect(name, stream).await?, request).await?
        } else {
            exchange(stream, request).await?
        };
        if status.is_success() {
            Ok(())
        } else {
            Err(CallError::Status(status))
        }
    }
}

/// Sends a request over a connection, and answers with the status of the response.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        Ok(response.status())
    };
    // The connection moves only while it is polled. It ends when it breaks; the answer tells.
    tokio::select! {
        biased;
        answer = answer => answer,
        Err(error) = connection => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::path::Path;
    use std::process::Command;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    /// A certificate of localhost, and its key.
    fn certificate(folder: &Path) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let made = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(' '))
            .args(
                "-subj /CN=a-test-of-homeward -addext subjectAltName=DNS:localhost -addext basicConstraints=CA:FALSE"
                    .split(' '),
            )
            .args("-keyout key.pem -out certificate.pem".split(' '))
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        (
            CertificateDer::from_pem_file(folder.join("certificate.pem")).unwrap(),
            PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_webhook_with_tls_is_called_if_its_certificate_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = certificate(folder.path());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let url = format!("https://localhost:{}/hook", listener.local_addr().unwrap().port());
        let call = async |webhooks: Webhooks| {
            let serving = async {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return String::new();
                };
                let mut request = vec![0; 4_096];
                let length = stream.read(&mut request).await.unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .await
                    .unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            };
            tokio::join!(serving, webhooks.post(&url, 7, "t=1,v1=0", "{}".to_owned()))
        };

        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let (request, called) = call(Webhooks::trusting(roots).unwrap()).await;
        called.unwrap();
        assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");

        let (request, called) = call(Webhooks::new().unwrap()).await;
        let error = called.unwrap_err();
        assert_eq!(error.to_string(), "it cannot be reached");
        let why = error.source().unwrap().to_string();
        assert!(why.contains("UnknownIssuer"), "{why}");
        assert_eq!(request, "");
    }

    #[test]
    fn urls_of_webhooks() {
        for (url, host, port) in [
            ("http://hooks.example/a?b=c", "hooks.example", 80),
            ("https://hooks.example", "hooks.example", 443),
            ("https://hooks.example:8443/", "hooks.example", 8_443),
            ("http://[::1]:8080/a", "::1", 8_080),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host(), target.port()), (host, port), "{url}");
        }
        for (url, error) in [
            (
                "ftp://hooks.example/",
                "it does not begin with http:// or https://",
            ),
            ("/a", "it does not begin with http:// or https://"),
            ("hooks.example", "it does not begin with http:// or https://"),
            ("file:///etc/passwd", "it is not a URL"),
            ("http://me:secret@hooks.example/", "it has a user name in it"),
            ("http://hooks .example/", "it is not a URL"),
            ("", "it is not a URL"),
        ] {
            assert_eq!(check_url(url).unwrap_err().to_string(), error, "{url}");
        }
    }
}
