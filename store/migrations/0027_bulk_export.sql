-- Bulk exports: what was asked for and how far it is. There are no files: what an export says is read from the record
-- when it is fetched, as it stood when the export began.

CREATE TABLE bulk_export (
    export_id    text        PRIMARY KEY DEFAULT gen_random_uuid()::text,
    held_role_id bigint      NOT NULL REFERENCES held_role,
    -- The address of the request, which the manifest repeats.
    request      text        NOT NULL,
    -- FHIR's names of the types, and of each how many resources have been counted.
    types        text[]      NOT NULL,
    counts       bigint[]    NOT NULL,
    -- Readings that arrived, and alerts to which something happened, after this alone; NULL: all.
    since        timestamptz,
    begun_at     timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    -- The last patient whose resources have been counted; of how many they have; and how many patients there are.
    counted      bigint      NOT NULL DEFAULT 0,
    done         bigint      NOT NULL DEFAULT 0,
    patients     bigint      NOT NULL DEFAULT 0,
    completed_at timestamptz,
    ended_at     timestamptz,
    CHECK (cardinality(types) = cardinality(counts))
);
CREATE UNIQUE INDEX one_export_at_a_time ON bulk_export (held_role_id) WHERE completed_at IS NULL AND ended_at IS NULL;

-- Whom an export is about: those whom its caller could see when it began. Those whom the caller can see no longer are
-- left out when it is fetched.
CREATE TABLE bulk_export_patient (
    export_id  text   NOT NULL REFERENCES bulk_export ON DELETE CASCADE,
    patient_id bigint NOT NULL REFERENCES patient,
    PRIMARY KEY (export_id, patient_id)
);

ALTER TABLE bulk_export ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON bulk_export TO homeward_api USING (held_role_id = (SELECT acting_role()));
ALTER TABLE bulk_export_patient ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_relationship ON bulk_export_patient TO homeward_api
    USING (patient_id = ANY ((SELECT visible_patients())::bigint[]));
GRANT SELECT, INSERT, UPDATE ON bulk_export TO homeward_api;
GRANT SELECT, INSERT ON bulk_export_patient TO homeward_api;
