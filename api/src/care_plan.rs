//! Care plans: the rules of a patient, and changing them.

pub(crate) mod adjust;
pub(crate) mod begin;
pub(crate) mod remove;
pub(crate) mod show;
#[cfg(test)]
pub(crate) mod testing;

use homeward_alerts::plans::PlanError;

use crate::error::ApiError;

impl From<PlanError> for ApiError {
    fn from(error: PlanError) -> ApiError {
        let detail = error.to_string();
        match error {
            PlanError::UnknownPatient(_) => ApiError::NotFound(detail),
            PlanError::Code => ApiError::parameter("code", detail),
            PlanError::Definition(error) => {
                let field = match error.field.as_str() {
                    "definition" => "definition".to_owned(),
                    field => format!("definition.{field}"),
                };
                let detail = format!("{field}: {}", error.problem);
                ApiError::parameter(field, detail)
            }
            PlanError::Until(_) => ApiError::parameter("valid_until", detail),
            PlanError::Stale { .. } | PlanError::AlwaysOn { .. } => ApiError::Conflict(detail),
            PlanError::Store(error) => ApiError::Store(error),
        }
    }
}
