-- How many steps a week a patient wants to take. Each change is a row: the latest counts, and one without steps ends the
-- goal.
CREATE TABLE step_goal (
    step_goal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id   bigint      NOT NULL REFERENCES patient,
    steps_a_week integer     CHECK (steps_a_week > 0),
    made_at      timestamptz NOT NULL,
    made_by      text        NOT NULL
);
CREATE INDEX ON step_goal (patient_id, step_goal_id);
CREATE TRIGGER goals_are_append_only BEFORE UPDATE OR DELETE ON step_goal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Whoever may see the patient sees it, and the patient alone sets it.
ALTER TABLE step_goal ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_relationship ON step_goal FOR SELECT TO homeward_api
    USING (patient_id = ANY ((SELECT visible_patients())::bigint[]));
CREATE POLICY set_by_the_patient ON step_goal FOR INSERT TO homeward_api
    WITH CHECK (patient_id = (SELECT acting_patient()));
GRANT SELECT, INSERT ON step_goal TO homeward_api;
