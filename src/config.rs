//! Configuration: `homeward.toml`, and the environment above it.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use chrono::TimeDelta;
use homeward_alerts::notify;
use homeward_api::{Allowances, IdentityProvider};
use homeward_front::Files;
use homeward_ingest::Limits;
use homeward_store::server::{Backup, ServerOptions};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use toml::{Table, Value};

/// The file that is read, if it exists, when none is named.
const DEFAULT_FILE: &str = "homeward.toml";

/// How a variable begins that sets a key. The rest is the key in capital letters, after the name of its
/// section if it stands in one: `HOMEWARD_LIMITS_WINDOW`.
const PREFIX: &str = "HOMEWARD_";

/// The sections of the file.
const SECTIONS: [&str; 4] = ["tls", "backup", "limits", "notifications"];

/// Variables that begin like those and set no key: the name of the file, and what tests are told.
const OTHER_VARIABLES: [&str; 2] = ["HOMEWARD_CONFIG", "HOMEWARD_SAMPLES"];
const TEST_VARIABLES: &str = "HOMEWARD_TEST_";

/// The file with the keys of secrets, in the folder of a private server.
const KEY_FILE: &str = "secrets.keys";

/// Each lane holds a connection to the database, and more than a few are no faster.
const MAX_LANES: usize = 64;

/// A century. Longer than any life of a device, and far from the ends of the calendar.
const MAX_RETENTION_DAYS: u32 = 36_525;

/// Everything that can be set. `homeward.example.toml` documents each value.
#[derive(Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) mqtt_listen: SocketAddr,
    pub(crate) http_listen: SocketAddr,
    /// What connects to these two says for whom.
    pub(crate) proxy_protocol: bool,
    pub(crate) device_certificates: bool,
    pub(crate) data_dir: PathBuf,
    /// Without one, the record is in a private server in `data_dir`.
    pub(crate) database_url: Option<String>,
    key_file: Option<PathBuf>,
    #[serde(deserialize_with = "lanes")]
    pub(crate) lanes: usize,
    #[serde(deserialize_with = "retention_days")]
    retention_days: u32,
    pub(crate) requests_per_minute: NonZeroU32,
    strangers_per_minute: NonZeroU32,
    wrong_per_minute: NonZeroU32,
    #[serde(deserialize_with = "positive")]
    stop_within_seconds: u64,
    /// Without one, the command decides.
    pub(crate) log: Option<String>,
    pub(crate) log_format: LogFormat,
    tls: TlsSettings,
    backup: BackupSettings,
    limits: LimitSettings,
    notifications: NotificationSettings,
    identity_providers: Vec<ProviderSettings>,
}

/// Listeners with TLS, beside those without.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(default, deny_unknown_fields)]
struct TlsSettings {
    mqtt_listen: Option<SocketAddr>,
    http_listen: Option<SocketAddr>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    device_authority: Option<PathBuf>,
}

/// A second copy of the private server's data.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(default, deny_unknown_fields)]
struct BackupSettings {
    folder: Option<PathBuf>,
    synchronous: bool,
}

/// Through whom people may sign in.
#[derive(Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(deny_unknown_fields)]
struct ProviderSettings {
    #[serde(deserialize_with = "path_segment")]
    name: String,
    #[serde(deserialize_with = "issuer")]
    issuer: String,
    client_id: String,
    client_secret: Option<String>,
    #[serde(default)]
    acr_values: Vec<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

/// [`Limits`] with units in the names.
#[derive(Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(default, deny_unknown_fields)]
struct LimitSettings {
    #[serde(deserialize_with = "positive")]
    connections: u32,
    #[serde(deserialize_with = "positive")]
    window: u16,
    #[serde(deserialize_with = "positive")]
    messages_per_second: f64,
    #[serde(deserialize_with = "positive")]
    burst: f64,
    #[serde(deserialize_with = "positive")]
    bytes_in_flight: u32,
    #[serde(deserialize_with = "positive")]
    acknowledge_within_seconds: u64,
    #[serde(deserialize_with = "positive")]
    connect_within_seconds: u64,
}

/// Where notifications lead to, and what carries them.
#[derive(Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(default, deny_unknown_fields)]
struct NotificationSettings {
    link_base: String,
    smtp_url: Option<String>,
    from: Option<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mqtt_listen: (Ipv4Addr::LOCALHOST, 1883).into(),
            http_listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            proxy_protocol: false,
            device_certificates: false,
            data_dir: "./.homeward".into(),
            database_url: None,
            key_file: None,
            lanes: 4,
            retention_days: 7_305,
            requests_per_minute: const { NonZeroU32::new(1_200).unwrap() },
            strangers_per_minute: const { NonZeroU32::new(600).unwrap() },
            wrong_per_minute: const { NonZeroU32::new(60).unwrap() },
            stop_within_seconds: 30,
            log: None,
            log_format: LogFormat::Auto,
            tls: TlsSettings::default(),
            backup: BackupSettings::default(),
            limits: LimitSettings::default(),
            notifications: NotificationSettings::default(),
            identity_providers: Vec::new(),
        }
    }
}

impl Default for LimitSettings {
    fn default() -> LimitSettings {
        let limits = Limits::default();
        LimitSettings {
            connections: limits.connections,
            window: limits.window,
            messages_per_second: limits.messages_per_second,
            burst: limits.burst,
            bytes_in_flight: limits.bytes_in_flight,
            acknowledge_within_seconds: limits.acknowledge_within.as_secs(),
            connect_within_seconds: limits.connect_within.as_secs(),
        }
    }
}

impl Default for NotificationSettings {
    fn default() -> NotificationSettings {
        NotificationSettings {
            link_base: "http://127.0.0.1:8080".to_owned(),
            smtp_url: None,
            from: None,
        }
    }
}

impl Settings {
    /// Reads `file`, or `homeward.toml` where that exists, and the environment of this process.
    pub(crate) fn load(file: Option<&Path>) -> Result<Settings> {
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| sets_a_key(name)) else {
                continue;
            };
            let value = value
                .into_string()
                .map_err(|_| anyhow!("{name} is not valid UTF-8"))?;
            variables.push((name.to_owned(), value));
        }
        let content = match file {
            Some(file) => Some(fs::read_to_string(file)),
            None => match fs::read_to_string(DEFAULT_FILE) {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                content => Some(content),
            },
        };
        let file = file.unwrap_or(Path::new(DEFAULT_FILE)).display();
        let content = content
            .transpose()
            .with_context(|| format!("could not read the configuration file {file}"))?;
        Settings::merge(content.as_deref(), variables)
            .with_context(|| format!("the configuration is wrong ({file}, and the environment above it)"))
    }

    /// The settings of a file's content with the variables above them.
    fn merge(content: Option<&str>, variables: Vec<(String, String)>) -> Result<Settings> {
        let content = content.unwrap_or_default();
        // Read as settings first: only so does an error point to its line.
        toml::from_str::<Settings>(content)?;
        let mut table: Table = toml::from_str(content)?;
        for (name, value) in variables {
            // What was left empty, as templates of container settings do, is not set.
            if !value.is_empty() {
                let (section, key, value) = setting(&name, &value)?;
                insert(&mut table, section, key, value);
            }
        }
        Ok(table.try_into::<Settings>()?)
    }

    /// Where MQTT is taken with TLS, and by which files. Devices may have to show certificates there.
    pub(crate) fn mqtt_tls(&self) -> Result<Option<(SocketAddr, Files)>> {
        let authority = self.tls.device_authority.clone();
        match (self.device_certificates, &authority, self.tls.mqtt_listen) {
            (true, None, Some(_)) => {
                bail!("device_certificates needs to know whose: [tls] device_authority is missing")
            }
            (false, Some(_), _) => {
                bail!("[tls] device_authority is of no use without device_certificates = true")
            }
            _ => self.with_tls(self.tls.mqtt_listen, authority),
        }
    }

    /// Where HTTP is taken with TLS, and by which files.
    pub(crate) fn http_tls(&self) -> Result<Option<(SocketAddr, Files)>> {
        self.with_tls(self.tls.http_listen, None)
    }

    fn with_tls(
        &self,
        listen: Option<SocketAddr>,
        client_authority: Option<PathBuf>,
    ) -> Result<Option<(SocketAddr, Files)>> {
        let Some(listen) = listen else { return Ok(None) };
        let (Some(certificate), Some(key)) = (self.tls.certificate.clone(), self.tls.key.clone()) else {
            bail!("[tls] needs both certificate and key");
        };
        let files = Files {
            certificate,
            key,
            client_authority,
        };
        Ok(Some((listen, files)))
    }

    /// The folder of the second copy.
    pub(crate) fn backup_folder(&self) -> Option<&Path> {
        self.backup.folder.as_deref()
    }

    /// How the private server is to run.
    pub(crate) fn server_options(&self) -> ServerOptions {
        let synchronous = self.backup.synchronous;
        let backup = self
            .backup
            .folder
            .clone()
            .map(|folder| Backup { folder, synchronous });
        ServerOptions {
            backup,
            ..ServerOptions::default()
        }
    }

    /// Where the keys of secrets are. Beside a private server they have a place of their own: its folder lasts as long as
    /// the record does.
    pub(crate) fn key_file(&self) -> Option<PathBuf> {
        let beside = || self.database_url.is_none().then(|| self.data_dir.join(KEY_FILE));
        self.key_file.clone().or_else(beside)
    }

    /// How far back the record takes readings.
    pub(crate) fn retention(&self) -> TimeDelta {
        TimeDelta::days(self.retention_days.into())
    }

    /// How long stopping may take before what is left is cut off.
    pub(crate) fn stop_within(&self) -> Duration {
        Duration::from_secs(self.stop_within_seconds)
    }

    /// How often those may ask who have not signed in.
    pub(crate) fn strangers(&self) -> Allowances {
        Allowances {
            requests: self.strangers_per_minute,
            wrong: self.wrong_per_minute,
        }
    }

    /// Where others reach the HTTP interface.
    pub(crate) fn base_url(&self) -> String {
        self.notifications.link_base.trim_end_matches('/').to_owned()
    }

    /// Through whom people may sign in.
    pub(crate) fn identity_providers(&self) -> Vec<IdentityProvider> {
        let provider = |settings: ProviderSettings| IdentityProvider {
            name: settings.name,
            issuer: settings.issuer,
            client_id: settings.client_id,
            client_secret: settings.client_secret,
            acr_values: settings.acr_values,
        };
        self.identity_providers.iter().cloned().map(provider).collect()
    }

    /// How receivers are told of alerts.
    pub(crate) fn notifications(&self) -> notify::Config {
        let NotificationSettings {
            link_base,
            smtp_url,
            from,
        } = self.notifications.clone();
        notify::Config {
            link_base,
            smtp_url,
            from,
        }
    }

    /// What devices may ask of the broker.
    pub(crate) fn limits(&self) -> Limits {
        let limits = &self.limits;
        Limits {
            connections: limits.connections,
            window: limits.window,
            messages_per_second: limits.messages_per_second,
            burst: limits.burst,
            bytes_in_flight: limits.bytes_in_flight,
            acknowledge_within: Duration::from_secs(limits.acknowledge_within_seconds),
            connect_within: Duration::from_secs(limits.connect_within_seconds),
        }
    }
}

/// Whether a variable of the environment is for us.
fn sets_a_key(name: &str) -> bool {
    let other = OTHER_VARIABLES.contains(&name) || name.starts_with(TEST_VARIABLES);
    name == "DATABASE_URL" || (name.starts_with(PREFIX) && !other)
}

/// The section, key and value that a variable sets.
fn setting(name: &str, text: &str) -> Result<(Option<&'static str>, String, Value)> {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase();
    let in_section = |section: &&&str| rest.starts_with(&format!("{section}_"));
    let (section, key) = match SECTIONS.iter().find(in_section) {
        Some(section) => (Some(*section), rest[section.len() + 1..].to_owned()),
        None => (None, rest),
    };

    // The environment has only text. What the key takes says what the text is.
    let number = text.parse().map(Value::Integer).ok();
    let number = number.or_else(|| text.parse().map(Value::Float).ok());
    let truth = text.parse().map(Value::Boolean).ok();
    let mut error = None;
    for value in [Some(Value::String(text.to_owned())), number.or(truth)]
        .into_iter()
        .flatten()
    {
        let mut alone = Table::new();
        insert(&mut alone, section, key.clone(), value.clone());
        match alone.try_into::<Settings>() {
            Ok(_) => return Ok((section, key, value)),
            Err(refusal) => error = Some(refusal),
        }
    }
    match error {
        Some(error) => bail!("{name}: {}", error.to_string().trim_end()),
        None => bail!("{name} sets nothing"),
    }
}

fn insert(table: &mut Table, section: Option<&str>, key: String, value: Value) {
    let Some(section) = section else {
        table.insert(key, value);
        return;
    };
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Some(section) = section.as_table_mut() {
        section.insert(key, value);
    }
}

fn positive<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialOrd,
{
    let value = T::deserialize(deserializer)?;
    if value > T::default() {
        Ok(value)
    } else {
        Err(D::Error::custom("expected a number above zero"))
    }
}

/// A name that stands in paths.
fn path_segment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(D::Error::custom(
            "expected a name of small letters, digits and dashes",
        ));
    }
    Ok(name)
}

/// The URL of an identity provider: what it says decides who is let in, so it comes by TLS, or from this machine.
fn issuer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let url = String::deserialize(deserializer)?;
    let here = |host: &str| {
        let rest = url
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_prefix(host));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    if !url.starts_with("https://") && !["127.0.0.1", "localhost", "[::1]"].into_iter().any(here) {
        return Err(D::Error::custom("expected a URL that begins with https://"));
    }
    Ok(url)
}

fn lanes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    up_to(deserializer, MAX_LANES)
}

fn retention_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    up_to(deserializer, MAX_RETENTION_DAYS)
}

fn up_to<'de, D, T>(deserializer: D, most: T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialOrd + std::fmt::Display,
{
    let value = T::deserialize(deserializer)?;
    if value > T::default() && value <= most {
        Ok(value)
    } else {
        Err(D::Error::custom(format!("expected a number from 1 to {most}")))
    }
}

#[cfg(test)]
mod tests;
