-- A list that renews itself before somebody's eyes shows the same patients again and again. The log has each of them once an
-- hour: so that a patient can still read in it who has looked, and a ward that is open all day does not fill it.
ALTER TABLE worklist_look
    -- Of whom the log says that the list has shown them, and since when these are put together.
    ADD COLUMN noted       bigint[]    NOT NULL DEFAULT '{}',
    ADD COLUMN noted_since timestamptz NOT NULL DEFAULT '-infinity';
