use std::io;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::Error;

/// How long a database may take to answer before it counts as away.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How the URL of a PostgreSQL database begins. The driver would take any.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Connects once, to see whether the database can be used. The pool would try again and again, and not say
/// why in vain; see [`Error::is_refusal`].
pub async fn probe(database_url: &str) -> Result<(), Error> {
    let failed = |source| Error::new("connect to the database", source);
    if !SCHEMES.iter().any(|scheme| database_url.starts_with(scheme)) {
        let wrong = format!("its URL begins with none of {}", SCHEMES.join(", "));
        return Err(failed(sqlx::Error::Configuration(wrong.into())));
    }
    let connected = timeout(ANSWER_WITHIN, PgConnection::connect(database_url)).await;
    let connection = connected
        .unwrap_or_else(|_elapsed| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
        .map_err(failed)?;
    // The database is there, whatever becomes of this connection.
    let _ = connection.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    #[tokio::test]
    async fn a_wrong_address_is_told_from_a_database_that_is_away() {
        let database = TestDatabase::create().await;
        let there = database.url();
        probe(&there).await.unwrap();

        let (server, _name) = there.rsplit_once('/').unwrap();
        for (url, refusal) in [
            (format!("{server}/no_such_database"), true),
            (there.replace("postgres@", "nobody@"), true),
            ("postgres://127.0.0.1:1/homeward".to_owned(), false),
            (
                "postgres://nobody@%2Fno%2Fsuch%2Ffolder/homeward".to_owned(),
                false,
            ),
            ("postgres://127.0.0.1:port/homeward".to_owned(), true),
            ("mysql://127.0.0.1/homeward".to_owned(), true),
        ] {
            let error = probe(&url).await.unwrap_err();
            assert_eq!(error.is_refusal(), refusal, "{url}: {error:?}");
        }
    }
}
