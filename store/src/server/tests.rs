//! The private server, against the installed PostgreSQL.

use tempfile::TempDir;

use super::*;

mod backup;

const QUICK: ServerOptions = ServerOptions {
    fsync: false,
    max_background_workers: 0,
    max_connections: 20,
    backup: None,
};

/// A data folder in /tmp, which the `postgres` user can reach, unlike root's own temporary folder.
fn data_folder() -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("homeward-server-")
        .tempdir_in("/tmp")
        .unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), open).unwrap();
    folder
}

async fn start(folder: &TempDir) -> LocalServer {
    LocalServer::start(folder.path(), QUICK).await.unwrap()
}

async fn connect(server: &LocalServer) -> PgConnection {
    PgConnection::connect(&server.database_url("homeward"))
        .await
        .unwrap()
}

async fn store_a_row(server: &LocalServer) {
    let mut connection = connect(server).await;
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn stored_rows(server: &LocalServer) -> Vec<i32> {
    sqlx::query_scalar("SELECT n FROM kept")
        .fetch_all(&mut connect(server).await)
        .await
        .unwrap()
}

/// What a killed Homeward leaves: the server runs, and nobody holds the folder.
fn abandon(mut server: LocalServer) {
    server.lock = None;
}

async fn kill(pid: u32) {
    let status = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status()
        .await
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_new_folder_gets_a_server_with_timescaledb_that_keeps_what_it_is_given() {
    let folder = data_folder();
    let server = start(&folder).await;
    let (role, superuser, extensions): (String, String, i64) = sqlx::query_as(
        "SELECT current_user::text, current_setting('is_superuser'),
            (SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb')",
    )
    .fetch_one(&mut connect(&server).await)
    .await
    .unwrap();
    assert_eq!(
        (role.as_str(), superuser.as_str(), extensions),
        ("homeward", "off", 1)
    );
    store_a_row(&server).await;
    server.stop().await.unwrap();

    let server = start(&folder).await;
    assert_eq!(stored_rows(&server).await, [7]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn only_the_socket_leads_to_the_server_and_only_by_the_account_of_the_operating_system() {
    let folder = data_folder();
    let server = start(&folder).await;
    let mut administrator = server.connect("postgres").await.unwrap();
    let addresses: String = sqlx::query_scalar("SHOW listen_addresses")
        .fetch_one(&mut administrator)
        .await
        .unwrap();
    assert_eq!(addresses, "");
    let rules: Vec<(String, String)> =
        sqlx::query_as("SELECT type, auth_method FROM pg_hba_file_rules GROUP BY 1, 2")
            .fetch_all(&mut administrator)
            .await
            .unwrap();
    assert_eq!(rules, [("local".to_owned(), "peer".to_owned())]);
    let home = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&server.folders.socket).unwrap());
    assert_eq!(home & 0o077, 0, "the socket's folder is closed to others");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_running_server_is_taken_over_from_a_killed_homeward() {
    let folder = data_folder();
    let server = start(&folder).await;
    let before = server.folders.postmaster();
    store_a_row(&server).await;
    abandon(server);

    let server = start(&folder).await;
    assert!(before.is_some());
    assert_eq!(server.folders.postmaster(), before);
    assert_eq!(stored_rows(&server).await, [7]);
    abandon(server);

    let other = ServerOptions {
        max_connections: 30,
        ..QUICK
    };
    let server = LocalServer::start(folder.path(), other).await.unwrap();
    let connections: String = sqlx::query_scalar("SHOW max_connections")
        .fetch_one(&mut connect(&server).await)
        .await
        .unwrap();
    assert_eq!(connections, "30", "other settings take effect");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_recovers_though_its_process_number_is_another_process_now() {
    let folder = data_folder();
    let server = start(&folder).await;
    store_a_row(&server).await;
    kill(server.folders.postmaster().unwrap()).await;
    // The server's account owns a process with this number, so PostgreSQL alone would not start.
    let mut sleeper = server.account.command(Path::new("sleep"));
    sleeper
        .arg("600")
        .kill_on_drop(true)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut sleeper = sleeper.spawn().unwrap();
    let pid_file = server.folders.data.join("postmaster.pid");
    let content = fs::read_to_string(&pid_file).unwrap();
    let (_, rest) = content.split_once('\n').unwrap();
    fs::write(&pid_file, format!("{}\n{rest}", sleeper.id().unwrap())).unwrap();
    abandon(server);

    let server = start(&folder).await;
    assert_eq!(stored_rows(&server).await, [7]);
    sleeper.kill().await.unwrap();
    server.stop_immediately().await.unwrap();

    let server = start(&folder).await;
    assert_eq!(stored_rows(&server).await, [7]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_has_one_homeward_at_a_time() {
    let folder = data_folder();
    let server = start(&folder).await;
    let second = LocalServer::start(folder.path(), QUICK).await;
    assert!(matches!(second, Err(ServerError::InUse { .. })), "{second:?}");
    assert_eq!(
        url_in(folder.path(), DATABASE),
        Some(server.database_url(DATABASE))
    );
    assert_eq!(url_in(&folder.path().join("elsewhere"), DATABASE), None);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_with_a_long_name_works() {
    let folder = data_folder();
    let deep = folder.path().join("a folder with a ' in its name, ".repeat(5));
    let server = LocalServer::start(&deep, QUICK).await.unwrap();
    connect(&server).await;
    let socket = server.folders.socket.clone();
    server.stop().await.unwrap();
    fs::remove_dir(socket).unwrap();
}

#[tokio::test]
async fn a_folder_that_is_closed_to_others_works_for_root_too() {
    let folder = data_folder();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(folder.path(), closed).unwrap();
    let server = start(&folder).await;
    let home = fs::canonicalize(folder.path().join("postgresql")).unwrap();
    store_a_row(&server).await;
    server.stop().await.unwrap();

    let server = start(&folder).await;
    assert_eq!(stored_rows(&server).await, [7]);
    server.stop().await.unwrap();
    fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn a_failed_start_tells_what_postgresql_says() {
    let folder = data_folder();
    start(&folder).await.stop().await.unwrap();
    fs::write(
        folder.path().join("postgresql/data/postgresql.conf"),
        "work_mem = 'plenty'\n",
    )
    .unwrap();
    let error = LocalServer::start(folder.path(), QUICK).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("could not start PostgreSQL"), "{text}");
    assert!(text.contains("work_mem"), "{text}");
}

#[tokio::test]
async fn a_dropped_server_stops() {
    let folder = data_folder();
    let server = start(&folder).await;
    let data = server.folders.data.clone();
    assert!(server.is_running().unwrap());
    drop(server);
    for _ in 0..100 {
        if !data.join("postmaster.pid").exists() {
            return;
        }
        sleep(POLL_INTERVAL).await;
    }
    panic!("the server still runs");
}
