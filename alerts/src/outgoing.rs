//! Calling others over HTTP: one connection a call, HTTP/1.1, no redirects, no more of an answer than is wanted.

use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::http::uri::{Authority, InvalidUri, PathAndQuery, Scheme};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls_native_certs::load_native_certs;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Why a text is not a URL that can be called.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It is not a URL.
    #[error("it is not a URL")]
    Malformed(#[from] InvalidUri),
    /// Only the web is called.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// A password in a URL ends up in logs; who calls says so in another way.
    #[error("it has a user name in it")]
    User,
}

/// Why nobody can be called.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up")]
pub struct SetupError(#[from] rustls::Error);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address is none.
    #[error("its address cannot be used")]
    Url(#[from] UrlError),
    /// No certificate can be for such a host.
    #[error("its host's name cannot be used")]
    Name(#[from] InvalidDnsNameError),
    /// There is no connection.
    #[error("it cannot be reached")]
    Connect(#[from] io::Error),
    /// The connection broke, or carries something else.
    #[error("it does not speak HTTP as expected")]
    Http(#[from] hyper::Error),
    /// It says more than is wanted.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
}

/// A URL, in parts.
struct Target {
    tls: bool,
    authority: Authority,
    path: PathAndQuery,
}

/// Makes sure that a text is a URL that can be called.
pub fn check_url(text: &str) -> Result<(), UrlError> {
    Target::of(text.parse()?).map(drop)
}

impl Target {
    fn of(url: Uri) -> Result<Target, UrlError> {
        let parts = url.into_parts();
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

/// Calls others.
#[derive(Clone)]
pub struct Caller {
    tls: TlsConnector,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

impl Caller {
    /// Trusts the authorities that this system trusts.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up. A system without authorities is warned of: only `http` can be called then.
    pub fn new() -> Result<Caller, SetupError> {
        let mut roots = RootCertStore::empty();
        let (good, _) = roots.add_parsable_certificates(load_native_certs().certs);
        if good == 0 {
            tracing::warn!("this system has no certificates of authorities: nobody can be called with https");
        }
        Caller::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Result<Caller, SetupError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Caller {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Sends a request to the whole URL that it names, and answers with what comes back, of which at most so many
    /// bytes are read; where none are wanted, none are waited for.
    pub async fn call(&self, request: Request<Bytes>, most: usize) -> Result<Response<Bytes>, CallError> {
        let (mut head, body) = request.into_parts();
        let target = Target::of(std::mem::take(&mut head.uri))?;
        head.uri = Uri::from(target.path.clone());
        let host = HeaderValue::from_str(target.authority.as_str());
        head.headers.insert(HOST, host.map_err(|_| UrlError::Scheme)?);
        let name = concat!("homeward/", env!("CARGO_PKG_VERSION"));
        head.headers.insert(USER_AGENT, HeaderValue::from_static(name));
        let request = Request::from_parts(head, Full::new(body));

        let stream = TcpStream::connect((target.host(), target.port())).await?;
        if target.tls {
            let name = ServerName::try_from(target.host().to_owned())?;
            exchange(self.tls.connect(name, stream).await?, request, most).await
        } else {
            exchange(stream, request, most).await
        }
    }
}

/// Sends a request over a connection, and reads the answer.
async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    most: usize,
) -> Result<Response<Bytes>, CallError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (head, mut body) = sender.send_request(request).await?.into_parts();
        let mut read = Vec::new();
        while let Some(frame) = next_wanted(&mut body, most).await {
            let frame = frame?;
            read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            if read.len() > most {
                return Err(CallError::TooLong(most));
            }
        }
        Ok(Response::from_parts(head, Bytes::from(read)))
    };
    // The connection moves only while it is polled. It ends when it breaks; the answer tells.
    tokio::select! {
        biased;
        answer = answer => answer,
        Err(error) = connection => Err(error.into()),
    }
}

/// The next part of a body of which so many bytes are wanted.
async fn next_wanted(body: &mut Incoming, most: usize) -> Option<Result<Frame<Bytes>, hyper::Error>> {
    if most == 0 {
        return None;
    }
    body.frame().await
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
    async fn who_has_tls_is_called_if_the_certificate_is_trusted() {
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
        let call = async |caller: Caller| {
            let serving = async {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return String::new();
                };
                let mut request = vec![0; 4_096];
                let length = stream.read(&mut request).await.unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nwelcome")
                    .await
                    .unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            };
            tokio::join!(serving, async {
                let request = Request::post(&url).body(Bytes::from("{}")).unwrap();
                caller.call(request, 100).await
            })
        };

        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let (request, called) = call(Caller::trusting(roots).unwrap()).await;
        assert_eq!(called.unwrap().body(), "welcome");
        assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");

        let (request, called) = call(Caller::new().unwrap()).await;
        let error = called.unwrap_err();
        assert_eq!(error.to_string(), "it cannot be reached");
        let why = error.source().unwrap().to_string();
        assert!(why.contains("UnknownIssuer"), "{why}");
        assert_eq!(request, "");
    }

    #[test]
    fn urls_that_can_be_called() {
        for (url, host, port) in [
            ("http://hooks.example/a?b=c", "hooks.example", 80),
            ("https://hooks.example", "hooks.example", 443),
            ("https://hooks.example:8443/", "hooks.example", 8_443),
            ("http://[::1]:8080/a", "::1", 8_080),
        ] {
            let target = Target::of(url.parse().unwrap()).unwrap();
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
