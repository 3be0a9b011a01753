-- When somebody looked at the worklist last, so that it can say what was missed meanwhile.

-- A look is a sitting: it lasts as long as the list is shown again and again. What happened between the sitting before
-- and the beginning of this one was missed.
CREATE TABLE worklist_look (
    -- A role that an account holds: the lists of two teams are two lists.
    held_role_id   bigint      PRIMARY KEY REFERENCES held_role,
    -- When the list was shown last, and the last transition that it can have told of then.
    seen_at        timestamptz NOT NULL,
    seen           bigint      NOT NULL,
    -- When the sitting before this one ended; NULL: there was none.
    last_looked_at timestamptz,
    -- What was missed: the transitions after the first of these, until the second.
    missed_after   bigint      NOT NULL,
    missed_until   bigint      NOT NULL
) WITH (fillfactor = 50);
ALTER TABLE worklist_look ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON worklist_look TO homeward_api USING (held_role_id = (SELECT acting_role()));
GRANT SELECT, INSERT, UPDATE ON worklist_look TO homeward_api;

-- The number of the latest transition, whoever's it is: under row-level security the search for it would try each that
-- the caller may not see.
CREATE FUNCTION latest_transition() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT COALESCE(max(transition_id), 0) FROM episode_transition);

-- What the list is sorted by before anything else: what nobody has, what somebody has, what is over and nobody had.
CREATE FUNCTION standing(status text) RETURNS smallint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE status WHEN 'raised' THEN 1 WHEN 'acknowledged' THEN 2 WHEN 'cleared' THEN 3 ELSE 4 END;
