-- What people were shown and did not answer is theirs to see.
CREATE INDEX assignments_ended ON assignments (sprint, person) WHERE state IN ('expired', 'withdrawn');
