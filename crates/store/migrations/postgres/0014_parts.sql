-- Who has a part in a pair: without the state, which each answer changes, so that none of them writes here.
DROP INDEX assignments_by_pair;
CREATE INDEX assignments_by_pair ON assignments (pair, person);
