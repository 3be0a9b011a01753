//! Devices: registering and revoking them, and whose patient they measure.

pub(crate) mod assign;
pub(crate) mod list;
pub(crate) mod register;
pub(crate) mod revoke;
#[cfg(test)]
mod tests;
