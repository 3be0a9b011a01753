//! The log of reads and changes: who saw or changed whose record, why, when and from where.
//!
//! Each row's hash covers its fields and the hash of the row before it, so that a row that was edited, taken out or
//! put in is found by [`verify`]. Whoever can write to the whole database can also compute all hashes anew: note the
//! head that `verify` answers somewhere else, and compare.

mod refusals;

use std::fmt::Write;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use homeward_record::PatientId;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::Error;

pub use refusals::{Refusal, RefusalFilter, refusals};

/// What is noted of a request.
#[derive(Clone, Debug)]
pub struct AuditEntry<'a> {
    /// What it acts as; `None` where nobody was let in.
    pub held_role: Option<i64>,
    /// Who, by name.
    pub actor: &'a str,
    /// What, by the name of an action.
    pub action: &'a str,
    /// It was answered; else it was refused.
    pub done: bool,
    /// The path.
    pub target: &'a str,
    /// Whose record.
    pub patients: &'a [PatientId],
    /// The reason that was stated.
    pub reason: Option<&'a str>,
    /// From where: an address of the network.
    pub origin: Option<&'a str>,
}

/// Appends to the log, for what the transaction is about; its last statement, since it lets one writer at a time
/// through until the commit. Notes the reason on file for each patient. Answers the number of the row.
pub async fn append(
    connection: &mut PgConnection,
    entry: &AuditEntry<'_>,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"SELECT append_audit($1, $2, $3, $4, $5, $6, $7, $8, $9) AS "sequence!""#,
        entry.held_role,
        entry.actor,
        entry.action,
        if entry.done { "done" } else { "refused" },
        entry.target,
        &entry.patients.iter().map(|patient| patient.0).collect::<Vec<_>>(),
        entry.reason,
        entry.origin,
        now
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("write the log of reads and changes", source))
}

/// The most patients of one row, where there are many: it is some ten kilobytes then.
const MOST_OF_A_ROW: usize = 1_000;

/// Appends to the log what was done to many patients at once, in as many rows as that takes. So no row grows with the
/// record, each patient finds it as everything else, and the chain holds for who was among them.
pub async fn append_for_many(
    connection: &mut PgConnection,
    entry: &AuditEntry<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if entry.patients.is_empty() {
        append(connection, entry, now).await?;
    }
    for patients in entry.patients.chunks(MOST_OF_A_ROW) {
        let part = AuditEntry {
            patients,
            ..entry.clone()
        };
        append(connection, &part, now).await?;
    }
    Ok(())
}

/// A row of the log about one patient.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Its number: a later one was written later.
    pub sequence: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who, by name.
    pub actor: String,
    /// In which role; `None` where nobody was let in.
    pub role: Option<String>,
    /// The name of the role's organisation.
    pub organisation: Option<String>,
    /// What.
    pub action: String,
    /// It was answered; else it was refused.
    pub done: bool,
    /// The reason on file then; `none` where there was none.
    pub basis: String,
    /// The reason that was stated.
    pub reason: Option<String>,
    /// From where.
    pub origin: Option<String>,
}

/// Which rows about a patient to read; what is not given is not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessFilter {
    /// Those before this number.
    pub before: Option<i64>,
    /// Those of a kind.
    pub only: Option<AccessesOnly>,
}

/// A kind of accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessesOnly {
    /// Those of others than the patient.
    Others,
    /// Those for which somebody broke the glass.
    BreakGlass,
    /// Those that were refused.
    Refused,
}

impl AccessesOnly {
    /// The name in queries.
    pub fn as_str(self) -> &'static str {
        match self {
            AccessesOnly::Others => "others",
            AccessesOnly::BreakGlass => "break_glass",
            AccessesOnly::Refused => "refused",
        }
    }
}

/// The rows about a patient, the latest first.
pub async fn accesses(
    connection: &mut PgConnection,
    patient: PatientId,
    filter: AccessFilter,
    limit: i64,
) -> Result<Vec<Access>, Error> {
    sqlx::query_as!(
        Access,
        r#"SELECT sequence, at, actor, role, organisation.name AS "organisation?", action, outcome = 'done' AS "done!",
             bases[array_position(patients, $1)] AS "basis!", reason, origin
         FROM audit_event LEFT JOIN organisation USING (organisation_id)
         WHERE patients @> ARRAY[$1::bigint] AND ($2::bigint IS NULL OR sequence < $2)
             AND CASE $4::text
                 WHEN 'others' THEN bases[array_position(patients, $1)] <> 'self'
                 WHEN 'break_glass' THEN action = 'break_glass' OR bases[array_position(patients, $1)] = 'break_glass'
                 WHEN 'refused' THEN outcome = 'refused'
                 ELSE true
             END
         ORDER BY sequence DESC LIMIT $3"#,
        patient.0,
        filter.before,
        limit,
        filter.only.map(AccessesOnly::as_str)
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read the log of reads and changes", source))
}

/// A row of the log about administration.
#[derive(Clone, Debug, PartialEq)]
pub struct Administered {
    /// Its number: a later one was written later.
    pub sequence: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who, by name.
    pub actor: String,
    /// What, by the name of an action.
    pub action: String,
    /// It was done; else it was refused.
    pub done: bool,
    /// The path, or what the command line names.
    pub target: String,
    /// What was noted of it.
    pub note: Option<String>,
}

/// What was done to accounts, roles, tokens, organisations and rejected messages, the latest first, before a number if
/// one is given. What changed nothing is left out.
pub async fn administration(
    connection: &mut PgConnection,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Administered>, Error> {
    // The list is that of the index. Whoever changes something by a page notes what; the command line does nothing else.
    sqlx::query_as!(
        Administered,
        r#"SELECT sequence, at, actor, action, outcome = 'done' AS "done!", target, reason AS note
           FROM audit_event
           WHERE action IN (
                 'manage_people', 'grant_role', 'manage_organisations', 'manage_tokens', 'replay_rejected',
                 'add_account', 'disable_account', 'enable_account', 'unlock_account', 'reset_password',
                 'link_identity', 'unlink_identity', 'remove_second_factor', 'end_role', 'name_proxy')
             AND (reason IS NOT NULL OR outcome = 'refused' OR held_role_id IS NULL)
             AND ($1::bigint IS NULL OR sequence < $1)
           ORDER BY sequence DESC LIMIT $2"#,
        before,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read the log of administration", source))
}

/// What became of a check of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many rows there are.
    pub rows: i64,
    /// The number and the hash of the last row, in hexadecimal digits: worth noting somewhere else.
    pub head: (i64, String),
    /// What is wrong, the first of it.
    pub fault: Option<String>,
}

/// Reads the whole log and computes every hash anew. `expected` is a head that was noted earlier: the row must be
/// there still, with that hash.
pub async fn verify(connection: &mut PgConnection, expected: Option<(i64, &str)>) -> Result<Verified, Error> {
    let failed = |source| Error::new("read the log of reads and changes", source);
    let (mut sequence, mut hash) = (0, [0_u8; 32].to_vec());
    let mut fault = None;
    let mut met = expected.is_none();
    let mut rows = sqlx::query!(
        "SELECT sequence, at, held_role_id, actor, role, organisation_id, action, outcome, target, patients, bases,
             reason, origin, previous_hash, hash
         FROM audit_event ORDER BY sequence"
    )
    .fetch(&mut *connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let numbers = |numbers: &[i64]| numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" ");
        let fields = [
            Some(row.sequence.to_string()),
            Some(row.at.timestamp_micros().to_string()),
            row.held_role_id.map(|id| id.to_string()),
            Some(row.actor),
            row.role,
            row.organisation_id.map(|id| id.to_string()),
            Some(row.action),
            Some(row.outcome),
            Some(row.target),
            Some(numbers(&row.patients)),
            Some(row.bases.join(" ")),
            row.reason,
            row.origin,
        ];
        let computed = chained(&hash, &fields);
        let wrong = if row.sequence != sequence + 1 {
            Some(format!("row {} is missing", sequence + 1))
        } else if row.previous_hash != hash {
            Some(format!("row {} does not follow the row before it", row.sequence))
        } else if row.hash != computed {
            Some(format!("row {} was changed after it was written", row.sequence))
        } else {
            None
        };
        fault = fault.or(wrong);
        (sequence, hash) = (row.sequence, row.hash);
        if let Some((at, noted)) = expected
            && at == sequence
        {
            met = true;
            if hex(&hash) != noted.to_ascii_lowercase() {
                fault = fault.or(Some(format!("row {at} is not the one that was noted")));
            }
        }
    }
    drop(rows);
    if let Some((at, _)) = expected.filter(|_| !met) {
        fault = fault.or(Some(format!("row {at}, which was noted, is missing")));
    }
    let head = sqlx::query!("SELECT sequence, hash FROM audit_head")
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    if head.sequence > sequence {
        fault = fault.or(Some(format!("row {} is missing", sequence + 1)));
    } else if head.sequence < sequence || head.hash != hash {
        fault = fault.or(Some(format!(
            "row {sequence} is not the one that was written last"
        )));
    }
    Ok(Verified {
        rows: sequence,
        head: (sequence, hex(&hash)),
        fault,
    })
}

/// The hash of a row, as `append_audit` computes it.
fn chained(previous: &[u8], fields: &[Option<String>]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    for field in fields {
        match field {
            Some(text) => hasher.update(format!("{}:{text},", text.len())),
            None => hasher.update("-,"),
        }
    }
    hasher.finalize().to_vec()
}

/// In hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
