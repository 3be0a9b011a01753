-- Whether a session began with the first password of its account, which is good for choosing another one and for nothing
-- else. Of one that began through an identity provider it does not matter whether a first password waits to be changed.
-- Those that there are go on as they began: they are taken for such.
ALTER TABLE sign_in_session ADD COLUMN by_first_password boolean NOT NULL DEFAULT true;
