//! Whose business alerts and tasks are, as queries ask for it.

use sqlx::{Postgres, QueryBuilder};

/// Whose business something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// That of whoever has this name, as it was written down.
    ToName(String),
    /// That of whoever has this account.
    ToAccount(i64),
    /// That of whoever acts, under this name.
    ToWhoeverActs(String),
    /// Nobody's yet.
    ToNobody,
}

impl Assigned {
    /// Has a query ask for it, of a table that says it by `assigned_to` and `assigned_role_id`.
    pub(crate) fn restrict(&self, query: &mut QueryBuilder<Postgres>) {
        match self {
            Assigned::ToName(name) => {
                query.push(" AND assigned_to = ").push_bind(name.clone());
            }
            Assigned::ToAccount(account) => {
                query
                    .push(" AND assigned_role_id IN (SELECT held_role_id FROM held_role WHERE account_id = ");
                query.push_bind(*account).push(")");
            }
            Assigned::ToWhoeverActs(name) => {
                query.push(" AND ");
                is_whoever_acts(query, ("assigned_role_id", "assigned_to"), name);
            }
            Assigned::ToNobody => {
                query.push(" AND assigned_to IS NULL");
            }
        }
    }
}

/// Whether somebody whom a row names by a role and a name is whoever acts, as [`crate::access::Somebody::is`] says it: by the
/// role, or by the name where the row has that alone.
pub(crate) fn is_whoever_acts(
    query: &mut QueryBuilder<Postgres>,
    (held_role, name): (&str, &str),
    acting: &str,
) {
    query
        .push("COALESCE(")
        .push(held_role)
        .push(" = ANY ((SELECT own_roles())::bigint[]), ")
        .push(name)
        .push(" = ")
        .push_bind(acting.to_owned())
        .push(")");
}
