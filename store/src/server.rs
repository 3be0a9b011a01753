//! Under construction: the private server.
