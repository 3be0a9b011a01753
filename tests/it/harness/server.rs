//! The real process, on a database of the test's own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use chrono::{NaiveDate, TimeDelta};
use homeward_alerts::Programme;
use homeward_record::{DeviceId, NhsNumber, PatientId};
use homeward_store::PgPool;
use homeward_store::admin::{self, NewDevice, NewPatient, NewRule};
use homeward_store::testing::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;

use super::device::{Device, now};
use super::{PATIENCE, eventually};

/// The binary under test.
const HOMEWARD: &str = env!("CARGO_BIN_EXE_homeward");

/// The data folder, within the working directory, as it is by default.
const DATA_DIR: &str = ".homeward";

/// A running `homeward serve`. Killed when dropped; what it logged is printed when its test fails.
pub(crate) struct Server {
    pub(crate) mqtt: SocketAddr,
    pub(crate) http: SocketAddr,
    /// Where it takes both with TLS, if it was told to.
    pub(crate) tls: Option<WithTls>,
    /// Straight into the record.
    pub(crate) pool: PgPool,
    database_url: String,
    settings: Vec<(String, String)>,
    /// The working directory, so that no `homeward.toml` of the developer's is read.
    folder: TempDir,
    process: Child,
    log: Arc<Mutex<String>>,
}

/// Where a server listens with TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WithTls {
    pub(crate) mqtt: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Server {
    /// Starts with the default settings.
    pub(crate) async fn start(database: &TestDatabase) -> Server {
        Server::start_with(database, &[]).await
    }

    /// Starts with some settings changed: `("HOMEWARD_LIMITS_WINDOW", "4")`.
    pub(crate) async fn start_with(database: &TestDatabase, settings: &[(&str, &str)]) -> Server {
        Server::start_on(&database.url(), database.pool().clone(), settings).await
    }

    /// Starts on another database, which `pool` leads to as well.
    pub(crate) async fn start_on(database_url: &str, pool: PgPool, settings: &[(&str, &str)]) -> Server {
        Server::start_in(TempDir::new().unwrap(), database_url, |_| pool, settings).await
    }

    /// Starts with a private database server, in its [data folder](Server::data_dir).
    pub(crate) async fn start_private(settings: &[(&str, &str)]) -> Server {
        let folder = TempDir::new().unwrap();
        // The account that runs PostgreSQL in root's place has to reach it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let connect = |folder: &Path| {
            let url = homeward_store::server::url_in(&folder.join(DATA_DIR), "homeward").unwrap();
            homeward_store::connect(&url, 4).unwrap()
        };
        Server::start_in(folder, "", connect, settings).await
    }

    async fn start_in(
        folder: TempDir,
        database_url: &str,
        connect: impl FnOnce(&Path) -> PgPool,
        settings: &[(&str, &str)],
    ) -> Server {
        // An address of its own for each server: its ports, chosen once, are free again after a restart,
        // since nobody else asks for ports of that address.
        let address = format!("{}:0", loopback());
        let mut all = vec![
            ("HOMEWARD_MQTT_LISTEN".to_owned(), address.clone()),
            ("HOMEWARD_HTTP_LISTEN".to_owned(), address),
            ("HOMEWARD_LANES".to_owned(), "2".to_owned()),
            ("HOMEWARD_LOG_FORMAT".to_owned(), "text".to_owned()),
        ];
        for (name, value) in settings {
            all.retain(|(known, _)| known != name);
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        let log = Arc::new(Mutex::new(String::new()));
        let (process, [mqtt, http], tls) = launch(&folder, database_url, &all, &log).await;
        Server {
            mqtt,
            http,
            tls,
            pool: connect(folder.path()),
            database_url: database_url.to_owned(),
            settings: all,
            folder,
            process,
            log,
        }
    }

    /// Starts the process again, at the addresses that it had. It must have ended before.
    pub(crate) async fn start_again(&mut self) {
        assert!(
            self.process.try_wait().unwrap().is_some(),
            "the process still runs"
        );
        for (name, value) in &mut self.settings {
            match name.as_str() {
                "HOMEWARD_MQTT_LISTEN" => *value = self.mqtt.to_string(),
                "HOMEWARD_HTTP_LISTEN" => *value = self.http.to_string(),
                _ => {}
            }
        }
        let (process, _, _) = launch(&self.folder, &self.database_url, &self.settings, &self.log).await;
        self.process = process;
    }

    /// Changes a setting for the next start.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Sends SIGTERM and does not wait.
    pub(crate) fn terminate(&self) {
        let pid = self.process.id().to_string();
        // The shell's own `kill`: no other is sure to be installed.
        let sent = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &pid])
            .status()
            .unwrap();
        assert!(sent.success(), "SIGTERM is sent");
    }

    /// Waits until the process has ended.
    pub(crate) async fn exited(&mut self) -> ExitStatus {
        eventually("the process ends", async || self.process.try_wait().unwrap()).await
    }

    /// Sends SIGTERM and waits until the process has ended.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.exited().await
    }

    /// Sends SIGKILL and waits until the process has ended.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().unwrap();
        self.exited().await;
    }

    /// Where the private server has its data.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join(DATA_DIR)
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What the process has logged so far, over all its starts.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Runs an administration command against the same record and answers what it prints.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "homeward {arguments:?} failed: {told}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that has to fail and answers what it says.
    pub(crate) async fn cli_fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(!output.status.success(), "homeward {arguments:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        output.await.unwrap().unwrap()
    }

    /// A command on the command line, yet to be run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = homeward(&self.folder, &self.database_url, self.settings_of_commands());
        command.args(arguments);
        command
    }

    /// The settings that commands are given: those of a private server, which they may have to start.
    fn settings_of_commands(&self) -> &[(String, String)] {
        match self.database_url.is_empty() {
            true => &self.settings,
            false => &[],
        }
    }

    /// Enrols a device with a patient of its own, who has no care plan.
    pub(crate) async fn enrol(&self, kind: &str) -> Device {
        let patient = self.add_patient(&[]).await;
        self.enrol_for(patient, kind).await
    }

    /// Enrols a device with a patient of its own, whose care plan begins with this programme.
    pub(crate) async fn enrol_on(&self, programme: &str, kind: &str) -> Device {
        let patient = self.add_patient(&[programme]).await;
        self.enrol_for(patient, kind).await
    }

    /// Enrols so many devices with a patient each.
    pub(crate) async fn enrol_many(&self, count: usize, programmes: &[&str]) -> Vec<Device> {
        let patients = self.add_patients(count, programmes).await;
        self.add_devices(&patients, "watch").await
    }

    /// Enrols a device for a patient who is in the record.
    pub(crate) async fn enrol_for(&self, patient: PatientId, kind: &str) -> Device {
        self.add_devices(&[patient], kind).await.remove(0)
    }

    /// Enrols a device for a patient at the command line, with these options.
    pub(crate) async fn enrol_with(&self, patient: PatientId, kind: &str, options: &[&str]) -> Device {
        let number = patient.to_string();
        let add = ["device", "add", "--kind", kind, "--patient", &number];
        let added = self.cli(&[&add[..], options].concat()).await;
        let id = DeviceId(added["device_id"].as_i64().unwrap());
        self.device(id, patient, added["secret"].as_str().unwrap())
    }

    /// Adds a patient on these programmes.
    pub(crate) async fn add_patient(&self, programmes: &[&str]) -> PatientId {
        self.add_patients(1, programmes).await[0]
    }

    async fn add_patients(&self, count: usize, programmes: &[&str]) -> Vec<PatientId> {
        let numbers: Vec<NhsNumber> = (0..count).map(|_| unused_nhs_number()).collect();
        let new: Vec<_> = numbers
            .iter()
            .map(|nhs_number| NewPatient {
                nhs_number,
                name: "A Patient",
                born: NaiveDate::from_ymd_opt(1948, 7, 5).unwrap(),
                organisation: None,
                team: None,
            })
            .collect();
        let mut transaction = self.pool.begin().await.unwrap();
        let patients = admin::add_patients(&mut transaction, &new).await.unwrap();
        for programme in programmes.iter().map(|name| Programme::named(name).unwrap()) {
            let definitions: Vec<_> = programme
                .rules
                .iter()
                .map(|rule| (rule, serde_json::to_value(&rule.definition).unwrap()))
                .collect();
            let rules: Vec<_> = patients
                .iter()
                .flat_map(|patient| {
                    definitions.iter().map(|(rule, definition)| NewRule {
                        patient: *patient,
                        code: &rule.code,
                        programme: &programme.name,
                        definition,
                        always_on: rule.always_on,
                    })
                })
                .collect();
            admin::set_rules(&mut transaction, &rules, "a test", "a test", now())
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
        patients
    }

    /// Enrols a device for each of these patients.
    pub(crate) async fn add_devices(&self, patients: &[PatientId], kind: &str) -> Vec<Device> {
        let secrets: Vec<String> = patients.iter().map(|_| unused_secret()).collect();
        let new: Vec<_> = patients
            .iter()
            .zip(&secrets)
            .map(|(patient, secret)| NewDevice {
                kind,
                secret,
                utc_offset_minutes: 0,
                patient: *patient,
                from: now() - TimeDelta::days(7_000),
            })
            .collect();
        let mut transaction = self.pool.begin().await.unwrap();
        let ids = admin::add_devices(&mut transaction, &new).await.unwrap();
        transaction.commit().await.unwrap();
        let devices = ids.into_iter().zip(patients).zip(&secrets);
        devices
            .map(|((id, patient), secret)| self.device(id, *patient, secret))
            .collect()
    }

    /// A device that was enrolled by other means.
    pub(crate) fn device(&self, id: DeviceId, patient: PatientId, secret: &str) -> Device {
        Device {
            id,
            secret: secret.to_owned(),
            patient,
            broker: self.mqtt,
        }
    }

    /// Adds an API token.
    pub(crate) async fn add_token(&self, name: &str) -> String {
        let token = unused_secret();
        let mut connection = self.pool.acquire().await.unwrap();
        admin::add_token(&mut connection, name, &token).await.unwrap();
        token
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            println!("--- what homeward serve logged ---\n{}---", self.log());
        }
    }
}

/// Starts the process and waits until it is ready. Answers its MQTT and HTTP addresses, without TLS and with.
async fn launch(
    folder: &TempDir,
    database_url: &str,
    settings: &[(String, String)],
    log: &Arc<Mutex<String>>,
) -> (Child, [SocketAddr; 2], Option<WithTls>) {
    let mut command = homeward(folder, database_url, settings);
    command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let stderr = process.stderr.take().unwrap();
    let stdout = process.stdout.take().unwrap();
    collect(stderr, Arc::clone(log));
    let (told, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Once it is ready, nobody listens.
            let _ = told.send(line);
        }
    });

    let ready = tokio::task::spawn_blocking(move || {
        let mut addresses = BTreeMap::new();
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            if let Some((what, address)) = line.split_once(" listening on ") {
                addresses.insert(what.to_owned(), address.parse::<SocketAddr>().unwrap());
            } else if line == "ready" {
                let of = |what| addresses.get(what).copied();
                let tls = of("mqtt with TLS").zip(of("http with TLS"));
                return of("mqtt").zip(of("http")).zip(Some(tls));
            }
        }
        None
    });
    match ready.await.unwrap() {
        Some(((mqtt, http), tls)) => (
            process,
            [mqtt, http],
            tls.map(|(mqtt, http)| WithTls { mqtt, http }),
        ),
        None => {
            let _ = process.kill();
            let _ = process.wait();
            panic!(
                "homeward serve did not become ready; it logged:\n{}",
                log.lock().unwrap()
            );
        }
    }
}

fn homeward(folder: &TempDir, database_url: &str, settings: &[(String, String)]) -> Command {
    let mut command = Command::new(HOMEWARD);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HOMEWARD_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder.path())
        .env("DATABASE_URL", database_url)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    command
}

fn collect(mut stream: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            log.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
}

/// A loopback address that no other server of this machine's tests has.
fn loopback() -> String {
    static USED: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id() % 0x4000;
    let server = USED.fetch_add(1, Ordering::Relaxed) % 254 + 1;
    format!("127.{}.{}.{server}", 1 + process / 256, process % 256)
}

/// NHS numbers that begin with 999 belong to nobody.
fn unused_nhs_number() -> NhsNumber {
    static USED: AtomicU32 = AtomicU32::new(999_000_000);
    loop {
        if let Some(number) = NhsNumber::from_stem(USED.fetch_add(1, Ordering::Relaxed)) {
            return number;
        }
    }
}

fn unused_secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}
