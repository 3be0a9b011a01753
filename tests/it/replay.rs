//! The main job on real input: recorded series of real devices, from MQTT to the record, its episodes and
//! its trends.

pub(crate) mod strict;
pub(crate) mod table;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::TimeDelta;
use homeward_record::{Metric, PatientId};
use homeward_simulators::enrolment::{Secret, SubjectEnrolment};
use homeward_simulators::replay::{ReplayConfig, run};
use homeward_simulators::{AckLog, Broker, Counts, Protocol, Series};
use homeward_store::rollup;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::table::{Table, samples};
use crate::harness::*;
use crate::judged::{Rule, assert_judged, programme};
use crate::trends::{BUCKETS, HeldRollups, assert_trends};

/// A recorded series in the record of a server: a patient and a device for each of its subjects.
struct Cohort {
    series: Series,
    file: &'static str,
    table: Table,
    devices: BTreeMap<String, Device>,
    rules: Vec<Rule>,
}

/// The care plan of a cohort's patients.
#[derive(Clone, Copy)]
enum Plan {
    /// Of the programme that suits the series.
    Programme,
    /// One that readings often breach.
    Strict,
}

impl Cohort {
    async fn glucose(server: &Server, folder: &Path, plan: Plan) -> Cohort {
        let table = table::glucose(folder);
        Cohort::enrol(
            server,
            Series::CgmBroll,
            "cgm_broll.csv",
            table,
            plan,
            "diabetes-type-1",
        )
        .await
    }

    async fn pressure(server: &Server, folder: &Path, plan: Plan) -> Cohort {
        let table = table::pressure(folder);
        Cohort::enrol(server, Series::BpHome, "bp_home.csv", table, plan, "hypertension").await
    }

    async fn heart_rate(server: &Server, folder: &Path, plan: Plan) -> Cohort {
        let (table, file) = (table::heart_rate(folder), "heart_rate_watch.csv");
        Cohort::enrol(server, Series::HeartRateWatch, file, table, plan, "hypertension").await
    }

    async fn enrol(
        server: &Server,
        series: Series,
        file: &'static str,
        table: Table,
        plan: Plan,
        name: &str,
    ) -> Cohort {
        let mut devices = BTreeMap::new();
        for subject in table.keys() {
            let device = match plan {
                Plan::Programme => server.enrol_on(name, file).await,
                Plan::Strict => {
                    let device = server.enrol(file).await;
                    server.give(device.patient, &strict::rules()).await;
                    device
                }
            };
            devices.insert(subject.clone(), device);
        }
        Cohort {
            series,
            file,
            table,
            devices,
            rules: match plan {
                Plan::Programme => programme(name),
                Plan::Strict => strict::rules(),
            },
        }
    }

    /// Replays the file until all of it is acknowledged.
    async fn replay(&self, server: &Server, folder: &Path, per_message: usize, protocol: Protocol) -> Counts {
        let enrolments = self.devices.iter().map(|(subject, device)| SubjectEnrolment {
            device_id: device.id,
            secret: Secret(device.secret.clone()),
            subject: Some(subject.clone()),
        });
        let broker = Broker {
            host: server.mqtt.ip().to_string(),
            port: server.mqtt.port(),
            protocol,
        };
        let mut config = ReplayConfig::new(broker, self.series, folder.join(self.file), enrolments.collect());
        config.per_message = per_message;
        let log = AckLog::new();
        config.hook = Some(log.hook());
        let counts = run(config, CancellationToken::new(), |_| {})
            .await
            .unwrap()
            .counts;
        assert_eq!(log.take().len(), self.readings(), "all of {}", self.file);
        counts
    }

    fn patient(&self, subject: &str) -> PatientId {
        self.devices[subject].patient
    }

    fn readings(&self) -> usize {
        self.table.values().map(Vec::len).sum()
    }

    /// Every number of the file is in the record once, and nothing else.
    async fn assert_stored(&self, server: &Server) {
        for (subject, series) in &self.table {
            let device = &self.devices[subject];
            let stored = server.readings(device).await;
            let stored: Vec<_> = stored
                .iter()
                .map(|row| (row.patient_id, row.metric, row.time, row.value))
                .collect();
            let expected: Vec<_> = series
                .iter()
                .map(|sample| (device.patient.0, sample.metric.code(), sample.at, sample.value))
                .collect();
            assert!(stored == expected, "the readings of {subject} of {}", self.file);
            assert!(server.rejected(device).await.is_empty());
        }
    }

    /// The episodes are those that the series make, and all of them are late: it is long ago.
    async fn assert_judged(&self, server: &Server) -> usize {
        let mut count = 0;
        for subject in self.table.keys() {
            let stored = assert_judged(server, self.patient(subject), &self.rules, subject).await;
            assert!(stored.iter().all(|episode| episode.late));
            count += stored.len();
        }
        count
    }

    /// The summaries over HTTP are those of an independent implementation.
    async fn assert_glucose_summaries(&self, server: &Server, token: &str) {
        for (subject, gmi, cv, in_range) in GLUCOSE_SUMMARIES {
            let series = &self.table[subject];
            let (first, last) = (series[0].at, series[series.len() - 1].at);
            let window = format!("from={}&to={}", stamp(first), stamp(last + TimeDelta::minutes(5)));
            let patient = self.patient(subject);
            let path = format!("/api/v1/patients/{patient}/glucose-summary?{window}");
            let summary = server.get(&path, token).await.json();
            let close = |what: &str, figure: &Value, expected: f64, by: f64| {
                let figure = figure.as_f64().unwrap();
                assert!(
                    (figure - expected).abs() <= by,
                    "{what} of {subject}: {figure}, not {expected}"
                );
            };
            assert_eq!(summary["readings"], json!(series.len()));
            close("GMI", &summary["gmi_percent"], gmi, 0.01);
            close("CV", &summary["cv_percent"], cv, 0.01);
            close("in range", &summary["ranges"][2]["percent"], in_range, 0.05);
        }
    }

    /// The trends over HTTP are those of the file.
    async fn assert_trends(&self, server: &Server, token: &str) {
        for (subject, series) in &self.table {
            for bucket in &BUCKETS {
                let patient = self.patient(subject);
                match self.series {
                    Series::CgmBroll => {
                        assert_trends(
                            server,
                            token,
                            patient,
                            "glucose",
                            &[Metric::Glucose],
                            series,
                            bucket,
                        )
                        .await
                    }
                    Series::BpHome => {
                        let both = [Metric::Systolic, Metric::Diastolic];
                        assert_trends(server, token, patient, "blood_pressure", &both, series, bucket).await;
                        let pulse = [Metric::HeartRate];
                        assert_trends(server, token, patient, "heart_rate", &pulse, series, bucket).await;
                    }
                    Series::HeartRateWatch => {
                        let pulse = [Metric::HeartRate];
                        assert_trends(server, token, patient, "heart_rate", &pulse, series, bucket).await;
                    }
                }
            }
        }
    }
}

/// Of each subject the glucose management indicator, the coefficient of variation, and how much is in range, all in
/// percent: what an independent implementation makes of the file.
const GLUCOSE_SUMMARIES: [(&str, f64, f64, f64); 5] = [
    ("Subject 1", 6.268, 26.90, 91.66),
    ("Subject 2", 8.535, 23.97, 26.44),
    ("Subject 3", 6.995, 29.07, 81.34),
    ("Subject 4", 6.412, 22.42, 95.11),
    ("Subject 5", 7.487, 33.55, 62.12),
];

async fn count(server: &Server, metric: Metric) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM reading WHERE metric = $1")
        .bind(metric.code())
        .fetch_one(&server.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_series_are_stored_once_and_judged_and_charted() {
    let Some(folder) = samples() else { return };
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let token = server.add_token("a test").await;
    let cohorts = [
        Cohort::glucose(&server, &folder, Plan::Programme).await,
        Cohort::pressure(&server, &folder, Plan::Programme).await,
        Cohort::heart_rate(&server, &folder, Plan::Programme).await,
    ];
    let rollups = HeldRollups::hold(&server.pool).await;

    for cohort in &cohorts {
        let counts = cohort.replay(&server, &folder, 10, Protocol::V4).await;
        assert_eq!(counts.refused, 0);
        cohort.assert_stored(&server).await;
        let episodes = cohort.assert_judged(&server).await;
        println!(
            "{}: {} readings, {episodes} episodes",
            cohort.file,
            cohort.readings()
        );
        cohort.assert_trends(&server, &token).await;
    }
    // Of each person and time the files hold one value, so nothing of them is left out.
    assert_eq!(count(&server, Metric::Glucose).await, 13_866);
    assert_eq!(count(&server, Metric::Systolic).await, 222);
    assert_eq!(count(&server, Metric::Diastolic).await, 222);
    assert_eq!(count(&server, Metric::HeartRate).await, 222 + 13_660);

    cohorts[0].assert_glucose_summaries(&server, &token).await;

    rollups.release().await;
    // The process's own worker may be at it, and keeps others out then.
    eventually("the rollups are up to date", async || {
        rollup::run_once(&server.pool, now()).await.unwrap();
        (dirty(&server).await == 0).then_some(())
    })
    .await;
    for cohort in &cohorts {
        cohort.assert_trends(&server, &token).await;
    }

    for cohort in &cohorts {
        cohort.replay(&server, &folder, 10, Protocol::V5).await;
        cohort.assert_stored(&server).await;
        cohort.assert_judged(&server).await;
    }
    assert_eq!(dirty(&server).await, 0, "a second time changes no trend");
}

async fn dirty(server: &Server) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM rollup_dirty")
        .fetch_one(&server.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_6_a_history_gives_the_same_episodes_in_messages_of_any_size() {
    let Some(folder) = samples() else { return };
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for per_message in [1, 7, 500] {
        let cohorts = [
            Cohort::glucose(&server, &folder, Plan::Strict).await,
            Cohort::pressure(&server, &folder, Plan::Strict).await,
            Cohort::heart_rate(&server, &folder, Plan::Strict).await,
        ];
        for cohort in cohorts {
            cohort.replay(&server, &folder, per_message, Protocol::V5).await;
            cohort.assert_stored(&server).await;
            // The oracle takes the readings one by one, so all sizes give the same.
            let episodes = cohort.assert_judged(&server).await;
            println!("{} by {per_message}: {episodes} episodes", cohort.file);
            assert!(episodes > 20, "{}", cohort.file);
        }
    }
}
