//! `homeward bench`: how fast the way of a reading is on this machine, beside what its database can do at
//! best.
//!
//! Starts a server of its own, with its own database whose commits reach the disk, and loads it from this
//! process. Server, database and load share the machine's processors.

mod alerts;
mod dry_run;
mod history;
mod http;
mod load;
mod mqtt;
mod pages;
mod report;
mod rules;
mod trends;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::Programme;
use homeward_alerts::plans::copy_programme;
use homeward_record::{Clock, NhsNumber, PatientId};
use homeward_store::PgPool;
use homeward_store::admin::{NewDevice, NewPatient, add_devices, add_patients, add_token};
use homeward_store::server::{Backup, LocalServer, ServerOptions};
use serde::Serialize;
use sqlx::PgConnection;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::print::print;

use self::load::{BETWEEN_READINGS, Enrolled, Shape};
use self::report::{Quantiles, Report};

/// Rows of the raw COPY.
const COPY_ROWS: u64 = 1_000_000;
/// Connections that publish ten readings a message.
const BULK_CONNECTIONS: usize = 200;
/// How often that is measured, with rules and without.
const ROUNDS: u8 = 2;
/// Connections that publish one reading a message.
const SINGLE_CONNECTIONS: usize = 1_000;
/// Messages that a device has unacknowledged, as common clients have by default or more.
const WINDOW: usize = 10;
/// Connections that publish nothing.
const IDLE_CONNECTIONS: usize = 5_000;
/// Alerts whose latency is measured.
const ALERTS: usize = 200;

/// What to measure, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// Seconds that each load is measured
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Have commits wait for a second copy of the record in this folder, which is there and is left with what the bench
    /// put into it
    #[arg(long, value_name = "FOLDER")]
    backup: Option<PathBuf>,
    /// Measure nothing else
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// How many readings there are of which trends are measured
    #[arg(long, default_value_t = 100_000_000, value_parser = clap::value_parser!(u64).range(1_000_000..=1_000_000_000))]
    readings: u64,
}

/// What can be measured apart from the rest.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Only {
    /// Trying a programme on the histories of 1,000 patients
    DryRun,
    /// Trends of 90 days and glucose summaries, of patients with 10,000 readings each, while others come in
    Trends,
    /// The worklist, a patient's page and the list of a programme, of as many patients as the demo has
    Pages,
}

/// Runs the bench.
pub(crate) async fn run(options: Options) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("homeward-bench-{}", std::process::id()));
    progress("starting a database");
    let backup = options.backup.clone().map(|folder| Backup {
        folder,
        synchronous: true,
    });
    let server_options = ServerOptions {
        backup,
        ..ServerOptions::default()
    };
    let database = LocalServer::start(&folder, server_options).await?;
    let outcome = tell(&database, options).await;
    database.stop().await?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("could not remove {}", folder.display()))?;
    print(&outcome?)
}

/// Measures what is asked for, and answers with what is to be printed.
async fn tell(database: &LocalServer, options: Options) -> Result<String> {
    let url = database.database_url("homeward");
    let pool = homeward_store::connect(&url, 2)?;
    homeward_store::migrate(&pool).await?;
    let measured = Duration::from_secs(options.seconds);
    match options.only {
        None => text(&measure(&url, &pool, options.seconds).await?, options.json),
        Some(Only::DryRun) => text(&dry_run::measure(&url).await?, options.json),
        Some(Only::Pages) => text(&pages::measure(&url, measured).await?, options.json),
        Some(Only::Trends) => text(
            &trends::measure(&url, options.readings, measured).await?,
            options.json,
        ),
    }
}

fn text(report: &(impl fmt::Display + Serialize), json: bool) -> Result<String> {
    Ok(match json {
        true => serde_json::to_string_pretty(report)? + "\n",
        false => report.to_string(),
    })
}

async fn measure(url: &str, pool: &PgPool, seconds: u64) -> Result<Report> {
    let mut connection = pool.acquire().await?;
    let measured = Duration::from_secs(seconds);
    let warm_up = Duration::from_secs(3);

    progress("enrolling patients");
    let devices = enrol(&mut connection, IDLE_CONNECTIONS, "watch").await?;
    let sensors = enrol(&mut connection, ALERTS, "cgm").await?;
    give_plan(&mut connection, &sensors, "diabetes-type-1").await?;
    let token = "hw_bench";
    add_token(&mut connection, "bench", token).await?;
    // Loads are weeks apart, and none comes to more than two weeks of its devices' time.
    let first = |weeks| Clock::System.now() - TimeDelta::weeks(weeks);

    progress("copying rows into the hypertable");
    let copy_rate = copy(&mut connection, &devices[..SINGLE_CONNECTIONS], first(20)).await?;

    let server = Server::start(url).await?;
    progress("measuring idle connections");
    let enrolled = |count: usize| {
        devices[..count]
            .iter()
            .map(|(_, device)| device.clone())
            .collect::<Vec<_>>()
    };
    // Those behind the ones that have been used.
    let unruled = |count: usize| enrolled(2 * BULK_CONNECTIONS + count).split_off(2 * BULK_CONNECTIONS);
    let connection_bytes = idle_connection_bytes(&server, &enrolled(IDLE_CONNECTIONS)).await?;

    let saturated = |readings, weeks| Shape {
        readings,
        window: WINDOW,
        pace: None,
        first_reading: first(weeks),
        between: BETWEEN_READINGS,
    };
    let (plain, ruled) = (
        enrolled(BULK_CONNECTIONS),
        enrolled(2 * BULK_CONNECTIONS).split_off(BULK_CONNECTIONS),
    );
    rules::give_nine(&mut connection, &devices[BULK_CONNECTIONS..2 * BULK_CONNECTIONS]).await?;
    let (mut bulk, mut judged) = (0.0, 0.0);
    // A table that grows takes rows more slowly: so in turn, and who was last in one round is first in the next.
    for round in 0..ROUNDS {
        let mut loads = [
            (&plain, "no rules", &mut bulk),
            (&ruled, "nine rules for each patient", &mut judged),
        ];
        if round % 2 == 1 {
            loads.reverse();
        }
        for (devices, what, sum) in loads {
            progress(&format!("loading with ten readings a message, {what}"));
            let connected = load::connect(server.mqtt, devices).await?;
            let load = load::run(
                connected,
                saturated(10, 18 - 3 * i64::from(round)),
                warm_up,
                measured,
            )
            .await?;
            *sum += load.rate() / f64::from(ROUNDS);
        }
    }
    progress("loading with one reading a message");
    let connected = load::connect(server.mqtt, &unruled(SINGLE_CONNECTIONS)).await?;
    let single = load::run(connected, saturated(1, 6), warm_up, measured).await?;

    progress("measuring latency at half of that");
    #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
    let pace = Duration::from_secs_f64(SINGLE_CONNECTIONS as f64 / (single.rate() / 2.0));
    let shape = Shape {
        pace: Some(pace),
        ..saturated(1, 3)
    };
    let connected = load::connect(server.mqtt, &unruled(SINGLE_CONNECTIONS)).await?;
    let between = measured.div_f64(f64::from(u32::try_from(ALERTS)?));
    let alerting = async {
        tokio::time::sleep(warm_up).await;
        alerts::measure(server.mqtt, server.http, token, &sensors, between / 2).await
    };
    let (half, alerts) = tokio::try_join!(load::run(connected, shape, warm_up, measured), alerting)?;
    server.stop().await?;
    let dry_run = dry_run::measure(url).await?;

    Ok(Report {
        machine: report::machine(),
        copy_rows_per_second: copy_rate,
        bulk_readings_per_second: bulk,
        bulk_ratio: bulk / copy_rate,
        judged_readings_per_second: judged,
        judged_ratio: judged / copy_rate,
        judged_share: judged / bulk,
        single_readings_per_second: single.rate(),
        single_ratio: single.rate() / copy_rate,
        half_load_readings_per_second: half.rate(),
        puback: Quantiles::of(&half.latencies),
        alert: Quantiles::of(&alerts),
        bytes_per_idle_connection: connection_bytes,
        dry_run,
    })
}

fn progress(what: &str) {
    eprintln!("bench: {what} …");
}

/// Enrols patients with one device each.
async fn enrol(connection: &mut PgConnection, count: usize, kind: &str) -> Result<Vec<(i64, Enrolled)>> {
    // Numbers of this bench alone, whatever it enrolled before.
    let before: i64 = sqlx::query_scalar("SELECT count(*) FROM patient")
        .fetch_one(&mut *connection)
        .await?;
    let stems = 999_000_000 + u32::try_from(before)? * 2..;
    let numbers: Vec<_> = stems.filter_map(NhsNumber::from_stem).take(count).collect();
    let born = "1956-03-01".parse()?;
    let patients: Vec<_> = numbers
        .iter()
        .map(|nhs_number| NewPatient {
            nhs_number,
            name: "Bench",
            born,
            organisation: None,
            team: None,
        })
        .collect();
    let patients = add_patients(connection, &patients).await?;
    let from = DateTime::<Utc>::UNIX_EPOCH;
    let secret = "bench";
    let devices: Vec<_> = patients
        .iter()
        .map(|patient| NewDevice {
            kind,
            secret,
            utc_offset_minutes: 0,
            patient: *patient,
            from,
        })
        .collect();
    let devices = add_devices(connection, &devices).await?;
    let enrolled = |id: homeward_record::DeviceId| Enrolled {
        id: id.to_string(),
        secret: secret.to_owned(),
    };
    Ok(patients
        .into_iter()
        .zip(devices)
        .map(|(patient, device)| (patient.0, enrolled(device)))
        .collect())
}

async fn give_plan(
    connection: &mut PgConnection,
    patients: &[(i64, Enrolled)],
    programme: &str,
) -> Result<()> {
    let programme = Programme::named(programme).context("no such programme")?;
    let patients: Vec<_> = patients.iter().map(|(patient, _)| PatientId(*patient)).collect();
    let now = Clock::System.now();
    copy_programme(connection, &patients, programme, ("bench", "bench"), now).await?;
    Ok(())
}

/// Copies rows of the same shape as the loads' readings into the hypertable, and answers rows a second.
async fn copy(
    connection: &mut PgConnection,
    devices: &[(i64, Enrolled)],
    first: DateTime<Utc>,
) -> Result<f64> {
    let started = Instant::now();
    let mut copy = connection
        .copy_in_raw("COPY reading (patient_id, time, device_id, received_at, value, metric) FROM STDIN")
        .await?;
    let mut text = String::new();
    let mut rows = 0;
    for step in 0.. {
        let at = (first + BETWEEN_READINGS * step).format("%Y-%m-%d %H:%M:%S%.3f+00");
        for (patient, device) in devices {
            use std::fmt::Write;
            writeln!(text, "{patient}\t{at}\t{}\t{at}\t72\t1", device.id)?;
        }
        rows += devices.len() as u64;
        copy.send(text.as_bytes()).await?;
        text.clear();
        if rows >= COPY_ROWS {
            break;
        }
    }
    copy.finish().await?;
    #[expect(clippy::cast_precision_loss, reason = "a million rows")]
    Ok(rows as f64 / started.elapsed().as_secs_f64())
}

/// What the server's memory grows by with each connection.
async fn idle_connection_bytes(server: &Server, devices: &[Enrolled]) -> Result<u64> {
    // The first connections make pools and buffers that the others share.
    let warm = load::connect(server.mqtt, &devices[..100]).await?;
    let before = server.resident_bytes()?;
    let rest = load::connect(server.mqtt, &devices[100..]).await?;
    let after = server.resident_bytes()?;
    let connections = rest.len() as u64;
    drop((warm, rest));
    Ok(after.saturating_sub(before) / connections)
}

/// A server of the bench's own: this program, as another process.
struct Server {
    process: Child,
    mqtt: SocketAddr,
    http: SocketAddr,
}

impl Server {
    async fn start(database_url: &str) -> Result<Server> {
        let program = std::env::current_exe().context("could not tell where this program is")?;
        let mut process = Command::new(program)
            .arg("serve")
            .env("DATABASE_URL", database_url)
            .env("HOMEWARD_MQTT_LISTEN", "127.0.0.1:0")
            .env("HOMEWARD_HTTP_LISTEN", "127.0.0.1:0")
            .env(
                "HOMEWARD_LOG",
                std::env::var_os("HOMEWARD_LOG").unwrap_or("error".into()),
            )
            // A bench's device sends in seconds what others send in months.
            .env("HOMEWARD_REQUESTS_PER_MINUTE", "1000000000")
            .env("HOMEWARD_LIMITS_MESSAGES_PER_SECOND", "1000000")
            .env("HOMEWARD_LIMITS_BURST", "1000000")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("could not start the server")?;
        let mut lines = BufReader::new(process.stdout.take().context("no output of the server")?).lines();
        let (mut mqtt, mut http) = (None, None);
        while let Some(line) = lines.next_line().await? {
            match line.split_once(" listening on ") {
                Some(("mqtt", address)) => mqtt = Some(address.parse()?),
                Some(("http", address)) => http = Some(address.parse()?),
                _ if line == "ready" => break,
                _ => {}
            }
        }
        let (Some(mqtt), Some(http)) = (mqtt, http) else {
            bail!("the server did not start")
        };
        Ok(Server { process, mqtt, http })
    }

    /// The memory of the process that is in use, as the kernel counts it.
    fn resident_bytes(&self) -> Result<u64> {
        let process = self.process.id().context("the server has ended")?;
        let status = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    async fn stop(mut self) -> Result<()> {
        self.process.kill().await.context("could not stop the server")
    }
}
