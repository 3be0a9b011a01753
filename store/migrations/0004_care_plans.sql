-- Changes of care plans.

-- A version that another follows has ended by that one's author, for that one's reason. Who took a rule out of the
-- plan, and why, stands with its last version.
ALTER TABLE care_plan_rule
    ADD COLUMN removed_by     text CHECK (removed_by <> ''),
    ADD COLUMN removal_reason text,
    ADD CHECK ((removed_by IS NULL) = (removal_reason IS NULL)),
    ADD CHECK (removed_by IS NULL OR valid_until IS NOT NULL);
