use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, PatientId};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use crate::Error;

/// Takes the gate's lock shared.
const PASS: &str = "SELECT pg_advisory_xact_lock_shared(7462, 1)";

/// What a writer of readings knows of the rest of the record while its transaction lasts: nobody changes it
/// before the transaction ends.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Which process writes readings: the number that [`Gate::take_over`] answered it.
    pub writer: i64,
    /// Counts the changes of devices, assignments and care plans.
    pub version: i64,
    /// Hours before this are rolled up: a reading in one of them marks it as dirty.
    pub rollup_mark: DateTime<Utc>,
}

impl Gate {
    /// Begins a transaction that writes readings.
    pub async fn enter(pool: &PgPool) -> Result<(Transaction<'static, Postgres>, Gate), Error> {
        Gate::begin(pool, format!("BEGIN; {PASS}")).await
    }

    /// Begins a transaction that writes readings, once the one before of the same lane has ended.
    ///
    /// A lane whose connection broke, or whose process was killed, does not know whether its commit is still
    /// on its way; what it reads and writes next must come after that. So a lane's transactions hold a lock
    /// of its own, (7463, lane). It is taken first: who waits for it keeps nobody from the gate.
    pub async fn enter_in_turn(
        pool: &PgPool,
        lane: usize,
    ) -> Result<(Transaction<'static, Postgres>, Gate), Error> {
        let turn = format!("SELECT pg_advisory_xact_lock(7463, {lane})");
        Gate::begin(pool, format!("BEGIN; {turn}; {PASS}")).await
    }

    /// Begins with these statements, in one round trip.
    async fn begin(
        pool: &PgPool,
        statements: String,
    ) -> Result<(Transaction<'static, Postgres>, Gate), Error> {
        let mut transaction = pool
            .begin_with(AssertSqlSafe(statements))
            .await
            .map_err(|source| Error::new("begin a transaction", source))?;
        // A statement of its own: its snapshot must be younger than the lock.
        let gate = sqlx::query_as!(Gate, "SELECT writer, version, rollup_mark FROM gate")
            .fetch_one(&mut *transaction)
            .await
            .map_err(|source| Error::new("read the gate", source))?;
        Ok((transaction, gate))
    }

    /// Makes this process the one that writes readings, once every transaction of the one before has ended.
    /// Rules remember between transactions, so two processes must not judge the same patients: who finds
    /// another writer at the gate has been replaced.
    pub async fn take_over(pool: &PgPool) -> Result<Gate, Error> {
        let gate = async {
            let mut transaction = pool
                .begin_with("BEGIN; SELECT pg_advisory_xact_lock(7462, 1)")
                .await?;
            let gate = sqlx::query_as!(
                Gate,
                "UPDATE gate SET writer = writer + 1 RETURNING writer, version, rollup_mark"
            )
            .fetch_one(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(gate)
        };
        gate.await
            .map_err(|source| Error::new("take over the writing of readings", source))
    }

    /// Holds the gate until the transaction ends: nobody writes readings meanwhile.
    pub async fn hold(connection: &mut PgConnection) -> Result<(), Error> {
        sqlx::query!("SELECT pg_advisory_xact_lock(7462, 1)")
            .execute(connection)
            .await
            .map(drop)
            .map_err(|source| Error::new("hold the gate", source))
    }

    /// The same, and what a writer of readings has to know: for whoever changes devices and plans and writes readings
    /// too.
    pub async fn hold_and_write(connection: &mut PgConnection) -> Result<Gate, Error> {
        Gate::hold(connection).await?;
        // A statement of its own: its snapshot must be younger than the lock.
        sqlx::query_as!(Gate, "SELECT writer, version, rollup_mark FROM gate")
            .fetch_one(connection)
            .await
            .map_err(|source| Error::new("read the gate", source))
    }

    /// The present version, without a lock.
    pub async fn version(connection: &mut PgConnection) -> Result<i64, Error> {
        sqlx::query_scalar!("SELECT version FROM gate")
            .fetch_one(connection)
            .await
            .map_err(|source| Error::new("read the gate's version", source))
    }
}

/// What changed since a version of the gate.
#[derive(Debug, Default)]
pub struct GateChanges {
    /// The version after these changes.
    pub version: i64,
    /// Whether changes may be missing from the lists, so that a cache must forget everything.
    pub everything: bool,
    /// Devices that were revoked or assigned anew.
    pub devices: Vec<DeviceId>,
    /// Patients whose care plan changed.
    pub patients: Vec<PatientId>,
}

impl GateChanges {
    /// The changes after `version`.
    pub async fn since(connection: &mut PgConnection, version: i64) -> Result<GateChanges, Error> {
        let rows = sqlx::query!(
            "SELECT version, device_id, patient_id FROM gate_change WHERE version > $1 ORDER BY version",
            version
        )
        .fetch_all(connection)
        .await
        .map_err(|source| Error::new("read the gate's changes", source))?;

        let latest = rows.last().map_or(version, |row| row.version);
        Ok(GateChanges {
            version: latest,
            // Each version leaves one row, and old rows are pruned: a gap means that some are gone.
            everything: latest - version != i64::try_from(rows.len()).unwrap_or(i64::MAX),
            devices: rows
                .iter()
                .filter_map(|row| row.device_id.map(DeviceId))
                .collect(),
            patients: rows
                .iter()
                .filter_map(|row| row.patient_id.map(PatientId))
                .collect(),
        })
    }
}
