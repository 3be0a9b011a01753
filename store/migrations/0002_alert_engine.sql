-- The alert engine: what rules remember, corrections of readings, and the work on episodes.

-- Corrections --------------------------------------------------------------------------------------------

-- A reading that somebody marked as entered in error stays, and counts for nothing.
ALTER TABLE reading ADD COLUMN entered_in_error boolean NOT NULL DEFAULT false;

CREATE TABLE reading_correction (
    reading_correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id bigint      NOT NULL REFERENCES patient,
    metric     smallint    NOT NULL,
    time       timestamptz NOT NULL,
    device_id  bigint      NOT NULL REFERENCES device,
    author     text        NOT NULL CHECK (author <> ''),
    reason     text        NOT NULL CHECK (reason <> ''),
    at         timestamptz NOT NULL
);
CREATE INDEX ON reading_correction (patient_id, time);
CREATE TRIGGER corrections_are_append_only BEFORE UPDATE OR DELETE ON reading_correction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What the rules of a patient remember -------------------------------------------------------------------

DROP TABLE rule_state;

-- Checkpoints of a patient's rules: what each remembered after all readings measured until then. What came
-- after the newest is judged anew from the readings, whoever does it.
CREATE TABLE plan_state (
    patient_id bigint PRIMARY KEY REFERENCES patient,
    state      jsonb  NOT NULL
) WITH (fillfactor = 70);

-- Episodes -----------------------------------------------------------------------------------------------

ALTER TABLE episode
    -- When the readings were measured by which the rule's condition came to hold.
    ADD COLUMN met_at        timestamptz,
    -- How far the worst reading is beyond its limit, as a share of it.
    ADD COLUMN worst_excess  double precision,
    -- What was computed from readings, where the rule's condition does so; see the rule's kind.
    ADD COLUMN onset_figure  double precision,
    ADD COLUMN latest_figure double precision,
    ADD COLUMN worst_figure  double precision,
    -- What else the explanation needs, as of the latest reading; see the rule's kind.
    ADD COLUMN detail        jsonb,
    -- When the reading that cleared it was measured.
    ADD COLUMN ended_at      timestamptz,
    -- Readings that came later, or a correction, took away what it rested on. It is closed then.
    ADD COLUMN withdrawn_at  timestamptz,
    ADD COLUMN assigned_to   text,
    -- Nobody is paged for it until then.
    ADD COLUMN snoozed_until timestamptz,
    -- How many levels of escalation have been told.
    ADD COLUMN escalation    integer NOT NULL DEFAULT 0 CHECK (escalation >= 0),
    ADD CHECK (withdrawn_at IS NULL OR status = 'closed');

ALTER TABLE episode_transition
    DROP CONSTRAINT episode_transition_kind_check,
    ADD CHECK (kind IN ('raised', 'became_current', 'amended', 'reopened', 'withdrawn', 'acknowledged', 'assigned',
        'commented', 'snoozed', 'snooze_ended', 'escalated', 'cleared', 'closed')),
    -- What it says beside its kind: whom it was assigned to, until when and why it was snoozed, a comment.
    ADD COLUMN detail jsonb;
