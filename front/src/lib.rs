//! What stands in front of the listeners for MQTT and HTTP.
//!
//! A [`Front`] ends TLS and carries each connection to the listener behind it, which is on this machine. Its first
//! bytes there are an [introduction](Introduction): whose connection it is, and which certificate it showed (PROXY
//! protocol version 2). HAProxy or a load balancer can stand in the same place and say the same.

mod certificates;
mod introduction;
mod terminate;

pub use self::certificates::{CertificateError, Certificates, Files};
pub use self::introduction::{HEAD, Introduction, Introductions, NotIntroduced};
pub use self::terminate::{Behind, Front};
