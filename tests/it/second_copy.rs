//! The second copy of a private server's record, when the first is gone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::harness::*;

/// Messages that the device has in flight.
const WINDOW: usize = 40;
/// Acknowledgements before the disk is gone.
const BEFORE_THE_LOSS: usize = 400;

/// Kills the private server as a machine that breaks does.
fn kill_database(server: &Server) {
    let pid_file = server.data_dir().join("postgresql/data/postmaster.pid");
    let content = fs::read_to_string(pid_file).unwrap();
    let pid = content.lines().next().unwrap();
    let killed = std::process::Command::new("sh")
        .args(["-c", "kill -KILL \"$0\"", pid])
        .status()
        .unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_disk_that_it_was_on() {
    let backup = TempDir::new().unwrap();
    fs::set_permissions(backup.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let folder = backup.path().to_str().unwrap();
    let settings = [
        ("HOMEWARD_BACKUP_FOLDER", folder),
        ("HOMEWARD_BACKUP_SYNCHRONOUS", "true"),
    ];
    let mut server = Server::start_private(&settings).await;

    let watch = server.enrol_on("hypertension", "watch").await;
    let mut client = watch.connect_v5().await;
    let (topic, times): (_, Vec<_>) = (
        watch.topic("readings"),
        times().take(2 * BEFORE_THE_LOSS).collect(),
    );
    let (mut sent, mut acknowledged) = (0, BTreeSet::new());
    while acknowledged.len() < BEFORE_THE_LOSS {
        while sent < times.len().min(acknowledged.len() + WINDOW) {
            client
                .publish(&topic, upload(&[heart_rate(times[sent], 72)]))
                .await;
            sent += 1;
        }
        match client.next().await {
            Some(Incoming::PubAck { packet, reason }) => {
                assert_eq!(reason, STORED);
                acknowledged.insert(times[usize::from(packet) - 1]);
            }
            other => panic!("nobody asked for {other:?}"),
        }
    }
    server.kill().await;
    kill_database(&server);
    fs::remove_dir_all(server.data_dir()).unwrap();

    let answer = server.cli(&["restore"]).await;
    assert!(answer["until"].is_string(), "{answer}");
    server.start_again().await;
    let stored: BTreeSet<_> = server
        .readings(&watch)
        .await
        .iter()
        .map(|reading| reading.time)
        .collect();
    let lost = acknowledged.difference(&stored).count();
    assert_eq!(lost, 0, "of {} that were acknowledged", acknowledged.len());
    assert!(server.stop().await.success());

    let refused = server.cli_fails(&["restore"]).await;
    assert!(refused.contains("there is a record in"), "{refused}");
}
