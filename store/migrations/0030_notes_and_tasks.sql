-- What people write down about a patient, and what a team has to do for one.

-- A note. None is changed or removed: a later one takes its place, and both stay.
CREATE TABLE note (
    note_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id      bigint      NOT NULL REFERENCES patient,
    -- The note in whose place it stands.
    replaces        bigint      UNIQUE REFERENCES note,
    text            text        NOT NULL CHECK (text <> ''),
    written_at      timestamptz NOT NULL,
    -- Who wrote it, and what they were then.
    author          text        NOT NULL,
    held_role_id    bigint      NOT NULL REFERENCES held_role,
    role            text        NOT NULL,
    organisation_id bigint      REFERENCES organisation
);
CREATE INDEX ON note (patient_id, note_id);
CREATE TRIGGER notes_are_append_only BEFORE UPDATE OR DELETE ON note
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a team has to do for a patient until a given time.
CREATE TABLE task (
    task_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id      bigint      NOT NULL REFERENCES patient,
    -- Whose task it is.
    organisation_id bigint      NOT NULL REFERENCES organisation,
    -- The alert from which it came.
    episode_id      bigint      REFERENCES episode,
    text            text        NOT NULL CHECK (text <> ''),
    due_at          timestamptz NOT NULL,
    assigned_to     text,
    created_at      timestamptz NOT NULL,
    created_by      text        NOT NULL,
    -- Counts its changes: whoever changes it says which version they have read.
    version         integer     NOT NULL DEFAULT 1,
    status          text        NOT NULL DEFAULT 'outstanding' CHECK (status IN ('outstanding', 'done', 'cancelled')),
    ended_at        timestamptz,
    ended_by        text,
    -- What came of it.
    outcome         text,
    CHECK ((status = 'outstanding') = (ended_at IS NULL)),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE INDEX outstanding_tasks ON task (organisation_id, due_at, task_id) WHERE status = 'outstanding';
CREATE INDEX ended_tasks ON task (organisation_id, status, ended_at DESC, task_id DESC) WHERE status <> 'outstanding';
CREATE INDEX ON task (patient_id);

ALTER TABLE note ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_relationship ON note TO homeward_api
    USING (patient_id = ANY ((SELECT visible_patients())::bigint[]));
-- A team's tasks are its own business.
ALTER TABLE task ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_relationship ON task TO homeward_api
    USING (organisation_id = (SELECT acting_for()) AND patient_id = ANY ((SELECT visible_patients())::bigint[]));
GRANT SELECT, INSERT ON note, task TO homeward_api;
GRANT UPDATE (text, due_at, assigned_to, version, status, ended_at, ended_by, outcome) ON task TO homeward_api;
