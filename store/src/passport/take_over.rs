//! Writing what a passport carries into the record, as it stood in the other one: nothing is judged, and nobody is told.
//!
//! The caller's transaction holds the gate ([`crate::Gate::hold`]) from its beginning, before anything is written: these
//! functions change devices, plans and episodes, and whoever writes readings must not do so meanwhile.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::fhir::{DEVICE_IDENTIFIER, KeptCorrection};
use homeward_record::{DeviceId, NhsNumber, PatientId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{KeptEpisode, KeptVersion, record_uuid, without_account};
use crate::Error;

/// A passport, or a page of one, that was taken over.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// SHA-256 of the file.
    pub digest: [u8; 32],
    /// The identifier of the document.
    pub document: Option<&'a str>,
    /// Whose it is.
    pub patient: PatientId,
    /// The patient was not in the record before it, or before the document that it continues.
    pub whole: bool,
    /// Who made it, as it says itself.
    pub source: &'a str,
    /// Who takes it over.
    pub by: &'a str,
}

/// By what a file is known again.
pub fn digest_of(file: &[u8]) -> [u8; 32] {
    Sha256::digest(file).into()
}

/// The patient of a file that was taken over before: the file, or another that has the same document in it.
pub async fn earlier_import(
    connection: &mut PgConnection,
    digest: &[u8; 32],
    document: Option<&str>,
) -> Result<Option<PatientId>, Error> {
    let patient = sqlx::query_scalar!(
        "SELECT patient_id FROM passport_import WHERE digest = $1 OR document = $2 LIMIT 1",
        digest,
        document
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up what was taken over", source))?;
    Ok(patient.map(PatientId))
}

/// Whether this document was taken over as the beginning of the whole record of a patient.
pub async fn is_whole(
    connection: &mut PgConnection,
    document: &str,
    patient: PatientId,
) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM passport_import WHERE document = $1 AND patient_id = $2 AND whole) AS "is!""#,
        document,
        patient.0
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("look up what was taken over", source))
}

/// Notes that a file was taken over.
pub async fn note_import(
    connection: &mut PgConnection,
    import: &Import<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO passport_import (digest, document, patient_id, whole, source, imported_at, imported_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &import.digest,
        import.document,
        import.patient.0,
        import.whole,
        import.source,
        now,
        import.by
    )
    .execute(connection)
    .await
    .map(drop)
    .map_err(|source| Error::new("note what was taken over", source))
}

/// The patient who has an NHS number, and the date of birth in the record.
pub async fn patient_with(
    connection: &mut PgConnection,
    nhs_number: &NhsNumber,
) -> Result<Option<(PatientId, NaiveDate)>, Error> {
    let found = sqlx::query!(
        "SELECT patient_id, born FROM patient WHERE nhs_number = $1",
        nhs_number.as_str()
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up the patient with this NHS number", source))?;
    Ok(found.map(|row| (PatientId(row.patient_id), row.born)))
}

/// The device of this record that one of these identifiers means: one of its own, or one that came with a passport.
pub async fn known_device(
    connection: &mut PgConnection,
    identifiers: &[(String, String)],
) -> Result<Option<DeviceId>, Error> {
    let own = record_uuid(connection).await?;
    let of_this_record = identifiers.iter().find_map(|(system, value)| {
        let device = value.strip_prefix(&own)?.strip_prefix('.')?;
        (system == DEVICE_IDENTIFIER).then(|| device.parse::<DeviceId>().ok())?
    });
    let (systems, values): (Vec<String>, Vec<String>) = identifiers.iter().cloned().unzip();
    let device = sqlx::query_scalar!(
        r#"SELECT device_id AS "device_id!" FROM (
               SELECT device_id FROM device WHERE device_id = $3
               UNION ALL
               SELECT device_id FROM device_identifier
                   JOIN UNNEST($1::text[], $2::text[]) AS asked (system, value) USING (system, value)
           ) AS known ORDER BY device_id LIMIT 1"#,
        &systems,
        &values,
        of_this_record.map(|device| device.0)
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up a device", source))?;
    Ok(device.map(DeviceId))
}

/// A device that comes with a passport.
#[derive(Clone, Debug)]
pub struct ImportedDevice<'a> {
    /// By what it is known elsewhere.
    pub identifiers: &'a [(String, String)],
    /// What it is.
    pub kind: &'a str,
    /// How far its clock face is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Of what nobody knows the original: it cannot connect.
    pub secret_hash: [u8; 32],
}

/// Takes over a device that the record does not know.
pub async fn take_over_device(
    connection: &mut PgConnection,
    device: &ImportedDevice<'_>,
) -> Result<DeviceId, Error> {
    let failed = |source| Error::new("take over a device", source);
    let id = sqlx::query_scalar!(
        "INSERT INTO device (kind, secret_hash, utc_offset_minutes, revoked_at) VALUES ($1, $2, $3, $4)
         RETURNING device_id",
        device.kind,
        &device.secret_hash,
        device.utc_offset_minutes,
        device.revoked_at
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let (systems, values): (Vec<String>, Vec<String>) = device.identifiers.iter().cloned().unzip();
    sqlx::query!(
        "INSERT INTO device_identifier (system, value, device_id)
         SELECT system, value, $3 FROM UNNEST($1::text[], $2::text[]) AS new (system, value) ON CONFLICT DO NOTHING",
        &systems,
        &values,
        id
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(DeviceId(id))
}

/// Takes over when a device measured a patient. What the record knows of such a period already stays as it is; answers
/// `false` where it has the device with somebody else then.
pub async fn take_over_use(
    connection: &mut PgConnection,
    device: DeviceId,
    patient: PatientId,
    (from, until): (DateTime<Utc>, Option<DateTime<Utc>>),
) -> Result<bool, Error> {
    let failed = |source| Error::new("take over when a device measured a patient", source);
    let in_the_way = sqlx::query_scalar!(
        "SELECT patient_id FROM device_assignment WHERE device_id = $1 AND valid_during && tstzrange($2, $3)",
        device.0,
        from,
        until
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    if !in_the_way.is_empty() {
        return Ok(in_the_way.iter().all(|other| *other == patient.0));
    }
    sqlx::query!(
        "INSERT INTO device_assignment (device_id, patient_id, valid_during) VALUES ($1, $2, tstzrange($3, $4))",
        device.0,
        patient.0,
        from,
        until
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(true)
}

/// Takes over all versions of the rules of a patient who has none, and answers their numbers.
pub async fn take_over_rules(
    connection: &mut PgConnection,
    patient: PatientId,
    versions: &[KeptVersion],
) -> Result<HashMap<(String, i32), i64>, Error> {
    let rows = sqlx::query!(
        "INSERT INTO care_plan_rule (patient_id, code, version, programme, definition, always_on, author, reason,
             valid_from, valid_until, made_at, removed_by, removal_reason)
         SELECT $1, code, version, programme, definition, always_on, author, reason, valid_from, valid_until, made_at,
             removed_by, removal_reason
         FROM jsonb_to_recordset($2) AS kept (code text, version integer, programme text, definition jsonb,
             always_on boolean, author text, reason text, valid_from timestamptz, valid_until timestamptz,
             made_at timestamptz, removed_by text, removal_reason text)
         ORDER BY code, version
         RETURNING code, version, rule_id",
        patient.0,
        Json(versions) as _
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("take over a care plan", source))?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.code, row.version), row.rule_id))
        .collect())
}

/// Takes over episodes, in their order, with all that happened to them. None of them escalates here, and of none
/// anybody is told.
pub async fn take_over_episodes(
    connection: &mut PgConnection,
    patient: PatientId,
    episodes: &[(i64, &KeptEpisode)],
) -> Result<(), Error> {
    let failed = |source| Error::new("take over episodes", source);
    let rows: Vec<Value> = episodes
        .iter()
        .map(|(rule, episode)| row(*rule, episode))
        .collect();
    let ids = sqlx::query_scalar!(
        r#"
        INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, acknowledged_at, cleared_at,
            met_at, ended_at, withdrawn_at, assigned_to, snoozed_until, escalation,
            onset_at, onset_value, onset_metric, onset_figure, latest_at, latest_value, latest_metric, latest_figure,
            worst_at, worst_value, worst_metric, worst_figure, worst_excess, detail)
        SELECT $1, rule_id, code, severity, status, late, raised_at, acknowledged_at, cleared_at,
            met_at, ended_at, withdrawn_at, assigned_to, snoozed_until, escalation,
            onset_at, onset_value, onset_metric, onset_figure, latest_at, latest_value, latest_metric, latest_figure,
            worst_at, worst_value, worst_metric, worst_figure, worst_excess, detail
        FROM ROWS FROM (jsonb_to_recordset($2) AS (
            rule_id bigint, code text, severity text, status text, late boolean, raised_at timestamptz,
            acknowledged_at timestamptz, cleared_at timestamptz, met_at timestamptz, ended_at timestamptz,
            withdrawn_at timestamptz, assigned_to text, snoozed_until timestamptz, escalation integer,
            onset_at timestamptz, onset_value float8, onset_metric smallint, onset_figure float8,
            latest_at timestamptz, latest_value float8, latest_metric smallint, latest_figure float8,
            worst_at timestamptz, worst_value float8, worst_metric smallint, worst_figure float8,
            worst_excess float8, detail jsonb)) WITH ORDINALITY
        ORDER BY ordinality
        RETURNING episode_id
        "#,
        patient.0,
        Json(rows) as _
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    // Numbers are drawn in the order of the rows.
    let mut happened: Vec<(i64, Value)> = Vec::new();
    for (id, (_, episode)) in ids.iter().zip(episodes) {
        happened.extend(episode.happened.iter().map(|transition| {
            let row = json!({
                "episode_id": id, "kind": transition.kind, "at": transition.at, "actor": transition.actor,
                "detail": transition.detail.clone().map(without_account),
            });
            (transition.number, row)
        }));
    }
    happened.sort_by_key(|(number, _)| *number);
    let happened: Vec<Value> = happened.into_iter().map(|(_, row)| row).collect();
    sqlx::query!(
        "INSERT INTO episode_transition (episode_id, kind, at, actor, detail)
         SELECT episode_id, kind, at, actor, detail
         FROM ROWS FROM (jsonb_to_recordset($1) AS (
             episode_id bigint, kind text, at timestamptz, actor text, detail jsonb)) WITH ORDINALITY
         ORDER BY ordinality",
        Json(happened) as _
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    // A series whose silence is told already is looked at again when it is over.
    sqlx::query!(
        "UPDATE silence_watch SET check_at = 'infinity' WHERE patient_id = $1 AND code IN (
             SELECT code FROM episode WHERE patient_id = $1 AND cleared_at IS NULL)",
        patient.0
    )
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed)
}

/// An episode's columns.
fn row(rule: i64, episode: &KeptEpisode) -> Value {
    let mut row = json!({
        "rule_id": rule,
        "code": episode.code,
        "severity": episode.severity,
        "status": episode.status,
        "late": episode.late,
        "raised_at": episode.raised_at,
        "acknowledged_at": episode.acknowledged_at,
        "cleared_at": episode.cleared_at,
        "met_at": episode.met_at,
        "ended_at": episode.ended_at,
        "withdrawn_at": episode.withdrawn_at,
        "assigned_to": episode.assigned_to,
        "snoozed_until": episode.snoozed_until,
        "escalation": episode.escalation,
        "worst_excess": episode.worst_excess,
        "detail": episode.detail,
    });
    for (name, point) in [
        ("onset", episode.onset),
        ("latest", episode.latest),
        ("worst", episode.worst),
    ] {
        row[format!("{name}_at")] = json!(point.at);
        row[format!("{name}_value")] = json!(point.value);
        row[format!("{name}_metric")] = json!(point.metric.code());
        row[format!("{name}_figure")] = json!(point.figure);
    }
    row
}

/// A correction that is taken over, of a device of this record.
pub type ImportedCorrection<'a> = (DeviceId, &'a KeptCorrection);

/// Takes over who marked readings as entered in error. The readings are marked where they are stored.
pub async fn take_over_corrections(
    connection: &mut PgConnection,
    patient: PatientId,
    corrections: &[ImportedCorrection<'_>],
) -> Result<(), Error> {
    let each = || corrections.iter();
    sqlx::query!(
        "INSERT INTO reading_correction (patient_id, metric, time, device_id, author, reason, at)
         SELECT $1, * FROM UNNEST($2::smallint[], $3::timestamptz[], $4::bigint[], $5::text[], $6::text[],
             $7::timestamptz[])",
        patient.0,
        &each().map(|(_, kept)| kept.metric.code()).collect::<Vec<_>>(),
        &each().map(|(_, kept)| kept.measured_at).collect::<Vec<_>>(),
        &each().map(|(device, _)| device.0).collect::<Vec<_>>(),
        &each().map(|(_, kept)| kept.author.clone()).collect::<Vec<_>>(),
        &each().map(|(_, kept)| kept.reason.clone()).collect::<Vec<_>>(),
        &each().map(|(_, kept)| kept.at).collect::<Vec<_>>()
    )
    .execute(connection)
    .await
    .map(drop)
    .map_err(|source| Error::new("take over corrections", source))
}

/// Marks readings that came marked, without judging anything by that.
pub async fn mark_entered_in_error(
    connection: &mut PgConnection,
    patient: PatientId,
    readings: &[(i16, DateTime<Utc>, DeviceId)],
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE reading SET entered_in_error = true
         FROM UNNEST($2::smallint[], $3::timestamptz[], $4::bigint[]) AS marked (metric, time, device_id)
         WHERE reading.patient_id = $1 AND reading.metric = marked.metric AND reading.time = marked.time
             AND reading.device_id = marked.device_id",
        patient.0,
        &readings.iter().map(|(metric, ..)| *metric).collect::<Vec<_>>(),
        &readings.iter().map(|(_, at, _)| *at).collect::<Vec<_>>(),
        &readings.iter().map(|(.., device)| device.0).collect::<Vec<_>>()
    )
    .execute(connection)
    .await
    .map(drop)
    .map_err(|source| Error::new("mark readings as entered in error", source))
}

/// Has whoever remembers a patient's rules forget them.
pub async fn forget_rules(connection: &mut PgConnection, patient: PatientId) -> Result<(), Error> {
    sqlx::query!("SELECT pass_gate(NULL, $1)", patient.0)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|source| Error::new("tell of what was taken over", source))
}
