-- Administration by people who have signed in: what their requests may change of accounts, roles, tokens and
-- organisations, what they may know of rejected messages, and where the log tells of administration.

-- Whose account acts; NULL for a program.
CREATE FUNCTION acting_account() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT account_id FROM held_role
        WHERE held_role_id = acting_role() AND (ended_at IS NULL OR ended_at > request_time()));

-- Accounts, roles and tokens: whoever signs in is looked up by requests, and only administrators change them. Nobody
-- grants or ends a role of their own, and nobody changes their own account: see SECURITY.md.
DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY['account', 'held_role', 'api_token', 'organisation'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY anybody_reads ON %I FOR SELECT TO homeward_api USING (true)', named);
    END LOOP;
    FOREACH named IN ARRAY ARRAY['account', 'api_token', 'organisation'] LOOP
        EXECUTE format('CREATE POLICY administrators_add ON %I FOR INSERT TO homeward_api
            WITH CHECK ((SELECT acting_as()) = ''administrator'')', named);
    END LOOP;
END $$;
CREATE POLICY administrators_change ON account FOR UPDATE TO homeward_api
    USING ((SELECT acting_as()) = 'administrator' AND account_id IS DISTINCT FROM (SELECT acting_account()));
CREATE POLICY administrators_add ON held_role FOR INSERT TO homeward_api
    WITH CHECK ((SELECT acting_as()) = 'administrator'
        AND (account_id IS NULL OR account_id IS DISTINCT FROM (SELECT acting_account())));
CREATE POLICY administrators_change ON held_role FOR UPDATE TO homeward_api
    USING ((SELECT acting_as()) = 'administrator'
        AND (account_id IS NULL OR account_id IS DISTINCT FROM (SELECT acting_account())));
CREATE POLICY administrators_change ON api_token FOR UPDATE TO homeward_api
    USING ((SELECT acting_as()) = 'administrator');

GRANT SELECT (locked_until), INSERT (sign_in_name, name, password_hash, initial_password_until, created_at),
    UPDATE (password_hash, initial_password_until, disabled_at, failed_attempts, locked_until) ON account TO homeward_api;
GRANT INSERT (account_id, role, organisation_id, patient_id, granted_at), UPDATE (ended_at) ON held_role TO homeward_api;
GRANT INSERT (name, token_hash, held_role_id, scopes, expires_at), UPDATE (revoked_at) ON api_token TO homeward_api;
GRANT INSERT (kind, name) ON organisation TO homeward_api;

-- Rejected messages --------------------------------------------------------------------------------------

-- What was wrong and where, without the words of it, which may name the offending value.
CREATE FUNCTION faults_of(reasons jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT COALESCE(jsonb_agg(reason - 'detail' ORDER BY place), '[]')
        FROM jsonb_array_elements(reasons) WITH ORDINALITY AS listed (reason, place));

ALTER TABLE rejected_message
    ADD COLUMN faults        jsonb NOT NULL GENERATED ALWAYS AS (faults_of(reasons)) STORED,
    -- When it was last taken to the lanes once more, and by whom.
    ADD COLUMN replayed_at   timestamptz,
    ADD COLUMN replayed_by   text,
    -- What was still wrong with it then; an empty array: nothing, and all of it is in the record.
    ADD COLUMN faults_left   jsonb,
    ADD CHECK ((replayed_at IS NULL) = (replayed_by IS NULL)),
    ADD CHECK ((replayed_at IS NULL) = (faults_left IS NULL));
CREATE INDEX rejected_still ON rejected_message (rejected_message_id) WHERE COALESCE(faults_left, faults) <> '[]';

-- Administrators see which there are. Nobody's request reads what is in one.
ALTER TABLE rejected_message ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_administrators ON rejected_message TO homeward_api USING ((SELECT acting_as()) = 'administrator');
GRANT SELECT (rejected_message_id, device_id, received_at, topic, faults, replayed_at, replayed_by, faults_left),
    UPDATE (replayed_at, replayed_by, faults_left) ON rejected_message TO homeward_api;

-- The log of administration ------------------------------------------------------------------------------

-- What was done to accounts, roles, tokens, organisations and rejected messages, by page or on the command line.
CREATE INDEX administration ON audit_event (sequence) WHERE action IN (
    'manage_people', 'grant_role', 'manage_organisations', 'manage_tokens', 'replay_rejected', 'add_account',
    'disable_account', 'enable_account', 'unlock_account', 'reset_password', 'link_identity', 'unlink_identity',
    'remove_second_factor', 'end_role', 'name_proxy');
-- Administrators see it, and so do privacy officers, also those of one organisation: nobody can administer unseen.
CREATE POLICY of_administration ON audit_event FOR SELECT TO homeward_api
    USING ((SELECT acting_as()) IN ('administrator', 'privacy_officer') AND action IN (
        'manage_people', 'grant_role', 'manage_organisations', 'manage_tokens', 'replay_rejected', 'add_account',
        'disable_account', 'enable_account', 'unlock_account', 'reset_password', 'link_identity', 'unlink_identity',
        'remove_second_factor', 'end_role', 'name_proxy'));
