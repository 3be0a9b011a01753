//! The second copy, and what is left of a record when the first is gone.

use std::os::unix::fs::PermissionsExt;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Clock;

use super::super::backup::find;
use super::*;

/// A folder that the server's account may write to.
fn backup_folder() -> TempDir {
    let folder = data_folder();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

fn copied_to(folder: &TempDir, synchronous: bool) -> ServerOptions {
    let backup = Backup {
        folder: folder.path().to_owned(),
        synchronous,
    };
    ServerOptions {
        backup: Some(backup),
        ..QUICK
    }
}

async fn start_with(folder: &TempDir, options: &ServerOptions) -> LocalServer {
    LocalServer::start(folder.path(), options.clone()).await.unwrap()
}

async fn make_copy(server: &LocalServer) {
    let copies = server.copies().unwrap();
    copies.make_if_due(Clock::System.now()).await.unwrap();
}

async fn store_another_row(server: &LocalServer, n: i32) -> DateTime<Utc> {
    let mut connection = connect(server).await;
    sqlx::query("INSERT INTO kept VALUES ($1)")
        .bind(n)
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// The machine's disk is gone, in the middle of everything.
async fn lose(server: LocalServer) {
    let pid = server.folders.postmaster().unwrap();
    kill(pid).await;
    while !server.folders.processes().unwrap().is_empty() {
        sleep(POLL_INTERVAL).await;
    }
    fs::remove_dir_all(&server.folders.data).unwrap();
    abandon(server);
}

async fn bring_back(folder: &TempDir, backup: &TempDir, until: Option<DateTime<Utc>>) -> Restored {
    restore(folder.path(), backup.path(), until, |_| {})
        .await
        .unwrap()
}

fn generations(backup: &TempDir) -> usize {
    fs::read_dir(backup.path()).unwrap().count()
}

#[tokio::test]
async fn what_was_committed_is_in_the_second_copy_when_the_first_is_gone() {
    let (folder, backup) = (data_folder(), backup_folder());
    let options = copied_to(&backup, true);
    let server = start_with(&folder, &options).await;
    store_a_row(&server).await;
    for n in 8..40 {
        store_another_row(&server, n).await;
    }
    lose(server).await;
    let restored = bring_back(&folder, &backup, None).await;
    assert!(restored.until.is_some(), "there was something in the log");
    assert_eq!(restored.unreached, None);

    // It goes on from there, with a second copy of its own.
    let server = start_with(&folder, &options).await;
    assert_eq!(stored_rows(&server).await, (7..40).collect::<Vec<_>>());
    assert_eq!(generations(&backup), 2, "its log does not follow the log before");
    store_another_row(&server, 40).await;
    lose(server).await;
    bring_back(&folder, &backup, None).await;
    let server = start(&folder).await;
    assert_eq!(stored_rows(&server).await, (7..41).collect::<Vec<_>>());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_commit_waits_for_the_second_copy() {
    let (folder, backup) = (data_folder(), backup_folder());
    let mut server = start_with(&folder, &copied_to(&backup, true)).await;
    store_a_row(&server).await;
    let copies = server.copies().unwrap().clone();
    server.backup = None;

    let mut looking = server.connect("postgres").await.unwrap();
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')";
    let mut committing = Box::pin(store_another_row(&server, 8));
    loop {
        tokio::select! {
            _ = &mut committing => panic!("nothing waited for the second copy"),
            waits = query(&mut looking, "look who waits", waits) => {
                if waits.unwrap() {
                    break;
                }
            }
        }
    }
    let _follower = copies.follow().await.unwrap();
    committing.await;
    assert_eq!(copies.state().await.unwrap().behind, Some(0));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_record_is_brought_back_as_it_was_at_a_moment() {
    let (folder, backup) = (data_folder(), backup_folder());
    let server = start_with(&folder, &copied_to(&backup, false)).await;
    store_a_row(&server).await;
    make_copy(&server).await;
    let before_the_mistake = store_another_row(&server, 8).await;
    store_another_row(&server, 9).await;
    server.stop().await.unwrap();

    let refused = restore(folder.path(), backup.path(), None, |_| {}).await;
    assert!(matches!(refused, Err(ServerError::Taken { .. })), "{refused:?}");
    // As a restore leaves it that is killed: the server runs.
    abandon(start(&folder).await);
    fs::write(folder.path().join("postgresql/data/recovery.signal"), "").unwrap();
    bring_back(&folder, &backup, Some(before_the_mistake)).await;
    let server = start(&folder).await;
    assert_eq!(stored_rows(&server).await, [7, 8]);
    server.stop().await.unwrap();

    let long_ago = before_the_mistake - TimeDelta::days(1);
    let other = data_folder();
    let refused = restore(other.path(), backup.path(), Some(long_ago), |_| {}).await;
    assert!(matches!(refused, Err(ServerError::NoCopy { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_second_copy_that_was_away_for_too_long_is_begun_anew() {
    let (folder, backup) = (data_folder(), backup_folder());
    let mut server = start_with(&folder, &copied_to(&backup, false)).await;
    store_a_row(&server).await;
    make_copy(&server).await;
    let copies = server.copies().unwrap().clone();
    server.backup = None;
    let mut administrator = server.connect("postgres").await.unwrap();
    for statement in [
        "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'",
        "SELECT pg_reload_conf()",
        "CREATE TABLE filled (n int)",
    ] {
        execute(&mut administrator, "prepare", statement).await.unwrap();
    }
    let lost = "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE wal_status = 'lost')";
    while !query(&mut administrator, "look for it", lost).await.unwrap() {
        for statement in [
            "INSERT INTO filled VALUES (1)",
            "SELECT pg_switch_wal()",
            "CHECKPOINT",
        ] {
            execute(&mut administrator, "write log", statement).await.unwrap();
        }
    }
    for statement in [
        "ALTER SYSTEM RESET max_slot_wal_keep_size",
        "SELECT pg_reload_conf()",
    ] {
        execute(&mut administrator, "keep log again", statement)
            .await
            .unwrap();
    }
    let _follower = copies.follow().await.unwrap();
    assert_eq!(generations(&backup), 2);
    let unreached = find(backup.path(), None).unwrap().unwrap().unreached;
    assert!(
        unreached.is_some(),
        "what is committed now is out of reach until there is a copy"
    );
    copies.make_if_due(Clock::System.now()).await.unwrap();
    store_another_row(&server, 8).await;
    server.stop().await.unwrap();
    let other = data_folder();
    bring_back(&other, &backup, None).await;
    let server = start(&other).await;
    assert_eq!(stored_rows(&server).await, [7, 8]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_copy_is_made_each_day_and_two_are_kept() {
    let (folder, backup) = (data_folder(), backup_folder());
    let server = start_with(&folder, &copied_to(&backup, false)).await;
    let copies = server.copies().unwrap();
    let newest = || find(backup.path(), None).unwrap().map(|source| source.copy);
    assert_eq!(newest(), None);
    let now = Clock::System.now();
    let mut made = Vec::new();
    for (hours, due) in [(0, true), (23, false), (25, true), (50, true), (51, true)] {
        copies.make_if_due(now + TimeDelta::hours(hours)).await.unwrap();
        let copy = newest().unwrap();
        assert_eq!(made.last() != Some(&copy), due, "after {hours} hours");
        made.push(copy);
    }
    let kept = made
        .iter()
        .filter(|copy| copy.exists())
        .collect::<std::collections::BTreeSet<_>>();
    assert_eq!(kept.len(), 2);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_copy_that_failed_is_not_begun_again_at_once() {
    let (folder, backup) = (data_folder(), backup_folder());
    let server = start_with(&folder, &copied_to(&backup, false)).await;
    let copies = server.copies().unwrap();
    let generation = fs::read_dir(backup.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    // What one leaves that does not become whole.
    let now = Clock::System.now();
    fs::write(generation.join("copy.begun"), "").unwrap();
    copies.make_if_due(now).await.unwrap();
    assert_eq!(find(backup.path(), None).unwrap().map(|source| source.copy), None);

    let marker = fs::File::options()
        .write(true)
        .open(generation.join("copy.begun"))
        .unwrap();
    marker
        .set_modified(std::time::SystemTime::now() - Duration::from_secs(3601))
        .unwrap();
    copies.make_if_due(now).await.unwrap();
    assert!(find(backup.path(), None).unwrap().is_some());
    assert!(!generation.join("copy.begun").exists());
    server.stop().await.unwrap();
}
