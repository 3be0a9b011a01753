-- Signing in: passwords that somebody else has given, and how often it was tried.

ALTER TABLE account
    -- Until when a password is good that its owner has not chosen; nothing else can be done before another one is.
    -- NULL: the owner has chosen it.
    ADD COLUMN initial_password_until timestamptz;
GRANT SELECT (initial_password_until) ON account TO homeward_api;

-- Attempts to sign in with a name, or from an address, within a window of time. Names that nobody has are counted like
-- all others.
CREATE TABLE sign_in_attempt (
    -- SHA-256 of the name or the address: people type passwords into fields for names.
    subject     bytea       PRIMARY KEY CHECK (length(subject) = 32),
    attempts    integer     NOT NULL,
    window_ends timestamptz NOT NULL
);
CREATE INDEX ON sign_in_attempt (window_ends);
