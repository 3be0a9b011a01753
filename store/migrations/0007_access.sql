-- Who may see whom: accounts and the roles they hold, the reasons for which a role may see a patient, the log of
-- every read and change, and the second lock behind the API: row-level security.

-- Organisations ------------------------------------------------------------------------------------------

-- The care team of an installation that has one: patients who are enrolled by nobody else are enrolled there.
ALTER TABLE organisation ADD COLUMN is_default boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX one_default_organisation ON organisation (is_default) WHERE is_default;

-- Accounts, roles, sessions and tokens -------------------------------------------------------------------

-- A person who signs in. What a person may do hangs on the roles that the account holds.
CREATE TABLE account (
    account_id      bigint GENERATED ALWAYS AS IDENTITY (START WITH 501) PRIMARY KEY,
    -- In lower case: names that differ in case alone are one name.
    sign_in_name    text        NOT NULL UNIQUE CHECK (sign_in_name <> '' AND sign_in_name = lower(sign_in_name)),
    name            text        NOT NULL CHECK (name <> ''),
    -- A PHC string (argon2id); NULL: signs in through an identity provider alone.
    password_hash   text,
    created_at      timestamptz NOT NULL,
    disabled_at     timestamptz,
    -- Wrong passwords since the last right one, and until when no further is tried.
    failed_attempts integer     NOT NULL DEFAULT 0,
    locked_until    timestamptz
);

-- Who an account is at an identity provider (OpenID Connect).
CREATE TABLE account_identity (
    issuer     text   NOT NULL,
    subject    text   NOT NULL,
    account_id bigint NOT NULL REFERENCES account,
    PRIMARY KEY (issuer, subject)
);

-- A role that somebody holds: an account, or the program that a token was made for. It is what a request acts as.
CREATE TABLE held_role (
    held_role_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL: a program's.
    account_id      bigint      REFERENCES account,
    role            text        NOT NULL CHECK (role IN ('patient', 'care_team_member', 'care_team_lead',
        'gp_clinician', 'gp_manager', 'privacy_officer', 'administrator', 'integrator')),
    organisation_id bigint      REFERENCES organisation,
    -- Who the patient is, of whoever is one.
    patient_id      bigint      REFERENCES patient,
    granted_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    CHECK ((role = 'patient') = (patient_id IS NOT NULL)),
    CHECK (role IN ('patient', 'privacy_officer', 'administrator') OR organisation_id IS NOT NULL)
);
CREATE INDEX ON held_role (account_id);
CREATE UNIQUE INDEX a_role_is_held_once ON held_role
    (account_id, role, COALESCE(organisation_id, 0), COALESCE(patient_id, 0))
    WHERE account_id IS NOT NULL AND ended_at IS NULL;

-- Somebody who has signed in and picked a role.
CREATE TABLE sign_in_session (
    -- SHA-256 of 256 random bits that only the browser knows.
    session_hash bytea       PRIMARY KEY CHECK (length(session_hash) = 32),
    account_id   bigint      NOT NULL REFERENCES account,
    -- NULL: not picked yet.
    held_role_id bigint      REFERENCES held_role,
    -- What forms have to bring along.
    csrf_token   text        NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz
);
CREATE INDEX ON sign_in_session (account_id);
CREATE INDEX ON sign_in_session (expires_at);

ALTER TABLE api_token
    -- What it acts as.
    ADD COLUMN held_role_id bigint REFERENCES held_role,
    -- SMART on FHIR scopes; NULL: all that its role may.
    ADD COLUMN scopes       text[],
    ADD COLUMN expires_at   timestamptz;

-- Reasons to see a patient -------------------------------------------------------------------------------

-- A care team watches over a patient. (A GP practice does by registration: patient.organisation_id.)
CREATE TABLE enrolment (
    enrolment_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id      bigint      NOT NULL REFERENCES patient,
    organisation_id bigint      NOT NULL REFERENCES organisation,
    enrolled_at     timestamptz NOT NULL,
    enrolled_by     text        NOT NULL,
    ended_at        timestamptz CHECK (ended_at >= enrolled_at),
    ended_by        text,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX enrolled_once ON enrolment (patient_id, organisation_id) WHERE ended_at IS NULL;
CREATE INDEX ON enrolment (organisation_id, patient_id) WHERE ended_at IS NULL;
CREATE INDEX ON patient (organisation_id, patient_id);

-- Somebody whom the patient has named to see the record.
CREATE TABLE proxy (
    proxy_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id bigint      NOT NULL REFERENCES patient,
    account_id bigint      NOT NULL REFERENCES account,
    named_at   timestamptz NOT NULL,
    named_by   text        NOT NULL,
    ended_at   timestamptz
);
CREATE UNIQUE INDEX named_once ON proxy (account_id, patient_id) WHERE ended_at IS NULL;
CREATE INDEX ON proxy (patient_id);

-- Access without a relationship: for a stated reason, for a short time, and seen by the privacy officer and the
-- patient.
CREATE TABLE break_glass (
    break_glass_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    held_role_id   bigint      NOT NULL REFERENCES held_role,
    patient_id     bigint      NOT NULL REFERENCES patient,
    reason         text        NOT NULL CHECK (reason <> ''),
    begun_at       timestamptz NOT NULL,
    until          timestamptz NOT NULL CHECK (until > begun_at),
    -- A privacy officer has looked into it.
    reviewed_at    timestamptz,
    reviewed_by    text,
    finding        text,
    CHECK ((reviewed_at IS NULL) = (reviewed_by IS NULL))
);
CREATE INDEX ON break_glass (held_role_id, patient_id, until);
CREATE INDEX ON break_glass (patient_id);
CREATE INDEX break_glass_to_review ON break_glass (break_glass_id) WHERE reviewed_at IS NULL;

-- What patients choose -----------------------------------------------------------------------------------

-- Whether an organisation that a relationship would let in may see the record. The latest choice counts; without
-- one it may.
CREATE TABLE sharing_choice (
    sharing_choice_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id      bigint      NOT NULL REFERENCES patient,
    organisation_id bigint      NOT NULL REFERENCES organisation,
    shared          boolean     NOT NULL,
    effective_from  timestamptz NOT NULL,
    made_by         text        NOT NULL,
    made_at         timestamptz NOT NULL
);
CREATE INDEX ON sharing_choice (patient_id, organisation_id, effective_from DESC, sharing_choice_id DESC);

-- Whether what the record says may be used for research: the patient's own choice, and that of the national data
-- opt-out. The latest of each source counts; either may opt out.
CREATE TABLE research_choice (
    research_choice_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id     bigint      NOT NULL REFERENCES patient,
    source         text        NOT NULL CHECK (source IN ('patient', 'national_data_opt_out')),
    opted_out      boolean     NOT NULL,
    effective_from timestamptz NOT NULL,
    made_by        text        NOT NULL,
    made_at        timestamptz NOT NULL
);
CREATE INDEX ON research_choice (patient_id, source, effective_from DESC, research_choice_id DESC);

CREATE TRIGGER choices_are_append_only BEFORE UPDATE OR DELETE ON sharing_choice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER choices_are_append_only BEFORE UPDATE OR DELETE ON research_choice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The log of reads and changes ---------------------------------------------------------------------------

-- One request that was answered, or refused. Append-only; each row's hash covers the row before it.
CREATE TABLE audit_event (
    sequence        bigint      PRIMARY KEY,
    at              timestamptz NOT NULL,
    -- Who: the held role, and what it was then.
    held_role_id    bigint      REFERENCES held_role,
    actor           text        NOT NULL,
    role            text,
    organisation_id bigint,
    -- What: a name of the API's actions, how it went, and the path.
    action          text        NOT NULL,
    outcome         text        NOT NULL CHECK (outcome IN ('done', 'refused')),
    target          text        NOT NULL,
    -- Whose record, and for each the reason on file (`self`, `proxy`, `registration`, `enrolment`, `break_glass`).
    patients        bigint[]    NOT NULL,
    bases           text[]      NOT NULL,
    -- The stated reason, of a break-glass.
    reason          text,
    -- From where: an address of the network.
    origin          text,
    previous_hash   bytea       NOT NULL CHECK (length(previous_hash) = 32),
    hash            bytea       NOT NULL CHECK (length(hash) = 32),
    CHECK (cardinality(patients) = cardinality(bases))
);
CREATE INDEX ON audit_event USING gin (patients);
CREATE INDEX ON audit_event (organisation_id, sequence);
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The last row of the chain. Its lock puts writers in a row.
CREATE TABLE audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    sequence bigint  NOT NULL,
    hash     bytea   NOT NULL
) WITH (fillfactor = 50);
INSERT INTO audit_head (sequence, hash) VALUES (0, '\x0000000000000000000000000000000000000000000000000000000000000000');

-- A field as the hash takes it: its length in bytes, a colon and its text; a minus where there is none. So no two
-- rows give the same text.
CREATE FUNCTION audit_field(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE(octet_length(value) || ':' || value, '-') || ',';

-- Who a request acts as, whom it asks for, and when: set for its transaction.
CREATE FUNCTION acting_role() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('homeward.held_role', true), '')::bigint;
CREATE FUNCTION asked_patient() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('homeward.patient', true), '')::bigint;
CREATE FUNCTION request_time() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN COALESCE(NULLIF(current_setting('homeward.now', true), '')::timestamptz, now());

-- Whether the patient shares the record with an organisation.
CREATE FUNCTION shares_with(whose bigint, organisation bigint, at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN COALESCE((SELECT shared FROM sharing_choice
        WHERE patient_id = whose AND organisation_id = organisation AND effective_from <= at
        ORDER BY effective_from DESC, sharing_choice_id DESC LIMIT 1), true);

-- The reasons on file for which a role may see patients, the nearest first for each: all patients whom it may see,
-- or the one that is asked for.
CREATE FUNCTION bases_of(acting bigint, asked bigint, at timestamptz)
    RETURNS TABLE (patient_id bigint, basis text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    held held_role;
BEGIN
    SELECT * INTO held FROM held_role
        WHERE held_role_id = acting AND (ended_at IS NULL OR ended_at > at);
    IF held.held_role_id IS NULL THEN
        RETURN;
    END IF;
    IF held.role = 'patient' THEN
        RETURN QUERY SELECT held.patient_id, 'self' WHERE asked IS NULL OR asked = held.patient_id;
        RETURN QUERY SELECT proxy.patient_id, 'proxy' FROM proxy
            WHERE proxy.account_id = held.account_id AND (proxy.ended_at IS NULL OR proxy.ended_at > at)
                AND (asked IS NULL OR proxy.patient_id = asked);
    END IF;
    IF held.role IN ('gp_clinician', 'gp_manager', 'integrator') THEN
        IF asked IS NULL THEN
            RETURN QUERY SELECT patient.patient_id, 'registration' FROM patient
                WHERE patient.organisation_id = held.organisation_id
                    AND shares_with(patient.patient_id, held.organisation_id, at);
        ELSE
            RETURN QUERY SELECT patient.patient_id, 'registration' FROM patient
                WHERE patient.patient_id = asked AND patient.organisation_id = held.organisation_id
                    AND shares_with(patient.patient_id, held.organisation_id, at);
        END IF;
    END IF;
    IF held.role IN ('care_team_member', 'care_team_lead', 'integrator') THEN
        IF asked IS NULL THEN
            RETURN QUERY SELECT enrolment.patient_id, 'enrolment' FROM enrolment
                WHERE enrolment.organisation_id = held.organisation_id
                    AND (enrolment.ended_at IS NULL OR enrolment.ended_at > at)
                    AND shares_with(enrolment.patient_id, held.organisation_id, at);
        ELSE
            RETURN QUERY SELECT enrolment.patient_id, 'enrolment' FROM enrolment
                WHERE enrolment.patient_id = asked AND enrolment.organisation_id = held.organisation_id
                    AND (enrolment.ended_at IS NULL OR enrolment.ended_at > at)
                    AND shares_with(enrolment.patient_id, held.organisation_id, at);
        END IF;
    END IF;
    IF held.role IN ('care_team_member', 'care_team_lead', 'gp_clinician') THEN
        RETURN QUERY SELECT break_glass.patient_id, 'break_glass' FROM break_glass
            WHERE break_glass.held_role_id = held.held_role_id
                AND break_glass.begun_at <= at AND break_glass.until > at
                AND (asked IS NULL OR break_glass.patient_id = asked);
    END IF;
END $$;

-- Appends a row to the log for whoever the transaction acts as; answers its number. For each patient it notes the
-- reason on file, `none` where there is none. The last statement of its transaction: it lets one writer at a time
-- through.
CREATE FUNCTION append_audit(
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
                (SELECT one.basis FROM bases_of(acting, whose, at) AS one LIMIT 1), 'none') ORDER BY whose), '{}')
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

-- The second lock ----------------------------------------------------------------------------------------

-- The role under which the API reads and writes the record. It belongs to the server, not to one database, so
-- another database's migration may have made it.
DO $$
BEGIN
    CREATE ROLE homeward_api NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_api') THEN
            RAISE EXCEPTION 'the role homeward_api is missing, and % may not make it. Let an administrator of the '
                'database server run: CREATE ROLE homeward_api NOLOGIN ROLE %;', current_user, quote_ident(current_user);
        END IF;
END $$;
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'homeward_api', 'MEMBER') THEN
        EXECUTE format('GRANT homeward_api TO %I', current_user);
    END IF;
END $$;

-- Whom the transaction may see: all patients for whom there is a reason on file, or the one that it asks for, if
-- there is. Nobody where nothing says who acts.
CREATE FUNCTION visible_patients() RETURNS bigint[]
    LANGUAGE sql STABLE
    RETURN (SELECT COALESCE(array_agg(DISTINCT patient_id), '{}')
        FROM bases_of(acting_role(), asked_patient(), request_time()));

-- The name of the role that acts; NULL where it has ended.
CREATE FUNCTION acting_as() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT role FROM held_role
        WHERE held_role_id = acting_role() AND (ended_at IS NULL OR ended_at > request_time()));
-- Its organisation.
CREATE FUNCTION acting_for() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT organisation_id FROM held_role
        WHERE held_role_id = acting_role() AND (ended_at IS NULL OR ended_at > request_time()));

-- Finds a patient whom the caller may not see: by number and date of birth together, so that nobody browses.
CREATE FUNCTION find_patient(number text, birth date) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT patient_id FROM patient WHERE nhs_number = number AND born = birth);

-- What says something clinical, or whose: visible by relationship. Each has a column patient_id.
DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY['reading_hourly', 'reading_daily', 'rollup_dirty', 'reading_correction',
        'care_plan_rule', 'plan_state', 'episode', 'silence_watch', 'sharing_choice', 'research_choice'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY by_relationship ON %I TO homeward_api
            USING (patient_id = ANY ((SELECT visible_patients())::bigint[]))', named);
    END LOOP;
    -- Whom an administrator looks after too.
    FOREACH named IN ARRAY ARRAY['patient', 'device_assignment', 'enrolment', 'proxy'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY by_relationship ON %I TO homeward_api
            USING (patient_id = ANY ((SELECT visible_patients())::bigint[])
                OR (SELECT acting_as()) = ''administrator'')', named);
    END LOOP;
END $$;

ALTER TABLE episode_transition ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_episode ON episode_transition TO homeward_api
    USING (EXISTS (SELECT FROM episode WHERE episode.episode_id = episode_transition.episode_id));
ALTER TABLE notification ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_episode ON notification TO homeward_api
    USING (EXISTS (SELECT FROM episode WHERE episode.episode_id = notification.episode_id));

-- Whoever breaks the glass writes that down, by their own role; patients see it, and privacy officers do.
ALTER TABLE break_glass ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_relationship ON break_glass TO homeward_api
    USING (held_role_id = (SELECT acting_role()) OR (SELECT acting_as()) = 'privacy_officer'
        OR ((SELECT acting_as()) = 'patient' AND patient_id = ANY ((SELECT visible_patients())::bigint[])))
    WITH CHECK (held_role_id = (SELECT acting_role()) OR (SELECT acting_as()) = 'privacy_officer');

-- Patients see who saw their record; privacy officers what was done in their organisation, or in all where they are
-- of none.
ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY whose ON audit_event FOR SELECT TO homeward_api
    USING (((SELECT acting_as()) = 'patient' AND patients && (SELECT visible_patients())::bigint[])
        OR ((SELECT acting_as()) = 'privacy_officer'
            AND ((SELECT acting_for()) IS NULL OR organisation_id = (SELECT acting_for()))));

-- The chunks of a hypertable are tables of their own, with its grants and without its policies. So requests have no
-- right to the hypertable: where they say `reading` they mean this view, by the search path of their connections. A
-- migration that adds a column to the table has to make the view anew.
CREATE SCHEMA request;
CREATE VIEW request.reading WITH (security_barrier) AS
    SELECT * FROM public.reading WHERE patient_id = ANY ((SELECT visible_patients())::bigint[]);
GRANT USAGE ON SCHEMA request TO homeward_api;
GRANT SELECT, UPDATE (entered_in_error) ON request.reading TO homeward_api;

GRANT USAGE ON SCHEMA public TO homeward_api;
GRANT SELECT ON organisation, patient, device_assignment, reading_hourly, reading_daily, rollup_dirty,
    reading_correction, care_plan_rule, plan_state, episode, episode_transition, gate, gate_change, receiver,
    notification, silence_watch, timer_run, held_role, api_token, sign_in_session, enrolment, proxy, break_glass,
    sharing_choice, research_choice, audit_event TO homeward_api;
GRANT SELECT (device_id, kind, utc_offset_minutes, created_at, revoked_at) ON device TO homeward_api;
GRANT SELECT (account_id, sign_in_name, name, created_at, disabled_at) ON account TO homeward_api;
-- What its requests change. It deletes nothing but what timers and rules keep for themselves.
GRANT INSERT ON patient, device_assignment, rollup_dirty, reading_correction, care_plan_rule, plan_state, episode,
    episode_transition, gate_change, notification, silence_watch, enrolment, proxy, break_glass, sharing_choice,
    research_choice TO homeward_api;
GRANT INSERT (kind, secret_hash, utc_offset_minutes, created_at) ON device TO homeward_api;
GRANT UPDATE ON patient, device_assignment, care_plan_rule, plan_state, episode, gate, notification,
    silence_watch TO homeward_api;
GRANT UPDATE (revoked_at) ON device TO homeward_api;
GRANT UPDATE (ended_at, ended_by) ON enrolment TO homeward_api;
GRANT UPDATE (ended_at) ON proxy TO homeward_api;
GRANT UPDATE (reviewed_at, reviewed_by, finding) ON break_glass TO homeward_api;
GRANT DELETE ON silence_watch TO homeward_api;
GRANT UPDATE (last_used_at, ended_at, held_role_id) ON sign_in_session TO homeward_api;

-- What was there before --------------------------------------------------------------------------------------

-- Until now every token saw every patient. Where there are any, they go on to do so, by an enrolment in one team.
INSERT INTO organisation (name, kind, is_default)
    SELECT 'Community care team', 'care_team', true WHERE EXISTS (SELECT FROM patient) OR EXISTS (SELECT FROM api_token);
INSERT INTO enrolment (patient_id, organisation_id, enrolled_at, enrolled_by)
    SELECT patient_id, organisation.organisation_id, now(), 'homeward' FROM patient, organisation WHERE is_default;
DO $$
DECLARE
    token record;
    made  bigint;
BEGIN
    FOR token IN SELECT api_token_id FROM api_token LOOP
        INSERT INTO held_role (role, organisation_id, granted_at)
            SELECT 'care_team_lead', organisation_id, now() FROM organisation WHERE is_default
            RETURNING held_role_id INTO made;
        UPDATE api_token SET held_role_id = made WHERE api_token_id = token.api_token_id;
    END LOOP;
END $$;
ALTER TABLE api_token ALTER COLUMN held_role_id SET NOT NULL;
