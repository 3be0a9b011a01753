-- The overview of a practice's patients, and trends over months.

-- Who is on which programme, without reading what the rules say.
CREATE INDEX rules_of_a_programme ON care_plan_rule (programme, code, patient_id) INCLUDE (valid_from, valid_until);
CREATE INDEX patients_of_an_organisation ON patient (organisation_id);

-- The days of a series are written at different times and lie far apart: an index that holds all of them is read in
-- their place.
ALTER TABLE reading_daily
    DROP CONSTRAINT reading_daily_pkey,
    ADD PRIMARY KEY (patient_id, metric, bucket) INCLUDE (n, sum, min, max);
