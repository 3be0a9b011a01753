//! `homeward-sim`: simulated devices on the command line.

mod bar;

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Parser, Subcommand};
use homeward_record::Clock;
use homeward_simulators::fleet::{self, FleetConfig};
use homeward_simulators::replay::{self, ReplayConfig};
use homeward_simulators::uplink::UplinkOptions;
use homeward_simulators::{Broker, Faults, Planned, Protocol, Series, Speed, enrolment, live_plan};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::bar::{Bar, clear_line, summary};

/// Simulated devices for Homeward.
#[derive(Parser)]
#[command(name = "homeward-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Simulate a fleet of devices: a period of the past, then, if wanted, live.
    Fleet(FleetArgs),
    /// Publish a recorded series as the devices that it came from.
    Replay(ReplayArgs),
}

#[derive(Args)]
struct Common {
    /// The devices, a line of JSON each; `-` for the standard input.
    #[arg(long, value_name = "FILE")]
    enrolment: PathBuf,
    /// Where the broker listens.
    #[arg(long, value_name = "HOST:PORT")]
    broker: Broker,
    /// Speak MQTT 5 rather than 3.1.1.
    #[arg(long)]
    mqtt5: bool,
    /// Most readings in one message.
    #[arg(long, default_value_t = 10, value_name = "N")]
    per_message: usize,
    /// Messages that a device sends before it waits for an acknowledgement.
    #[arg(long, default_value_t = 10, value_name = "N")]
    window: u16,
    /// What goes wrong on the way: `drop=P,duplicate=P,reorder=P,disconnect=P,clock_skew=SECONDS,seed=N`.
    #[arg(long, default_value = "", value_name = "FAULTS", hide_default_value = true)]
    faults: Faults,
}

#[derive(Args)]
struct FleetArgs {
    #[command(flatten)]
    common: Common,
    /// Beginning of the simulated period, with an offset. Without it, `--days` before its end.
    #[arg(long, value_name = "TIME", conflicts_with = "days")]
    from: Option<DateTime<Utc>>,
    /// Length of the simulated period.
    #[arg(long, default_value_t = 1, value_name = "N")]
    days: u16,
    /// End of the simulated period, with an offset. Without it, now.
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
    /// How many times as fast as real time, or `max` for as fast as the broker acknowledges.
    #[arg(long, default_value = "max", value_name = "SPEED")]
    speed: Speed,
    /// Go on live after the period, until interrupted.
    #[arg(long)]
    live: bool,
    /// What happens to whom: hypo, hypertensive_crisis, deterioration and others, as `SCRIPT:PATIENT@TIME`, where the
    /// time may be `live+SECONDS`. Without any, a live fleet has a plan of its own.
    #[arg(long = "script", value_name = "SCRIPT")]
    scripts: Vec<Planned>,
    /// Nothing happens to anybody, also live.
    #[arg(long, conflicts_with = "scripts")]
    no_scripts: bool,
    /// The same seed gives the same patients.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Connections made a second, at first.
    #[arg(long, default_value_t = 250, value_name = "N")]
    connects_per_second: u32,
}

#[derive(Args)]
struct ReplayArgs {
    #[command(flatten)]
    common: Common,
    /// Which series: cgm_broll, bp_home or heart_rate_watch.
    #[arg(long, value_name = "NAME")]
    series: Series,
    /// Its file.
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
}

impl Common {
    fn broker(&self) -> Broker {
        Broker {
            protocol: if self.mqtt5 { Protocol::V5 } else { Protocol::V4 },
            ..self.broker.clone()
        }
    }

    fn uplink(&self, defaults: UplinkOptions) -> UplinkOptions {
        UplinkOptions {
            window: self.window,
            faults: self.faults.clone(),
            ..defaults
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_target(false)
        .with_ansi(terminal)
        .with_writer(move || {
            clear_line(terminal);
            stderr()
        })
        .init();
    // A device is a connection, and many systems let a process have 1,024 open files unless it asks for more.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the number of open files could not be raised");
    }
    let ended = match Cli::parse().command {
        Command::Fleet(args) => run_fleet(args).await,
        Command::Replay(args) => run_replay(args).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            clear_line(terminal);
            eprintln!("homeward-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_fleet(args: FleetArgs) -> Result<()> {
    let enrolments = enrolment::read_file(&args.common.enrolment)?;
    let to = args.to.unwrap_or_else(|| Clock::System.now());
    let from = args.from.unwrap_or(to - TimeDelta::days(i64::from(args.days)));
    let scripts = match (args.live, args.no_scripts) {
        (true, false) if args.scripts.is_empty() => live_plan(&enrolments, &[]),
        _ => args.scripts,
    };
    let devices = enrolments.len();
    let mut config = FleetConfig::new(args.common.broker(), enrolments, from, to);
    config.seed = args.seed;
    config.speed = args.speed;
    config.per_message = args.common.per_message;
    config.live = args.live;
    config.scripts = scripts;
    config.uplink = args.common.uplink(config.uplink);
    config.connects_per_second = args.connects_per_second;
    let bar = Bar::new();
    let cancel = cancelled_by_signals()?;
    let report = fleet::run(config, cancel, |progress| bar.show(&progress)).await?;
    bar.finish();
    println!("{}", summary(&report.counts));
    if let Some((_, why)) = report.failed.first() {
        let (failed, all) = (report.failed.len(), devices);
        bail!("{failed} of {all} devices gave up; the first because {why}");
    }
    Ok(())
}

async fn run_replay(args: ReplayArgs) -> Result<()> {
    let enrolments = enrolment::read_file(&args.common.enrolment)?;
    let mut config = ReplayConfig::new(args.common.broker(), args.series, args.file, enrolments);
    config.per_message = args.common.per_message;
    config.uplink = args.common.uplink(config.uplink);
    let bar = Bar::new();
    let cancel = cancelled_by_signals()?;
    let report = replay::run(config, cancel, |progress| bar.show(&progress)).await?;
    bar.finish();
    for (device, subject, measurements) in &report.devices {
        println!("device {device}: {subject}, {measurements} measurements");
    }
    println!("{}", summary(&report.counts));
    Ok(())
}

/// A token that is cancelled when the process is asked to stop; asked twice, it stops at once.
fn cancelled_by_signals() -> Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if token.is_cancelled() {
                std::process::exit(130);
            }
            token.cancel();
        }
    });
    Ok(cancel)
}
