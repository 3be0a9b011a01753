-- Requests that name a key, so that one that is sent twice is done once. The row commits with what the request did.
CREATE TABLE idempotent_request (
    held_role_id bigint      NOT NULL REFERENCES held_role,
    -- SHA-256 of the key, and of method, path and body: the same key with another request is a mistake.
    key_hash     bytea       NOT NULL CHECK (length(key_hash) = 32),
    fingerprint  bytea       NOT NULL CHECK (length(fingerprint) = 32),
    at           timestamptz NOT NULL,
    -- Whose records the answer is about.
    patients     bigint[]    NOT NULL DEFAULT '{}',
    -- What was answered; no body: it is too long, or holds a secret that is shown once.
    status       smallint,
    content_type text,
    location     text,
    etag         text,
    body         bytea,
    PRIMARY KEY (held_role_id, key_hash)
);
CREATE INDEX ON idempotent_request (at);
ALTER TABLE idempotent_request ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_s_own ON idempotent_request TO homeward_api USING (held_role_id = (SELECT acting_role()));
GRANT SELECT, INSERT, UPDATE (patients, status, content_type, location, etag, body) ON idempotent_request
    TO homeward_api;
