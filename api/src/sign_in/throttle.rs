//! How often it may be tried to sign in.
//!
//! Names are counted whether or not anybody has them, so that nothing is learned from being told to wait.

use chrono::TimeDelta;
use homeward_store::accounts::{count_attempt, forgive_attempt};
use homeward_store::audit;
use sqlx::PgConnection;

use super::visit::Visit;
use crate::error::ApiError;
use crate::routes::App;

/// How often with one name within its window: nobody types faster for long.
const WITH_A_NAME: (i32, TimeDelta) = (5, TimeDelta::minutes(1));

/// How many wrong ones from one address within its window: behind the one address of a hospital many people mistype,
/// and a guesser with one address has a hundred guesses of all names together.
const FROM_AN_ADDRESS: (i32, TimeDelta) = (100, TimeDelta::minutes(15));

/// Counts an attempt, and refuses it if there were too many before it. The first that is refused is in the log; those
/// after it would fill it.
pub(super) async fn count(app: &App, visit: &Visit, name: &str) -> Result<(), ApiError> {
    let mut connection = app.connection().await?;
    for (subject, (most, lasts)) in [(of_name(name), WITH_A_NAME), (of_address(visit), FROM_AN_ADDRESS)] {
        let attempts = count_attempt(&mut connection, &subject, lasts, visit.now).await?;
        if attempts.count > most {
            if attempts.count == most + 1 {
                let entry = audit::AuditEntry {
                    done: false,
                    reason: Some("it was tried too often"),
                    ..visit.entry("sign_in", "unknown")
                };
                audit::append(&mut connection, &entry, visit.now).await?;
            }
            let seconds = (attempts.until - visit.now).num_seconds().max(1);
            return Err(ApiError::TooOften { seconds });
        }
    }
    Ok(())
}

/// Takes a counted attempt back, within the transaction that finds that it was a good one.
pub(super) async fn forgive(
    connection: &mut PgConnection,
    visit: &Visit,
    name: &str,
) -> Result<(), ApiError> {
    for subject in [of_name(name), of_address(visit)] {
        forgive_attempt(connection, &subject).await?;
    }
    Ok(())
}

fn of_name(name: &str) -> String {
    format!("name {}", name.trim().to_lowercase())
}

fn of_address(visit: &Visit) -> String {
    match visit.origin {
        Some(origin) => format!("address {}", origin.network()),
        None => "address unknown".to_owned(),
    }
}
