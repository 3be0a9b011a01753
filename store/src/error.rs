use std::borrow::Cow;

/// An operation on the record that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation}")]
pub struct Error {
    operation: Cow<'static, str>,
    #[source]
    source: sqlx::Error,
}

impl Error {
    /// Names the operation that failed, as a verb phrase: "insert readings".
    pub fn new(operation: impl Into<Cow<'static, str>>, source: sqlx::Error) -> Error {
        Error {
            operation: operation.into(),
            source,
        }
    }

    /// The operation took so long that the database counts as away.
    pub fn timed_out(operation: impl Into<Cow<'static, str>>) -> Error {
        Error::new(operation, sqlx::Error::PoolTimedOut)
    }

    /// What kind of fault it is, and so what the caller does next.
    pub fn fault(&self) -> Fault {
        fault_of(&self.source)
    }

    /// Whether a connection was refused in a way that waiting does not mend: the address makes no sense, or the
    /// server knows no such user, password or database.
    pub fn is_refusal(&self) -> bool {
        match &self.source {
            sqlx::Error::Database(database) => database
                .code()
                .is_some_and(|code| code.starts_with("28") || code == "3D000" || code == "42501"),
            sqlx::Error::Configuration(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
            _ => false,
        }
    }
}

/// What a caller can do about a failed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The database cannot be reached or cannot work at present. Wait and try again.
    Away,
    /// Another transaction was in the way. Try again at once.
    Conflict,
    /// The data itself was refused. Trying the same again is no use.
    Content,
}

/// The one place where SQLSTATE gets a meaning.
///
/// Only what PostgreSQL says of the data itself counts as its fault (classes 22 and 23, and a value over a
/// limit, 54): to reject a patient's reading for anything else would lose it to a full disk or a missing
/// migration.
pub fn fault_of(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("40001" | "40P01") => Fault::Conflict,
            Some(code) if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => Fault::Content,
            _ => Fault::Away,
        },
        sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Fault::Content,
        _ => Fault::Away,
    }
}
