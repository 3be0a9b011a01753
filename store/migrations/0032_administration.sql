-- Counts the changes of a patient's details: whoever changes them says which version they have read.
ALTER TABLE patient ADD COLUMN version integer NOT NULL DEFAULT 1;

-- Administrators register devices through the interface, under numbers that are drawn beforehand.
GRANT INSERT (device_id) ON device TO homeward_api;
GRANT USAGE ON SEQUENCE device_device_id_seq TO homeward_api;
