-- Who looks into what was opened without a relationship: a privacy officer of one organisation into what was done there, as
-- the log has it, and nobody into what they did themselves.

-- Whether the privacy officer who acts may know what this role has opened.
CREATE FUNCTION is_to_review(opened_by bigint) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT acting_as() = 'privacy_officer'
            AND (acting_for() IS NULL OR organisation_id IS NOT DISTINCT FROM acting_for())
        FROM held_role WHERE held_role_id = opened_by);

-- Whether it is a role of the account that acts.
CREATE FUNCTION is_own_role(opened_by bigint) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN EXISTS (SELECT FROM held_role WHERE held_role_id = opened_by AND account_id = acting_account());

DROP POLICY by_relationship ON break_glass;
CREATE POLICY by_relationship ON break_glass FOR SELECT TO homeward_api
    USING (held_role_id = (SELECT acting_role()) OR is_to_review(held_role_id)
        OR ((SELECT acting_as()) = 'patient'
            AND patient_id IN (SELECT UNNEST((SELECT visible_patients())::bigint[]))));
CREATE POLICY by_who_opens ON break_glass FOR INSERT TO homeward_api
    WITH CHECK (held_role_id = (SELECT acting_role()));
CREATE POLICY by_who_reviews ON break_glass FOR UPDATE TO homeward_api
    USING (is_to_review(held_role_id) AND NOT is_own_role(held_role_id));
