//! Clinical tables against the engine: every band edge and every course that a clinician would ask about.

mod glucose;
mod home_average;
mod news2;
mod news2_completeness;
mod programmes;
