//! Who calls: accounts, their roles and tokens.

use std::sync::LazyLock;

use homeward_record::PatientId;
use homeward_store::access::{NewRole, Role, default_team, grant_role};
use homeward_store::accounts::{NewAccount, add_account};
use homeward_store::admin::{add_proxy, secret_hash};

use super::{TestApp, now};

/// The password of every account of a test.
pub(crate) const PASSWORD: &str = "correct horse";

static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| crate::password::hash(PASSWORD).unwrap());

impl TestApp {
    /// A token of somebody in a role.
    pub(crate) async fn token_of(
        &self,
        role: Role,
        organisation: Option<i64>,
        patient: Option<PatientId>,
    ) -> String {
        let held_role = self.role_of(None, role, organisation, patient).await;
        self.token_with(held_role, role.as_str()).await
    }

    /// A token that acts in a role that somebody holds.
    async fn token_with(&self, held_role: i64, name: &str) -> String {
        let token = format!("token-{held_role}");
        sqlx::query("INSERT INTO api_token (name, token_hash, held_role_id) VALUES ($1, $2, $3)")
            .bind(name)
            .bind(&secret_hash(&token)[..])
            .bind(held_role)
            .execute(self.pool())
            .await
            .unwrap();
        token
    }

    /// An account of Mei Ng, who signs in with [`PASSWORD`].
    pub(crate) async fn add_account(&self, sign_in_name: &str) -> i64 {
        self.add_person(sign_in_name, "Mei Ng").await
    }

    /// The account of somebody who works in the default team.
    pub(crate) async fn add_colleague(&self, sign_in_name: &str, name: &str) -> i64 {
        let team = default_team(&mut *self.connection().await).await.unwrap();
        let account = self.add_person(sign_in_name, name).await;
        self.grant(account, Role::CareTeamMember, Some(team), None).await;
        account
    }

    async fn add_person(&self, sign_in_name: &str, name: &str) -> i64 {
        let new = NewAccount {
            sign_in_name,
            name,
            password_hash: Some(&PASSWORD_HASH),
            initial_password_until: None,
        };
        add_account(&mut *self.connection().await, &new, now())
            .await
            .unwrap()
    }

    /// A token of somebody who is a patient too, and whom a patient has named as a proxy.
    pub(crate) async fn token_of_proxy(&self, patient: PatientId) -> String {
        let other = self.add_patient().await;
        let account = self.add_account("proxy").await;
        let held_role = self.grant(account, Role::Patient, None, Some(other)).await;
        add_proxy(&mut *self.connection().await, patient, account, "Ada", now())
            .await
            .unwrap();
        self.token_with(held_role, "a proxy").await
    }

    /// Grants an account a role.
    pub(crate) async fn grant(
        &self,
        account: i64,
        role: Role,
        organisation: Option<i64>,
        patient: Option<PatientId>,
    ) -> i64 {
        self.role_of(Some(account), role, organisation, patient).await
    }

    async fn role_of(
        &self,
        account: Option<i64>,
        role: Role,
        organisation: Option<i64>,
        patient: Option<PatientId>,
    ) -> i64 {
        let new = NewRole {
            account,
            role,
            organisation,
            patient,
        };
        grant_role(&mut *self.connection().await, &new, now())
            .await
            .unwrap()
    }
}
