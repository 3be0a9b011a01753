//! The least HTTP/1.1 that a load generator needs: requests one after the other on a connection that is kept.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A connection to the interface.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    /// What every request ends with.
    headers: String,
}

impl Client {
    pub(super) async fn connect(http: SocketAddr, token: &str) -> Result<Client> {
        let stream = TcpStream::connect(http)
            .await
            .context("could not reach the interface")?;
        stream.set_nodelay(true)?;
        Ok(Client {
            stream: BufReader::with_capacity(64 * 1024, stream),
            headers: format!(" HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {token}\r\n\r\n"),
        })
    }

    /// The body of the answer, which must be that of a success.
    pub(super) async fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let request = format!("GET {path}{}", self.headers);
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let (mut status, mut line, mut length) = (String::new(), String::new(), None);
        self.stream.read_line(&mut status).await?;
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        let mut body = vec![0; length.context("an answer without its length")?];
        self.stream.read_exact(&mut body).await?;
        let text = || String::from_utf8_lossy(&body).into_owned();
        ensure!(
            status.starts_with("HTTP/1.1 200"),
            "{path} answered {status}{}",
            text()
        );
        Ok(body)
    }
}
