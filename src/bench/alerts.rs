//! From the publish of a reading that raises an alert to the alert on the live stream.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use homeward_record::Clock;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::load::Enrolled;
use super::mqtt::Device;

/// How long one alert may take before the bench gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets one patient after the other have a low glucose, and waits for each alert on the stream.
pub(super) async fn measure(
    broker: SocketAddr,
    http: SocketAddr,
    token: &str,
    sensors: &[(i64, Enrolled)],
    between: Duration,
) -> Result<Vec<Duration>> {
    let mut stream = Stream::open(http, token).await?;
    let mut latencies = Vec::new();
    for (patient, sensor) in sensors {
        let mut device = Device::connect(broker, &sensor.id, &sensor.secret).await?;
        let at = Clock::System.now().to_rfc3339();
        let payload = format!(r#"{{"readings":[{{"type":"glucose","at":"{at}","value":2.5}}]}}"#);
        device.publisher.publish(1, payload.as_bytes());
        let published = Instant::now();
        device.publisher.flush().await?;
        tokio::time::timeout(PATIENCE, stream.alert_of(*patient))
            .await
            .context("the alert did not come")??;
        latencies.push(published.elapsed());
        device.acknowledged.next().await?;
        tokio::time::sleep(between).await;
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// The live stream of alerts, as server-sent events.
struct Stream {
    lines: Lines<BufReader<OwnedReadHalf>>,
    /// Keeps the request's half open.
    _request: tokio::net::tcp::OwnedWriteHalf,
}

impl Stream {
    async fn open(http: SocketAddr, token: &str) -> Result<Stream> {
        let (reader, mut writer) = TcpStream::connect(http).await?.into_split();
        let request = format!(
            "GET /api/v1/alerts/stream HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {token}\r\n\
             Accept: text/event-stream\r\n\r\n"
        );
        writer.write_all(request.as_bytes()).await?;
        let mut lines = BufReader::new(reader).lines();
        let status = lines.next_line().await?.unwrap_or_default();
        if !status.starts_with("HTTP/1.1 200") {
            bail!("the stream of alerts answered {status}");
        }
        Ok(Stream {
            lines,
            _request: writer,
        })
    }

    async fn alert_of(&mut self, patient: i64) -> Result<()> {
        while let Some(line) = self.lines.next_line().await? {
            let Some(data) = line.strip_prefix("data:") else {
                continue;
            };
            let event: Event = serde_json::from_str(data.trim()).context("not an alert")?;
            if event.alert.patient == patient {
                return Ok(());
            }
        }
        bail!("the stream of alerts ended")
    }
}

/// What the stream says of an alert, as far as the bench needs it.
#[derive(Deserialize)]
struct Event {
    alert: Alert,
}

#[derive(Deserialize)]
struct Alert {
    patient: i64,
}
