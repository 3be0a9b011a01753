-- Observations that came over HTTP: by what their senders know them, and who entered them.

-- The identifiers that a sender gave an Observation, by which it is not created twice.
CREATE TABLE observation_identifier (
    patient_id bigint      NOT NULL REFERENCES patient,
    system     text        NOT NULL,
    value      text        NOT NULL CHECK (value <> ''),
    device_id  bigint      NOT NULL REFERENCES device,
    metric     smallint    NOT NULL,
    time       timestamptz NOT NULL,
    PRIMARY KEY (patient_id, system, value)
);

-- Who entered what one device measured at one time.
CREATE TABLE posted_observation (
    patient_id bigint      NOT NULL REFERENCES patient,
    time       timestamptz NOT NULL,
    device_id  bigint      NOT NULL REFERENCES device,
    posted_by  text        NOT NULL CHECK (posted_by <> ''),
    posted_at  timestamptz NOT NULL,
    PRIMARY KEY (patient_id, time, device_id)
);

-- What stands for the device where an organisation enters a patient's readings and names none.
CREATE TABLE entry_device (
    patient_id      bigint NOT NULL REFERENCES patient,
    organisation_id bigint NOT NULL REFERENCES organisation,
    device_id       bigint NOT NULL REFERENCES device,
    PRIMARY KEY (patient_id, organisation_id)
);

DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY['observation_identifier', 'posted_observation', 'entry_device'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY by_relationship ON %I TO homeward_api
            USING (patient_id = ANY ((SELECT visible_patients())::bigint[]))', named);
    END LOOP;
END $$;
GRANT SELECT, INSERT ON observation_identifier, posted_observation TO homeward_api;
