-- The worklist: what is open, the most severe first, and of that what has waited longest.
CREATE FUNCTION urgency(severity text) RETURNS smallint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE severity WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END;
CREATE INDEX worklist ON episode (urgency(severity), episode_id) WHERE status <> 'closed';
CREATE INDEX ON episode (assigned_to) WHERE assigned_to IS NOT NULL AND status <> 'closed';
