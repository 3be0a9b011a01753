//! The pages about one patient, for those who look after them.

mod alerts;
mod care_plan;
mod devices;
mod overview;
mod readings;

use homeward_store::access::{Role, default_team};

use super::{Browser, signed_in, token};
use crate::testing::{Answer, TestApp};

/// A browser of somebody of the default team.
async fn of_team<'a>(app: &'a TestApp, name: &str, role: Role) -> Browser<'a> {
    let team = default_team(&mut *app.connection().await).await.unwrap();
    signed_in(app, name, role, (Some(team), None)).await
}

fn shows(page: &Answer, texts: &[&str]) {
    assert_eq!(page.status, 200, "{}", page.body);
    for text in texts {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
}

/// Fields as a form sends them.
fn form(page: &Answer, fields: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf_token", token(page));
    form.extend_pairs(fields);
    form.finish()
}
