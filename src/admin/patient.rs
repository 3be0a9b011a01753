//! Patients, and the programmes on which they begin.

use anyhow::{Result, bail};
use chrono::{DateTime, NaiveDate, Utc};
use clap::Subcommand;
use homeward_alerts::Programme;
use homeward_alerts::plans::copy_programme;
use homeward_record::NhsNumber;
use homeward_store::admin::{NewPatient, add_patients};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{AUTHOR, note, text};

#[derive(Debug, Subcommand)]
pub(crate) enum PatientCommand {
    /// Add a patient
    Add {
        /// Ten digits; spaces and dashes may stand between them
        #[arg(long, value_name = "NUMBER")]
        nhs_number: NhsNumber,
        #[arg(long, value_parser = text)]
        name: String,
        /// Date of birth, as 1948-07-05
        #[arg(long, value_name = "DATE")]
        born: NaiveDate,
        /// A programme whose rules the care plan begins with; may be given several times
        #[arg(long, value_name = "PROGRAMME", value_parser = programme)]
        plan: Vec<&'static Programme>,
        /// The GP practice where the patient is registered
        #[arg(long, value_name = "ID")]
        organisation: Option<i64>,
        /// The care team with which the patient is enrolled [default: the default care team]
        #[arg(long, value_name = "ID")]
        team: Option<i64>,
    },
}

pub(crate) fn programme(name: &str) -> Result<&'static Programme, String> {
    Programme::named(name).ok_or_else(|| {
        let names: Vec<&str> = Programme::names().collect();
        format!("the programmes are: {}", names.join(", "))
    })
}

pub(super) async fn run(
    connection: &mut PgConnection,
    command: PatientCommand,
    now: DateTime<Utc>,
) -> Result<Value> {
    let PatientCommand::Add {
        nhs_number,
        name,
        born,
        plan,
        organisation,
        team,
    } = command;
    if born > now.date_naive() {
        bail!("the date of birth, {born}, has not come yet");
    }
    let new = NewPatient {
        nhs_number: &nhs_number,
        name: &name,
        born,
        organisation,
        team,
    };
    let patient = add_patients(connection, &[new]).await?[0];
    for programme in &plan {
        copy_programme(connection, &[patient], programme, (AUTHOR, "enrolment"), now).await?;
    }
    let target = format!("patient {patient}");
    note(connection, "manage_patients", &target, &[patient], now).await?;
    let plans: Vec<&str> = plan.iter().map(|programme| programme.name.as_str()).collect();
    Ok(json!({"patient_id": patient, "plans": plans}))
}
