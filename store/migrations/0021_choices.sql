-- What patients choose, they choose themselves: whoever cares for them reads it, so as not to pass on what is not to be
-- passed on, and the second lock lets nobody else write it.

-- The patient who acts; NULL where somebody else does. Whoever acts as a proxy is another patient.
CREATE FUNCTION acting_patient() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT patient_id FROM held_role
        WHERE held_role_id = acting_role() AND role = 'patient' AND (ended_at IS NULL OR ended_at > request_time()));

DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY['sharing_choice', 'research_choice'] LOOP
        EXECUTE format('DROP POLICY by_relationship ON %I', named);
        EXECUTE format('CREATE POLICY by_relationship ON %I FOR SELECT TO homeward_api
            USING (patient_id = ANY ((SELECT visible_patients())::bigint[]))', named);
        EXECUTE format('CREATE POLICY by_the_patient ON %I FOR INSERT TO homeward_api
            WITH CHECK (patient_id = (SELECT acting_patient()))', named);
    END LOOP;
END $$;

-- Whether a patient has opted out of research, as one of the two sources says.
CREATE FUNCTION has_opted_out(whose bigint, says text, at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN COALESCE((SELECT opted_out FROM research_choice
        WHERE patient_id = whose AND source = says AND effective_from <= at
        ORDER BY effective_from DESC, research_choice_id DESC LIMIT 1), false);
