-- What rules remember is read and written as a whole, by no one else, and often: nothing is gained by the database's
-- taking it apart, or by its being made smaller.
ALTER TABLE plan_state ALTER COLUMN state TYPE text USING state::text;
ALTER TABLE plan_state ALTER COLUMN state SET STORAGE EXTERNAL;
