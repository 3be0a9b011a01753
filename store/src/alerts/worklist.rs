//! The worklist: what is open, page by page, and what somebody has missed who had not looked at it for a while.

use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{EpisodeId, PatientId};
use sqlx::{PgConnection, QueryBuilder};

use super::{Episode, EpisodeFilter, EpisodeStatus, load_in_order, restrict, unknown};
use crate::Error;

/// Whoever has not been shown the list for so long has looked away: what happens from then on is missed. Long enough for
/// a telephone call, and shorter than a visit.
const SITTING: TimeDelta = TimeDelta::minutes(15);

/// The place of an episode in the worklist: what nobody has comes first, then what somebody has, then what is over and
/// nobody had; of these the most severe, and of those the one that was raised first. As text `1.2.345`, for a link to
/// the page after it, which stays good when that episode has moved meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    standing: i16,
    urgency: i16,
    episode: i64,
}

impl Place {
    /// Where an episode stands now.
    pub fn of(episode: &Episode) -> Place {
        // As `standing` and `urgency` of the schema say it.
        let standing = match episode.status {
            EpisodeStatus::Raised => 1,
            EpisodeStatus::Acknowledged => 2,
            EpisodeStatus::Cleared => 3,
            EpisodeStatus::Closed => 4,
        };
        let urgency = match episode.severity.as_str() {
            "high" => 1,
            "medium" => 2,
            "low" => 3,
            _ => 4,
        };
        Place {
            standing,
            urgency,
            episode: episode.id.0,
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.standing, self.urgency, self.episode)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Place, &'static str> {
        let wrong = "expected the end of an earlier page";
        let mut parts = text.split('.');
        let mut part = || {
            parts
                .next()
                .and_then(|part| part.parse::<i64>().ok())
                .ok_or(wrong)
        };
        let (standing, urgency, episode) = (part()?, part()?, part()?);
        let small = |number: i64| i16::try_from(number).map_err(|_| wrong);
        match parts.next() {
            None => Ok(Place {
                standing: small(standing)?,
                urgency: small(urgency)?,
                episode,
            }),
            Some(_) => Err(wrong),
        }
    }
}

/// Lists the episodes that a filter lets through in the order of the worklist, those after a place, if one is given.
pub async fn list_open(
    connection: &mut PgConnection,
    filter: &EpisodeFilter,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Episode>, Error> {
    let mut query = QueryBuilder::new("SELECT episode_id FROM episode");
    restrict(&mut query, filter);
    if let Some(after) = after {
        query.push(" AND (standing(status), urgency(severity), episode_id) > (");
        query
            .push_bind(after.standing)
            .push(", ")
            .push_bind(after.urgency);
        query.push(", ").push_bind(after.episode).push(")");
    }
    query.push(" ORDER BY standing(status), urgency(severity), episode_id LIMIT ");
    query.push_bind(limit);
    let ids: Vec<i64> = query
        .build_query_scalar()
        .fetch_all(&mut *connection)
        .await
        .map_err(|source| Error::new("list what is open", source))?;
    load_in_order(connection, &ids).await
}

/// How many episodes stand alike and are as severe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// How they stand.
    pub status: EpisodeStatus,
    /// How severe they are.
    pub severity: String,
    /// How many.
    pub count: i64,
}

/// Counts the episodes that a filter lets through.
pub async fn count_open(connection: &mut PgConnection, filter: &EpisodeFilter) -> Result<Vec<Open>, Error> {
    let failed = |source| Error::new("count what is open", source);
    let mut query = QueryBuilder::new("SELECT status, severity, count(*) FROM episode");
    restrict(&mut query, filter);
    query.push(" GROUP BY status, severity");
    let rows: Vec<(String, String, i64)> = query
        .build_query_as()
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    rows.into_iter()
        .map(|(status, severity, count)| {
            Ok(Open {
                status: status.parse().map_err(|()| failed(unknown("status")))?,
                severity,
                count,
            })
        })
        .collect()
}

/// Whose episode this is; `None` where the caller may see none of this number.
pub async fn patient_of(
    connection: &mut PgConnection,
    episode: EpisodeId,
) -> Result<Option<PatientId>, Error> {
    let patient = sqlx::query_scalar!("SELECT patient_id FROM episode WHERE episode_id = $1", episode.0)
        .fetch_optional(connection)
        .await
        .map_err(|source| Error::new("look up whose episode it is", source))?;
    Ok(patient.map(PatientId))
}

/// What lies between two looks at the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When it was looked at before this sitting; `None`: never.
    pub last_looked_at: Option<DateTime<Utc>>,
    after: i64,
    until: i64,
}

/// Notes that the list is shown to whoever holds this role, and answers what they may have missed. That stays the same
/// for as long as the list is shown again within a quarter of an hour: whoever loads the page anew still reads what
/// there was to read.
pub async fn look(connection: &mut PgConnection, held_role: i64, now: DateTime<Utc>) -> Result<Look, Error> {
    sqlx::query_as!(
        Look,
        r#"
        INSERT INTO worklist_look AS mark (held_role_id, seen_at, seen, missed_after, missed_until)
        SELECT $1::bigint, $2::timestamptz, latest, latest, latest FROM latest_transition() AS latest
        ON CONFLICT (held_role_id) DO UPDATE SET
            last_looked_at = CASE WHEN mark.seen_at < $3 THEN mark.seen_at ELSE mark.last_looked_at END,
            missed_after = CASE WHEN mark.seen_at < $3 THEN mark.seen ELSE mark.missed_after END,
            missed_until = CASE WHEN mark.seen_at < $3 THEN excluded.seen ELSE mark.missed_until END,
            seen_at = GREATEST(mark.seen_at, excluded.seen_at),
            seen = GREATEST(mark.seen, excluded.seen)
        RETURNING last_looked_at, missed_after AS after, missed_until AS until
        "#,
        held_role,
        now,
        now - SITTING
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("note that the worklist is shown", source))
}

/// For so long the log need not say again that a list that renews itself has shown somebody.
const NOTED_FOR: TimeDelta = TimeDelta::hours(1);

/// Notes whom the list shows to whoever holds this role, and answers of whom the log has to say so: all of them, or of a list
/// that renews itself those of whom it has not said it within the hour. It says so within the caller's transaction.
pub async fn note_shown(
    connection: &mut PgConnection,
    held_role: i64,
    patients: &[PatientId],
    renewed: bool,
    now: DateTime<Utc>,
) -> Result<Vec<PatientId>, Error> {
    let failed = |source| Error::new("note whom the worklist shows", source);
    let kept = sqlx::query_scalar!(
        "SELECT noted FROM worklist_look WHERE held_role_id = $1 AND noted_since > $2 FOR UPDATE",
        held_role,
        now - NOTED_FOR
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    let known: HashSet<i64> = kept.iter().flatten().copied().collect();
    let new: Vec<i64> = patients
        .iter()
        .map(|patient| patient.0)
        .filter(|patient| !known.contains(patient))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if !new.is_empty() {
        sqlx::query!(
            "UPDATE worklist_look SET noted = CASE WHEN $3 THEN noted || $2 ELSE $2 END,
                 noted_since = CASE WHEN $3 THEN noted_since ELSE $4 END
             WHERE held_role_id = $1",
            held_role,
            &new,
            kept.is_some(),
            now
        )
        .execute(connection)
        .await
        .map_err(failed)?;
    }
    Ok(match renewed {
        true => new.into_iter().map(PatientId).collect(),
        false => patients.to_vec(),
    })
}

/// Something that happened while nobody looked.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// `raised`, `escalated` or `closed`.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who did it; `None`: the rule itself, or time.
    pub actor: Option<String>,
    /// To which episode.
    pub episode: EpisodeId,
    /// Whose.
    pub patient: PatientId,
    /// The patient's name.
    pub name: String,
    /// What the rule is called.
    pub rule: String,
}

/// What was raised and escalated between two looks, and closed by somebody other than who acts, under the name `acting`; the
/// latest first, and at most `limit` of them.
pub async fn missed(
    connection: &mut PgConnection,
    look: &Look,
    acting: &str,
    limit: i64,
) -> Result<Vec<Missed>, Error> {
    // Most looks have missed nothing.
    if look.after >= look.until {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"
        SELECT kind, at, actor, episode_id, episode.patient_id, patient.name,
            COALESCE(definition ->> 'name', episode.code) AS "rule!"
        FROM episode_transition JOIN episode USING (episode_id) JOIN care_plan_rule USING (rule_id)
            JOIN patient ON patient.patient_id = episode.patient_id
        WHERE transition_id > $1 AND transition_id <= $2 AND kind IN ('raised', 'escalated', 'closed')
            AND COALESCE(held_role_id = ANY ((SELECT own_roles())::bigint[]), actor = $3) IS NOT TRUE
        ORDER BY transition_id DESC LIMIT $4
        "#,
        look.after,
        look.until,
        acting,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read what was missed", source))?;
    let missed = rows.into_iter().map(|row| Missed {
        kind: row.kind,
        at: row.at,
        actor: row.actor,
        episode: EpisodeId(row.episode_id),
        patient: PatientId(row.patient_id),
        name: row.name,
        rule: row.rule,
    });
    Ok(missed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_in_a_link() {
        let place: Place = "1.2.345".parse().unwrap();
        assert_eq!(place.to_string(), "1.2.345");
        for wrong in ["", "1", "1.2", "1.2.3.4", "1.2.x", "99999.1.1", "a.b.c"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
