//! Homeward watches patients at home: their devices' readings go into the patient record, and care teams see
//! alerts and trends.

mod admin;
mod bench;
mod config;
mod database;
mod demo;
mod dry_run;
mod explain;
mod keys;
mod lifecycle;
mod print;
mod restore;
mod serve;
mod telemetry;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use config::Settings;
use explain::explain;

/// Watches patients at home: readings from their devices go into the patient record, alerts to the care team.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// The configuration file [default: homeward.toml, if it exists]
    #[arg(long, global = true, env = "HOMEWARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: take readings over MQTT, judge and store them, answer the API
    Serve,
    /// Try it: the service with a fleet of simulated devices, leaving nothing behind
    Demo(demo::Options),
    /// Try rules on the history of patients: what they would have raised, beside the present plan. Nothing is
    /// written, and nobody is paged
    DryRun(dry_run::Options),
    /// Measure the speed of this build on this machine, with a server and a database of its own
    Bench(bench::Options),
    /// Bring the record of the private server back from its second copy, when the first is gone
    Restore(restore::Options),
    #[command(flatten)]
    Admin(admin::Command),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let settings = Settings::load(arguments.config.as_deref())?;
    let default_logs = match arguments.command {
        Command::Serve => "info",
        Command::Demo(_) | Command::Restore(_) | Command::Admin(_) => "warn",
        // That statements take long is what they are about.
        Command::DryRun(_) | Command::Bench(_) => "warn,sqlx::query=error",
    };
    telemetry::init_logs(&settings, default_logs)?;
    // A connection is an open file, and many systems let a process have 1,024 unless it asks for more.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the number of open files could not be raised");
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        match arguments.command {
            Command::Serve => serve::run(settings).await,
            Command::Demo(options) => demo::run(settings, options).await,
            Command::DryRun(options) => dry_run::run(settings, options).await,
            Command::Bench(options) => bench::run(options).await,
            Command::Restore(options) => restore::run(settings, options).await,
            Command::Admin(command) => admin::run(settings, command).await,
        }
    });
    runtime.shutdown_background();
    outcome
}
