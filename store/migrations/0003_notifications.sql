-- The work on episodes: who is told of them, when, and what tells that a patient's devices have fallen silent.

-- A plan may adjust such a rule but not leave it out, and its episodes can be snoozed only for a short time.
ALTER TABLE care_plan_rule ADD COLUMN always_on boolean NOT NULL DEFAULT false;

-- Escalation ---------------------------------------------------------------------------------------------

ALTER TABLE episode
    -- From when on its escalation counts: when it was raised, moved on by the time for which it was snoozed.
    -- NULL: it has paged nobody.
    ADD COLUMN escalates_from timestamptz,
    -- When to see whether somebody has to be told; NULL: never.
    ADD COLUMN escalate_at    timestamptz,
    -- When somebody was told last; NULL: since it was raised or its snooze ended, nobody.
    ADD COLUMN told_at        timestamptz,
    -- Somebody may have been told that it began, and nobody yet that it ended.
    ADD COLUMN announced      boolean NOT NULL DEFAULT false;
CREATE INDEX episodes_that_escalate ON episode (escalate_at) WHERE status = 'raised' AND escalate_at IS NOT NULL;
CREATE INDEX episodes_that_are_snoozed ON episode (snoozed_until) WHERE snoozed_until IS NOT NULL;
CREATE INDEX ends_that_are_not_told ON episode (episode_id) WHERE announced AND cleared_at IS NOT NULL;

-- Notifications ------------------------------------------------------------------------------------------

-- Whom to tell, and how.
CREATE TABLE receiver (
    receiver_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text        NOT NULL CHECK (name <> ''),
    role            text        NOT NULL CHECK (role IN ('team', 'lead', 'on_call')),
    -- Hears of the patients who are registered there; NULL: of all.
    organisation_id bigint      REFERENCES organisation,
    channel         text        NOT NULL CHECK (channel IN ('webhook', 'email')),
    -- A URL, or an address of e-mail.
    address         text        NOT NULL CHECK (address <> ''),
    -- Signs what goes to a webhook, so it cannot be kept as a hash.
    secret          text        CHECK ((secret IS NOT NULL) = (channel = 'webhook')),
    lowest_severity text        NOT NULL CHECK (lowest_severity IN ('high', 'medium', 'low', 'info')),
    -- The most messages within an hour; what is more goes into digests.
    hourly_limit    integer     NOT NULL DEFAULT 20 CHECK (hourly_limit > 0),
    created_at      timestamptz NOT NULL DEFAULT now(),
    disabled_at     timestamptz
);

-- What receivers are to be told, written with what it tells of. A digest is told in place of several others.
CREATE TABLE notification (
    notification_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receiver_id     bigint      NOT NULL REFERENCES receiver,
    kind            text        NOT NULL CHECK (kind IN ('raised', 'escalated', 'cleared', 'digest')),
    episode_id      bigint      REFERENCES episode,
    -- What it tells of. So nobody is told the same thing twice.
    transition_id   bigint      REFERENCES episode_transition,
    state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'cancelled', 'failed')),
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    -- Somebody is sending it, or died doing so; whoever comes after this may try again.
    leased_until    timestamptz,
    -- The digest that tells it.
    digest_id       bigint      REFERENCES notification,
    created_at      timestamptz NOT NULL,
    sent_at         timestamptz,
    last_error      text,
    UNIQUE (transition_id, receiver_id),
    CHECK ((kind = 'digest') = (episode_id IS NULL) AND (episode_id IS NULL) = (transition_id IS NULL)),
    CHECK ((state = 'sent') = (sent_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX notifications_to_send ON notification (receiver_id, next_attempt_at)
    WHERE state = 'pending' AND digest_id IS NULL;
CREATE INDEX messages_sent ON notification (receiver_id, sent_at) WHERE state = 'sent' AND digest_id IS NULL;
CREATE INDEX ON notification (episode_id);
CREATE INDEX ON notification (digest_id) WHERE digest_id IS NOT NULL;

-- Silence ------------------------------------------------------------------------------------------------

-- The series that have a rule of silence, and when each has to be looked at.
CREATE TABLE silence_watch (
    patient_id bigint      NOT NULL REFERENCES patient,
    code       text        NOT NULL,
    rule_id    bigint      NOT NULL REFERENCES care_plan_rule,
    -- When the series may have been silent for long enough at the earliest; infinity while an episode is open.
    check_at   timestamptz NOT NULL,
    PRIMARY KEY (patient_id, code)
) WITH (fillfactor = 70);
CREATE INDEX ON silence_watch (check_at);

CREATE FUNCTION watch_for_silence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.valid_until IS NULL THEN
        INSERT INTO silence_watch (patient_id, code, rule_id, check_at)
            VALUES (NEW.patient_id, NEW.code, NEW.rule_id, NEW.valid_from)
            ON CONFLICT (patient_id, code) DO UPDATE SET rule_id = excluded.rule_id, check_at = excluded.check_at;
    ELSE
        DELETE FROM silence_watch
            WHERE patient_id = NEW.patient_id AND code = NEW.code AND rule_id = NEW.rule_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER silence_is_watched_for AFTER INSERT OR UPDATE ON care_plan_rule
    FOR EACH ROW WHEN (NEW.definition #>> '{condition,kind}' = 'silence') EXECUTE FUNCTION watch_for_silence();

-- Once an episode has ended, silence may begin anew.
CREATE FUNCTION watch_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE silence_watch SET check_at = NEW.cleared_at WHERE patient_id = NEW.patient_id AND code = NEW.code;
    RETURN NULL;
END $$;
CREATE TRIGGER a_series_that_is_back_is_watched AFTER UPDATE OF cleared_at ON episode
    FOR EACH ROW WHEN (OLD.cleared_at IS NULL AND NEW.cleared_at IS NOT NULL) EXECUTE FUNCTION watch_again();

-- When timers ran last, and since when they have run without a break: nobody has fallen silent as long as
-- nobody listened.
CREATE TABLE timer_run (
    only_row       boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    last_at        timestamptz NOT NULL,
    unbroken_since timestamptz NOT NULL
);
