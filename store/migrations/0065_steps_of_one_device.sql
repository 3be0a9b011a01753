-- A telephone and a watch count the same steps. Of several devices, the one that counted most in an hour counts for it;
-- and an hour of steps is that in which their interval ends, the full hour included. So do rollups, trends, the patient's
-- days and goal: they all ask here.

-- By how much earlier than its time a reading is counted: the steps until ten o'clock are of the hour before ten.
CREATE FUNCTION counted_earlier_by(of_metric smallint) RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE of_metric WHEN 8 THEN INTERVAL '1 microsecond' ELSE INTERVAL '0' END;

-- The readings of a series, summed up by buckets of a length that divides an hour; all, or those alone that are not
-- rolled up yet. Of steps, whole hours must be asked for, since the device is one hour's. (What is written as text is
-- planned as a part of each statement that calls it, and means by `reading` what that does.)
CREATE FUNCTION summed_up(of_patient bigint, of_metric smallint, begins timestamptz, ends timestamptz, width interval,
        fresh boolean DEFAULT false)
    RETURNS TABLE (bucket timestamptz, n bigint, sum double precision, min double precision, max double precision)
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT part.bucket, part.n, part.sum, part.min, part.max
    FROM (
        SELECT of_device.*,
            first_value(of_device.device) OVER (PARTITION BY time_bucket(INTERVAL '1 hour', of_device.bucket)
                ORDER BY of_device.in_hour DESC, of_device.device) AS counted
        FROM (
            SELECT one.bucket, one.device, count(*) AS n, sum(one.value) AS sum, min(one.value) AS min,
                max(one.value) AS max,
                sum(sum(one.value)) OVER (PARTITION BY time_bucket(INTERVAL '1 hour', one.bucket), one.device) AS in_hour
            FROM (
                SELECT time_bucket(width, time - counted_earlier_by(of_metric)) AS bucket,
                    CASE of_metric WHEN 8 THEN device_id ELSE 0 END AS device, value
                FROM reading
                WHERE patient_id = of_patient AND metric = of_metric AND NOT entered_in_error
                    AND time >= begins + counted_earlier_by(of_metric) AND time < ends + counted_earlier_by(of_metric)
                    -- Says of all series of a statement which chunks need not be looked at.
                    AND time >= begins AND time <= ends
                    AND (NOT fresh OR time >= (SELECT rolled_up_until FROM gate) + counted_earlier_by(of_metric))
                    AND (NOT fresh OR time >= (SELECT rolled_up_until FROM gate))
            ) AS one
            GROUP BY one.bucket, one.device
        ) AS of_device
    ) AS part
    WHERE part.device = part.counted
$$;

-- The hours of a series, which begin at full hours: rolled up ones, and those whose readings changed since, summed up
-- anew. What is not rolled up yet comes in buckets of any width.
CREATE FUNCTION hours_of(of_patient bigint, of_metric smallint, begins timestamptz, ends timestamptz, width interval)
    RETURNS TABLE (bucket timestamptz, n bigint, sum double precision, min double precision, max double precision)
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH dirty AS MATERIALIZED (
        SELECT DISTINCT late.bucket FROM rollup_dirty AS late
        WHERE late.patient_id = of_patient AND late.metric = of_metric AND late.bucket >= begins AND late.bucket < ends
            AND late.bucket < (SELECT rolled_up_until FROM gate)
    )
    SELECT hour.bucket, hour.n, hour.sum, hour.min, hour.max FROM reading_hourly AS hour
    WHERE hour.patient_id = of_patient AND hour.metric = of_metric
        AND hour.bucket >= begins AND hour.bucket < LEAST(ends, (SELECT rolled_up_until FROM gate))
        AND hour.bucket NOT IN (SELECT dirty.bucket FROM dirty)
    UNION ALL
    SELECT anew.* FROM dirty CROSS JOIN LATERAL
        summed_up(of_patient, of_metric, dirty.bucket, dirty.bucket + INTERVAL '1 hour', INTERVAL '1 hour') AS anew
    UNION ALL
    SELECT later.* FROM summed_up(of_patient, of_metric, begins, ends, width, true) AS later
$$;

-- The days of a series, summed up from its rolled up hours.
CREATE FUNCTION days_of(of_patient bigint, of_metric smallint, begins timestamptz, ends timestamptz)
    RETURNS TABLE (bucket timestamptz, n bigint, sum double precision, min double precision, max double precision)
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT time_bucket(INTERVAL '1 day', hour.bucket), sum(hour.n)::bigint, sum(hour.sum), min(hour.min), max(hour.max)
    FROM reading_hourly AS hour
    WHERE hour.patient_id = of_patient AND hour.metric = of_metric AND hour.bucket >= begins AND hour.bucket < ends
    GROUP BY 1
$$;

-- The rollups of steps are made anew, while nobody else writes readings or rollups.
SELECT pg_advisory_xact_lock(7462, 1);
SELECT pg_advisory_xact_lock(7462, 3);
DELETE FROM reading_hourly WHERE metric = 8;
DELETE FROM reading_daily WHERE metric = 8;
INSERT INTO reading_hourly (patient_id, metric, bucket, n, sum, min, max)
    SELECT patient.patient_id, 8, hour.* FROM patient CROSS JOIN gate CROSS JOIN LATERAL
        summed_up(patient.patient_id, 8::smallint, '-infinity', gate.rolled_up_until, INTERVAL '1 hour') AS hour;
INSERT INTO reading_daily (patient_id, metric, bucket, n, sum, min, max)
    SELECT patient.patient_id, 8, day.* FROM patient CROSS JOIN gate CROSS JOIN LATERAL
        days_of(patient.patient_id, 8::smallint, '-infinity', time_bucket(INTERVAL '1 day', gate.rolled_up_until)) AS day;
