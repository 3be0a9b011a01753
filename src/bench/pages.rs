//! How long pages take that people look at all day: the worklist with 200 open alerts, a patient with 90 days of readings,
//! and the list of a programme, of as many patients as the demo has; and the worklist once more when the team looks after
//! many others too, of whom nothing is measured.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use homeward_record::Clock;
use homeward_store::admin::add_token;
use homeward_store::trends::Bucket;
use serde::Serialize;

use super::history::{DAYS, Filled, fill};
use super::report::{Quantiles, machine};
use super::trends::ask;
use super::{Server, alerts, enrol, give_plan, progress};

const PATIENTS: usize = 300;
const OPEN_ALERTS: usize = 200;
/// How many patients a large team has.
const LARGE_TEAM: usize = 10_000;
const TOKEN: &str = "hw_bench";

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Pages {
    machine: String,
    readings: u64,
    pages: Vec<Page>,
}

#[derive(Debug, Serialize)]
struct Page {
    what: String,
    /// Of the page in the last answer.
    bytes: usize,
    #[serde(flatten)]
    quantiles: Quantiles,
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        writeln!(f, "{} readings of {PATIENTS} patients", self.readings)?;
        for Page {
            what,
            bytes,
            quantiles,
        } in &self.pages
        {
            writeln!(f, "  {what:<44}{:>5} KB  {quantiles}", bytes / 1_000)?;
        }
        Ok(())
    }
}

/// The address of a page about a patient.
type Address = fn(i64) -> String;

/// Fills a record, lets alerts be raised, and asks for the pages, each for a time.
pub(super) async fn measure(url: &str, measured: Duration) -> Result<Pages> {
    let pool = homeward_store::connect(url, 2)?;
    let mut connection = pool.acquire().await?;
    progress("enrolling patients");
    let patients = enrol(&mut connection, PATIENTS, "watch").await?;
    for programme in ["diabetes-type-1", "hypertension"] {
        give_plan(&mut connection, &patients, programme).await?;
    }
    add_token(&mut connection, "bench", TOKEN).await?;
    let until = Bucket::Hour.floor(Clock::System.now());
    let Filled { readings, .. } = fill(&mut connection, &patients, until).await?;

    let server = Server::start(url).await?;
    progress("raising alerts");
    let low = &patients[..OPEN_ALERTS];
    alerts::measure(server.mqtt, server.http, TOKEN, low, Duration::ZERO).await?;
    let numbers: Vec<i64> = patients.iter().map(|(patient, _)| *patient).collect();
    let worklist: Address = |_| "/worklist".to_owned();
    let asked: [(String, Address); 3] = [
        (format!("the worklist, {OPEN_ALERTS} open alerts"), worklist),
        (format!("a patient, {DAYS} days"), |patient| {
            format!("/patients/{patient}?range={DAYS}d")
        }),
        ("the patients of a programme".to_owned(), |_| {
            "/practice".to_owned()
        }),
    ];
    let mut pages = Vec::new();
    for (what, path) in asked {
        pages.push(page(&server, &numbers, measured, what, path).await?);
    }
    progress("enrolling many more patients");
    enrol(&mut connection, LARGE_TEAM - PATIENTS, "watch").await?;
    let what = format!("the worklist of a team of {LARGE_TEAM} patients");
    pages.push(page(&server, &numbers, measured, what, worklist).await?);
    server.stop().await?;
    Ok(Pages {
        machine: machine(),
        readings,
        pages,
    })
}

async fn page(
    server: &Server,
    patients: &[i64],
    measured: Duration,
    what: String,
    path: fn(i64) -> String,
) -> Result<Page> {
    progress(&format!("asking for {what}"));
    let (quantiles, bytes) = ask(server.http, TOKEN, patients, measured, path).await?;
    Ok(Page {
        what,
        bytes,
        quantiles,
    })
}
