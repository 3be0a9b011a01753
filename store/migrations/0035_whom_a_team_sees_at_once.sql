-- Whom a team or a practice may see is asked by every statement about patients: it looks at the choices of all of them
-- at once, where it asked for those of each. What it answers stays the same.

CREATE INDEX ON sharing_choice (organisation_id, patient_id, effective_from DESC, sharing_choice_id DESC);

-- The patients whose latest choice is not to share the record with an organisation.
CREATE FUNCTION withheld_from(organisation bigint, at timestamptz) RETURNS SETOF bigint
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = public, pg_temp
    BEGIN ATOMIC
        SELECT latest.patient_id FROM (
            SELECT DISTINCT ON (patient_id) patient_id, shared FROM sharing_choice
            WHERE organisation_id = organisation AND effective_from <= at
            ORDER BY patient_id, effective_from DESC, sharing_choice_id DESC
        ) AS latest WHERE NOT latest.shared;
    END;

CREATE OR REPLACE FUNCTION bases_of(acting bigint, asked bigint, at timestamptz)
    RETURNS TABLE (patient_id bigint, basis text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    held held_role;
BEGIN
    SELECT * INTO held FROM held_role
        WHERE held_role_id = acting AND (ended_at IS NULL OR ended_at > at);
    IF held.held_role_id IS NULL THEN
        RETURN;
    END IF;
    IF held.role = 'patient' THEN
        RETURN QUERY SELECT held.patient_id, 'self' WHERE asked IS NULL OR asked = held.patient_id;
        RETURN QUERY SELECT proxy.patient_id, 'proxy' FROM proxy
            WHERE proxy.account_id = held.account_id AND (proxy.ended_at IS NULL OR proxy.ended_at > at)
                AND (asked IS NULL OR proxy.patient_id = asked);
    END IF;
    IF held.role IN ('gp_clinician', 'gp_manager', 'integrator') THEN
        IF asked IS NULL THEN
            RETURN QUERY SELECT patient.patient_id, 'registration' FROM patient
                WHERE patient.organisation_id = held.organisation_id
                    AND patient.patient_id NOT IN (SELECT withheld_from(held.organisation_id, at));
        ELSE
            RETURN QUERY SELECT patient.patient_id, 'registration' FROM patient
                WHERE patient.patient_id = asked AND patient.organisation_id = held.organisation_id
                    AND shares_with(patient.patient_id, held.organisation_id, at);
        END IF;
    END IF;
    IF held.role IN ('care_team_member', 'care_team_lead', 'integrator') THEN
        IF asked IS NULL THEN
            RETURN QUERY SELECT enrolment.patient_id, 'enrolment' FROM enrolment
                WHERE enrolment.organisation_id = held.organisation_id
                    AND (enrolment.ended_at IS NULL OR enrolment.ended_at > at)
                    AND enrolment.patient_id NOT IN (SELECT withheld_from(held.organisation_id, at));
        ELSE
            RETURN QUERY SELECT enrolment.patient_id, 'enrolment' FROM enrolment
                WHERE enrolment.patient_id = asked AND enrolment.organisation_id = held.organisation_id
                    AND (enrolment.ended_at IS NULL OR enrolment.ended_at > at)
                    AND shares_with(enrolment.patient_id, held.organisation_id, at);
        END IF;
    END IF;
    IF held.role IN ('care_team_member', 'care_team_lead', 'gp_clinician') THEN
        RETURN QUERY SELECT break_glass.patient_id, 'break_glass' FROM break_glass
            WHERE break_glass.held_role_id = held.held_role_id
                AND break_glass.begun_at <= at AND break_glass.until > at
                AND (asked IS NULL OR break_glass.patient_id = asked);
    END IF;
END $$;
