-- Who has a part in a pair: without the state, which each answer changes, so that on SQLite none of them writes here.
-- (PostgreSQL writes to every index of a row that changes so; the tables stay alike.)
DROP INDEX assignments_by_pair;
CREATE INDEX assignments_by_pair ON assignments (pair, person);
