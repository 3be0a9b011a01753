use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;

use super::PATIENCE;

/// A mail server of other people's, as a process.
pub(super) struct MailServer {
    pub(super) address: SocketAddr,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    _process: tokio::process::Child,
}

impl MailServer {
    pub(super) async fn start() -> MailServer {
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-tools/bin/python");
        assert!(
            std::path::Path::new(python).exists(),
            "{python} is not there: run scripts/test-tools.sh"
        );
        // A port that was free a moment ago; nobody else asks for one on this address.
        let listener = TcpListener::bind("127.0.0.77:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut process = Command::new(python)
            .args([
                "-u",
                "-m",
                "aiosmtpd",
                "--nosetuid",
                "--class",
                "aiosmtpd.handlers.Debugging",
                "stdout",
            ])
            .args(["--listen", &address.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listening = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, listening).await.unwrap();
        MailServer {
            address,
            lines,
            _process: process,
        }
    }

    /// The next e-mail, with its headers.
    pub(super) async fn next(&mut self) -> String {
        let mut text = String::new();
        let reading = async {
            loop {
                let line = self.lines.next_line().await.unwrap().unwrap();
                if line.contains("MESSAGE FOLLOWS") {
                    text.clear();
                } else if line.contains("END MESSAGE") {
                    break;
                } else {
                    text += &(line + "\n");
                }
            }
        };
        timeout(PATIENCE, reading).await.unwrap();
        text
    }
}
