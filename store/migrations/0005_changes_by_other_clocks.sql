-- Changes of care plans in the order in which they were made, and what one receiver waits for.

-- When a version was made, which may be before it is in force; NULL: before this was kept. A change is made no
-- earlier than the one before, whatever the clock of its process says.
ALTER TABLE care_plan_rule ADD COLUMN made_at timestamptz;

-- All that is pending for a receiver, also as a part of a digest: that may have to be cancelled.
CREATE INDEX pending_of_a_receiver ON notification (receiver_id) WHERE state = 'pending';
