//! What is not known, and what goes wrong.

use axum::http::Request;
use insta::assert_snapshot;

use super::{ids, link, told, ward};
use crate::testing::TOKEN;

#[tokio::test]
async fn what_is_not_known_is_left_out_or_refused_as_one_prefers() {
    let (app, ..) = ward().await;
    let path = "/fhir/R4/Observation?patient=1001&colour=red&code=8867-4&_format=json";
    let found = app.get(path).await.json();
    assert_eq!(
        link(&found, "self").unwrap(),
        "/fhir/R4/Observation?patient=1001&code=8867-4&_format=json"
    );
    assert_eq!(ids(&found).len(), 2);
    let strict = Request::get(path)
        .header("Authorization", format!("Bearer {TOKEN}"))
        .header("Prefer", "return=minimal, handling=strict");
    assert_snapshot!(told(&app.send(strict).await), @"400 invalid colour: there is no such parameter; there are patient, subject, code, combo-code, category, date, status, _sort, _include");
}

#[tokio::test]
async fn what_goes_wrong_is_an_outcome() {
    let (app, ..) = ward().await;
    let mut lines = String::new();
    for path in [
        "Observation",
        "Observation?patient=1001,1002",
        "Observation?patient=1001&patient=1002",
        "Observation?patient=1001&code:not=8867-4",
        "Observation?patient=1001&date=ne2026",
        "Observation?patient=1001&date=yesterday",
        "Observation?patient=1001&_sort=code",
        "Observation?patient=1001&_count=0",
        "Observation?patient=1001&_include=Observation:subject",
        "Observation?patient=1001&_after=x",
        "Observation?patient=1001&_format=xml",
        "Observation?patient=1001&code=%00",
        "Observation/x",
        "Observation/1001-10001-1-1",
        "Observation/$lastn?patient=1001&max=0",
        "Observation/$stats?patient=1001",
        "Observation/$stats?patient=1001&code=8867-4&statistic=mode",
        "Observation/$stats?patient=1001&code=8867-4&period=2026-11",
        "Patient/1002",
        "Patient/x",
        "Device/1",
        "Flag/17",
        "DetectedIssue/x",
        "CarePlan/1002",
        "Consent/sharing-1",
        "Consent/x",
        "AuditEvent?patient=1001",
        "Medication/1",
    ] {
        lines += &format!("{path}: {}\n", told(&app.get(&format!("/fhir/R4/{path}")).await));
    }
    lines += &format!("POST: {}\n", told(&app.post("/fhir/R4/Patient").await));
    let nobody = app.send(Request::get("/fhir/R4/Patient/1001")).await;
    assert_eq!(nobody.headers["www-authenticate"], r#"Bearer realm="homeward""#);
    lines += &format!("nobody: {}\n", told(&nobody));
    assert_snapshot!(lines, @r#"
    Observation: 400 invalid patient: a search is about one patient: patient=
    Observation?patient=1001,1002: 400 invalid patient: a search is about one patient
    Observation?patient=1001&patient=1002: 400 invalid patient: the parameter is given twice
    Observation?patient=1001&code:not=8867-4: 400 invalid code:not: this modifier is not known
    Observation?patient=1001&date=ne2026: 400 invalid date: expected one of eq, ge, gt, le, lt, sa and eb before the date
    Observation?patient=1001&date=yesterday: 400 invalid date: expected a date such as ge2026-11-22, or a time with offset
    Observation?patient=1001&_sort=code: 400 invalid _sort: expected date or -date
    Observation?patient=1001&_count=0: 400 invalid _count: expected a whole number from 1 on
    Observation?patient=1001&_include=Observation:subject: 400 invalid _include: expected Observation:device
    Observation?patient=1001&_after=x: 400 invalid _after: expected the next link of an earlier page
    Observation?patient=1001&_format=xml: 406 not-supported answers are application/fhir+json
    Observation?patient=1001&code=%00: 400 invalid code: has control characters in it
    Observation/x: 404 not-found there is no such Observation
    Observation/1001-10001-1-1: 404 not-found there is no such Observation
    Observation/$lastn?patient=1001&max=0: 400 invalid max: expected a whole number from 1 to 100
    Observation/$stats?patient=1001: 400 invalid code: is missing: figures are of one code, or several
    Observation/$stats?patient=1001&code=8867-4&statistic=mode: 400 invalid statistic: "mode" is none of average, maximum, minimum, count, std-dev
    Observation/$stats?patient=1001&code=8867-4&period=2026-11: 400 invalid period: expected two dates, such as 2026-11-01/2026-11-22
    Patient/1002: 404 not-found there is no patient 1002
    Patient/x: 404 not-found there is no such Patient
    Device/1: 404 not-found there is no such Device
    Flag/17: 404 not-found there is no such Flag
    DetectedIssue/x: 404 not-found there is no such DetectedIssue
    CarePlan/1002: 404 not-found there is no patient 1002
    Consent/sharing-1: 404 not-found there is no such Consent
    Consent/x: 404 not-found there is no such Consent
    AuditEvent?patient=1001: 403 forbidden nobody in your role may do this
    Medication/1: 404 not-found there is nothing at this path
    POST: 405 not-supported this path does not answer this method; the Allow header says which it does
    nobody: 401 login sign in, or send a token: Authorization: Bearer <token>
    "#);
}
