-- Leases end a sprint at a time. With the moment alone in the index SQLite went through every hold of the sprint, by
-- another index that begins with the sprint.
DROP INDEX assignments_to_expire;
CREATE INDEX assignments_to_expire ON assignments (sprint, expires_at) WHERE state = 'open';
