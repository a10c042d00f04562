-- Whether people are asked in a sprint, what its organizers tell them, and what sprints people propose.

-- 'open', 'paused', 'closed' or 'archived'.
ALTER TABLE sprints ADD COLUMN state TEXT NOT NULL DEFAULT 'open';

-- Organizers' words to everybody in the sprint; the newest one that was not taken down is shown.
CREATE TABLE announcements (
    id TEXT PRIMARY KEY,
    sprint TEXT NOT NULL REFERENCES sprints (id),
    person TEXT NOT NULL REFERENCES people (id),
    text TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);

-- What people would like to begin.
CREATE TABLE proposals (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES people (id),
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    question TEXT NOT NULL,
    about TEXT NOT NULL,
    -- The uploaded file's ending, which says what it is, and its text.
    format TEXT NOT NULL,
    prompts TEXT NOT NULL,
    prompt_count BIGINT NOT NULL,
    -- The engines that were chosen, as a JSON array of `SLUG/KEY`.
    models TEXT NOT NULL,
    -- 'waiting', 'accepted' or 'declined'.
    state TEXT NOT NULL,
    -- What whoever decided says of it.
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    decided_at BIGINT
);
CREATE INDEX proposals_waiting ON proposals (state, created_at);
CREATE INDEX proposals_of_person ON proposals (person);

-- The live page and the pace count by time.
CREATE INDEX responses_by_time ON responses (sprint, created_at);
