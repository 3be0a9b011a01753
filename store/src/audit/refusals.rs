//! What was refused, to whom and to whose record, also where it was about no patient.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::Error;

/// A row of the log about something that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Its number: a later one was written later.
    pub sequence: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who, by name; `unknown` where nobody was let in.
    pub actor: String,
    /// In which role; `None` where nobody was let in.
    pub role: Option<String>,
    /// The name of the role's organisation.
    pub organisation: Option<String>,
    /// What, by the name of an action.
    pub action: String,
    /// The path.
    pub target: String,
    /// The numbers of the patients whose record it was about.
    pub patients: Vec<i64>,
    /// The reason on file then for each of them; `none` where there was none.
    pub bases: Vec<String>,
    /// What was noted of it.
    pub reason: Option<String>,
    /// From where.
    pub origin: Option<String>,
}

/// Which of them to read; what is not given is not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusalFilter<'a> {
    /// Those before this number.
    pub before: Option<i64>,
    /// Those from this time on.
    pub from: Option<DateTime<Utc>>,
    /// Those until before this time.
    pub until: Option<DateTime<Utc>>,
    /// Those of people whose name has this in it, in small letters or large.
    pub who: Option<&'a str>,
    /// Those about no patient alone.
    pub about_nobody: bool,
}

/// What was refused, the latest first, as far as whoever asks may know of it.
pub async fn refusals(
    connection: &mut PgConnection,
    filter: &RefusalFilter<'_>,
    limit: i64,
) -> Result<Vec<Refusal>, Error> {
    sqlx::query_as!(
        Refusal,
        r#"SELECT sequence, at, actor, role, organisation.name AS "organisation?", action, target,
             patients, bases, reason, origin
           FROM audit_event LEFT JOIN organisation USING (organisation_id)
           WHERE outcome = 'refused' AND ($1::bigint IS NULL OR sequence < $1)
             AND ($2::timestamptz IS NULL OR at >= $2) AND ($3::timestamptz IS NULL OR at < $3)
             AND ($4::text IS NULL OR position(lower($4) IN lower(actor)) > 0)
             AND (NOT $5 OR cardinality(patients) = 0)
           ORDER BY sequence DESC LIMIT $6"#,
        filter.before,
        filter.from,
        filter.until,
        filter.who,
        filter.about_nobody,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read what was refused", source))
}
