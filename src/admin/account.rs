//! Accounts, the roles that they hold, and who is named as a proxy.

use std::io::Read;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use homeward_api::password;
use homeward_record::PatientId;
use homeward_store::access::{self, NewRole, Role};
use homeward_store::accounts::{self, NewAccount};
use homeward_store::admin::{add_proxy, grant_account_role};
use homeward_store::sessions::end_sessions_of;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{AUTHOR, note, text};

/// The longest password on the standard input, in bytes: of the longest that may be chosen, each character with four.
const LONGEST_INPUT: u64 = 4 * password::LONGEST as u64 + 2;

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add an account of somebody who signs in; without --password-stdin it prints a first password, which is good for
    /// 7 days and has to be changed when signing in
    Add(AccountOptions),
    /// Refuse an account from now on; whoever is signed in with it is signed out
    Disable {
        #[arg(value_name = "ID")]
        account: i64,
    },
    /// Take an account again that was refused
    Enable {
        #[arg(value_name = "ID")]
        account: i64,
    },
    /// Take an account again that is locked for wrong passwords
    Unlock {
        #[arg(value_name = "ID")]
        account: i64,
    },
    /// Give an account another first password, which is printed, and sign it out everywhere
    ResetPassword {
        #[arg(value_name = "ID")]
        account: i64,
    },
    /// Let an account sign in through an identity provider, which knows its owner by a subject
    Link {
        #[arg(value_name = "ID")]
        account: i64,
        /// The provider's issuer, as the configuration has it
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// The `sub` by which the provider knows the owner
        #[arg(long, value_name = "TEXT", value_parser = text)]
        subject: String,
    },
    /// Let an account no longer sign in through an identity provider, and sign it out everywhere
    Unlink {
        #[arg(value_name = "ID")]
        account: i64,
        /// The provider's issuer
        #[arg(long, value_name = "URL")]
        issuer: String,
    },
    /// Let somebody whose device is lost sign in without a code, until they take another second factor
    RemoveSecondFactor {
        #[arg(value_name = "ID")]
        account: i64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AccountOptions {
    /// What is typed to sign in; capitals do not matter
    #[arg(long, value_name = "NAME", value_parser = accounts::sign_in_name)]
    sign_in_name: String,
    /// The person's name
    #[arg(long, value_parser = text)]
    name: String,
    /// Read the password from the standard input: one that its owner has chosen
    #[arg(long)]
    password_stdin: bool,
    /// Give it no password: it signs in through an identity provider alone
    #[arg(long, conflicts_with = "password_stdin")]
    no_password: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Grant an account a role
    Grant {
        #[arg(long, value_name = "ID")]
        account: i64,
        /// The role
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// Where; a privacy officer without an organisation is one for all of them
        #[arg(long, value_name = "ID")]
        organisation: Option<i64>,
        /// Who the patient is, of an account of a patient
        #[arg(long, value_name = "ID")]
        patient: Option<PatientId>,
    },
    /// End a role; whoever acts in it cannot from now on
    End {
        #[arg(value_name = "ID")]
        role: i64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProxyCommand {
    /// Name an account that may see a patient's record, as the patient wishes
    Add {
        #[arg(long, value_name = "ID")]
        patient: PatientId,
        #[arg(long, value_name = "ID")]
        account: i64,
    },
}

pub(super) async fn account(
    connection: &mut PgConnection,
    command: AccountCommand,
    now: DateTime<Utc>,
) -> Result<Value> {
    let (account, action, mut answer) = match command {
        AccountCommand::Add(options) => {
            let (account, added) = add(connection, &options, now).await?;
            (account, "add_account", added)
        }
        AccountCommand::Disable { account } => {
            let disabled_at = accounts::disable_account(connection, account, now).await?;
            (account, "disable_account", json!({"disabled_at": disabled_at}))
        }
        AccountCommand::Enable { account } => {
            let was_disabled = accounts::enable_account(connection, account).await?;
            (account, "enable_account", json!({"was_disabled": was_disabled}))
        }
        AccountCommand::Unlock { account } => {
            let was_locked = accounts::unlock_account(connection, account, now).await?;
            (account, "unlock_account", json!({"was_locked": was_locked}))
        }
        AccountCommand::Link {
            account,
            issuer,
            subject,
        } => {
            let before = accounts::link_identity(connection, account, (&issuer, &subject)).await?;
            if let Some(before) = before {
                // Whoever it was signed in there by an identity that is not theirs.
                end_sessions_of(connection, before, None, now).await?;
            }
            let linked = json!({"issuer": issuer, "subject": subject, "linked_before_to": before});
            (account, "link_identity", linked)
        }
        AccountCommand::Unlink { account, issuer } => {
            let forgotten = accounts::unlink_identities(connection, account, &issuer).await?;
            end_sessions_of(connection, account, None, now).await?;
            let unlinked = json!({"issuer": issuer, "forgotten": forgotten});
            (account, "unlink_identity", unlinked)
        }
        AccountCommand::RemoveSecondFactor { account } => {
            accounts::require_account(connection, account).await?;
            let had_one = accounts::remove_second_factor(connection, account).await?;
            (account, "remove_second_factor", json!({"had_one": had_one}))
        }
        AccountCommand::ResetPassword { account } => {
            let (password, until) = (password::first(), now + password::FIRST_LASTS);
            let hash = password::hash(&password).context("could not hash the password")?;
            let name = accounts::set_password(connection, account, &hash, Some(until)).await?;
            end_sessions_of(connection, account, None, now).await?;
            let reset = json!({"sign_in_name": name, "password": password, "password_until": until});
            (account, "reset_password", reset)
        }
    };
    note(connection, action, &format!("account {account}"), &[], now).await?;
    answer["account_id"] = account.into();
    Ok(answer)
}

/// Adds an account, and answers its number and what there is to tell.
async fn add(
    connection: &mut PgConnection,
    options: &AccountOptions,
    now: DateTime<Utc>,
) -> Result<(i64, Value)> {
    let (password, until) = if options.password_stdin {
        let chosen = read_password()?;
        password::check(&chosen, &[&options.sign_in_name, &options.name])?;
        (Some(chosen), None)
    } else if options.no_password {
        (None, None)
    } else {
        (Some(password::first()), Some(now + password::FIRST_LASTS))
    };
    let hash = password.as_deref().map(password::hash).transpose();
    let hash = hash.context("could not hash the password")?;
    let new = NewAccount {
        sign_in_name: &options.sign_in_name,
        name: &options.name,
        password_hash: hash.as_deref(),
        initial_password_until: until,
    };
    let account = accounts::add_account(connection, &new, now).await?;
    let shown = password.filter(|_| until.is_some());
    let added = json!({"sign_in_name": options.sign_in_name, "password": shown, "password_until": until});
    Ok((account, added))
}

pub(super) async fn role(
    connection: &mut PgConnection,
    command: RoleCommand,
    now: DateTime<Utc>,
) -> Result<Value> {
    match command {
        RoleCommand::Grant {
            account,
            role,
            organisation,
            patient,
        } => {
            let new = NewRole {
                account: Some(account),
                role,
                organisation,
                patient,
            };
            let held_role = grant_account_role(connection, account, &new, now).await?;
            let target = format!("account {account}, role {held_role}");
            note(connection, "grant_role", &target, patient.as_slice(), now).await?;
            Ok(json!({
                "role_id": held_role, "account_id": account, "role": role, "organisation_id": organisation,
                "patient_id": patient,
            }))
        }
        RoleCommand::End { role } => {
            if !access::end_role(connection, role, now).await? {
                bail!("nobody holds a role {role}, or it has ended already");
            }
            note(connection, "end_role", &format!("role {role}"), &[], now).await?;
            Ok(json!({"role_id": role, "ended_at": now}))
        }
    }
}

pub(super) async fn proxy(
    connection: &mut PgConnection,
    command: ProxyCommand,
    now: DateTime<Utc>,
) -> Result<Value> {
    let ProxyCommand::Add { patient, account } = command;
    let proxy = add_proxy(connection, patient, account, AUTHOR, now).await?;
    note(
        connection,
        "name_proxy",
        &format!("account {account}"),
        &[patient],
        now,
    )
    .await?;
    Ok(json!({"proxy_id": proxy, "patient_id": patient, "account_id": account}))
}

fn read_password() -> Result<String> {
    let mut password = String::new();
    let mut input = std::io::stdin().take(LONGEST_INPUT);
    input
        .read_to_string(&mut password)
        .context("could not read the standard input")?;
    let line = password.strip_suffix('\n').unwrap_or(&password);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
