//! What is wrong with a form that was sent: shown at its head, and at each field.

use std::fmt::Display;

use axum::http::StatusCode;

use crate::access_log::capital;
use crate::error::ApiError;

/// What is wrong, field by field, in the order of the form. A page shows it by `problems` of `pages/fields.html`, and at
/// each field by its macro there.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

#[derive(Debug)]
pub(crate) struct Problem {
    /// The name of the field, which is its `id` too.
    pub(crate) field: String,
    /// A sentence without its point.
    pub(crate) text: String,
}

impl Problems {
    /// Notes that something is wrong with a field.
    pub(crate) fn note(&mut self, field: &str, text: impl Display) {
        self.0.push(Problem {
            field: field.to_owned(),
            text: capital(&text.to_string()),
        });
    }

    /// What a field says, unless that is wrong: then it is noted.
    pub(crate) fn take<T>(&mut self, field: &str, read: Result<T, impl Display>) -> Option<T> {
        read.map_err(|error| self.note(field, error)).ok()
    }

    /// Notes what the caller of a form can set right; what is nothing of theirs is handed on. What is said of no field of
    /// the form is noted at this one.
    pub(crate) fn refused(&mut self, field: &str, error: ApiError) -> Result<(), ApiError> {
        match error {
            ApiError::Parameter { parameter, detail } => self.note(&parameter, detail),
            ApiError::Conflict(detail) | ApiError::NotFound(detail) => self.note(field, detail),
            ApiError::Forbidden(detail) => self.note(field, detail),
            other => return Err(other),
        }
        Ok(())
    }

    /// What is wrong with a field.
    pub(crate) fn of(&self, field: &str) -> Option<&str> {
        let found = self.0.iter().find(|problem| problem.field == field);
        found.map(|problem| problem.text.as_str())
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it.
    pub(crate) fn all(&self) -> &[Problem] {
        &self.0
    }

    /// The status of a page with the form.
    pub(crate) fn status(&self) -> StatusCode {
        match self.is_empty() {
            true => StatusCode::OK,
            false => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_found_at_its_field_and_what_is_not_the_form_s_fault_goes_on() {
        let mut problems = Problems::default();
        assert_eq!(problems.status(), StatusCode::OK);
        assert_eq!(problems.take("days", "7".parse::<u16>()), Some(7));
        assert_eq!(problems.take("days", "x".parse::<u16>()), None);
        problems
            .refused("name", ApiError::Conflict("it is taken".to_owned()))
            .unwrap();
        problems
            .refused("name", ApiError::parameter("born", "the date is in the future"))
            .unwrap();
        assert_eq!(problems.of("days"), Some("Invalid digit found in string"));
        assert_eq!(problems.of("name"), Some("It is taken"));
        assert_eq!(problems.of("born"), Some("The date is in the future"));
        assert_eq!(problems.of("other"), None);
        assert_eq!(problems.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(problems.refused("name", ApiError::TimedOut).is_err());
    }
}
