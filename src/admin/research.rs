//! What research gets: sums of groups, and if it is asked for rows of people without their names.
//!
//! It is a command and no route. An export goes to somebody outside under an agreement, as a file, and somebody who
//! answers for that makes it; there is no token whose theft would give it away, and it may take longer than a request.
//!
//! `aggregates.csv` has, for each programme, age and metric, how many patients have readings, and of their means the mean
//! and the quartiles; groups of fewer than 8 are not told of. `rows.csv` has what each person measured day by day, under a
//! pseudonym that is drawn for this export and kept nowhere: nobody can lead it back, nor join two exports by it. There is
//! no name, no NHS number, no day of birth and no date: ages are bands of ten years, and days are counted from the person's
//! first. Of what is said of a person beside readings, at least seven others have the same. Rows are of people still, and
//! may be known by who knows what they measured: whoever gets them has to be bound not to try.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use homeward_record::{Clock, PatientId};
use homeward_store::PgPool;
use homeward_store::research::disclosure::{SUPPRESSED, count};
use homeward_store::research::{
    Aggregate, Cohort, Day, Export, Profile, Subject, aggregates, cohort, conclude, days_of, means_of,
    profiles,
};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::text;

/// How many people's days are in memory at once: of a year with all metrics some 20 MB.
const PEOPLE_AT_ONCE: usize = 100;

#[derive(Debug, Subcommand)]
pub(crate) enum ResearchCommand {
    /// Write files for research; nobody is in them who has opted out, or whose national data opt-out was not checked
    /// within 21 days
    Export(ExportOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ExportOptions {
    /// What it is for: each patient in it reads this
    #[arg(long, value_parser = text)]
    purpose: String,
    /// Who gets it, as patients are to read it
    #[arg(long, value_name = "NAME", value_parser = text)]
    requested_by: String,
    /// The first time, as 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: DateTime<Utc>,
    /// The time before which it ends
    #[arg(long, value_name = "TIME")]
    to: DateTime<Utc>,
    /// Rows of people too, not sums alone
    #[arg(long)]
    rows: bool,
    /// The folder for its files, which is not there yet
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

pub(super) async fn run(pool: &PgPool, command: ResearchCommand, clock: &Clock) -> Result<Value> {
    let ResearchCommand::Export(options) = command;
    if options.from >= options.to || options.to > clock.now() {
        bail!("--from has to be before --to, and that not in the future");
    }
    if options.out.exists() {
        bail!("{} is there already", options.out.display());
    }
    // Nobody takes a folder of this name for an export: it is there only until the log says that it was made.
    let unfinished = options.out.with_extension("unfinished");
    new_folder(&unfinished)?;
    let made = make(pool, &options, &unfinished, clock).await;
    let made = made.and_then(|answer| {
        fs::rename(&unfinished, &options.out)
            .with_context(|| format!("could not name the folder {}", options.out.display()))?;
        Ok(answer)
    });
    if made.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_dir_all(&unfinished);
    }
    made
}

/// A folder that nobody else can look into.
fn new_folder(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .with_context(|| format!("could not make the folder {}", path.display()))
}

async fn make(pool: &PgPool, options: &ExportOptions, folder: &Path, clock: &Clock) -> Result<Value> {
    let window = (options.from, options.to);
    let mut transaction = pool.begin().await.context("could not begin a transaction")?;
    let found = cohort(&mut transaction, window, clock.now()).await?;
    let means = means_of(&mut transaction, &found.subjects, window).await?;
    write_aggregates(
        &folder.join("aggregates.csv"),
        &aggregates(&found.subjects, &means),
    )?;
    let left_out = match options.rows {
        true => {
            write_rows(
                &mut transaction,
                &folder.join("rows.csv"),
                &found.subjects,
                window,
            )
            .await?
        }
        false => 0,
    };
    let about = about(options, &found, left_out);
    let path = folder.join("about.json");
    fs::write(&path, format!("{about:#}\n"))
        .with_context(|| format!("could not write {}", path.display()))?;
    let target = format!(
        "research export of {} to {}",
        options.from.to_rfc3339(),
        options.to.to_rfc3339()
    );
    let export = Export {
        window,
        requested_by: &options.requested_by,
        purpose: &options.purpose,
        of_each: options.rows,
        target: &target,
    };
    conclude(&mut transaction, &found.subjects, &export, clock.now()).await?;
    transaction
        .commit()
        .await
        .context("could not commit that it was made")?;
    Ok(json!({
        "folder": options.out,
        "patients": found.subjects.len(),
        "opted_out": found.opted_out,
        "opt_out_not_checked": found.not_checked,
        "without_rows": options.rows.then_some(left_out),
    }))
}

/// What whoever gets it has to know, with numbers of people as they may be told.
fn about(options: &ExportOptions, found: &Cohort, left_out: usize) -> Value {
    json!({
        "purpose": options.purpose,
        "requested_by": options.requested_by,
        "from": options.from,
        "to": options.to,
        "patients": count(found.subjects.len()),
        "not_in_it": {
            "opted_out": count(found.opted_out),
            "opt_out_not_checked": count(found.not_checked),
            "in_sums_only_since_few_are_alike": count(left_out),
        },
        "notes": [
            "Counts of 1 to 7 patients, and figures of so few, are *; other counts are rounded to the nearest 5.",
            "Figures of aggregates.csv are of the means of patients, each of whom counts once in each programme.",
            "Days of rows.csv are counted from each person's first; pseudonyms are of this export alone.",
        ],
    })
}

fn write_aggregates(path: &Path, groups: &[Aggregate]) -> Result<()> {
    let mut lines = "programme,age_band,metric,unit,patients,mean,quartile_1,median,quartile_3\n".to_owned();
    for group in groups {
        let figures = group.figures.map(|figures| {
            let [first, median, third] = figures.quartiles;
            [figures.mean, first, median, third].map(|figure| format!("{figure:.2}"))
        });
        let figures = figures.unwrap_or_else(|| [(); 4].map(|()| SUPPRESSED.to_owned()));
        lines += &format!(
            "{},{},{},{},{},{}\n",
            group.programme,
            group.age_band,
            group.metric,
            group.metric.unit(),
            count(group.patients),
            figures.join(",")
        );
    }
    fs::write(path, lines).with_context(|| format!("could not write {}", path.display()))
}

/// Writes rows, in the order of pseudonyms, which says nothing. Answers of how many people there are none.
async fn write_rows(
    connection: &mut PgConnection,
    path: &Path,
    subjects: &[Subject],
    window: (DateTime<Utc>, DateTime<Utc>),
) -> Result<usize> {
    let mut people: Vec<(String, PatientId, Profile)> = subjects
        .iter()
        .zip(profiles(subjects))
        .filter_map(|(subject, profile)| Some((pseudonym(), subject.patient, profile?)))
        .collect();
    people.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let unwritable = || format!("could not write {}", path.display());
    let mut file = BufWriter::new(File::create_new(path).with_context(unwritable)?);
    writeln!(
        file,
        "pseudonym,age_band,programmes,metric,unit,day,readings,mean,lowest,highest"
    )
    .with_context(unwritable)?;
    for part in people.chunks(PEOPLE_AT_ONCE) {
        let patients: Vec<PatientId> = part.iter().map(|(_, patient, _)| *patient).collect();
        let mut days: BTreeMap<PatientId, Vec<Day>> = BTreeMap::new();
        for day in days_of(connection, &patients, window).await? {
            days.entry(day.patient).or_default().push(day);
        }
        for (pseudonym, patient, profile) in part {
            for day in days.remove(patient).unwrap_or_default() {
                writeln!(
                    file,
                    "{pseudonym},{},{},{},{},{},{},{:.2},{:.2},{:.2}",
                    profile.age_band,
                    profile.programmes,
                    day.metric,
                    day.metric.unit(),
                    day.day,
                    day.readings,
                    day.mean,
                    day.lowest,
                    day.highest
                )
                .with_context(unwritable)?;
            }
        }
    }
    file.flush().with_context(unwritable)?;
    Ok(subjects.len() - people.len())
}

/// 128 random bits: it follows from nothing, and once the export is made nothing leads from it to anybody.
fn pseudonym() -> String {
    let bits: u128 = rand::random();
    format!("{bits:032x}")
}
