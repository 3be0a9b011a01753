-- The devices of a team: which it has, which of them are with nobody, and when each was last heard of. And patients whom
-- a team's lead puts into the team's care.

ALTER TABLE device
    -- Whose stock it belongs to. NULL: nobody's; it was registered for a patient.
    ADD COLUMN organisation_id bigint REFERENCES organisation,
    -- By what people tell it from others: what is printed on it. NULL: by its number alone.
    ADD COLUMN label           text CHECK (label <> '');
CREATE INDEX ON device (organisation_id, device_id);
CREATE INDEX ON device_assignment (device_id) WHERE upper_inf(valid_during);
GRANT SELECT (organisation_id, label), INSERT (organisation_id, label) ON device TO homeward_api;

-- Whoever registers, assigns or revokes a device does so to one of their own stock, or to one that measures a patient
-- whom they may see; administrators to any.
ALTER TABLE device ENABLE ROW LEVEL SECURITY;
CREATE POLICY anybody_reads ON device FOR SELECT TO homeward_api USING (true);
CREATE POLICY of_one_s_stock_new ON device FOR INSERT TO homeward_api
    WITH CHECK ((SELECT acting_as()) = 'administrator' OR organisation_id = (SELECT acting_for()));
CREATE POLICY of_one_s_stock ON device FOR UPDATE TO homeward_api
    USING ((SELECT acting_as()) = 'administrator' OR organisation_id = (SELECT acting_for())
        OR EXISTS (SELECT FROM device_assignment
            WHERE device_assignment.device_id = device.device_id AND upper_inf(valid_during)));

-- Whether a device measures anybody, also somebody whom the caller may not see.
CREATE FUNCTION is_with_somebody(device bigint, at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN EXISTS (SELECT FROM device_assignment WHERE device_id = device AND valid_during @> at);

-- When a device was last connected or sent something, and what it said of its battery. Written apart from readings,
-- for many devices at once; a little behind.
CREATE TABLE device_contact (
    device_id       bigint PRIMARY KEY REFERENCES device,
    last_at         timestamptz NOT NULL,
    battery_percent smallint CHECK (battery_percent BETWEEN 0 AND 100),
    battery_at      timestamptz,
    CHECK ((battery_percent IS NULL) = (battery_at IS NULL))
) WITH (fillfactor = 70);
GRANT SELECT ON device_contact TO homeward_api;

-- Puts somebody into the care of the caller's own team: a patient who is new to the record, or one who is in it and whose
-- number and date of birth the caller knows. Answers who that is; NULL where the number is in the record with another
-- date of birth. Only for leads: it is what lets a team in.
CREATE FUNCTION enrol_with_own_team(number text, called text, birth date, practice bigint, by_name text)
    RETURNS TABLE (patient_id bigint, is_new boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    team  bigint := acting_for();
    whose bigint;
    added boolean := true;
BEGIN
    IF acting_as() IS DISTINCT FROM 'care_team_lead' OR team IS NULL THEN
        RAISE EXCEPTION 'only the lead of a team enrols patients with it' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO patient (nhs_number, name, born, organisation_id) VALUES (number, called, birth, practice)
        ON CONFLICT (nhs_number) DO NOTHING RETURNING patient.patient_id INTO whose;
    IF whose IS NULL THEN
        added := false;
        whose := find_patient(number, birth);
    END IF;
    IF whose IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO enrolment (patient_id, organisation_id, enrolled_at, enrolled_by)
        VALUES (whose, team, request_time(), by_name)
        ON CONFLICT (patient_id, organisation_id) WHERE ended_at IS NULL DO NOTHING;
    RETURN QUERY SELECT whose, added;
END $$;
