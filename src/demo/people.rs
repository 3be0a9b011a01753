//! Who can sign in to the demo.

use anyhow::{Context, Result};
use homeward_api::password;
use homeward_record::Clock;
use homeward_store::PgPool;
use homeward_store::access::{NewRole, Role, default_team, grant_role};
use homeward_store::accounts::{NewAccount, add_account, find_account, set_password};

use crate::admin::random_secret;

/// The length of a password, in hexadecimal digits: it is typed from a terminal, for a record of simulated patients.
const PASSWORD_LENGTH: usize = 10;

/// Somebody who can sign in.
pub(super) struct Person {
    pub(super) sign_in_name: &'static str,
    pub(super) password: String,
    /// What they are, in words.
    pub(super) role: &'static str,
}

/// Gives the people of the demo accounts, and passwords of this time.
pub(super) async fn let_in(pool: &PgPool) -> Result<Vec<Person>> {
    let now = Clock::System.now();
    let mut transaction = pool.begin().await?;
    let team = default_team(&mut transaction).await?;
    let mut people = Vec::new();
    for (sign_in_name, name, role, in_words) in [
        (
            "nurse",
            "Mei Ng",
            Role::CareTeamMember,
            "a nurse of the care team",
        ),
        ("lead", "Sam Okafor", Role::CareTeamLead, "who leads it"),
    ] {
        let mut password = random_secret();
        password.truncate(PASSWORD_LENGTH);
        let hash = password::hash(&password).context("could not hash a password")?;
        let account = match find_account(&mut transaction, sign_in_name).await? {
            Some(account) => {
                set_password(&mut transaction, account.id, &hash, None).await?;
                account.id
            }
            None => {
                let new = NewAccount {
                    sign_in_name,
                    name,
                    password_hash: Some(&hash),
                    initial_password_until: None,
                };
                add_account(&mut transaction, &new, now).await?
            }
        };
        let role = NewRole {
            account: Some(account),
            role,
            organisation: Some(team),
            patient: None,
        };
        grant_role(&mut transaction, &role, now).await?;
        people.push(Person {
            sign_in_name,
            password,
            role: in_words,
        });
    }
    transaction.commit().await?;
    Ok(people)
}
