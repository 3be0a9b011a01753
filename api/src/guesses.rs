//! Whoever names a patient whom they do not see, by NHS number and date of birth together, must know both. So it is counted
//! how often the two did not fit, and whose number it was learns of it.

use chrono::TimeDelta;
use homeward_record::NhsNumber;
use homeward_store::accounts::{count_attempt, forgive_attempt};
use homeward_store::patients::{PersonFilter, find_people};

use crate::access::Exchange;
use crate::error::ApiError;
use crate::routes::App;

/// How often it may be wrong within an hour: a ward mistypes less, and thousands of birthdays take months.
const MOST_WRONG: i32 = 20;
const WITHIN: TimeDelta = TimeDelta::hours(1);

/// Counts that the caller names somebody, before it is looked up, so that guesses side by side are counted too.
pub(crate) async fn count(app: &App, exchange: &Exchange) -> Result<(), ApiError> {
    let mut connection = app.connection().await?;
    let attempts = count_attempt(&mut connection, &subject(exchange), WITHIN, exchange.now()).await?;
    if attempts.count > MOST_WRONG {
        let seconds = (attempts.until - exchange.now()).num_seconds().max(1);
        return Err(ApiError::TooOften { seconds });
    }
    Ok(())
}

/// It was no guess.
pub(crate) async fn was_right(app: &App, exchange: &Exchange) -> Result<(), ApiError> {
    Ok(forgive_attempt(&mut *app.connection().await?, &subject(exchange)).await?)
}

/// It was one: the log says so, to the patient whose number it is, if there is one.
pub(crate) async fn was_wrong(app: &App, exchange: &Exchange, number: &NhsNumber) -> Result<(), ApiError> {
    let filter = PersonFilter {
        nhs_numbers: Some(vec![number.as_str().to_owned()]),
        ..PersonFilter::default()
    };
    let found = find_people(&mut *app.connection().await?, &filter, 1).await?;
    exchange.note_patients(found.iter().map(|person| person.id));
    exchange.note_refused();
    exchange.note_reason("number and date of birth do not belong together");
    Ok(())
}

fn subject(exchange: &Exchange) -> String {
    format!("patients named by role {}", exchange.principal().acts_as.id)
}
