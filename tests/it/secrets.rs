//! Secrets that the record has to know as they are: sealed by a key that is not in it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use homeward_store::PgPool;
use homeward_store::secrets::{Keyring, Whose};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::*;

const ACCOUNTS: i32 = 1_000;

/// The secret of an account's second factor, by SQL.
const SECRET: &str = "substring(sha256(sign_in_name::bytea) FOR 20)";

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

/// A command that knows the key file.
fn command(server: &Server, file: &Path, arguments: &[&str]) -> Command {
    let mut command = server.command(arguments);
    command.env("HOMEWARD_KEY_FILE", file);
    command
}

async fn cli(server: &Server, file: &Path, arguments: &[&str]) -> Value {
    let output = output(command(server, file, arguments)).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "homeward {arguments:?} failed: {told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All that a dump of the database has.
async fn dump(server: &Server, url: &str) -> String {
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int / 10000")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    let mut command = Command::new(PathBuf::from(format!(
        "/usr/lib/postgresql/{version}/bin/pg_dump"
    )));
    let (base, parameters) = url.split_once('?').unwrap_or((url, ""));
    // What sqlx alone understands.
    let known = |pair: &&str| !pair.starts_with("statement-cache-capacity");
    let parameters: Vec<&str> = parameters.split('&').filter(known).collect();
    command.arg(format!("{base}?{}", parameters.join("&")));
    let output = output(command).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Makes sure that each secret opens with the keys of the file, as they are there.
async fn all_open(pool: &PgPool, file: &Path, webhook: (i64, &str)) {
    let keys = Keyring::load(file).unwrap();
    let statement = format!("SELECT account_id, second_factor, {SECRET} FROM account ORDER BY 1");
    let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .fetch_all(pool)
        .await
        .unwrap();
    assert_eq!(rows.len(), usize::try_from(ACCOUNTS).unwrap());
    for (account, sealed, secret) in rows {
        assert_eq!(
            keys.open(Whose::SecondFactorOf(account), &sealed).unwrap(),
            secret
        );
    }
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT secret FROM receiver")
        .fetch_one(pool)
        .await
        .unwrap();
    let (receiver, secret) = webhook;
    assert_eq!(
        keys.open(Whose::WebhookOf(receiver), &sealed).unwrap(),
        secret.as_bytes()
    );
}

#[tokio::test]
async fn a_dump_has_no_secret_and_rotating_keys_may_die_at_any_moment() {
    let database = TestDatabase::create().await;
    let mut server = Server::start(&database).await;
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "WITH added AS (SELECT 'a' || number AS sign_in_name FROM generate_series(1, $1) AS number)
         INSERT INTO account (sign_in_name, name, second_factor, second_factor_since, created_at)
         SELECT sign_in_name, 'Mei Ng', {SECRET}, now(), now() FROM added"
    )))
    .bind(ACCOUNTS)
    .execute(&server.pool)
    .await
    .unwrap();
    let add = [
        "receiver",
        "add",
        "--name",
        "a hook",
        "--role",
        "team",
        "--webhook",
        "https://hooks.example/",
    ];
    let added = server.cli(&add).await;
    let (receiver, webhook) = (
        added["receiver_id"].as_i64().unwrap(),
        added["secret"].as_str().unwrap(),
    );
    let webhook = (receiver, webhook);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let first: String = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "SELECT encode({SECRET}, 'hex') FROM account WHERE sign_in_name = 'a1'"
    )))
    .fetch_one(&server.pool)
    .await
    .unwrap();
    let secrets = [webhook.1.to_owned(), hex(webhook.1), first];
    let told = async || {
        let dump = dump(&server, &database.url()).await;
        assert!(dump.contains("https://hooks.example/"));
        secrets
            .iter()
            .filter(|secret| dump.contains(secret.as_str()))
            .count()
    };
    assert_eq!(told().await, 2, "without a key, a dump has them");

    // With a key file named, the next start seals them.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("homeward.keys");
    server.stop().await;
    server.set("HOMEWARD_KEY_FILE", file.to_str().unwrap());
    server.start_again().await;
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let told = async || {
        let dump = dump(&server, &database.url()).await;
        secrets
            .iter()
            .filter(|secret| dump.contains(secret.as_str()))
            .count()
    };
    assert_eq!(told().await, 0);
    all_open(&server.pool, &file, webhook).await;

    // Whoever rotates is killed later and later, until nobody is killed any more.
    let mut finished = 0;
    for wait in (0..).step_by(20).map(Duration::from_millis) {
        let mut rotating = command(&server, &file, &["key", "rotate"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(wait).await;
        let ended = rotating.try_wait().unwrap();
        let _ = rotating.kill();
        rotating.wait().unwrap();
        all_open(&server.pool, &file, webhook).await;
        finished += usize::from(ended.is_some_and(|ended| ended.success()));
        if finished == 2 {
            break;
        }
    }
    let rotated = cli(&server, &file, &["key", "rotate"]).await;
    let all = i64::from(ACCOUNTS) + 1;
    assert_eq!(
        (&rotated["sealed"], &rotated["broken"]),
        (&json!(all), &json!([]))
    );
    let listed = cli(&server, &file, &["key", "list"]).await;
    assert_eq!(
        listed["sealed_by"],
        json!([{"key": rotated["key"], "secrets": all}])
    );
    all_open(&server.pool, &file, webhook).await;

    // Without the file nothing starts that would need it, and no other takes its place.
    server.stop().await;
    let away = folder.path().join("away");
    std::fs::rename(&file, &away).unwrap();
    for with in [Some(&file), None] {
        let mut command = server.command(&["serve"]);
        command.envs(with.map(|file| ("HOMEWARD_KEY_FILE", file)));
        command
            .env("HOMEWARD_MQTT_LISTEN", "127.0.0.1:0")
            .env("HOMEWARD_HTTP_LISTEN", "127.0.0.1:0");
        let output = output(command).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && told.contains("put the key file back"),
            "{told}"
        );
        assert!(
            told.contains(&format!("{all} secrets of the record are sealed with key")),
            "{told}"
        );
        assert!(!file.exists());
    }
    std::fs::rename(&away, &file).unwrap();
    server.start_again().await;

    // What is not lost is not given up; what is lost for good keeps nobody from starting.
    let key = rotated["key"].to_string();
    let kept = output(command(&server, &file, &["key", "forget", &key])).await;
    assert!(
        String::from_utf8_lossy(&kept.stderr).contains("is in the key file"),
        "{kept:?}"
    );
    server.stop().await;
    std::fs::remove_file(&file).unwrap();
    let forgotten = cli(&server, &file, &["key", "forget", &key]).await;
    assert_eq!(
        forgotten,
        json!({"key": rotated["key"], "accounts_refused": ACCOUNTS, "webhooks_disabled": 1})
    );
    server.start_again().await;
}
