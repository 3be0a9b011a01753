-- What was sent, given up or cancelled is removed some time after, and so has to be found.
CREATE INDEX notifications_done ON notification (COALESCE(sent_at, next_attempt_at)) WHERE state <> 'pending';
