use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::dry_run::DryRun;

/// What a run of the bench measured. Rates are a second, latencies in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: String,
    /// A raw `COPY` into the same hypertable.
    pub(super) copy_rows_per_second: f64,
    /// Acknowledged readings, ten a message.
    pub(super) bulk_readings_per_second: f64,
    pub(super) bulk_ratio: f64,
    /// The same with nine rules for each patient that all look at every reading.
    pub(super) judged_readings_per_second: f64,
    pub(super) judged_ratio: f64,
    /// What the rules leave of the rate without them.
    pub(super) judged_share: f64,
    /// Acknowledged readings, one a message.
    pub(super) single_readings_per_second: f64,
    pub(super) single_ratio: f64,
    /// The load under which the latencies were measured.
    pub(super) half_load_readings_per_second: f64,
    /// From publish to PUBACK.
    pub(super) puback: Quantiles,
    /// From publish to the alert on the live stream.
    pub(super) alert: Quantiles,
    pub(super) bytes_per_idle_connection: u64,
    #[serde(flatten)]
    pub(super) dry_run: DryRun,
}

/// Quantiles of a latency, in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Quantiles {
    samples: usize,
    p50: f64,
    p99: f64,
}

impl Quantiles {
    /// The quantiles of sorted latencies.
    pub(super) fn of(sorted: &[Duration]) -> Quantiles {
        let at = |per_cent: usize| {
            let index = (sorted.len() * per_cent / 100).min(sorted.len().saturating_sub(1));
            sorted
                .get(index)
                .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        };
        Quantiles {
            samples: sorted.len(),
            p50: at(50),
            p99: at(99),
        }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quantiles { samples, p50, p99 } = self;
        write!(f, "p50 {p50:.1} ms   p99 {p99:.1} ms   ({samples} samples)")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |f: &mut fmt::Formatter<'_>, what: &str, rate: f64, ratio: f64| {
            writeln!(f, "{what:<58}{rate:>9.0} /s   {ratio:.3} of COPY")
        };
        writeln!(f, "{}", self.machine)?;
        rate(
            f,
            "raw COPY into the hypertable, rows",
            self.copy_rows_per_second,
            1.0,
        )?;
        rate(
            f,
            "acknowledged readings, 10 a message",
            self.bulk_readings_per_second,
            self.bulk_ratio,
        )?;
        let judged = "acknowledged readings, 10 a message, nine rules";
        rate(f, judged, self.judged_readings_per_second, self.judged_ratio)?;
        writeln!(
            f,
            "{:<58}{:>9.3} of that without",
            "  with nine rules", self.judged_share
        )?;
        let single = "acknowledged readings, 1 a message, 1,000 connections";
        rate(f, single, self.single_readings_per_second, self.single_ratio)?;
        writeln!(
            f,
            "at half of that ({:.0} readings/s):",
            self.half_load_readings_per_second
        )?;
        for (what, quantiles) in [
            ("publish to PUBACK", &self.puback),
            ("publish to alert on the stream", &self.alert),
        ] {
            writeln!(f, "  {what:<56}{quantiles}")?;
        }
        let kilobytes = self.bytes_per_idle_connection.div_ceil(1024);
        writeln!(
            f,
            "{:<58}{kilobytes:>9} KiB",
            "memory for each of 5,000 idle connections"
        )?;
        write!(f, "{}", self.dry_run)
    }
}

/// The machine, as far as figures depend on it.
pub(super) fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{cpus} processors, {}",
        model.map_or("of an unknown model", |(_, model)| model)
    )
}
