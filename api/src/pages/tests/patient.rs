//! The pages about one patient, for those who look after them.

use chrono::TimeDelta;
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::access::{Role, default_team};

use super::{Browser, location, signed_in, token};
use crate::care_plan::testing::{judge, on};
use crate::testing::{Answer, TestApp, at, now};

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

/// Two weeks of a sensor, and a few days of a cuff and a scale.
async fn measure(app: &TestApp, patient: PatientId) -> DeviceId {
    let device = app.add_device(patient).await;
    let glucose = (0..14 * 288).map(|step| {
        let wave = f64::from(step % 288 - 144).abs() / 20.0;
        (
            Metric::Glucose,
            now() - TimeDelta::minutes(i64::from(step) * 5),
            5.0 + wave,
        )
    });
    let cuff = (0..6).flat_map(|day| {
        let at = now() - TimeDelta::days(day) - TimeDelta::hours(3);
        [(Metric::Systolic, at, 142.0), (Metric::Diastolic, at, 84.0)]
    });
    let scale = [(Metric::BodyWeight, now() - TimeDelta::days(2), 81.4)];
    let readings: Vec<_> = glucose.chain(cuff).chain(scale).collect();
    app.store(patient, device, &readings).await;
    device
}

#[tokio::test]
async fn an_overview_begins_with_what_is_open_and_shows_what_is_measured() {
    let (app, patient) = on("diabetes-type-1").await;
    measure(&app, patient).await;
    judge(&app, patient, &[("12:01", 2.6)]).await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let page = nurse.get("/patients/1001").await;
    shows(
        &page,
        &[
            "Glucose very low",
            "Nobody has it",
            "/alerts/1",
            "What to do",
            "<span data-metric=\"systolic\">142</span>/<span data-metric=\"diastolic\">84</span> mmHg",
            "<span data-metric=\"body_weight\">81.4</span> kg",
            "data-readings=\"/api/v1/patients/1001/readings/stream\"",
            "Trends, last 14 days",
            "id=\"chart-blood-pressure\"",
            "The course from",
            "Systolic target: below 135 mmHg",
            "id=\"chart-glucose\"",
            "data-mark=\"high\"",
            "id=\"chart-weight\"",
            "Ambulatory glucose profile",
            "In range, 3.9 to 10.0 mmol/L",
            "Day by day",
        ],
    );
    // The most urgent stands before everything else.
    let place = |text: &str| page.body.find(text).unwrap();
    assert!(place("Open alerts") < place("Latest values"));
    assert!(place("Latest values") < place("Trends, last"));

    let day = nurse.get("/patients/1001?range=24h").await;
    shows(
        &day,
        &[
            "Trends, last 24 hours",
            "id=\"chart-glucose\"",
            "Ambulatory glucose profile",
        ],
    );
    assert!(!day.body.contains("id=\"chart-weight\""), "{}", day.body);
    shows(
        &nurse.get("/patients/1001?range=90d").await,
        &["id=\"chart-weight\""],
    );
    assert_eq!(nurse.get("/patients/1001?range=1y").await.status, 400);
}

#[tokio::test]
async fn a_patient_without_readings_has_a_page_too() {
    let app = TestApp::start().await;
    app.add_patient().await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let empty = [
        "No alert is open now",
        "Nothing was measured in the last 90 days",
        "Nothing was written down",
    ];
    shows(&nurse.get("/patients/1001").await, &empty);
    shows(
        &nurse.get("/patients/1001/alerts").await,
        &["There are none of these in the last 90 days"],
    );
    shows(
        &nurse.get("/patients/1001/readings").await,
        &["There are no such readings"],
    );
    shows(
        &nurse.get("/patients/1001/news2").await,
        &["Nothing of it was measured"],
    );
    shows(
        &nurse.get("/patients/1001/care-plan").await,
        &["The plan has no rules"],
    );
    shows(
        &nurse.get("/patients/1001/devices").await,
        &["No device has measured"],
    );
}

#[tokio::test]
async fn a_note_is_replaced_and_what_was_typed_in_vain_stays() {
    let app = TestApp::start().await;
    app.add_patient().await;
    let mut nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let page = nurse.get("/patients/1001").await;
    let path = "/patients/1001/notes";
    let written = nurse.post(path, &form(&page, &[("text", "Feels well")])).await;
    assert_eq!(location(&written), "/patients/1001#notes");
    let instead = form(&page, &[("text", "Feels unwell"), ("replaces", "1")]);
    assert_eq!(
        location(&nurse.post(path, &instead).await),
        "/patients/1001#notes"
    );
    let both = nurse.get("/patients/1001").await;
    shows(
        &both,
        &[
            "Feels well",
            "Replaced by a later note",
            "In the place of an earlier note",
        ],
    );
    // Once.
    let again = nurse
        .post(path, &form(&page, &[("text", "Feels fine"), ("replaces", "1")]))
        .await;
    assert_eq!(again.status, 422);
    assert!(
        again.body.contains("was replaced already") && again.body.contains("Feels fine"),
        "{}",
        again.body
    );
    let nothing = nurse.post(path, &form(&page, &[("text", " ")])).await;
    assert_eq!(nothing.status, 422, "{}", nothing.body);
}

#[tokio::test]
async fn alerts_are_listed_as_they_stand() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    app.raise(patient, rule, "medium", true).await;
    app.raise(patient, rule, "high", false).await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let all = nurse.get("/patients/1001/alerts").await;
    shows(
        &all,
        &[
            "hw-timeline--high",
            "/alerts/1",
            "/alerts/2",
            "Over, and nobody had it. Came late",
            "Nobody has it",
            "It lasts",
        ],
    );
    app.post("/api/v1/alerts/2/acknowledge").await.json();
    app.clear(patient).await;
    let open = nurse.get("/patients/1001/alerts?status=open").await;
    shows(&open, &["/alerts/1"]);
    assert!(!open.body.contains("/alerts/2"), "{}", open.body);
    let closed = nurse.get("/patients/1001/alerts?status=closed&range=7d").await;
    shows(&closed, &["/alerts/2", "Closed; ward 3 had it"]);
    assert_eq!(nurse.get("/patients/1001/alerts?status=new").await.status, 400);
}

#[tokio::test]
async fn scores_stand_as_on_the_chart_of_a_ward() {
    let (app, patient) = on("copd").await;
    let device = app.add_device(patient).await;
    let set = [
        (Metric::RespiratoryRate, 22.0),
        (Metric::Spo2, 90.0),
        (Metric::SupplementalOxygen, 0.0),
        (Metric::Systolic, 118.0),
        (Metric::HeartRate, 96.0),
        (Metric::Consciousness, 0.0),
        (Metric::BodyTemperature, 37.2),
    ];
    let at_eight: Vec<_> = set
        .iter()
        .map(|(metric, value)| (*metric, at("2026-11-22T08:00:00Z"), *value))
        .collect();
    app.store(patient, device, &at_eight).await;
    app.store(
        patient,
        device,
        &[(Metric::HeartRate, at("2026-11-22T11:00:00Z"), 132.0)],
    )
    .await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let all = nurse.get("/patients/1001/news2").await;
    shows(
        &all,
        &[
            "Scale 2",
            "<td class=\"hw-score--2\">22 ",
            "<strong>3</strong>",
            "<strong>at least 3</strong>",
            "low to medium: 3 in one parameter",
            "not measured",
        ],
    );
    let complete = nurse.get("/patients/1001/news2?sets=complete").await;
    shows(&complete, &["<strong>3</strong>"]);
    assert!(!complete.body.contains("at least 3"), "{}", complete.body);
    let overview = nurse.get("/patients/1001").await;
    shows(
        &overview,
        &["at least 3", "The last complete one was 3", "Target: 88 to 92 %"],
    );

    let (app, _) = on("diabetes-pregnancy").await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    shows(
        &nurse.get("/patients/1001/news2").await,
        &["not for use in pregnancy"],
    );
}

#[tokio::test]
async fn a_measurement_is_marked_as_entered_in_error_for_a_reason() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    let time = at("2026-11-22T08:00:00Z");
    app.store(
        patient,
        device,
        &[(Metric::Systolic, time, 188.0), (Metric::Diastolic, time, 121.0)],
    )
    .await;
    let mut nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let list = nurse.get("/patients/1001/readings?type=blood_pressure").await;
    shows(&list, &["188 mmHg", "121 mmHg", "cuff no. 10001"]);
    let micros = time.timestamp_micros();
    let (systolic, diastolic) = (format!("{micros}.5.10001"), format!("{micros}.6.10001"));
    let ask = nurse
        .get(&format!(
            "/patients/1001/readings/entered-in-error?reading={systolic}"
        ))
        .await;
    shows(
        &ask,
        &[
            "Systolic blood pressure 188 mmHg",
            "Diastolic blood pressure 121 mmHg",
        ],
    );
    let path = "/patients/1001/readings/entered-in-error";
    let without = nurse
        .post(
            path,
            &form(
                &ask,
                &[("reading", &systolic), (&diastolic, "on"), ("reason", " ")],
            ),
        )
        .await;
    assert_eq!(without.status, 422);
    assert!(
        without.body.contains("Say why the reading is none") && without.body.contains("checked"),
        "{}",
        without.body
    );
    let sent = form(
        &ask,
        &[
            ("reading", &systolic),
            (&diastolic, "on"),
            ("reason", "cuff was loose"),
        ],
    );
    assert_eq!(
        location(&nurse.post(path, &sent).await),
        "/patients/1001/readings"
    );
    let list = nurse.get("/patients/1001/readings").await;
    shows(
        &list,
        &[
            "<s>188 mmHg</s>",
            "<s>121 mmHg</s>",
            "Entered in error, Mei Ng: cuff was loose",
        ],
    );
    // It counts no more, and cannot be marked twice.
    assert_eq!(nurse.get(&format!("{path}?reading={systolic}")).await.status, 404);
    assert_eq!(nurse.get(&format!("{path}?reading=7")).await.status, 400);
}

#[tokio::test]
async fn readings_come_in_pages() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    let readings: Vec<_> = (1..=150)
        .map(|minute| (Metric::HeartRate, now() - TimeDelta::minutes(minute), 60.0))
        .collect();
    app.store(patient, device, &readings).await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let rows = |page: &Answer| page.body.matches("<tr class=\"nhsuk-table__row\">").count();
    let first = nurse.get("/patients/1001/readings?type=&range=7d").await;
    assert_eq!(rows(&first), 100);
    let (before, _) = first.body.split_once("\">Earlier readings").unwrap();
    let next = before.rsplit("href=\"").next().unwrap().replace("&#38;", "&");
    let second = nurse.get(&next).await;
    assert_eq!(rows(&second), 50, "{next}");
    assert!(!second.body.contains("Earlier readings"));
}

const RULE: &str = "/patients/1001/care-plan/rules/glucose-low";

/// What the form of the rule of low glucose sends.
fn low(page: &Answer, version: &str, below: &str, reason: &str) -> String {
    form(
        page,
        &[
            ("version", version),
            ("severity", "low"),
            ("condition.limits[0].below", below),
            ("condition.limits[0].clear", "4.2"),
            ("condition.for_seconds", "15"),
            ("condition.max_gap_seconds", "30"),
            ("condition.clear_after_seconds", "15"),
            ("guidance", "Ask."),
            ("reason", reason),
        ],
    )
}

#[tokio::test]
async fn a_rule_is_tried_before_it_is_changed() {
    let (app, patient) = on("diabetes-type-1").await;
    let readings: Vec<_> = (1..=48)
        .map(|step| {
            let value = if (20..30).contains(&step) { 3.7 } else { 6.0 };
            (Metric::Glucose, now() - TimeDelta::minutes(step * 5), value)
        })
        .collect();
    let device = app.add_device(patient).await;
    app.store(patient, device, &readings).await;
    let mut lead = of_team(&app, "ola", Role::CareTeamLead).await;
    let plan = lead.get("/patients/1001/care-plan").await;
    shows(
        &plan,
        &[
            "Glucose below 3.9 mmol/L for 15 minutes",
            "always on",
            "Change the rule",
            "by Dr Ng: enrolment",
        ],
    );
    let page = lead.get(RULE).await;
    shows(
        &page,
        &["value=\"3.9\"", "name=\"version\" value=\"1\"", "Version 1"],
    );

    let tried = lead
        .post(&format!("{RULE}/try"), &low(&page, "1", "3.5", ""))
        .await;
    shows(
        &tried,
        &[
            "it would have raised 0 alerts instead of 1",
            "These would not be told any more",
            "value=\"3.5\"",
            "Nothing is changed yet",
        ],
    );
    // Nothing was.
    shows(&lead.get(RULE).await, &["value=\"3.9\""]);

    for (below, reason, told) in [
        ("low", "too many", "Glucose below: type a number"),
        ("3.5", " ", "Say why, in at most 2,000 characters"),
        ("70", "too many", "70 is no plausible value of glucose"),
    ] {
        let wrong = lead.post(RULE, &low(&page, "1", below, reason)).await;
        assert_eq!(wrong.status, 422);
        assert!(
            wrong.body.contains(told) && wrong.body.contains(below),
            "{told}: {}",
            wrong.body
        );
    }
    assert_eq!(
        location(&lead.post(RULE, &low(&page, "1", "3.5", "too many")).await),
        RULE
    );
    shows(
        &lead.get(RULE).await,
        &[
            "Version 2",
            "by Mei Ng: too many",
            "Glucose below: 3.5 mmol/L instead of 3.9 mmol/L",
            "severity low instead of medium",
        ],
    );
}

#[tokio::test]
async fn whoever_changes_a_rule_that_somebody_else_changed_is_told_what() {
    let (app, _) = on("diabetes-type-1").await;
    let mut lead = of_team(&app, "ola", Role::CareTeamLead).await;
    let page = lead.get(RULE).await;
    assert_eq!(
        location(&lead.post(RULE, &low(&page, "1", "3.7", "of one")).await),
        RULE
    );
    let other = lead.post(RULE, &low(&page, "1", "3.5", "of the other")).await;
    assert_eq!(other.status, 409);
    for text in [
        "Somebody else has changed the rule meanwhile",
        "Version 2 is in force, by Mei Ng: of one.",
        "Glucose below: 3.7 mmol/L instead of 3.9 mmol/L",
        "value=\"3.5\"",
        "of the other",
        "name=\"version\" value=\"2\"",
    ] {
        assert!(other.body.contains(text), "{text}: {}", other.body);
    }
    assert_eq!(
        location(&lead.post(RULE, &low(&other, "2", "3.5", "of the other")).await),
        RULE
    );
    shows(&lead.get(RULE).await, &["Version 3"]);
}

#[tokio::test]
async fn a_rule_is_taken_out_and_put_back_and_a_programme_begun() {
    let (app, _) = on("diabetes-type-1").await;
    let mut lead = of_team(&app, "ola", Role::CareTeamLead).await;
    let page = lead.get(RULE).await;
    let remove = format!("{RULE}/remove");
    let without = lead
        .post(&remove, &form(&page, &[("version", "1"), ("why", "")]))
        .await;
    assert_eq!(without.status, 422, "{}", without.body);
    let taken = lead
        .post(&remove, &form(&page, &[("version", "1"), ("why", "too many")]))
        .await;
    assert_eq!(location(&taken), "/patients/1001/care-plan");
    let plan = lead.get("/patients/1001/care-plan").await;
    shows(
        &plan,
        &["Rules that the plan has no more", "Taken out by Mei Ng: too many"],
    );
    let page = lead.get(RULE).await;
    shows(&page, &["The plan has this rule no more", "Put it back"]);
    assert_eq!(
        location(&lead.post(RULE, &low(&page, "", "3.9", "again")).await),
        RULE
    );
    shows(&lead.get(RULE).await, &["Version 2", "by Mei Ng: again"]);

    // A rule that is always on stays.
    let page = lead.get("/patients/1001/care-plan/rules/glucose-very-low").await;
    shows(&page, &["This rule is always on"]);
    let very_low = "/patients/1001/care-plan/rules/glucose-very-low/remove";
    let refused = lead
        .post(very_low, &form(&page, &[("version", "1"), ("why", "too many")]))
        .await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("is always on"), "{}", refused.body);

    let begin = "/patients/1001/care-plan";
    let nothing = lead
        .post(begin, &form(&page, &[("programme", ""), ("reason", "")]))
        .await;
    assert_eq!(nothing.status, 422);
    assert!(nothing.body.contains("Choose a programme"), "{}", nothing.body);
    let fields = [("programme", "hypertension"), ("reason", "referred")];
    shows(
        &lead.post(&format!("{begin}/try"), &form(&page, &fields)).await,
        &["Tried on the last weeks", "selected"],
    );
    assert_eq!(location(&lead.post(begin, &form(&page, &fields)).await), begin);
    shows(&lead.get(begin).await, &["by Mei Ng: referred"]);

    // Whoever may not change it may try.
    let mut nurse = of_team(&app, "nurse", Role::CareTeamMember).await;
    let page = nurse.get(RULE).await;
    shows(&page, &["Try other numbers"]);
    assert!(!page.body.contains("Take it out"), "{}", page.body);
    assert_eq!(
        nurse.post(RULE, &low(&page, "2", "3.5", "why not")).await.status,
        403
    );
    shows(
        &nurse
            .post(&format!("{RULE}/try"), &low(&page, "2", "3.5", ""))
            .await,
        &["Tried on the last weeks"],
    );
    assert_eq!(
        nurse.get("/patients/1001/care-plan/rules/nothing").await.status,
        404
    );
}

#[tokio::test]
async fn an_alert_that_lasts_is_shown_however_many_came_after_it() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    app.raise(patient, rule, "high", false).await;
    // It has lasted for long; meanwhile another rule raises and clears.
    sqlx::query(
        "INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, cleared_at, onset_at, onset_value,
             onset_metric, latest_at, latest_value, latest_metric, worst_at, worst_value, worst_metric)
         SELECT patient_id, rule_id, code, 'low', 'closed', late, raised_at, raised_at, onset_at, onset_value,
             onset_metric, latest_at, latest_value, latest_metric, worst_at, worst_value, worst_metric
         FROM episode CROSS JOIN generate_series(1, 250)",
    )
    .execute(app.pool())
    .await
    .unwrap();
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let page = nurse.get("/patients/1001").await;
    shows(&page, &["href=\"/alerts/1\""]);
    assert!(!page.body.contains("No alert is open now"));
}

#[tokio::test]
async fn a_page_is_shown_before_anybody_has_counted_what_is_on_it() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    app.add_device(patient).await;
    // A record that was just taken over: a watch that measured two things a minute for ten weeks.
    for metric in [Metric::HeartRate, Metric::Spo2] {
        sqlx::query(
            "WITH taken AS (
                 INSERT INTO reading (patient_id, metric, time, device_id, value, received_at)
                 SELECT $1, $2, $3 - minute * interval '1 minute', 10001, 72, $3
                 FROM generate_series(1, 100800) AS minute RETURNING time
             )
             INSERT INTO rollup_dirty (patient_id, metric, bucket)
             SELECT DISTINCT $1, $2, time_bucket('1 hour', time) FROM taken",
        )
        .bind(patient.0)
        .bind(metric.code())
        .bind(now())
        .execute(app.pool())
        .await
        .unwrap();
    }
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    shows(
        &nurse.get("/patients/1001?range=90d").await,
        &[
            "id=\"chart-heart-rate\"",
            "id=\"chart-oxygen\"",
            "in 100,800 readings",
        ],
    );
}

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
