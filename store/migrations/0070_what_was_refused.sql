-- Privacy officers read what was refused, to whom, also where it was about no patient.
CREATE INDEX refused ON audit_event (sequence) WHERE outcome = 'refused';
