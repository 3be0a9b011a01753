//! A record that is opened without a relationship, as the three see it: who opens, who looks into it, and whose it is.

use super::{PASSWORD, add_account, add_organisation, browse_alone, nhs_number};
use crate::harness::*;

#[tokio::test]
async fn a_record_is_opened_for_a_reason_looked_into_and_seen_by_the_patient() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = server.add_patient(&["hypertension"]).await;
    let number = nhs_number(&server, patient).await;
    let other = add_organisation(&server, "care_team", "North").await;
    let of_other = ["care_team_member", "--organisation", &other];
    add_account(&server, "nurse", "Mei Ng", &of_other).await;
    add_account(&server, "privacy", "Ines Costa", &["privacy_officer"]).await;
    let own = ["patient", "--patient", &patient.to_string()];
    add_account(&server, "patient", "A Patient", &own).await;
    browse_alone(&server, "break_glass.mjs", &[PASSWORD, &number]).await;
}
