-- Rejected messages that somebody at the command line wants tried once more. The process that takes readings does so, since
-- no other may write them, and deletes the row.
CREATE TABLE replay_wish (
    rejected_message_id bigint PRIMARY KEY REFERENCES rejected_message ON DELETE CASCADE,
    wished_by           text   NOT NULL CHECK (wished_by <> '')
);
