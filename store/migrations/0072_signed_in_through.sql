-- Through which identity provider somebody signed in, and its ID token, sealed, until the session ends: so that it can be
-- told there.
ALTER TABLE sign_in_session
    ADD COLUMN provider text,
    ADD COLUMN id_token bytea,
    ADD CHECK ((provider IS NULL) = (id_token IS NULL));
REVOKE SELECT ON sign_in_session FROM homeward_api;
GRANT SELECT (session_hash, account_id, held_role_id, csrf_token, created_at, last_used_at, expires_at, ended_at,
    by_first_password), UPDATE (provider, id_token) ON sign_in_session TO homeward_api;
