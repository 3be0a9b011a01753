-- Signing in: passwords that somebody else has given, a second factor, and how often it was tried.

ALTER TABLE account
    -- Until when a password is good that its owner has not chosen; nothing else can be done before another one is.
    -- NULL: the owner has chosen it.
    ADD COLUMN initial_password_until timestamptz,
    -- The secret that the owner's device has for codes (RFC 6238), once a code has shown that it has it, and since when.
    ADD COLUMN second_factor       bytea CHECK (length(second_factor) = 20),
    ADD COLUMN second_factor_since timestamptz,
    -- The step of time of the last code that was taken: none is taken twice.
    ADD COLUMN second_factor_step  bigint,
    -- A secret that was shown, for which no code has come yet.
    ADD COLUMN second_factor_offer bytea CHECK (length(second_factor_offer) = 20),
    ADD CHECK ((second_factor IS NULL) = (second_factor_since IS NULL));
GRANT SELECT (initial_password_until, second_factor_since) ON account TO homeward_api;

-- Attempts to sign in with a name, or from an address, within a window of time. Names that nobody has are counted like
-- all others.
CREATE TABLE sign_in_attempt (
    -- SHA-256 of the name or the address: people type passwords into fields for names.
    subject     bytea       PRIMARY KEY CHECK (length(subject) = 32),
    attempts    integer     NOT NULL,
    window_ends timestamptz NOT NULL
);
CREATE INDEX ON sign_in_attempt (window_ends);
