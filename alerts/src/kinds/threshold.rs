use serde::Serialize;

use crate::Limit;

/// One reading beyond any of the limits. A gap in the readings changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// The limits; any one suffices.
    pub limits: Vec<Limit>,
    /// How long readings must have been back within `clear` before the episode clears, in seconds; 0, the
    /// default: the first such reading clears it.
    pub clear_after_seconds: u32,
}
