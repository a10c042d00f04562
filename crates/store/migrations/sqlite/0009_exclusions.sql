-- People whose answers do not count in a sprint, and why; where one is counted again, when that was.
CREATE TABLE exclusions (
    id TEXT PRIMARY KEY,
    sprint TEXT NOT NULL REFERENCES sprints (id),
    person TEXT NOT NULL REFERENCES people (id),
    reason TEXT NOT NULL,
    excluded_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE UNIQUE INDEX exclusions_now ON exclusions (sprint, person) WHERE ended_at IS NULL;
