-- Alerts and tasks know people by the role in which they act, which leads to their account. The name stays beside it, as it
-- was then; what was written down before this, or in another record, has the name alone.

-- The roles of whoever acts: all that their account holds or held, or a program's one.
CREATE FUNCTION own_roles() RETURNS bigint[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT COALESCE(array_agg(held_role_id), '{}') FROM held_role
        WHERE held_role_id = acting_role() OR account_id = acting_account());

ALTER TABLE episode_transition
    -- As what somebody did it.
    ADD COLUMN held_role_id bigint REFERENCES held_role,
    ADD CHECK (held_role_id IS NULL OR actor IS NOT NULL);
-- A request writes down nothing in the name of somebody else.
ALTER POLICY by_episode ON episode_transition
    USING (EXISTS (SELECT FROM episode WHERE episode.episode_id = episode_transition.episode_id))
    WITH CHECK (EXISTS (SELECT FROM episode WHERE episode.episode_id = episode_transition.episode_id)
        AND (held_role_id IS NULL OR held_role_id = (SELECT acting_role())));

ALTER TABLE episode
    -- As what it is somebody's business.
    ADD COLUMN assigned_role_id bigint REFERENCES held_role,
    ADD CHECK (assigned_role_id IS NULL OR assigned_to IS NOT NULL);
CREATE INDEX ON episode (assigned_role_id) WHERE assigned_role_id IS NOT NULL AND status <> 'closed';

ALTER TABLE task
    -- As what it is somebody's business, who wrote it down, and who ended it.
    ADD COLUMN assigned_role_id bigint REFERENCES held_role,
    ADD COLUMN created_role_id  bigint REFERENCES held_role,
    ADD COLUMN ended_role_id    bigint REFERENCES held_role,
    ADD CHECK (assigned_role_id IS NULL OR assigned_to IS NOT NULL),
    ADD CHECK (ended_role_id IS NULL OR ended_by IS NOT NULL);
ALTER TABLE task ALTER COLUMN created_role_id SET DEFAULT acting_role();
GRANT UPDATE (assigned_role_id, ended_role_id) ON task TO homeward_api;
