//! The recorded series, read from their files by other code than what replays them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use homeward_record::Metric;
use homeward_simulators::Measured;

/// A recorded series: what each subject's device measured, in the order of time and metric.
pub(crate) type Table = BTreeMap<String, Vec<Measured>>;

/// Milligrams of glucose per decilitre in a millimole per litre (International Consensus on Time in Range).
const MG_PER_DL: f64 = 18.0182;

/// Where the recorded series are: in the folder that `HOMEWARD_SAMPLES` names, or beside the repository.
/// Where there are none, this says so and answers none.
pub(crate) fn samples() -> Option<PathBuf> {
    let folder = std::env::var_os("HOMEWARD_SAMPLES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    if folder.join("cgm_broll.csv").is_file() {
        return Some(folder);
    }
    println!(
        "skipped: there are no recorded series in {} (see HOMEWARD_SAMPLES)",
        folder.display()
    );
    None
}

/// `cgm_broll.csv`: `"number","subject",2015-06-06 16:50:27,153`, in mg/dL.
pub(crate) fn glucose(folder: &Path) -> Table {
    let mut table = Table::new();
    for [_, subject, at, mg_per_dl] in rows(folder, "cgm_broll.csv") {
        let at = NaiveDateTime::parse_from_str(&at, "%Y-%m-%d %H:%M:%S")
            .unwrap()
            .and_utc();
        let mg_per_dl: f64 = mg_per_dl.parse().unwrap();
        // The record keeps a millionth of a unit.
        let value = (mg_per_dl / MG_PER_DL * 1e6).round() / 1e6;
        add(&mut table, subject, Metric::Glucose, at, value);
    }
    finish(table)
}

/// `bp_home.csv`: `2019-04-15T23:38:28Z,133,74,67`, of one person.
pub(crate) fn pressure(folder: &Path) -> Table {
    let mut table = Table::new();
    for [at, systolic, diastolic, pulse] in rows(folder, "bp_home.csv") {
        let at: DateTime<Utc> = at.parse().unwrap();
        let numbers = [
            (Metric::Systolic, systolic),
            (Metric::Diastolic, diastolic),
            (Metric::HeartRate, pulse),
        ];
        for (metric, value) in numbers {
            add(
                &mut table,
                "bp_home".to_owned(),
                metric,
                at,
                value.parse().unwrap(),
            );
        }
    }
    finish(table)
}

/// `heart_rate_watch.csv`: `S02,2022-02-07T09:53:04Z,118`.
pub(crate) fn heart_rate(folder: &Path) -> Table {
    let mut table = Table::new();
    for [subject, at, value] in rows(folder, "heart_rate_watch.csv") {
        let value = value.parse().unwrap();
        add(&mut table, subject, Metric::HeartRate, at.parse().unwrap(), value);
    }
    finish(table)
}

fn rows<const N: usize>(folder: &Path, file: &str) -> Vec<[String; N]> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<String> = line
                .split(',')
                .map(|field| field.trim_matches('"').to_owned())
                .collect();
            fields
                .try_into()
                .unwrap_or_else(|_| panic!("{file}: {line:?} has not {N} fields"))
        })
        .collect()
}

fn add(table: &mut Table, subject: String, metric: Metric, at: DateTime<Utc>, value: f64) {
    table
        .entry(subject)
        .or_default()
        .push(Measured { metric, at, value });
}

/// Sorts, and makes sure that no subject has two numbers for one metric and time: the record would keep one.
fn finish(mut table: Table) -> Table {
    for (subject, series) in &mut table {
        series.sort_by_key(|sample| (sample.at, sample.metric.code()));
        for pair in series.windows(2) {
            assert!(
                (pair[0].at, pair[0].metric) < (pair[1].at, pair[1].metric),
                "{subject} has two numbers for {pair:?}"
            );
        }
    }
    table
}
