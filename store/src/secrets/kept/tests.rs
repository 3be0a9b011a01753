//! Sealing what the record has, anew and in the middle of a death, and giving it up.

use std::fs;
use std::path::Path;

use homeward_record::Clock;

use super::*;
use crate::accounts::{NewAccount, add_account, find_account, offer_second_factor, take_second_factor};
use crate::admin::{NewReceiver, add_receiver};
use crate::testing::TestDatabase;

const SECRET: [u8; 20] = *b"a secret of an owner";
const OFFER: [u8; 20] = *b"one that was offered";
const WEBHOOK: &str = "whsec_of-a-webhook";

/// Accounts with a second factor that have been offered another, and a webhook, sealed with these keys.
async fn furnish(database: &TestDatabase, keys: &Keyring, accounts: usize) {
    let mut connection = database.pool().acquire().await.unwrap();
    let now = Clock::System.now();
    for number in 0..accounts {
        let new = NewAccount {
            sign_in_name: &format!("account.{number}"),
            name: "Mei Ng",
            password_hash: None,
            initial_password_until: None,
        };
        let account = add_account(&mut connection, &new, now).await.unwrap();
        offer_second_factor(&mut connection, keys, account, &SECRET)
            .await
            .unwrap();
        take_second_factor(&mut connection, account, 1, now)
            .await
            .unwrap();
        offer_second_factor(&mut connection, keys, account, &OFFER)
            .await
            .unwrap();
    }
    let new = NewReceiver {
        name: "a webhook",
        role: "team",
        organisation: None,
        secret: Some(WEBHOOK),
        address: "https://hooks.example/",
        lowest_severity: "info",
        hourly_limit: 20,
    };
    add_receiver(&mut connection, keys, &new).await.unwrap();
}

/// Makes sure that every secret opens.
async fn all_open(database: &TestDatabase, keys: &Keyring, accounts: usize) {
    let mut connection = database.pool().acquire().await.unwrap();
    for number in 0..accounts {
        let account = find_account(&mut connection, &format!("account.{number}")).await;
        let account = account.unwrap().unwrap();
        let whose = Whose::SecondFactorOf(account.id);
        assert_eq!(keys.open(whose, &account.second_factor.unwrap()).unwrap(), SECRET);
        assert_eq!(
            keys.open(whose, &account.second_factor_offer.unwrap()).unwrap(),
            OFFER
        );
    }
    let receivers: Vec<(i64, Vec<u8>)> = sqlx::query_as("SELECT receiver_id, secret FROM receiver")
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    for (receiver, sealed) in receivers {
        let secret = keys.open(Whose::WebhookOf(receiver), &sealed).unwrap();
        assert_eq!(secret, WEBHOOK.as_bytes());
    }
}

async fn uses(database: &TestDatabase) -> Vec<(Option<u32>, i64)> {
    let mut connection = database.pool().acquire().await.unwrap();
    let uses = key_uses(&mut connection).await.unwrap();
    uses.into_iter().map(|used| (used.key, used.secrets)).collect()
}

#[tokio::test]
async fn with_a_key_that_is_lost_goes_what_it_has_sealed_and_nobody_gets_in_by_it() {
    let database = TestDatabase::create().await;
    let lost = Keyring::random();
    furnish(&database, &lost, 2).await;
    let now = Clock::System.now();
    let mut connection = database.pool().acquire().await.unwrap();
    let none = forget_key(&mut connection, 2, now).await.unwrap();
    assert_eq!(none, Forgotten::default(), "another key's secrets stay");
    all_open(&database, &lost, 2).await;

    let forgotten = forget_key(&mut connection, 1, now).await.unwrap();
    assert_eq!((forgotten.accounts, forgotten.receivers), (2, 1));
    let account = find_account(&mut connection, "account.0").await.unwrap().unwrap();
    assert!(account.disabled_at.is_some() && account.second_factor.is_none());
    let told: i64 = sqlx::query_scalar("SELECT count(*) FROM receiver WHERE disabled_at IS NULL")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    assert_eq!(told, 0);
    seal_all(database.pool(), &Keyring::random()).await.unwrap();
}

#[tokio::test]
async fn what_was_not_sealed_is_and_what_is_needed_for_it_is_told() {
    let database = TestDatabase::create().await;
    furnish(&database, &Keyring::empty(), 3).await;
    let open = seal_all(database.pool(), &Keyring::empty()).await.unwrap();
    assert_eq!((open.open, open.secrets), (7, 0));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    Keyring::create(&file).unwrap();
    let keys = Keyring::load(&file).unwrap();
    assert_eq!(seal_all(database.pool(), &keys).await.unwrap().secrets, 7);
    assert_eq!(seal_all(database.pool(), &keys).await.unwrap(), Sealed::default());
    assert_eq!(uses(&database).await, [(Some(1), 7)]);
    all_open(&database, &keys, 3).await;

    for (keys, where_it_is) in [
        (
            Keyring::empty(),
            "this configuration, since it names no key file, does not have".to_owned(),
        ),
        (
            Keyring::without(Path::new("lost")),
            "the key file lost does not have".to_owned(),
        ),
    ] {
        let error = seal_all(database.pool(), &keys).await.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            why.contains("7 secrets of the record are sealed with key 1"),
            "{why}"
        );
        assert!(why.contains(&where_it_is), "{why}");
    }
    // The keys of another record have the same numbers.
    let other = folder.path().join("other");
    Keyring::create(&other).unwrap();
    let error = seal_all(database.pool(), &Keyring::load(&other).unwrap())
        .await
        .unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("no secret of the record opens"), "{why}");
}

#[tokio::test]
async fn a_secret_that_was_moved_to_another_account_does_not_open() {
    let database = TestDatabase::create().await;
    let keys = Keyring::random();
    furnish(&database, &keys, 2).await;
    sqlx::query(
            "UPDATE account SET second_factor = (SELECT second_factor FROM account WHERE sign_in_name = 'account.0')
             WHERE sign_in_name = 'account.1'",
        )
        .execute(database.pool())
        .await
        .unwrap();
    let mut connection = database.pool().acquire().await.unwrap();
    let account = find_account(&mut connection, "account.1").await.unwrap().unwrap();
    let whose = Whose::SecondFactorOf(account.id);
    let moved = account.second_factor.unwrap();
    assert!(matches!(keys.open(whose, &moved), Err(SecretError::Broken(_))));
    // Nor is it sealed anew for its new owner, and the others are.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    Keyring::create(&file).unwrap();
    let (_, bits) = keys.current().unwrap();
    let lines = format!("1 {}\n2 {}\n", crate::audit::hex(&bits), "5a".repeat(32));
    fs::write(&file, lines).unwrap();
    let sealed = seal_all(database.pool(), &Keyring::load(&file).unwrap())
        .await
        .unwrap();
    assert_eq!((sealed.secrets, sealed.broken), (4, vec![whose]));
}

#[tokio::test]
async fn whoever_dies_while_keys_are_rotated_loses_nothing() {
    const ACCOUNTS: usize = 5;
    let database = TestDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    Keyring::create(&file).unwrap();
    // Whoever answers requests meanwhile has read the file once.
    let service = Keyring::load(&file).unwrap();
    furnish(&database, &service, ACCOUNTS).await;

    // Dead while the file was written: it is another one.
    fs::write(folder.path().join("keys.0123"), "2 12").unwrap();
    all_open(&database, &Keyring::load(&file).unwrap(), ACCOUNTS).await;
    // Dead with the key in the file and nothing sealed by it.
    assert_eq!(Keyring::add_key(&file).unwrap(), 2);
    let keys = Keyring::load(&file).unwrap();
    all_open(&database, &keys, ACCOUNTS).await;
    // Dead between any two accounts.
    let present = sealed_by(2);
    for last in 1..ACCOUNTS {
        let sealed = &mut Sealed::default();
        let row: (i64, Vec<u8>) = sqlx::query_as(
            "SELECT account_id, second_factor FROM account ORDER BY account_id OFFSET $1 LIMIT 1",
        )
        .bind(i64::try_from(last - 1).unwrap())
        .fetch_one(database.pool())
        .await
        .unwrap();
        let anew = seal_anew(&keys, Whose::SecondFactorOf(row.0), row.1, sealed).unwrap();
        assert!(anew.starts_with(&present));
        sqlx::query("UPDATE account SET second_factor = $2 WHERE account_id = $1")
            .bind(row.0)
            .bind(anew)
            .execute(database.pool())
            .await
            .unwrap();
        all_open(&database, &Keyring::load(&file).unwrap(), ACCOUNTS).await;
        all_open(&database, &service, ACCOUNTS).await;
    }
    // Whoever comes next does the rest.
    seal_all(database.pool(), &keys).await.unwrap();
    assert_eq!(
        uses(&database).await,
        [(Some(2), 2 * i64::try_from(ACCOUNTS).unwrap() + 1)]
    );
    all_open(&database, &service, ACCOUNTS).await;
    // And once more, with an older service at work on the same.
    Keyring::add_key(&file).unwrap();
    seal_all(database.pool(), &Keyring::load(&file).unwrap())
        .await
        .unwrap();
    assert_eq!(seal_all(database.pool(), &service).await.unwrap().secrets, 0);
    all_open(&database, &service, ACCOUNTS).await;
}
