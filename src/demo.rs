//! The demo: the service with a fleet of simulated devices, in one process that leaves nothing behind.

mod alerts;
mod cohort;
mod folder;
mod people;
pub(crate) mod progress;
mod review;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use chrono::TimeDelta;
use clap::Args;
use homeward_record::{Clock, PatientId};
use homeward_simulators::fleet::{self, FleetConfig, FleetReport};
use homeward_simulators::physiology::DeviceKind;
use homeward_simulators::{Broker, Progress, Protocol, live_plan};
use homeward_store::admin::add_token;
use homeward_store::{PgPool, rollup};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admin::random_secret;
use crate::config::Settings;
use crate::database::Database;
use crate::explain::explain;
use crate::lifecycle::Lifecycle;
use crate::serve::{Service, announce};
use crate::telemetry;

use cohort::Cohort;
use folder::Folder;
use people::User;
use progress::{Bar, grouped, rate};
use review::{Period, delay_text};

/// Readings to a message of the back-fill, and messages that a device has under way. Their product, for all
/// devices, is what still has to be stored when the demo is stopped: a second or two of work.
const READINGS_A_MESSAGE: usize = 100;
const WINDOW: u16 = 2;

/// How long the patients have been enrolled: longer than any past that devices bring.
const ENROLLED_SINCE: TimeDelta = TimeDelta::days(366);

/// How long the devices wait for their last acknowledgements when the demo stops.
const FLEET_DRAIN: Duration = Duration::from_secs(1);

/// The part of the past that has to be answered for the demo to be live. Not all of it, since there are always
/// a few messages under way.
const CAUGHT_UP: f64 = 0.999;

/// Alerts that wait to be printed.
const LINES: usize = 256;

/// Connections for enrolment, for following alerts (a listener and a reader), and for what they came to.
const CONNECTIONS: u32 = 3;

/// How often the record is asked whether the last of the past is judged, and rolled up, once nearly all is, and how many
/// times.
const SETTLING: Duration = Duration::from_millis(500);
const SETTLING_TIMES: u32 = 20;

/// So many hours of series that readings came late for are more than devices that are a little late make.
const MANY_LATE: i64 = 100;

/// Live alerts after which the demo says how long they took.
const ENOUGH_ALERTS: i64 = 10;

/// What kind of demo.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many simulated patients
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=3000))]
    patients: u16,
    /// How many days of readings the devices bring from the past
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(0..=365))]
    days: u16,
    /// Keep the record in this folder, and use the patients who are in it from an earlier demo. Without it, the
    /// record is in a temporary folder, which is removed at the end
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Stop when the past is stored, and fail if its alerts are too many or too few, or missed what happened
    #[arg(long)]
    exit_after_backfill: bool,
    /// Stop after so many seconds of live readings
    #[arg(long, value_name = "N", conflicts_with = "exit_after_backfill")]
    live_seconds: Option<u64>,
}

/// Runs the demo until it is told to stop.
pub(crate) async fn run(mut settings: Settings, options: Options) -> Result<()> {
    let metrics = telemetry::init_metrics()?;
    let mut lifecycle = Lifecycle::start(settings.stop_within())?;
    let folder = Folder::open(options.data_dir.clone()).await?;
    // Simulated patients never go into a record that is kept elsewhere.
    settings.database_url = None;
    settings.data_dir = folder.path().to_owned();

    announce("Starting a private database …");
    let outcome = match Database::for_service(&settings, &lifecycle).await {
        Ok(database) => {
            let outcome = Demo::run(&settings, &options, &database, &mut lifecycle, metrics).await;
            let closed = match &folder {
                Folder::Kept(_) => database.close().await,
                Folder::Temporary(_) => database.discard().await,
            };
            outcome.and(closed)
        }
        Err(error) => Err(error),
    };
    outcome.and(folder.close())
}

/// A demo that runs.
struct Demo {
    service: Service,
    /// How far the back-fill is.
    progress: watch::Receiver<Option<Progress>>,
    /// What came of the fleet, when it has ended.
    report: oneshot::Receiver<Result<FleetReport>>,
    /// Lines of live alerts.
    alerts: mpsc::Receiver<String>,
    /// The past that the devices bring.
    period: Period,
    /// The record, for what alerts came to.
    pool: PgPool,
    /// Stops the fleet.
    fleet: CancellationToken,
    /// Stops whatever else the demo runs.
    rest: CancellationToken,
}

impl Demo {
    async fn run(
        settings: &Settings,
        options: &Options,
        database: &Database,
        lifecycle: &mut Lifecycle,
        metrics: PrometheusHandle,
    ) -> Result<()> {
        if !database.prepare_patiently(lifecycle).await? {
            return Ok(());
        }
        let pool = database.pool(CONNECTIONS)?;
        let cohort = enrolled(settings, options, &pool).await?;
        let token = format!("hw_{}", random_secret());
        add_token(&mut *pool.acquire().await?, "demo", &token).await?;
        let first = cohort.patients.first().context("the demo has no patients")?;
        let people = people::let_in(&pool, PatientId(i64::try_from(*first)?)).await?;

        let service = Service::start(settings, database, lifecycle, metrics).await?;
        service.announce_addresses();
        announce(&guide(service.http_address, &people, &token, &cohort));

        let (fleet, rest) = (lifecycle.stage(), lifecycle.stage());
        let (sender, alerts) = mpsc::channel(LINES);
        lifecycle.spawn(
            "alerts of the demo",
            rest.clone(),
            alerts::follow(pool.clone(), sender, rest.clone()),
        );
        let (patients, scripted) = (cohort.patients.clone(), cohort.fresh);
        let config = fleet_config(options, service.mqtt_address(), cohort);
        let period = Period {
            from: config.from,
            to: config.to,
            patients,
            scripted,
        };
        let (progress, report) = start_fleet(config, lifecycle, &fleet);
        let mut demo = Demo {
            service,
            progress,
            report,
            alerts,
            period,
            pool,
            fleet,
            rest,
        };
        let outcome = demo.watch(options, database, lifecycle).await;
        if !options.exit_after_backfill && outcome.is_ok() {
            let (count, median) = demo.period.delay(&demo.pool).await?;
            announce(&delay_text(count, median));
        }
        let stopped = demo.stop(lifecycle).await;
        outcome.and(stopped)
    }

    /// Shows what happens until the demo is to stop.
    async fn watch(
        &mut self,
        options: &Options,
        database: &Database,
        lifecycle: &mut Lifecycle,
    ) -> Result<()> {
        let mut bar = Bar::new();
        let mut live = false;
        let mut told_delay = false;
        let mut end = None;
        loop {
            tokio::select! {
                outcome = self.service.run(database, lifecycle) => {
                    bar.clear();
                    return outcome;
                }
                Some(line) = self.alerts.recv() => {
                    bar.clear();
                    announce(&line);
                    if live && !told_delay {
                        told_delay = self.tell_delay().await?;
                    }
                }
                Ok(()) = self.progress.changed(), if !live => {
                    let Some(progress) = self.progress.borrow_and_update().clone() else { continue };
                    bar.show(&progress);
                    if progress.live && progress.done >= CAUGHT_UP {
                        live = true;
                        bar.clear();
                        announce(&summary(&progress, bar.elapsed()));
                        self.tell_review().await?;
                        tokio::select! {
                            rolled_up = roll_up(&self.pool) => rolled_up?,
                            outcome = self.service.run(database, lifecycle) => return outcome,
                        }
                        announce("ready");
                        announce("Live now: each alert is a line here. Ctrl-C stops everything.");
                        end = options.live_seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
                    }
                }
                report = &mut self.report => {
                    bar.clear();
                    let report = report.context("the simulated devices are gone")??;
                    ended(&report, self.progress.borrow().as_ref(), bar.elapsed())?;
                    let review = self.period.review(&self.pool).await?;
                    announce(&review.text());
                    return review.check();
                }
                () = at(end) => return Ok(()),
            }
        }
    }

    /// Says what the alerts of the past came to. Some messages may still be under way, so it asks again while
    /// something has not been caught yet.
    async fn tell_review(&self) -> Result<()> {
        let mut review = self.period.review(&self.pool).await?;
        for _ in 0..SETTLING_TIMES {
            if review.all_caught() {
                break;
            }
            tokio::time::sleep(SETTLING).await;
            review = self.period.review(&self.pool).await?;
        }
        announce(&review.text());
        Ok(())
    }

    /// Says how long live alerts took, once there are enough.
    async fn tell_delay(&self) -> Result<bool> {
        let (count, median) = self.period.delay(&self.pool).await?;
        let enough = count >= ENOUGH_ALERTS;
        if enough {
            announce(&delay_text(count, median));
        }
        Ok(enough)
    }

    /// Stops the devices first, so that none sees its broker go.
    async fn stop(self, lifecycle: &mut Lifecycle) -> Result<()> {
        announce("Stopping …");
        lifecycle.soft().cancel();
        self.fleet.cancel();
        let Demo {
            report,
            rest,
            service,
            ..
        } = self;
        // Nothing comes of the report any more; it says that the last acknowledgements are in.
        if !report.is_terminated() {
            let _ = lifecycle.or_cut_off(report).await;
        }
        rest.cancel();
        service.stop(lifecycle).await
    }
}

/// The patients of the data folder, enrolled if there are none.
async fn enrolled(settings: &Settings, options: &Options, pool: &PgPool) -> Result<Cohort> {
    if let Some(cohort) = Cohort::load(&settings.data_dir)? {
        announce(&format!(
            "{} simulated patients with {} devices are in {}.",
            grouped(cohort.patients.len() as u64),
            grouped(cohort.fleet.len() as u64),
            settings.data_dir.display()
        ));
        return Ok(cohort);
    }
    let (now, begun) = (Clock::System.now(), Instant::now());
    let since = now - ENROLLED_SINCE;
    let patients = usize::from(options.patients);
    let cohort = Cohort::enrol(pool, patients, since, now, &settings.data_dir).await?;
    announce(&format!(
        "Enrolled {} simulated patients with {} devices in {:.1} s.",
        grouped(cohort.patients.len() as u64),
        grouped(cohort.fleet.len() as u64),
        begun.elapsed().as_secs_f64()
    ));
    Ok(cohort)
}

fn fleet_config(options: &Options, mqtt: SocketAddr, cohort: Cohort) -> FleetConfig {
    let host = match mqtt.ip() {
        // Where it listens everywhere, it listens here.
        ip if ip.is_unspecified() => "localhost".to_owned(),
        ip => ip.to_string(),
    };
    let broker = Broker {
        host,
        port: mqtt.port(),
        protocol: Protocol::V5,
    };
    let now = Clock::System.now();
    let from = now - TimeDelta::days(options.days.into());
    let mut config = FleetConfig::new(broker, cohort.fleet, from, now).with_cohort(&cohort.patients);
    if !cohort.fresh {
        // Their past is in the record, and what happened in it stays as it was.
        config.scripts.clear();
    }
    config.per_message = READINGS_A_MESSAGE;
    config.live = !options.exit_after_backfill;
    config.uplink.window = WINDOW;
    config.uplink.drain = FLEET_DRAIN;
    if config.live {
        let live = live_plan(&config.enrolments, &config.scripts);
        config.scripts.extend(live);
    }
    config
}

type Fleet = (
    watch::Receiver<Option<Progress>>,
    oneshot::Receiver<Result<FleetReport>>,
);

/// Runs the devices in a task that, whatever becomes of them, lasts until it is told to stop.
fn start_fleet(config: FleetConfig, lifecycle: &Lifecycle, stop: &CancellationToken) -> Fleet {
    let (tell, progress) = watch::channel(None);
    let (tell_report, report) = oneshot::channel();
    let stop = stop.clone();
    lifecycle.spawn("simulated devices", stop.clone(), async move {
        let ran = fleet::run(config, stop.clone(), |progress| drop(tell.send(Some(progress)))).await;
        // Whoever waited for it may be gone.
        let _ = tell_report.send(ran);
        stop.cancelled().await;
        Ok(())
    });
    (progress, report)
}

/// Rolls up what the devices brought, so that lists of patients tell of all of it. The service's own worker may be at it,
/// and a writer of readings may hold it up, so it tries again.
async fn roll_up(pool: &PgPool) -> Result<()> {
    for _ in 0..SETTLING_TIMES {
        if let Err(error) = rollup::run_once(pool, Clock::System.now()).await {
            let error = explain(&error.into());
            tracing::warn!(error, "the past is not rolled up yet; it is tried again");
        }
        let late = rollup::late_hours(&mut *pool.acquire().await?, MANY_LATE).await?;
        if late < MANY_LATE {
            break;
        }
        tokio::time::sleep(SETTLING).await;
    }
    Ok(())
}

/// What to say of a fleet that has ended by itself.
fn ended(report: &FleetReport, progress: Option<&Progress>, elapsed: Duration) -> Result<()> {
    if let Some((device, why)) = report.failed.first() {
        let failed = report.failed.len();
        bail!("{failed} simulated devices gave up; the first, {device}, because {why}");
    }
    let progress = progress.ok_or_else(|| anyhow!("the simulated devices did nothing"))?;
    announce(&summary(progress, elapsed));
    Ok(())
}

fn summary(progress: &Progress, elapsed: Duration) -> String {
    let readings = progress.counts.readings;
    format!(
        "Stored and judged {} readings of the past in {:.1} s: {} a second.",
        grouped(readings),
        elapsed.as_secs_f64(),
        grouped(rate(readings, elapsed))
    )
}

/// Resolves at a time, if there is one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Where to look.
fn guide(http: SocketAddr, people: &[User], token: &str, cohort: &Cohort) -> String {
    let patient_with = |kinds: &[DeviceKind]| {
        let with = |kind| {
            cohort
                .fleet
                .iter()
                .filter(move |device| device.kind == kind)
                .map(|device| device.patient)
        };
        let sets: Vec<BTreeSet<u64>> = kinds.iter().map(|kind| with(*kind).collect()).collect();
        let all = |patient: &&u64| sets.iter().all(|set| set.contains(patient));
        sets.first().and_then(|first| first.iter().find(all).copied())
    };
    let mut trends = Vec::new();
    for (kinds, trend) in [
        (&[DeviceKind::Cuff, DeviceKind::Smartwatch], "blood_pressure"),
        (&[DeviceKind::Cgm, DeviceKind::Smartwatch], "glucose"),
    ] {
        if let Some(patient) = patient_with(kinds) {
            trends.push(format!(
                "  the {} of a patient, day by day\n    curl -H \"$AUTH\" \"$API/patients/{patient}/trends/{trend}?bucket=1d\"\n",
                trend.replace('_', " ")
            ));
        }
    }
    let sign_in = |person: &User| {
        let User {
            sign_in_name,
            password,
            role,
        } = person;
        format!("  {sign_in_name:<8}{password}   {role}\n")
    };
    let sign_ins: String = people.iter().map(sign_in).collect();
    format!(
        "
Where to look: http://{http}, once the past is there (\"ready\"), signed in with name and password as
{sign_ins}
From another terminal:
    export API=http://{http}/api/v1 AUTH='Authorization: Bearer {token}'
  alerts
    curl -H \"$AUTH\" \"$API/alerts\"
  alerts as they happen
    curl -N -H \"$AUTH\" \"$API/alerts/stream\"
{}  metrics and health
    curl http://{http}/metrics http://{http}/readyz
",
        trends.concat()
    )
}
