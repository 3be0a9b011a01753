-- The patient passport: by what this record and its devices are known elsewhere, and what was taken over from other
-- records.

-- By what other records know this one. It is drawn when it is first asked for: a record that is copied before that is
-- another one.
CREATE TABLE record_identity (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    record_uuid uuid    NOT NULL DEFAULT gen_random_uuid()
);
CREATE FUNCTION record_uuid() RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO record_identity DEFAULT VALUES ON CONFLICT DO NOTHING;
    RETURN (SELECT record_identity.record_uuid FROM record_identity);
END $$;

-- Identifiers that devices have elsewhere, of those that came with a passport.
CREATE TABLE device_identifier (
    system    text   NOT NULL,
    value     text   NOT NULL CHECK (value <> ''),
    device_id bigint NOT NULL REFERENCES device,
    PRIMARY KEY (system, value)
);
CREATE INDEX ON device_identifier (device_id);
GRANT SELECT ON device_identifier TO homeward_api;

-- Passports that were taken over, or pages of them: each once.
CREATE TABLE passport_import (
    -- SHA-256 of the file.
    digest      bytea       PRIMARY KEY CHECK (length(digest) = 32),
    -- The identifier of the document; NULL: it has none.
    document    text        UNIQUE,
    patient_id  bigint      NOT NULL REFERENCES patient,
    -- The patient was not in the record before: what came is the whole of it until somebody adds to it.
    whole       boolean     NOT NULL,
    -- Who made it, as it says itself.
    source      text        NOT NULL CHECK (source <> ''),
    imported_at timestamptz NOT NULL,
    imported_by text        NOT NULL
);
CREATE INDEX ON passport_import (patient_id);
ALTER TABLE passport_import ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_relationship ON passport_import FOR SELECT TO homeward_api
    USING (patient_id = ANY ((SELECT visible_patients())::bigint[]));
GRANT SELECT ON passport_import TO homeward_api;
