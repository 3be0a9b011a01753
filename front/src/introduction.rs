//! For whom a connection is: what a proxy says before the first byte (PROXY protocol version 2).

use std::io;
use std::net::{IpAddr, SocketAddr};

use ppp::v2::{
    Addresses, Builder, Command, Header, PROTOCOL_PREFIX, ParseError, Protocol, Type, Version, WriteToHeader,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The bytes of an introduction that say how long it is.
pub const HEAD: usize = 16;

/// The longest introduction: several times what proxies send, with the certificate's name and their own notes.
const LONGEST: usize = 2 * 1024;

/// The type of the entry by which this process knows its own introductions, one of those left to applications.
const SEAL: u8 = 0xe0;

/// In the entry about TLS: the client showed a certificate, on this connection or on the session that it resumes.
const SHOWED_CERTIFICATE: u8 = 0x02 | 0x04;

/// The entry about TLS before the entries that it consists of: what the client did, and whether its certificate failed.
const TLS_HEAD: usize = 5;

/// For whom a proxy connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// The client's address. None: the proxy connects for itself, to see whether somebody is there.
    pub client: Option<IpAddr>,
    /// The common name of the certificate that the client showed and that was verified.
    pub certificate: Option<String>,
}

/// Why a connection is closed before its first byte is looked at.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum NotIntroduced {
    /// What it begins with is none, and there has to be one.
    #[error(
        "it does not begin with an introduction (PROXY protocol version 2), as what comes through a proxy does"
    )]
    Missing,
    /// It begins with one, and nobody is known to stand in front.
    #[error("it begins with an introduction, but no proxy is to be believed (proxy_protocol)")]
    Unexpected,
    /// It is longer than any that is needed.
    #[error("its introduction is {0} bytes long, more than {LONGEST}")]
    TooLong(usize),
    /// It is not well formed.
    #[error("its introduction cannot be read")]
    Malformed(#[from] ParseError),
}

/// Whose introductions a listener believes.
#[derive(Clone, Debug)]
pub struct Introductions {
    of_proxies: bool,
    seal: [u8; 32],
}

impl Introductions {
    /// Believes those of the [fronts](crate::Front) that are made with a clone of this; with `of_proxies` also anybody
    /// else's, and then every connection has to begin with one.
    pub fn new(of_proxies: bool) -> Introductions {
        Introductions {
            of_proxies,
            seal: rand::random(),
        }
    }

    /// Whether a connection that begins with this byte begins with an introduction. No MQTT or HTTP client begins so.
    ///
    /// # Errors
    ///
    /// When it does not and has to.
    pub fn begins(&self, first: u8) -> Result<bool, NotIntroduced> {
        match first == PROTOCOL_PREFIX[0] {
            false if self.of_proxies => Err(NotIntroduced::Missing),
            begins => Ok(begins),
        }
    }

    /// How long an introduction is that begins so.
    ///
    /// # Errors
    ///
    /// When it is none, or too long.
    pub fn length(&self, head: &[u8; HEAD]) -> Result<usize, NotIntroduced> {
        if !head.starts_with(PROTOCOL_PREFIX) {
            return Err(ParseError::Prefix.into());
        }
        let length = HEAD + usize::from(u16::from_be_bytes([head[HEAD - 2], head[HEAD - 1]]));
        if length > LONGEST {
            return Err(NotIntroduced::TooLong(length));
        }
        Ok(length)
    }

    /// Reads an introduction.
    ///
    /// # Errors
    ///
    /// When it is not well formed, or of somebody who is not to be believed.
    pub fn read(&self, bytes: &[u8]) -> Result<Introduction, NotIntroduced> {
        let header = Header::try_from(bytes)?;
        let (mut sealed, mut certificate) = (false, None);
        for entry in header.tlvs() {
            let entry = entry?;
            if entry.kind == SEAL {
                sealed = same(&entry.value, &self.seal);
            } else if entry.kind == u8::from(Type::SSL) {
                certificate = verified_name(&entry.value);
            }
        }
        if !sealed && !self.of_proxies {
            return Err(NotIntroduced::Unexpected);
        }
        let client = match header.addresses {
            _ if header.command == Command::Local => None,
            Addresses::IPv4(ip) => Some(IpAddr::from(ip.source_address)),
            Addresses::IPv6(ip) => Some(IpAddr::from(ip.source_address).to_canonical()),
            Addresses::Unix(_) | Addresses::Unspecified => None,
        };
        Ok(Introduction { client, certificate })
    }

    /// Takes the introduction, if there is one, from a connection that has just been accepted.
    ///
    /// # Errors
    ///
    /// When the connection ends or fails before, and as [`read`](Introductions::read) does.
    pub async fn take(&self, stream: &mut TcpStream) -> io::Result<Option<Introduction>> {
        let refuse = |why: NotIntroduced| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !self.begins(first[0]).map_err(refuse)? {
            return Ok(None);
        }
        let mut head = [0; HEAD];
        stream.read_exact(&mut head).await?;
        let mut bytes = head.to_vec();
        bytes.resize(self.length(&head).map_err(refuse)?, 0);
        stream.read_exact(&mut bytes[HEAD..]).await?;
        self.read(&bytes).map(Some).map_err(refuse)
    }

    /// The introduction of a client that showed a certificate of this name, or none.
    pub(crate) fn write(&self, client: SocketAddr, certificate: Option<&str>) -> io::Result<Vec<u8>> {
        // Nobody asks where it came to: both addresses are the client's, of one family.
        let addresses = (client, client);
        let header = Builder::with_addresses(Version::Two | Command::Proxy, Protocol::Stream, addresses)
            .write_tlv(SEAL, &self.seal)?;
        let header = match certificate {
            None => header,
            Some(name) => {
                let mut tls = vec![0x01 | SHOWED_CERTIFICATE, 0, 0, 0, 0];
                tls.extend((u8::from(Type::SSLCommonName), name.as_bytes()).to_bytes()?);
                header.write_tlv(Type::SSL, &tls)?
            }
        };
        header.build()
    }
}

/// The name of the certificate in the entry about TLS, if one was shown and did not fail.
fn verified_name(tls: &[u8]) -> Option<String> {
    let (head, mut rest) = tls.split_at_checked(TLS_HEAD)?;
    if head[0] & SHOWED_CERTIFICATE == 0 || head[1..] != [0; 4] {
        return None;
    }
    while let [kind, high, low, after @ ..] = rest {
        let (value, next) = after.split_at_checked(u16::from_be_bytes([*high, *low]).into())?;
        if *kind == u8::from(Type::SSLCommonName) {
            return String::from_utf8(value.to_vec()).ok();
        }
        rest = next;
    }
    None
}

/// Compares in a time that tells nothing of where they differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (l, r)| differ | (l ^ r)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "192.0.2.7:50000";

    fn of_own_front(introductions: &Introductions, client: &str, certificate: Option<&str>) -> Introduction {
        let bytes = introductions.write(client.parse().unwrap(), certificate).unwrap();
        let head = bytes.first_chunk().unwrap();
        assert!(introductions.begins(head[0]).unwrap());
        assert_eq!(introductions.length(head), Ok(bytes.len()));
        introductions.read(&bytes).unwrap()
    }

    /// What HAProxy sends by `send-proxy-v2-ssl-cn`, verified or not.
    fn of_haproxy(failed: u8) -> Vec<u8> {
        let mut tls = vec![0x05, 0, 0, 0, failed];
        tls.extend(
            (u8::from(Type::SSLVersion), b"TLSv1.3".as_slice())
                .to_bytes()
                .unwrap(),
        );
        tls.extend(
            (u8::from(Type::SSLCommonName), b"7".as_slice())
                .to_bytes()
                .unwrap(),
        );
        let addresses: (SocketAddr, SocketAddr) =
            (CLIENT.parse().unwrap(), "198.51.100.1:8883".parse().unwrap());
        Builder::with_addresses(Version::Two | Command::Proxy, Protocol::Stream, addresses)
            .write_tlv(Type::SSL, &tls)
            .unwrap()
            .build()
            .unwrap()
    }

    #[test]
    fn a_front_says_whose_connection_it_is() {
        let introductions = Introductions::new(false);
        let read = of_own_front(&introductions, CLIENT, Some("7"));
        assert_eq!(read.client, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(read.certificate.as_deref(), Some("7"));
        let read = of_own_front(&introductions, "[::ffff:192.0.2.7]:1", None);
        assert_eq!(
            read.client,
            Some("192.0.2.7".parse().unwrap()),
            "as IPv4, which it is"
        );
        assert_eq!(read.certificate, None);
    }

    #[test]
    fn nobody_else_is_believed_unless_proxies_are() {
        let (own, proxied) = (Introductions::new(false), Introductions::new(true));
        let foreign = Introductions::new(false)
            .write(CLIENT.parse().unwrap(), Some("7"))
            .unwrap();
        assert_eq!(own.read(&foreign), Err(NotIntroduced::Unexpected));
        assert_eq!(own.read(&of_haproxy(0)), Err(NotIntroduced::Unexpected));
        assert_eq!(own.begins(b'G'), Ok(false));

        let read = proxied.read(&of_haproxy(0)).unwrap();
        assert_eq!(
            (read.client.unwrap().to_string(), read.certificate.as_deref()),
            ("192.0.2.7".to_owned(), Some("7"))
        );
        let read = proxied.read(&of_haproxy(1)).unwrap();
        assert_eq!(read.certificate, None, "a certificate that failed is none");
        assert_eq!(proxied.begins(0x10), Err(NotIntroduced::Missing));
    }

    #[test]
    fn a_proxy_that_looks_whether_somebody_is_there_is_no_client() {
        let mut health = PROTOCOL_PREFIX.to_vec();
        health.extend([0x20, 0, 0, 0]);
        let read = Introductions::new(true).read(&health).unwrap();
        assert_eq!(read, Introduction::default());
    }

    #[test]
    fn what_is_none_is_refused() {
        let introductions = Introductions::new(true);
        let good = of_haproxy(0);
        let mut head: [u8; HEAD] = *good.first_chunk().unwrap();
        head[3] = b'x';
        assert_eq!(introductions.length(&head), Err(ParseError::Prefix.into()));
        head[3] = b'\n';
        head[14] = 0xff;
        let length = HEAD + usize::from(u16::from_be_bytes([0xff, head[15]]));
        assert_eq!(introductions.length(&head), Err(NotIntroduced::TooLong(length)));
        for cut in HEAD..good.len() {
            let mut cut_short = good[..cut].to_vec();
            let rest = u16::try_from(cut - HEAD).unwrap().to_be_bytes();
            cut_short[14..16].copy_from_slice(&rest);
            // Whole entries may be missing, and the name with them; nothing else is read as something.
            if let Ok(read) = introductions.read(&cut_short) {
                assert_eq!(read.certificate, None, "cut at {cut}");
            }
        }
    }
}
