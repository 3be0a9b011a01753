//! What a patient passport carries exactly: reading it out of the record, and writing it into another.

mod take_over;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::{DeviceId, EpisodeId, Metric, PatientId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;

use crate::Error;
use crate::alerts::{transitions_of_each, unknown};

pub use take_over::{
    Import, ImportedCorrection, ImportedDevice, digest_of, earlier_import, forget_rules, is_whole,
    known_device, mark_entered_in_error, note_import, patient_with, take_over_corrections, take_over_device,
    take_over_episodes, take_over_rules, take_over_use,
};

/// The UUID by which other records know this one.
pub async fn record_uuid(connection: &mut PgConnection) -> Result<String, Error> {
    sqlx::query_scalar!(r#"SELECT record_uuid()::text AS "uuid!""#)
        .fetch_one(connection)
        .await
        .map_err(|source| Error::new("read the record's identity", source))
}

/// Who made the passport with which a device of a patient came, if it came with one.
pub async fn source_of(
    connection: &mut PgConnection,
    patient: PatientId,
    device: DeviceId,
) -> Result<Option<String>, Error> {
    sqlx::query_scalar!(
        "SELECT source FROM passport_import
         WHERE patient_id = $1 AND EXISTS (SELECT FROM device_identifier WHERE device_id = $2)
         ORDER BY imported_at LIMIT 1",
        patient.0,
        device.0
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up what was taken over", source))
}

/// A device that measures a patient, or has, with what it takes to know it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedDevice {
    /// Which.
    pub id: DeviceId,
    /// How far its clock face is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// Identifiers that it has elsewhere: systems and values.
    pub identifiers: Vec<(String, String)>,
    /// When it measured the patient: beginnings and ends.
    pub uses: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
}

/// The devices that measure a patient, or ever have, by their numbers.
pub async fn used_devices(
    connection: &mut PgConnection,
    patient: PatientId,
) -> Result<Vec<UsedDevice>, Error> {
    let failed = |source| Error::new("read the devices of a patient", source);
    let rows = sqlx::query!(
        r#"SELECT device_id, utc_offset_minutes, lower(valid_during) AS "from!", upper(valid_during) AS until
           FROM device_assignment JOIN device USING (device_id)
           WHERE patient_id = $1 ORDER BY device_id, valid_during"#,
        patient.0
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let mut devices: Vec<UsedDevice> = Vec::new();
    for row in rows {
        let id = DeviceId(row.device_id);
        if devices.last().is_none_or(|last| last.id != id) {
            devices.push(UsedDevice {
                id,
                utc_offset_minutes: row.utc_offset_minutes,
                identifiers: Vec::new(),
                uses: Vec::new(),
            });
        }
        let last = devices.last_mut().expect("just made sure");
        last.uses.push((row.from, row.until));
    }
    let ids: Vec<i64> = devices.iter().map(|device| device.id.0).collect();
    let rows = sqlx::query!(
        "SELECT device_id, system, value FROM device_identifier WHERE device_id = ANY ($1) ORDER BY system, value",
        &ids
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    for row in rows {
        let device = devices.iter_mut().find(|device| device.id.0 == row.device_id);
        device
            .into_iter()
            .for_each(|device| device.identifiers.push((row.system.clone(), row.value.clone())));
    }
    Ok(devices)
}

/// About how many readings there are of each day of UTC, the earliest first; those of the last hours are not counted yet,
/// and of steps, of which rollups hold those of one device, three times as many are taken for all.
pub async fn readings_of_days(
    connection: &mut PgConnection,
    patient: PatientId,
) -> Result<Vec<(NaiveDate, i64)>, Error> {
    let rows = sqlx::query!(
        r#"SELECT bucket AS "bucket!", sum(CASE metric WHEN $2 THEN 3 * n ELSE n END)::bigint AS "n!" FROM reading_daily
           WHERE patient_id = $1 GROUP BY bucket ORDER BY bucket"#,
        patient.0,
        Metric::Steps.code()
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("count the readings of a patient", source))?;
    Ok(rows
        .into_iter()
        .map(|row| (row.bucket.date_naive(), row.n))
        .collect())
}

/// A version of a rule as the record has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptVersion {
    /// Its number in the record that made the passport.
    pub id: i64,
    /// Names the rule.
    pub code: String,
    /// Its number among the versions of the rule.
    pub version: i32,
    /// The programme from which it was taken; empty for one that was made for the patient.
    pub programme: String,
    /// What it says.
    pub definition: Value,
    /// The plan may not leave it out.
    pub always_on: bool,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// From when on it is in force.
    pub valid_from: DateTime<Utc>,
    /// Until when.
    pub valid_until: Option<DateTime<Utc>>,
    /// When it was made.
    pub made_at: Option<DateTime<Utc>>,
    /// Who took the rule out of the plan, where that ended it.
    pub removed_by: Option<String>,
    /// Why.
    pub removal_reason: Option<String>,
}

/// All versions of the rules of a patient's plan, by code and number.
pub async fn kept_versions(
    connection: &mut PgConnection,
    patient: PatientId,
) -> Result<Vec<KeptVersion>, Error> {
    sqlx::query_as!(
        KeptVersion,
        "SELECT rule_id AS id, code, version, programme, definition, always_on, author, reason, valid_from, valid_until, made_at,
             removed_by, removal_reason
         FROM care_plan_rule WHERE patient_id = $1 ORDER BY code, version",
        patient.0
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read a care plan", source))
}

/// What the rules of a patient remember, if they do: JSON that only its writer reads.
pub async fn kept_memory(connection: &mut PgConnection, patient: PatientId) -> Result<Option<String>, Error> {
    sqlx::query_scalar!("SELECT state FROM plan_state WHERE patient_id = $1", patient.0)
        .fetch_optional(connection)
        .await
        .map_err(|source| Error::new("read what rules remember", source))
}

/// An episode as the record has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptEpisode {
    /// Names the rule.
    pub code: String,
    /// The number of the rule's version that raised it.
    pub version: i32,
    /// `high`, `medium`, `low` or `info`.
    pub severity: String,
    /// `raised`, `acknowledged`, `cleared` or `closed`.
    pub status: String,
    /// None of its readings has arrived on time.
    pub late: bool,
    /// When it was recorded.
    pub raised_at: DateTime<Utc>,
    /// When it was taken up.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// When its end was recorded.
    pub cleared_at: Option<DateTime<Utc>>,
    /// When the readings were measured by which its condition came to hold.
    pub met_at: Option<DateTime<Utc>>,
    /// When the reading was measured that ended it.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it turned out to rest on nothing.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// Whose business it is.
    pub assigned_to: Option<String>,
    /// Until when nobody is paged for it.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// How many levels of escalation have been told.
    pub escalation: i32,
    /// The reading with which it began.
    pub onset: KeptPoint,
    /// Its newest reading.
    pub latest: KeptPoint,
    /// Its worst reading.
    pub worst: KeptPoint,
    /// How far that is beyond its limit.
    pub worst_excess: Option<f64>,
    /// What else an explanation needs.
    pub detail: Option<Value>,
    /// What happened to it, in order.
    pub happened: Vec<KeptTransition>,
}

/// A reading that an episode names, and what was computed with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptPoint {
    /// What was measured.
    pub metric: Metric,
    /// When.
    pub at: DateTime<Utc>,
    /// The value.
    pub value: f64,
    /// What was computed.
    pub figure: Option<f64>,
}

/// Something that happened to an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptTransition {
    /// Its number in the record: what happened later has a greater one, whatever the episode.
    pub number: i64,
    /// `raised`, `acknowledged`, …
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub actor: Option<String>,
    /// What it says beside.
    pub detail: Option<Value>,
}

/// The episodes of a patient, the earliest raised first; at most `limit` of them.
pub async fn kept_episodes(
    connection: &mut PgConnection,
    patient: PatientId,
    limit: i64,
) -> Result<Vec<(EpisodeId, KeptEpisode)>, Error> {
    let failed = |source| Error::new("read the episodes of a patient", source);
    let rows = sqlx::query!(
        r#"
        SELECT episode_id, episode.code, version, severity, status, late, raised_at, acknowledged_at, cleared_at,
            met_at, ended_at, withdrawn_at, assigned_to, snoozed_until, escalation,
            onset_at, onset_value, onset_metric, onset_figure,
            latest_at, latest_value, latest_metric, latest_figure,
            worst_at, worst_value, worst_metric, worst_figure, worst_excess, detail
        FROM episode JOIN care_plan_rule USING (rule_id)
        WHERE episode.patient_id = $1
        ORDER BY episode_id LIMIT $2
        "#,
        patient.0,
        limit
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let ids: Vec<EpisodeId> = rows.iter().map(|row| EpisodeId(row.episode_id)).collect();
    let mut happened: BTreeMap<i64, Vec<KeptTransition>> = BTreeMap::new();
    for (episode, transition) in transitions_of_each(connection, &ids).await? {
        happened.entry(episode.0).or_default().push(KeptTransition {
            number: transition.id,
            kind: transition.kind,
            at: transition.at,
            actor: transition.actor.map(|by| by.name),
            detail: transition.detail.map(without_account),
        });
    }
    let point = |at, metric, value, figure| -> Result<KeptPoint, Error> {
        let metric = Metric::from_code(metric).ok_or_else(|| failed(unknown("metric")))?;
        Ok(KeptPoint {
            metric,
            at,
            value,
            figure,
        })
    };
    let kept = rows.into_iter().map(|row| {
        let episode = KeptEpisode {
            onset: point(row.onset_at, row.onset_metric, row.onset_value, row.onset_figure)?,
            latest: point(
                row.latest_at,
                row.latest_metric,
                row.latest_value,
                row.latest_figure,
            )?,
            worst: point(row.worst_at, row.worst_metric, row.worst_value, row.worst_figure)?,
            code: row.code,
            version: row.version,
            severity: row.severity,
            status: row.status,
            late: row.late,
            raised_at: row.raised_at,
            acknowledged_at: row.acknowledged_at,
            cleared_at: row.cleared_at,
            met_at: row.met_at,
            ended_at: row.ended_at,
            withdrawn_at: row.withdrawn_at,
            assigned_to: row.assigned_to,
            snoozed_until: row.snoozed_until,
            escalation: row.escalation,
            worst_excess: row.worst_excess,
            detail: row.detail,
            happened: happened.remove(&row.episode_id).unwrap_or_default(),
        };
        Ok((EpisodeId(row.episode_id), episode))
    });
    kept.collect()
}

/// What a transition says, without the number of an account: that means nothing in another record, or somebody else.
fn without_account(mut detail: Value) -> Value {
    if let Some(detail) = detail.as_object_mut() {
        detail.remove("account");
    }
    detail
}
