-- The patient record. Times are instants (timestamptz); values are in the canonical unit of their metric.

CREATE EXTENSION IF NOT EXISTS timescaledb;
-- Lets an exclusion constraint compare a plain column and a range together.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- People, organisations, devices -------------------------------------------------------------------------

CREATE TABLE organisation (
    organisation_id bigint GENERATED ALWAYS AS IDENTITY (START WITH 101) PRIMARY KEY,
    name            text        NOT NULL CHECK (name <> ''),
    kind            text        NOT NULL CHECK (kind IN ('care_team', 'gp_practice', 'hospital', 'ambulance')),
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- Ten digits, the last of them the check digit (modulus 11, weights 10 to 2).
CREATE FUNCTION is_nhs_number(number text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN number ~ '^[0-9]{10}$'
        AND (10 * substr(number, 1, 1)::int + 9 * substr(number, 2, 1)::int + 8 * substr(number, 3, 1)::int
            + 7 * substr(number, 4, 1)::int + 6 * substr(number, 5, 1)::int + 5 * substr(number, 6, 1)::int
            + 4 * substr(number, 7, 1)::int + 3 * substr(number, 8, 1)::int + 2 * substr(number, 9, 1)::int
            + substr(number, 10, 1)::int) % 11 = 0;

CREATE TABLE patient (
    patient_id      bigint GENERATED ALWAYS AS IDENTITY (START WITH 1001) PRIMARY KEY,
    nhs_number      text        NOT NULL UNIQUE CHECK (is_nhs_number(nhs_number)),
    name            text        NOT NULL CHECK (name <> ''),
    born            date        NOT NULL,
    -- The GP practice where the patient is registered.
    organisation_id bigint      REFERENCES organisation,
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE device (
    device_id          bigint GENERATED ALWAYS AS IDENTITY (START WITH 10001) PRIMARY KEY,
    kind               text        NOT NULL CHECK (kind <> ''),
    -- SHA-256 of the secret. The secret is 256 random bits of ours, so a slow hash would add nothing.
    secret_hash        bytea       NOT NULL CHECK (length(secret_hash) = 32),
    -- How far the device's own clock face is ahead of UTC: some formats carry local times without offset.
    utc_offset_minutes integer     NOT NULL DEFAULT 0 CHECK (abs(utc_offset_minutes) <= 1080),
    created_at         timestamptz NOT NULL DEFAULT now(),
    revoked_at         timestamptz
);

-- Whose patient a device measures, and when: looked up at the time of the measurement.
CREATE TABLE device_assignment (
    device_id    bigint    NOT NULL REFERENCES device,
    patient_id   bigint    NOT NULL REFERENCES patient,
    valid_during tstzrange NOT NULL CHECK (NOT isempty(valid_during) AND NOT lower_inf(valid_during)),
    CONSTRAINT a_device_measures_one_patient_at_a_time
        EXCLUDE USING gist (device_id WITH =, valid_during WITH &&)
);
CREATE INDEX ON device_assignment (patient_id);

-- Bearer tokens of programs, hashed.
CREATE TABLE api_token (
    api_token_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text        NOT NULL CHECK (name <> ''),
    token_hash   bytea       NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz
);

-- Readings -----------------------------------------------------------------------------------------------

CREATE TABLE reading (
    patient_id  bigint           NOT NULL,
    time        timestamptz      NOT NULL,
    device_id   bigint           NOT NULL,
    received_at timestamptz      NOT NULL,
    value       double precision NOT NULL,
    metric      smallint         NOT NULL,
    -- FHIR observation interpretation as a number; see `Interpretation` in the code. NULL: not interpreted.
    interpretation smallint,
    -- What else the device said about the measurement; NULL: nothing.
    context     jsonb,
    -- A reading sent twice is one reading.
    PRIMARY KEY (patient_id, metric, time, device_id)
);
SELECT create_hypertable('reading', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

-- Messages of which a part or the whole could not be stored, with all bytes and the reasons.
CREATE TABLE rejected_message (
    rejected_message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id   bigint      NOT NULL REFERENCES device,
    received_at timestamptz NOT NULL,
    topic       text        NOT NULL,
    payload     bytea       NOT NULL,
    reasons     jsonb       NOT NULL,
    -- SHA-256 of topic and payload: a message sent twice is rejected once.
    digest      bytea       NOT NULL CHECK (length(digest) = 32),
    UNIQUE (device_id, digest)
);
CREATE INDEX ON rejected_message (received_at);

-- Trends -------------------------------------------------------------------------------------------------

CREATE TABLE reading_hourly (
    patient_id bigint           NOT NULL,
    bucket     timestamptz      NOT NULL,
    n          bigint           NOT NULL,
    sum        double precision NOT NULL,
    min        double precision NOT NULL,
    max        double precision NOT NULL,
    metric     smallint         NOT NULL,
    PRIMARY KEY (patient_id, metric, bucket)
);
CREATE TABLE reading_daily (LIKE reading_hourly INCLUDING ALL);

-- Hours behind the mark whose readings changed since they were rolled up. Rows may repeat: writers only
-- append, so that they never wait for each other.
CREATE TABLE rollup_dirty (
    patient_id bigint      NOT NULL,
    bucket     timestamptz NOT NULL,
    metric     smallint    NOT NULL
);
CREATE INDEX ON rollup_dirty (patient_id, metric);

-- Care plans and episodes --------------------------------------------------------------------------------

-- One version of one rule of a patient's care plan. The code names the rule across its versions.
CREATE TABLE care_plan_rule (
    rule_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id  bigint      NOT NULL REFERENCES patient,
    code        text        NOT NULL CHECK (code <> ''),
    version     integer     NOT NULL CHECK (version > 0),
    programme   text        NOT NULL,
    definition  jsonb       NOT NULL,
    author      text        NOT NULL,
    reason      text        NOT NULL,
    valid_from  timestamptz NOT NULL DEFAULT now(),
    valid_until timestamptz CHECK (valid_until >= valid_from),
    UNIQUE (patient_id, code, version)
);
CREATE UNIQUE INDEX one_current_version_of_a_rule ON care_plan_rule (patient_id, code) WHERE valid_until IS NULL;

-- What a rule remembers between readings, committed together with the readings it judged.
CREATE TABLE rule_state (
    patient_id bigint NOT NULL REFERENCES patient,
    code       text   NOT NULL,
    state      jsonb  NOT NULL,
    PRIMARY KEY (patient_id, code)
) WITH (fillfactor = 70);

CREATE TABLE episode (
    episode_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id      bigint           NOT NULL REFERENCES patient,
    rule_id         bigint           NOT NULL REFERENCES care_plan_rule,
    code            text             NOT NULL,
    severity        text             NOT NULL CHECK (severity IN ('high', 'medium', 'low', 'info')),
    status          text             NOT NULL CHECK (status IN ('raised', 'acknowledged', 'cleared', 'closed')),
    -- Raised by readings that arrived long after they were measured: shown, but pages nobody.
    late            boolean          NOT NULL,
    raised_at       timestamptz      NOT NULL,
    acknowledged_at timestamptz,
    cleared_at      timestamptz,
    onset_at        timestamptz      NOT NULL,
    onset_value     double precision NOT NULL,
    onset_metric    smallint         NOT NULL,
    latest_at       timestamptz      NOT NULL,
    latest_value    double precision NOT NULL,
    latest_metric   smallint         NOT NULL,
    worst_at        timestamptz      NOT NULL,
    worst_value     double precision NOT NULL,
    worst_metric    smallint         NOT NULL,
    CHECK ((cleared_at IS NULL) = (status IN ('raised', 'acknowledged')))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX one_open_episode_of_a_rule ON episode (patient_id, code) WHERE cleared_at IS NULL;
CREATE INDEX ON episode (patient_id, code, onset_at);
CREATE INDEX ON episode (status, severity, episode_id);

-- Everything that happened to an episode. Append-only.
CREATE TABLE episode_transition (
    transition_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    episode_id    bigint      NOT NULL REFERENCES episode,
    kind          text        NOT NULL
        CHECK (kind IN ('raised', 'became_current', 'acknowledged', 'cleared', 'closed')),
    at            timestamptz NOT NULL,
    -- Who did it; NULL: the rule itself.
    actor         text
);
CREATE INDEX ON episode_transition (episode_id);

-- Live alerts are read by transition number, so numbers must become visible in their order: a writer of
-- transitions holds a lock from before it draws its numbers until it has committed.
CREATE FUNCTION number_transitions_in_commit_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7462, 2);
    RETURN NULL;
END $$;
CREATE TRIGGER transitions_are_numbered_in_commit_order BEFORE INSERT ON episode_transition
    FOR EACH STATEMENT EXECUTE FUNCTION number_transitions_in_commit_order();

CREATE FUNCTION announce_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('homeward_alert', '');
    RETURN NULL;
END $$;
CREATE TRIGGER transitions_are_announced AFTER INSERT ON episode_transition
    FOR EACH STATEMENT EXECUTE FUNCTION announce_transitions();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER transitions_are_append_only BEFORE UPDATE OR DELETE ON episode_transition
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The gate ------------------------------------------------------------------------------------------------

-- What every writer of readings must know while it writes. A writer holds the gate's advisory lock
-- (7462, 1) shared for its transaction; whoever changes a row of the gate holds it exclusively. So a change
-- sees all that was written before it, and nothing is written after it in ignorance of it.
CREATE TABLE gate (
    only_row           boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Counts the processes that have taken over the writing of readings: what an earlier one remembers between
    -- its transactions is no longer true.
    writer             bigint      NOT NULL,
    -- Counts changes of devices, assignments and care plans: a writer's cache is good for one version.
    version            bigint      NOT NULL,
    -- Writers mark hours before this as dirty.
    rollup_mark        timestamptz NOT NULL,
    -- Rollups hold every hour before this, but for the dirty ones.
    rolled_up_until    timestamptz NOT NULL
);
INSERT INTO gate (writer, version, rollup_mark, rolled_up_until)
    VALUES (0, 1, date_trunc('hour', now()), date_trunc('hour', now()));

-- What changed with which version, so that a cache forgets no more than it must.
CREATE TABLE gate_change (
    version    bigint NOT NULL,
    device_id  bigint,
    patient_id bigint
);
CREATE INDEX ON gate_change (version);

-- Counts one change of a device or of a patient's care plan, and tells whoever listens.
CREATE FUNCTION pass_gate(changed_device bigint, changed_patient bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7462, 1);
    UPDATE gate SET version = version + 1;
    INSERT INTO gate_change (version, device_id, patient_id)
        SELECT version, changed_device, changed_patient FROM gate;
    PERFORM pg_notify('homeward_gate', '');
END $$;

CREATE FUNCTION device_passes_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate(NEW.device_id, NULL);
    RETURN NULL;
END $$;
-- A new device is in no cache: only changes matter.
CREATE TRIGGER a_changed_device_passes_the_gate AFTER UPDATE ON device
    FOR EACH ROW EXECUTE FUNCTION device_passes_gate();
CREATE TRIGGER an_assignment_passes_the_gate AFTER INSERT OR UPDATE ON device_assignment
    FOR EACH ROW EXECUTE FUNCTION device_passes_gate();

CREATE FUNCTION patient_passes_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate(NULL, NEW.patient_id);
    RETURN NULL;
END $$;
CREATE TRIGGER a_changed_rule_passes_the_gate AFTER INSERT OR UPDATE ON care_plan_rule
    FOR EACH ROW EXECUTE FUNCTION patient_passes_gate();
