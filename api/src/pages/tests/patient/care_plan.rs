use chrono::TimeDelta;
use homeward_record::Metric;
use homeward_store::access::Role;

use super::{form, of_team, shows};
use crate::care_plan::testing::on;
use crate::pages::tests::location;
use crate::testing::{Answer, now};

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
