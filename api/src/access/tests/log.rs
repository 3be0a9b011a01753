//! What is in the log of reads and changes, and that nobody edits it unseen.

use axum::http::Method;
use homeward_record::PatientId;
use homeward_store::access::Role;
use homeward_store::audit;

use super::Ward;
use crate::testing::TestApp;

#[tokio::test]
async fn invariant_8_every_answer_is_in_the_log_and_every_edit_of_the_log_is_found() {
    let ward = Ward::open(TestApp::start().await).await;
    let token = ward.token_of(Role::CareTeamMember).await;
    let readings = |patient| format!("/api/v1/patients/{patient}/readings");
    for path in [
        readings(ward.known),
        readings(ward.unknown),
        "/api/v1/alerts".to_owned(),
        readings(ward.known),
    ] {
        ward.app.send_as(&token, &Method::GET, &path, None).await;
    }
    let bad = format!("{}?limit=x", readings(ward.known));
    ward.app.send_as(&token, &Method::GET, &bad, None).await;
    let rows: Vec<(String, String, Vec<i64>, Vec<String>)> =
        sqlx::query_as("SELECT action, outcome, patients, bases FROM audit_event ORDER BY sequence")
            .fetch_all(ward.app.pool())
            .await
            .unwrap();
    let row = |action: &str, outcome: &str, patient: PatientId, basis: &str| {
        (
            action.to_owned(),
            outcome.to_owned(),
            vec![patient.0],
            vec![basis.to_owned()],
        )
    };
    assert_eq!(
        rows,
        [
            row("read_readings", "done", ward.known, "enrolment"),
            row("read_readings", "refused", ward.unknown, "none"),
            row("read_alerts", "done", ward.known, "enrolment"),
            row("read_readings", "done", ward.known, "enrolment"),
        ]
    );

    let mut connection = ward.app.connection().await;
    let good = audit::verify(&mut connection, None).await.unwrap();
    assert_eq!((good.rows, &good.fault), (4, &None));
    let (sequence, hash) = &good.head;
    let noted = Some((*sequence, hash.as_str()));
    assert_eq!(audit::verify(&mut connection, noted).await.unwrap().fault, None);

    // Nobody who answers requests can write it, and nobody at all can change it by mistake.
    let requests = ward.app.database.pool_for_requests();
    for statement in [
        "DELETE FROM audit_event",
        "UPDATE audit_event SET actor = 'x'",
        "UPDATE audit_head SET sequence = 0",
    ] {
        sqlx::query(statement).execute(&requests).await.unwrap_err();
    }
    sqlx::query("DELETE FROM audit_event")
        .execute(&mut *connection)
        .await
        .unwrap_err();

    // Whoever owns the database can, and is found out.
    sqlx::query("ALTER TABLE audit_event DISABLE TRIGGER audit_is_append_only")
        .execute(&mut *connection)
        .await
        .unwrap();
    for (statement, fault) in [
        (
            "UPDATE audit_event SET actor = 'nobody' WHERE sequence = 2",
            "row 2 was changed after it was written",
        ),
        (
            "UPDATE audit_event SET patients = '{7}' WHERE sequence = 1",
            "row 1 was changed after it was written",
        ),
        (
            "UPDATE audit_event SET at = at + interval '1 s' WHERE sequence = 3",
            "row 3 was changed after it was written",
        ),
        (
            "UPDATE audit_event SET reason = 'x' WHERE sequence = 3",
            "row 3 was changed after it was written",
        ),
        ("DELETE FROM audit_event WHERE sequence = 2", "row 2 is missing"),
        ("DELETE FROM audit_event WHERE sequence = 4", "row 4 is missing"),
        ("DELETE FROM audit_event", "row 1 is missing"),
        (
            "UPDATE audit_event SET sequence = sequence + 1 WHERE sequence = 4",
            "row 4 is missing",
        ),
    ] {
        let mut transaction = ward.app.pool().begin().await.unwrap();
        sqlx::query(statement).execute(&mut *transaction).await.unwrap();
        let found = audit::verify(&mut transaction, None).await.unwrap();
        assert_eq!(found.fault.as_deref(), Some(fault), "{statement}");
    }
    // Also who makes the head fit, by whoever noted it.
    let mut transaction = ward.app.pool().begin().await.unwrap();
    sqlx::query("DELETE FROM audit_event WHERE sequence = 4")
        .execute(&mut *transaction)
        .await
        .unwrap();
    sqlx::query(
        "UPDATE audit_head SET sequence = 3, hash = (SELECT hash FROM audit_event WHERE sequence = 3)",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    assert_eq!(audit::verify(&mut transaction, None).await.unwrap().fault, None);
    let found = audit::verify(&mut transaction, noted).await.unwrap();
    assert_eq!(found.fault.as_deref(), Some("row 4, which was noted, is missing"));
}
