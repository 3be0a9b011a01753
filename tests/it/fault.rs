//! The promise, while everything fails: what is acknowledged is in the record, with every episode that it
//! raises, once.
//!
//! Every care programme is in force. Rules of silence are left out of the comparison: a timer raises them, and
//! no reading.

mod audit;
mod database;
mod doubt;
mod fleet;
mod memory;
mod proxy;
mod verdict;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::audit::audit;
pub(crate) use self::database::PrivateDatabase;
use self::fleet::{Fleet, Way};
use self::verdict::{assert_all_happened, assert_fleet_judged, assert_stored_once};
use crate::harness::*;
use crate::history::Acknowledged;

/// How often the process is killed.
const KILLS: usize = 10;
/// How long all of it may take. Far longer than it does.
const DEADLINE: Duration = Duration::from_secs(300);
/// A fault comes up to so long after the acknowledgement for which it waits.
const JITTER_MS: u64 = 40;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    /// The process is killed and started again.
    Kill,
    /// The database is stopped, and the process is killed and started again before the database is there.
    KillWithoutDatabase,
    /// The database crashes under the process.
    DatabaseCrash,
}

/// When each mishap comes: by the number of readings that are acknowledged.
fn mishaps(readings: usize, chance: &mut StdRng) -> Vec<(usize, Mishap)> {
    let mut kinds = vec![Mishap::Kill; KILLS - 1];
    for other in [Mishap::KillWithoutDatabase, Mishap::DatabaseCrash] {
        kinds.insert(chance.random_range(0..=kinds.len()), other);
    }
    let mut moments: Vec<usize> = kinds
        .iter()
        .map(|_| chance.random_range(readings / 100..readings * 9 / 10))
        .collect();
    moments.sort_unstable();
    moments.into_iter().zip(kinds).collect()
}

/// Where chance begins: in `HOMEWARD_TEST_SEED`, or anywhere.
fn seed() -> u64 {
    let seed = std::env::var("HOMEWARD_TEST_SEED").map_or_else(
        |_| rand::random_range(0..1_000_000),
        |seed| seed.parse().expect("HOMEWARD_TEST_SEED is a number"),
    );
    println!("HOMEWARD_TEST_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_10_nothing_acknowledged_is_lost_and_nothing_raised_twice_whatever_is_killed() {
    let seed = seed();
    let mut chance = StdRng::seed_from_u64(seed);
    let mut database = PrivateDatabase::start().await;
    let mut server = database.serve(&[]).await;
    let (acknowledged, now) = (Acknowledged::new(), now());
    let mut fleets = Vec::new();
    for way in [Way::InOrder, Way::Reordered] {
        fleets.push(Fleet::enrol(&server, way, chance.random(), now).await);
    }
    let readings = fleets.iter().map(Fleet::readings).sum();
    let devices: usize = fleets.iter().map(Fleet::devices).sum();
    println!("{readings} readings of {devices} devices");

    let ended = CancellationToken::new();
    let mut auditing = JoinSet::new();
    auditing.spawn(audit(
        server.pool.clone(),
        acknowledged.log.clone(),
        ended.clone(),
    ));
    let mut publishing = JoinSet::new();
    for fleet in &fleets {
        publishing.spawn(fleet.run(&acknowledged));
    }
    let misfortune = async {
        for (moment, mishap) in mishaps(readings, &mut chance) {
            acknowledged.reach(moment).await;
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..JITTER_MS))).await;
            println!("{mishap:?} after {moment} readings");
            befall(&mut server, &mut database, mishap).await;
        }
        publishing.join_all().await
    };
    let counts = tokio::time::timeout(DEADLINE, misfortune)
        .await
        .expect("everything is acknowledged in the end");
    ended.cancel();
    let audit = auditing.join_all().await.remove(0);
    for counts in counts {
        println!("{counts:?}");
        assert_eq!(counts.refused, 0);
    }
    println!("{} looks", audit.looks);
    assert!(audit.looks > 0);

    assert_stored_once(&server, &fleets, &audit.acknowledged).await;
    let mut judged = Vec::new();
    for fleet in &fleets {
        judged.extend(assert_fleet_judged(&server, fleet).await);
    }
    assert_all_happened(&judged);
    assert!(server.stop().await.success());
    database.close().await;
}

async fn befall(server: &mut Server, database: &mut PrivateDatabase, mishap: Mishap) {
    match mishap {
        Mishap::Kill => {
            server.kill().await;
            server.start_again().await;
        }
        Mishap::KillWithoutDatabase => {
            database.stop().await;
            server.kill().await;
            tokio::join!(server.start_again(), database.start_again());
        }
        Mishap::DatabaseCrash => {
            database.crash().await;
            eventually("the process notices", async || {
                let ready = server.get("/readyz", "").await.status.is_success();
                (!ready).then_some(())
            })
            .await;
            database.start_again().await;
        }
    }
}
