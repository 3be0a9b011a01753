//! The service: ingest, API and periodic workers in one process.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use chrono::{DateTime, Utc};
use homeward_alerts::notify::Notifier;
use homeward_alerts::outgoing::Caller;
use homeward_alerts::timers;
use homeward_api::{ApiState, Entered, Entering, Entry, NotEntered, Replayed};
use homeward_front::{Behind, Certificates, Files, Front, Introductions};
use homeward_ingest::{Entrance, Ingest, NotTaken, Outcome, again};
use homeward_record::Clock;
use homeward_store::secrets::Keyring;
use homeward_store::server::Copies;
use homeward_store::{PgPool, retention, rollup};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::database::Database;
use crate::explain::explain;
use crate::keys;
use crate::lifecycle::Lifecycle;
use crate::telemetry;

/// Connections for what ingest looks up, credentials above all, and what it listens to. The lanes have one each.
const INGEST_CONNECTIONS: u32 = 4;

/// Connections of the API's requests. Ingest has its own, so that no flood of questions delays a reading.
const REQUEST_CONNECTIONS: u32 = 16;

/// Connections of the API for what is no request's alone: it listens for alerts, catches streams up, tries rules.
const API_CONNECTIONS: u32 = 6;

/// Connections of the periodic workers: each works alone, most of the time.
const WORKER_CONNECTIONS: u32 = 3;

/// Connections of those who send notifications: one each.
const NOTIFICATION_CONNECTIONS: u32 = 4;

/// How often hours that are over are rolled up.
const ROLLUP_INTERVAL: Duration = Duration::from_secs(60);

/// How often to see what time has brought about: the longest that an escalation or a silence is told late.
const TIMERS_INTERVAL: Duration = Duration::from_secs(5);

/// How often to see whether somebody wants refused messages tried once more: whoever asks waits for it.
const REPLAY_INTERVAL: Duration = Duration::from_secs(1);

/// How often what is older than the retention is removed.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3_600);

/// How often to see whether the record is to be copied once more, and how far the second copy is behind.
const BACKUP_INTERVAL: Duration = Duration::from_secs(60);

/// How often the recorder puts what its histograms received into their buckets. Until then each value takes
/// memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Runs the service until it is told to stop.
pub(crate) async fn run(settings: Settings) -> Result<()> {
    let metrics = telemetry::init_metrics()?;
    let mut lifecycle = Lifecycle::start(settings.stop_within())?;
    let database = Database::for_service(&settings, &lifecycle).await?;
    let outcome = serve(&settings, &database, &mut lifecycle, metrics).await;
    // The last to stop, and whatever happened before. The first error is the one to tell.
    let closed = database.close().await;
    outcome.and(closed)
}

async fn serve(
    settings: &Settings,
    database: &Database,
    lifecycle: &mut Lifecycle,
    metrics: PrometheusHandle,
) -> Result<()> {
    if !database.prepare_patiently(lifecycle).await? {
        return Ok(());
    }
    let mut service = Service::start(settings, database, lifecycle, metrics).await?;
    service.announce_addresses();
    warn_of_open_listeners(settings);
    announce("ready");
    tracing::info!(mqtt = %service.mqtt_address(), http = %service.http_address, "ready");
    let outcome = service.run(database, lifecycle).await;
    let stopped = service.stop(lifecycle).await;
    tracing::info!("stopped");
    outcome.and(stopped)
}

/// Prints a line for whoever started this. That nobody reads it is no reason to stop.
pub(crate) fn announce(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The running service.
pub(crate) struct Service {
    pub(crate) http_address: SocketAddr,
    /// Where it listens with TLS, and for what.
    tls: Vec<(&'static str, SocketAddr)>,
    ingest: Ingest,
    api: CancellationToken,
    workers: CancellationToken,
}

impl Service {
    /// Starts everything. The database must be prepared.
    pub(crate) async fn start(
        settings: &Settings,
        database: &Database,
        lifecycle: &Lifecycle,
        metrics: PrometheusHandle,
    ) -> Result<Service> {
        // What can fail stands before what would have to be stopped again.
        let listener = TcpListener::bind(settings.http_listen).await.with_context(|| {
            format!(
                "could not listen for HTTP on {} (http_listen)",
                settings.http_listen
            )
        })?;
        let http_address = listener.local_addr().context("could not tell the HTTP address")?;
        let mqtt_front = front("mqtt", "mqtt", settings.mqtt_tls()?).await?;
        let http_front = front("http", "http/1.1", settings.http_tls()?).await?;
        let introductions = Introductions::new(settings.proxy_protocol);
        let lanes = u32::try_from(settings.lanes).context("too many lanes")?;
        let api_pools = (
            database.pool_for_requests(REQUEST_CONNECTIONS)?,
            database.pool(API_CONNECTIONS)?,
        );
        let workers_pool = database.pool(WORKER_CONNECTIONS)?;
        let keys = keys::make_ready(settings, &workers_pool).await?;
        let caller = Caller::new()?;
        let notifier = Notifier::new(
            database.pool(NOTIFICATION_CONNECTIONS)?,
            keys.clone(),
            &settings.notifications(),
        )
        .context("receivers of alerts cannot be told (section [notifications])")?;
        let config = homeward_ingest::Config {
            mqtt_listen: settings.mqtt_listen,
            introductions: introductions.clone(),
            device_certificates: settings.device_certificates,
            lanes: settings.lanes,
            retention: settings.retention(),
            limits: settings.limits(),
        };
        let (ingest_pool, lane_pool) = (database.pool(INGEST_CONNECTIONS)?, database.pool(lanes)?);
        let ingest = homeward_ingest::start(config, ingest_pool, lane_pool, Clock::System)
            .await
            .with_context(|| {
                format!(
                    "could not take readings on {} (mqtt_listen)",
                    settings.mqtt_listen
                )
            })?;

        let (api, workers) = (lifecycle.stage(), lifecycle.stage());
        let stopping = lifecycle.soft().clone();
        let with = (keys, caller, metrics.clone());
        let state = api_state(settings, &ingest, api_pools, with, stopping);
        let serve_api = homeward_api::serve((listener, introductions.clone()), state, api.clone());
        lifecycle.spawn("api", api.clone(), async { Ok(serve_api.await?) });
        let behind_mqtt = (ingest.mqtt_address(), settings.limits().connections as usize);
        let fronts = [
            (mqtt_front, behind_mqtt),
            (http_front, (http_address, homeward_api::MAX_CONNECTIONS)),
        ];
        let mut tls = Vec::new();
        for (front, (address, connections)) in fronts {
            let Some((name, front)) = front else { continue };
            tls.push((
                name,
                front.address().context("could not tell an address with TLS")?,
            ));
            let behind = Behind {
                address,
                introductions: introductions.clone(),
                connections,
            };
            // It takes nobody more as soon as the process is to stop; those that there are end with what is behind.
            let stop = lifecycle.soft().clone();
            lifecycle.spawn(name, stop.clone(), async {
                front.run(behind, stop).await;
                Ok(())
            });
        }
        let periodic = Workers {
            lifecycle,
            stop: &workers,
            pool: &workers_pool,
        };
        start_workers(&periodic, settings, ingest.entrance(), metrics);
        if let Some(copies) = database.copies() {
            periodic.start("backup", BACKUP_INTERVAL, move |_, now| {
                back_up(copies.clone(), now)
            });
        }
        let stop = workers.clone();
        lifecycle.spawn("notifications", workers.clone(), async move {
            // What is on its way when it is time to stop is waited for, or it would be sent twice.
            notifier.run(&Clock::System, &stop).await;
            Ok(())
        });
        Ok(Service {
            http_address,
            tls,
            ingest,
            api,
            workers,
        })
    }

    /// Prints where it listens.
    pub(crate) fn announce_addresses(&self) {
        announce(&format!("mqtt listening on {}", self.mqtt_address()));
        announce(&format!("http listening on {}", self.http_address));
        for (name, address) in &self.tls {
            announce(&format!("{name} with TLS listening on {address}"));
        }
    }

    /// Where devices connect.
    pub(crate) fn mqtt_address(&self) -> SocketAddr {
        self.ingest.mqtt_address()
    }

    /// Resolves when the service is to stop; with an error when a part of it died.
    pub(crate) async fn run(&mut self, database: &Database, lifecycle: &mut Lifecycle) -> Result<()> {
        let outcome = tokio::select! {
            outcome = lifecycle.run() => outcome,
            death = database.died() => {
                // Without it nothing can be stored, and so nothing drained.
                lifecycle.cut_off();
                Err(death)
            }
            part = self.ingest.died() => Err(anyhow!("a part of ingest died: {part}")),
        };
        lifecycle.soft().cancel();
        outcome
    }

    /// Stops in the order in which a reading travels, so that what is on its way arrives: ingest takes nothing
    /// more, commits and acknowledges; then the API; then the workers.
    pub(crate) async fn stop(self, lifecycle: &mut Lifecycle) -> Result<()> {
        lifecycle.soft().cancel();
        let drained = lifecycle.or_cut_off(self.ingest.stop()).await;
        self.api.cancel();
        self.workers.cancel();
        lifecycle.finish().await?;
        drained.context("ingest was cut off: devices send again what was not acknowledged")
    }
}

/// What devices and people send over a listener without TLS, anybody on the way can read.
fn warn_of_open_listeners(settings: &Settings) {
    for (key, listens) in [
        ("mqtt_listen", settings.mqtt_listen),
        ("http_listen", settings.http_listen),
    ] {
        if !listens.ip().is_loopback() && !settings.proxy_protocol {
            tracing::warn!(key, %listens, "others can reach a listener that has no TLS: see [tls] and proxy_protocol");
        }
    }
}

/// Listens with TLS, if that is asked for.
async fn front(
    name: &'static str,
    protocol: &'static str,
    asked: Option<(SocketAddr, Files)>,
) -> Result<Option<(&'static str, Front)>> {
    let Some((listen, files)) = asked else {
        return Ok(None);
    };
    let certificates = Certificates::load(files, protocol).context("there can be no TLS (section [tls])")?;
    let front = Front::bind(name, listen, certificates)
        .await
        .with_context(|| format!("could not listen with TLS on {listen} ([tls] {name}_listen)"))?;
    Ok(Some((name, front)))
}

/// What the interface is given: beside the settings its ways to ingest, a pool for requests, and one for what is no
/// request's alone.
fn api_state(
    settings: &Settings,
    ingest: &Ingest,
    (requests, pool): (PgPool, PgPool),
    (keys, caller, metrics): (Keyring, Caller, PrometheusHandle),
    stopping: CancellationToken,
) -> ApiState {
    let (entrance, entrance_again) = (ingest.entrance(), ingest.entrance());
    ApiState {
        enter: Arc::new(move |entry| -> Entering { Box::pin(enter(entrance.clone(), entry)) }),
        replay: Arc::new(move |replayed| -> Entering { Box::pin(replay(entrance_again.clone(), replayed)) }),
        retention: settings.retention(),
        requests,
        pool,
        base_url: settings.base_url(),
        keys,
        identity_providers: settings.identity_providers(),
        caller,
        requests_per_minute: settings.requests_per_minute,
        strangers: settings.strangers(),
        clock: Clock::System,
        ingest_ready: Arc::new(move || match stopping.is_cancelled() {
            true => Err("it is being stopped".to_owned()),
            false => Ok(()),
        }),
        render_metrics: Arc::new(move || metrics.render()),
    }
}

/// Takes a reading that comes over HTTP to ingest.
async fn enter(entrance: Entrance, entry: Entry) -> Result<Entered, NotEntered> {
    let Entry {
        device,
        patient,
        payload,
    } = entry;
    told(entrance.enter(device, patient, payload).await)
}

/// Takes what a device was refused to ingest once more.
async fn replay(entrance: Entrance, replayed: Replayed) -> Result<Entered, NotEntered> {
    let Replayed {
        device,
        topic,
        payload,
        first_received_at,
    } = replayed;
    told(entrance.replay(device, topic, payload, first_received_at).await)
}

/// What ingest says, in the words of the interface.
fn told(outcome: Result<Outcome, NotTaken>) -> Result<Entered, NotEntered> {
    match outcome {
        Ok(outcome) => Ok(Entered {
            stored: outcome.stored,
            stored_earlier: outcome.stored_earlier,
            rejected: outcome.rejected,
        }),
        Err(NotTaken::Busy) => Err(NotEntered::Busy),
        Err(NotTaken::Unknown) => Err(NotEntered::Unknown),
    }
}

fn start_workers(workers: &Workers<'_>, settings: &Settings, entrance: Entrance, metrics: PrometheusHandle) {
    workers.start("rollup", ROLLUP_INTERVAL, |pool, now| async move {
        rollup::run_once(&pool, now).await?;
        Ok(())
    });
    workers.start("timers", TIMERS_INTERVAL, |pool, now| async move {
        timers::run_once(&pool, now).await?;
        Ok(())
    });
    let kept = settings.retention();
    workers.start("retention", RETENTION_INTERVAL, move |pool, now| async move {
        retention::run_once(&pool, now, kept).await?;
        Ok(())
    });
    workers.start("replay", REPLAY_INTERVAL, move |pool, now| {
        let entrance = entrance.clone();
        async move { Ok(again::run_once(&pool, &entrance, now).await?) }
    });
    workers.start("metrics", UPKEEP_INTERVAL, move |_, _| {
        metrics.run_upkeep();
        std::future::ready(Ok(()))
    });
}

/// Sees to it that there is a copy of the record that is not too old, and says how the second copy stands.
async fn back_up(copies: Copies, now: DateTime<Utc>) -> Result<()> {
    let made = copies.make_if_due(now).await;
    let state = copies.state().await?;
    #[expect(clippy::cast_precision_loss, reason = "seconds and bytes, far below 2^52")]
    let or_unknown = |value: Option<i64>| value.map_or(f64::NAN, |value| value as f64);
    let newest = state.newest_copy.map(|at| at.timestamp());
    metrics::gauge!("homeward_backup_newest_copy_seconds").set(or_unknown(newest));
    metrics::gauge!("homeward_backup_behind_bytes").set(or_unknown(state.behind));
    Ok(made?)
}

/// What periodic workers have in common.
struct Workers<'a> {
    lifecycle: &'a Lifecycle,
    stop: &'a CancellationToken,
    pool: &'a PgPool,
}

impl Workers<'_> {
    /// Starts one: every so often it works, on the pool and at the time that it is given.
    fn start<W, F>(&self, name: &'static str, interval: Duration, work: W)
    where
        W: Fn(PgPool, DateTime<Utc>) -> F + Send + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let pool = self.pool.clone();
        let work = move || work(pool.clone(), Clock::System.now());
        let repeated = repeat(name, interval, self.stop.clone(), work);
        self.lifecycle.spawn(name, self.stop.clone(), repeated);
    }
}

/// Does periodic work until `stop`. Work that fails is logged and tried again after the interval; work that
/// is under way when it is time to stop is dropped, and its transaction rolled back: the next run does it.
async fn repeat<W, F>(name: &str, interval: Duration, stop: CancellationToken, mut work: W) -> Result<()>
where
    W: FnMut() -> F,
    F: Future<Output = Result<()>>,
{
    loop {
        let once = async {
            if let Err(error) = work().await {
                let error = explain(&error);
                tracing::warn!(
                    worker = name,
                    error,
                    "periodic work failed; it is tried again later"
                );
            }
            sleep(interval).await;
        };
        tokio::select! {
            () = once => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
