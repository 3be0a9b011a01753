-- Checks against the national data opt-out. A list of NHS numbers goes to the national service, and those come back who
-- have not opted out. So what was sent has to be remembered until the answer is there, and after that for as long as the
-- answer may be relied on. Requests see nothing of it.

CREATE TABLE opt_out_check (
    opt_out_check_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    submitted_at     timestamptz NOT NULL,
    submitted_by     text        NOT NULL,
    answered_at      timestamptz,
    answered_by      text,
    -- SHA-256 of the numbers that came back: the same answer may be read twice, another one may not.
    answer_digest    bytea       CHECK (length(answer_digest) = 32),
    CHECK ((answered_at IS NULL) = (answered_by IS NULL) AND (answered_at IS NULL) = (answer_digest IS NULL))
);

-- Whose numbers were in the list.
CREATE TABLE opt_out_submitted (
    patient_id       bigint NOT NULL REFERENCES patient,
    opt_out_check_id bigint NOT NULL REFERENCES opt_out_check,
    PRIMARY KEY (patient_id, opt_out_check_id)
);
CREATE INDEX ON opt_out_submitted (opt_out_check_id);
