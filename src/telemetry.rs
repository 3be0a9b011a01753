//! Logs and metrics of the process.

use std::io::{IsTerminal, stderr};

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Settings};

/// What the filter leaves out unless it names it. The broker logs client identifiers and every connection,
/// and what matters of it ingest logs itself. PostgreSQL notes that what is there already is there already.
const ALWAYS: &str = "rumqttd=off,sqlx::postgres::notice=warn";

/// Bounds of the buckets of durations, in seconds: from an insert of one reading to what nobody waits for.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// Sends logs to the standard error, filtered by `default` unless the settings say otherwise.
pub(crate) fn init_logs(settings: &Settings, default: &str) -> Result<()> {
    let wanted = settings.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::builder()
        .parse(format!("{ALWAYS},{wanted}"))
        .with_context(|| format!("{wanted:?} is not a log filter"))?;
    let json = match settings.log_format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    if json {
        subscriber.json().flatten_event(true).init();
    } else {
        subscriber.with_ansi(stderr().is_terminal()).init();
    }
    Ok(())
}

/// Collects the metrics of all crates. The API renders them for Prometheus.
pub(crate) fn init_metrics() -> Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .context("could not set the buckets of durations")?
        .install_recorder()
        .context("could not collect metrics")
}
