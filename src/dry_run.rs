//! `homeward dry-run`: what rules would have raised, from the histories in the record.

mod progress;
mod table;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use homeward_alerts::Programme;
use homeward_alerts::dry_run::{
    self, Limits, Listing, Proposal, Replaces, Report, Scope, TrialRule, USUAL_TIME,
};
use homeward_record::{Clock, PatientId};
use serde_json::Value;

use crate::admin::{note, programme};
use crate::config::Settings;
use crate::database::Database;
use crate::lifecycle::Lifecycle;
use crate::print::print;

use progress::Line;

/// How many episodes are listed for a programme: enough to see what they are like.
const LISTED_FOR_A_PROGRAMME: usize = 100;

/// What to try, on whom, and over which time.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    tried: Tried,
    #[command(flatten)]
    whose: Whose,
    /// From when on, as 2026-03-01T00:00:00Z [default: 30 days before the end]
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Tried {
    /// A file with one rule, {"code": "glucose-low", "definition": {…}}: it stands in for the rule of that code in
    /// the present plan, if there is one
    #[arg(long, value_name = "FILE")]
    rule: Option<PathBuf>,
    /// A file with a list of such rules, or with a programme: they stand in for the present plan
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// A programme: its rules stand in for the present plan
    #[arg(long, value_name = "PROGRAMME", value_parser = programme)]
    programme: Option<&'static Programme>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// One patient
    #[arg(long, value_name = "ID")]
    patient: Option<PatientId>,
    /// All patients who have rules of this programme in their present plans; a plan is then compared with their
    /// rules of this programme
    #[arg(long, value_name = "PROGRAMME")]
    enrolled_in: Option<String>,
}

/// Runs it, and prints the answer.
pub(crate) async fn run(settings: Settings, options: Options) -> Result<()> {
    let proposal = options.proposal(Clock::System.now())?;
    let lifecycle = Lifecycle::start(settings.stop_within())?;
    let database = Database::for_command(&settings, &lifecycle).await?;
    let outcome = tokio::select! {
        report = report(&database, proposal) => report,
        () = lifecycle.soft().cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    // Also after an error; the first error is the one to tell.
    let closed = database.close().await;
    let report = outcome?;
    let text = if options.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        table::show(&report)
    };
    print(&text)?;
    closed
}

async fn report(database: &Database, proposal: Proposal) -> Result<Report> {
    database.prepare().await?;
    let limits = all_of_the_machine();
    let pool = database.pool(u32::try_from(limits.workers)?)?;
    let mut line = Line::new();
    let patients = dry_run::patients_of(&pool, &proposal).await?;
    let report = dry_run::dry_run(&pool, proposal, limits, |progress| line.show(&progress)).await;
    line.clear();
    let report = report?;
    // As every read of a record it is written down, before anything is printed.
    let mut transaction = pool.begin().await.context("could not begin a transaction")?;
    note(
        &mut transaction,
        "try_rules",
        "dry run",
        &patients,
        Clock::System.now(),
    )
    .await?;
    transaction
        .commit()
        .await
        .context("could not write down whose histories were read")?;
    Ok(report)
}

/// As many workers as there are processors: each of them waits for the database as long as it judges.
pub(crate) fn all_of_the_machine() -> Limits {
    Limits {
        readings: u64::MAX,
        workers: available_parallelism().map_or(2, NonZeroUsize::get),
    }
}

impl Options {
    fn proposal(&self, now: DateTime<Utc>) -> Result<Proposal> {
        let (rules, replaces) = self.tried.rules()?;
        let (scope, most) = match (self.whose.patient, &self.whose.enrolled_in) {
            (Some(patient), _) => (Scope::Patient(patient), usize::MAX),
            (None, Some(programme)) => (Scope::Programme(programme.clone()), LISTED_FOR_A_PROGRAMME),
            (None, None) => bail!("give one of --patient and --enrolled-in"),
        };
        let to = self.to.unwrap_or(now);
        let from = self.from.unwrap_or(to - USUAL_TIME);
        if from >= to {
            bail!("the time begins at {from}, which is not before its end, {to}");
        }
        Ok(Proposal {
            rules,
            replaces,
            scope,
            from,
            to,
            now,
            listing: Listing { most },
        })
    }
}

impl Tried {
    fn rules(&self) -> Result<(Vec<TrialRule>, Replaces)> {
        match self {
            Tried { rule: Some(file), .. } => {
                let rule = TrialRule::parse(&read(file)?, "rule").with_context(|| cannot_be_tried(file))?;
                Ok((vec![rule], Replaces::Rules))
            }
            Tried { plan: Some(file), .. } => {
                let mut plan = read(file)?;
                if let Some(rules) = plan.get_mut("rules") {
                    plan = rules.take();
                }
                let plan = TrialRule::parse_plan(&plan, "plan").with_context(|| cannot_be_tried(file))?;
                Ok((plan, Replaces::Plan))
            }
            Tried {
                programme: Some(programme),
                ..
            } => Ok((TrialRule::of_programme(programme), Replaces::Plan)),
            _ => bail!("give one of --rule, --plan and --programme"),
        }
    }
}

fn read(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

fn cannot_be_tried(file: &Path) -> String {
    format!("{} cannot be tried", file.display())
}
