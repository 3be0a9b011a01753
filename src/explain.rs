//! Errors in plain English.

/// An error and its causes in one line, without what one repeats of the next: some libraries print their
/// cause, and name it as well.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let message = match cause.downcast_ref::<sqlx::Error>() {
            // Without the place in PostgreSQL's source.
            Some(sqlx::Error::Database(error)) => error.message().to_owned(),
            _ => cause.to_string().trim_end().to_owned(),
        };
        if text.is_empty() {
            text = message;
        } else if text != message && !text.ends_with(&format!(": {message}")) {
            text = format!("{text}: {message}");
        }
        if matches!(cause.downcast_ref(), Some(sqlx::Error::Database(_))) {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let away = sqlx::Error::Io(io::Error::other("connection refused"));
        for (error, text) in [
            (anyhow!("no"), "no"),
            (anyhow!("no").context("could not"), "could not: no"),
            (
                anyhow!(away).context("could not connect"),
                "could not connect: error communicating with database: connection refused",
            ),
        ] {
            assert_eq!(explain(&error), text);
        }
    }
}
