-- Secrets that have to be known as they are stand here sealed, by a key that is not in the database: 68 bytes for a second
-- factor, 20 where there is no key, or none has sealed it yet.
ALTER TABLE account
    DROP CONSTRAINT account_second_factor_check,
    DROP CONSTRAINT account_second_factor_offer_check,
    ADD CHECK (length(second_factor) IN (20, 68)),
    ADD CHECK (length(second_factor_offer) IN (20, 68));
ALTER TABLE receiver ALTER COLUMN secret TYPE bytea USING convert_to(secret, 'UTF8');

-- No request has to know what signs messages, sealed or not.
REVOKE SELECT ON receiver FROM homeward_api;
GRANT SELECT (receiver_id, name, role, organisation_id, channel, address, lowest_severity, hourly_limit, created_at,
    disabled_at) ON receiver TO homeward_api;
