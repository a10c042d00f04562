-- Showings that measure a person, apart from assignments and responses: they count nowhere.
CREATE TABLE checks (
    -- What the page knows it by, as it knows an assignment.
    id TEXT PRIMARY KEY,
    sprint TEXT NOT NULL REFERENCES sprints (id),
    person TEXT NOT NULL REFERENCES people (id),
    -- 'repeat' or 'gold'.
    kind TEXT NOT NULL,
    -- The pair whose prompt is shown; and, of a gold one, the pair that the picture of another prompt is from.
    pair TEXT NOT NULL REFERENCES pairs (id),
    other TEXT NOT NULL REFERENCES pairs (id),
    -- Image 1 is the pair's first one; of a gold one, the prompt's own. Each has an opaque name that nothing else has.
    image_1 TEXT NOT NULL,
    image_2 TEXT NOT NULL,
    picture_1 TEXT NOT NULL UNIQUE,
    picture_2 TEXT NOT NULL UNIQUE,
    -- Where image 1 stands.
    side TEXT NOT NULL,
    -- The answer that passes.
    expected TEXT NOT NULL,
    -- 'open' (also when its lease is over: nobody else waits for it), 'answered', 'skipped' or 'withdrawn'.
    state TEXT NOT NULL,
    answer TEXT,
    duration_ms BIGINT,
    comment TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX checks_of_person ON checks (sprint, person, state);

-- A repeat is drawn from some moment of what a person has answered.
DROP INDEX responses_of_person;
CREATE INDEX responses_of_person ON responses (sprint, person, created_at);
