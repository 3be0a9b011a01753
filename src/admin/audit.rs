//! The log of reads and changes.

use anyhow::{Result, bail};
use clap::Subcommand;
use homeward_store::audit;
use serde_json::{Value, json};
use sqlx::PgConnection;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no row was edited, taken out or put in; prints the head, which is worth noting somewhere else
    Verify {
        /// A head that was noted earlier: that row has to be there still
        #[arg(long, value_name = "NUMBER:HASH", value_parser = head)]
        head: Option<(i64, String)>,
    },
}

fn head(text: &str) -> Result<(i64, String), &'static str> {
    const EXPECTED: &str = "expected what the command printed as the head";
    let (sequence, hash) = text.split_once(':').ok_or(EXPECTED)?;
    Ok((sequence.parse().map_err(|_| EXPECTED)?, hash.to_owned()))
}

pub(super) async fn run(connection: &mut PgConnection, command: AuditCommand) -> Result<Value> {
    let AuditCommand::Verify { head } = command;
    let head = head.as_ref().map(|(sequence, hash)| (*sequence, hash.as_str()));
    let verified = audit::verify(connection, head).await?;
    if let Some(fault) = verified.fault {
        bail!("the log of reads and changes is not as it was written: {fault}");
    }
    let (sequence, hash) = verified.head;
    Ok(json!({"rows": verified.rows, "head": format!("{sequence}:{hash}")}))
}
