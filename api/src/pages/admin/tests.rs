//! Administration by page: what the tests of its parts have in common.

mod people;
mod refused;
mod stock;

use homeward_store::access::{Role, default_team};

use crate::pages::tests::{Browser, signed_in, token};
use crate::testing::{Answer, TestApp};

/// A form with the token of a page, and what is typed into it.
fn form(page: &Answer, fields: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf_token", token(page));
    form.extend_pairs(fields);
    form.finish()
}

/// What stands between two texts of a page.
fn between<'a>(page: &'a Answer, before: &str, after: &str) -> &'a str {
    let rest = page.body.split_once(before).map(|(_, rest)| rest);
    let found = rest.and_then(|rest| rest.split_once(after));
    found.unwrap_or_else(|| panic!("{before} in {}", page.body)).0
}

fn assert_has(page: &Answer, texts: &[&str]) {
    for text in texts {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
}

async fn administrator(app: &TestApp) -> Browser<'_> {
    signed_in(app, "admin", Role::Administrator, (None, None)).await
}

/// The lead of the default team.
async fn lead(app: &TestApp) -> Browser<'_> {
    let team = default_team(&mut *app.connection().await).await.unwrap();
    signed_in(app, "lead", Role::CareTeamLead, (Some(team), None)).await
}

/// The last row of the log about this action: whether it was done, and what was noted.
async fn logged(app: &TestApp, action: &str) -> (String, Option<String>) {
    sqlx::query_as(
        "SELECT outcome, reason FROM audit_event WHERE action = $1 AND reason IS NOT NULL ORDER BY sequence DESC LIMIT 1",
    )
    .bind(action)
    .fetch_one(app.pool())
    .await
    .unwrap()
}
