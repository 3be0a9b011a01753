use chrono::TimeDelta;
use homeward_store::access::Role;

use super::{of_team, shows};
use crate::testing::{TestApp, now};

#[tokio::test]
async fn a_device_says_when_it_was_last_heard_of_and_how_its_battery_is() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    shows(
        &nurse.get("/patients/1001/devices").await,
        &["Blood pressure cuff no. 10001", "Not known", "It still does"],
    );
    sqlx::query("INSERT INTO device_contact VALUES ($1, $2, 12, $2)")
        .bind(device.0)
        .bind(now() - TimeDelta::minutes(5))
        .execute(app.pool())
        .await
        .unwrap();
    let page = nurse.get("/patients/1001/devices").await;
    shows(
        &page,
        &[
            "22 Nov, 11:55",
            "12 % <strong class=\"nhsuk-tag nhsuk-tag--orange\">Low</strong>",
        ],
    );
    assert!(!page.body.contains("/admin/devices"), "{}", page.body);
    // What it does for somebody else, later on, is not told; one that is to go to somebody else next week measures still.
    let give_away = async |at| {
        sqlx::query("UPDATE device_assignment SET valid_during = tstzrange(lower(valid_during), $1)")
            .bind(at)
            .execute(app.pool())
            .await
            .unwrap();
    };
    give_away(now() + TimeDelta::days(7)).await;
    shows(&nurse.get("/patients/1001/devices").await, &["22 Nov, 11:55"]);
    give_away(now() - TimeDelta::hours(1)).await;
    let former = nurse.get("/patients/1001/devices").await;
    assert!(
        !former.body.contains("11:55") && former.body.contains("Not known"),
        "{}",
        former.body
    );
    // Whoever looks after devices is led to where that is done.
    let lead = of_team(&app, "ola", Role::CareTeamLead).await;
    shows(
        &lead.get("/patients/1001/devices").await,
        &["/admin/devices/10001", "/admin/devices/new?patient=1001"],
    );
}
