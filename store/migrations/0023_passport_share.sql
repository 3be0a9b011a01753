-- What a patient shares with whoever has the link and its code: a summary, for a time, until it is revoked.

CREATE TABLE passport_share (
    passport_share_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id  bigint      NOT NULL REFERENCES patient,
    -- SHA-256 of the 256 random bits in the link, and of those with the code: without the link nobody can try the codes.
    secret_hash bytea       NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    code_hash   bytea       NOT NULL CHECK (length(code_hash) = 32),
    made_by     text        NOT NULL,
    made_at     timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL CHECK (expires_at > made_at),
    revoked_at  timestamptz,
    revoked_by  text,
    -- Wrong codes in all, and from how many on the link is dead.
    wrong_codes      integer NOT NULL DEFAULT 0,
    most_wrong_codes integer NOT NULL CHECK (most_wrong_codes > 0),
    uses        integer     NOT NULL DEFAULT 0,
    last_used_at timestamptz,
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX ON passport_share (patient_id, passport_share_id);

-- Patients make and revoke their own; whom they have named as a proxy sees them, as everybody sees nothing of secrets.
ALTER TABLE passport_share ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_relationship ON passport_share FOR SELECT TO homeward_api
    USING ((SELECT acting_as()) = 'patient' AND patient_id = ANY ((SELECT visible_patients())::bigint[]));
CREATE POLICY made_by_the_patient ON passport_share FOR INSERT TO homeward_api
    WITH CHECK (patient_id = (SELECT acting_patient()));
CREATE POLICY revoked_by_the_patient ON passport_share FOR UPDATE TO homeward_api
    USING (patient_id = (SELECT acting_patient()));
GRANT SELECT (passport_share_id, patient_id, made_by, made_at, expires_at, revoked_at, revoked_by, wrong_codes,
    most_wrong_codes, uses, last_used_at) ON passport_share TO homeward_api;
GRANT INSERT (patient_id, secret_hash, code_hash, made_by, made_at, expires_at, most_wrong_codes) ON passport_share
    TO homeward_api;
GRANT UPDATE (revoked_at, revoked_by) ON passport_share TO homeward_api;

-- Whether a link leads anywhere.
CREATE FUNCTION share_is_open(secret bytea, at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN EXISTS (SELECT FROM passport_share
        WHERE secret_hash = secret AND revoked_at IS NULL AND expires_at > at AND wrong_codes < most_wrong_codes);

-- Tries a code: answers the share and its patient, whether the code is right, and how many wrong ones are left. Nothing
-- where the link leads nowhere. A wrong code is counted, and so is a use.
CREATE FUNCTION try_share(secret bytea, code bytea, at timestamptz)
    RETURNS TABLE (share bigint, whose bigint, is_right boolean, tries_left integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found passport_share;
BEGIN
    -- Locked, so that tries at the same time are counted one by one.
    SELECT * INTO found FROM passport_share WHERE secret_hash = secret FOR UPDATE;
    IF found.passport_share_id IS NULL OR NOT share_is_open(secret, at) THEN
        RETURN;
    END IF;
    IF found.code_hash = code THEN
        UPDATE passport_share SET uses = uses + 1, last_used_at = at
            WHERE passport_share_id = found.passport_share_id;
        RETURN QUERY SELECT found.passport_share_id, found.patient_id, true,
            found.most_wrong_codes - found.wrong_codes;
    ELSE
        UPDATE passport_share SET wrong_codes = wrong_codes + 1 WHERE passport_share_id = found.passport_share_id;
        RETURN QUERY SELECT found.passport_share_id, found.patient_id, false,
            found.most_wrong_codes - found.wrong_codes - 1;
    END IF;
END $$;

-- The patient of the share that the transaction shows: by the hashes of its link and its code, in hexadecimal digits with
-- a colon between them. So what the transaction has to know is what the reader has shown, not a number.
CREATE FUNCTION shown_share() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT patient_id FROM passport_share
        WHERE current_setting('homeward.share', true) <> ''
            AND secret_hash = decode(split_part(current_setting('homeward.share', true), ':', 1), 'hex')
            AND code_hash = decode(split_part(current_setting('homeward.share', true), ':', 2), 'hex')
            AND share_is_open(secret_hash, request_time()));

-- A share shows its patient in a transaction that is read only. PostgreSQL lets none become writable that has looked at
-- anything; so whoever sees by a share changes nothing, whatever the code above this does.
CREATE OR REPLACE FUNCTION visible_patients() RETURNS bigint[]
    LANGUAGE sql STABLE
    RETURN (SELECT COALESCE(array_agg(DISTINCT patient_id), '{}') FROM (
        SELECT patient_id FROM bases_of(acting_role(), asked_patient(), request_time())
        UNION ALL
        SELECT shared.patient_id FROM (SELECT shown_share() AS patient_id) AS shared
            WHERE shared.patient_id IS NOT NULL AND current_setting('transaction_read_only') = 'on'
    ) AS visible);

-- As it was, but that the reason on file may be a share.
CREATE OR REPLACE FUNCTION append_audit(
    acting bigint, actor text, action text, outcome text, target text, patients bigint[], reason text, origin text,
    at timestamptz
) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    held     held_role;
    previous audit_head;
    known    bigint[];
    bases    text[];
    hashed   bytea;
    shared   bigint := shown_share();
BEGIN
    SELECT * INTO held FROM held_role WHERE held_role_id = acting;
    SELECT COALESCE(array_agg(DISTINCT whose ORDER BY whose), '{}') INTO known FROM UNNEST(patients) AS whose;
    IF cardinality(known) > 8 THEN
        SELECT COALESCE(array_agg(COALESCE(found.basis, 'none') ORDER BY whose), '{}') INTO bases
            FROM UNNEST(known) AS whose LEFT JOIN (
                SELECT DISTINCT ON (all_bases.patient_id) all_bases.patient_id, all_bases.basis
                FROM bases_of(acting, NULL, at) AS all_bases
            ) AS found ON found.patient_id = whose;
    ELSE
        SELECT COALESCE(array_agg(COALESCE(
                (SELECT one.basis FROM bases_of(acting, whose, at) AS one LIMIT 1),
                CASE WHEN whose = shared THEN 'share' ELSE 'none' END) ORDER BY whose), '{}')
            INTO bases FROM UNNEST(known) AS whose;
    END IF;
    SELECT * INTO STRICT previous FROM audit_head FOR UPDATE;
    hashed := sha256(previous.hash || convert_to(
        audit_field((previous.sequence + 1)::text)
        || audit_field(((extract(epoch FROM at) * 1000000)::bigint)::text)
        || audit_field(acting::text) || audit_field(actor) || audit_field(held.role)
        || audit_field(held.organisation_id::text) || audit_field(action) || audit_field(outcome)
        || audit_field(target) || audit_field(array_to_string(known, ' ')) || audit_field(array_to_string(bases, ' '))
        || audit_field(reason) || audit_field(origin), 'UTF8'));
    INSERT INTO audit_event (sequence, at, held_role_id, actor, role, organisation_id, action, outcome, target,
            patients, bases, reason, origin, previous_hash, hash)
        VALUES (previous.sequence + 1, at, acting, actor, held.role, held.organisation_id, action, outcome, target,
            known, bases, reason, origin, previous.hash, hashed);
    UPDATE audit_head SET sequence = previous.sequence + 1, hash = hashed;
    RETURN previous.sequence + 1;
END $$;
