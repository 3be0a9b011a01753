-- For whom a patient shares a summary, as the patient noted it: so that the list of shares says which is which.
ALTER TABLE passport_share ADD COLUMN made_for text CHECK (made_for <> '');
GRANT SELECT (made_for), INSERT (made_for) ON passport_share TO homeward_api;
