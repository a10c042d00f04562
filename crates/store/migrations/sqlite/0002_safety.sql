-- What classifiers and people say of texts and images, and what annotators report.

-- Decisions follow from scores, reviews and the configuration; they are kept nowhere.
DROP TABLE decisions;

CREATE TABLE scores (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    -- 'text' or 'image', and the hash of it.
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    -- The classifier's name, model file and way of preparing its input.
    classifier TEXT NOT NULL,
    -- A score per label, as JSON; empty where there is an error.
    labels TEXT NOT NULL,
    -- Why there are no scores; empty where there are.
    error TEXT NOT NULL,
    -- What else the classifier tells, as JSON.
    detail TEXT NOT NULL,
    scored_at BIGINT NOT NULL,
    PRIMARY KEY (sprint, kind, content, classifier)
);

-- What people have decided, in the order of their ids; nothing is ever changed or taken out of it.
CREATE TABLE reviews (
    id TEXT PRIMARY KEY,
    sprint TEXT NOT NULL REFERENCES sprints (id),
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    person TEXT NOT NULL REFERENCES people (id),
    -- 'moderator' or 'organizer', at that time: an organizer's word is the last one.
    role TEXT NOT NULL,
    -- 'approve', 'reject', or 'undo', which takes the person's earlier word back.
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX reviews_of_sprint ON reviews (sprint, id);
CREATE INDEX reviews_of_content ON reviews (sprint, kind, content);

-- Answers 'toxic_content', each with what became of it.
CREATE TABLE reports (
    id TEXT PRIMARY KEY,
    sprint TEXT NOT NULL REFERENCES sprints (id),
    pair TEXT NOT NULL REFERENCES pairs (id),
    person TEXT NOT NULL REFERENCES people (id),
    -- 'open', 'beyond_quota' (kept for the moderators, and withdraws nothing), 'upheld', 'overturned' or
    -- 'taken_back'.
    state TEXT NOT NULL,
    -- How many reports withdraw a pair, by the configuration of that moment.
    needed BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    -- The moderator who has ended it.
    ended_by TEXT
);
CREATE UNIQUE INDEX reports_once ON reports (pair, person);
CREATE INDEX reports_of_person ON reports (sprint, person, created_at);

-- What the stages want of a pair; it is current where that is so and no report withholds it.
ALTER TABLE pairs ADD COLUMN wanted BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE pairs ADD COLUMN reported BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE pairs SET wanted = current;
CREATE INDEX images_by_hash ON images (sprint, hash);
CREATE INDEX pairs_of_image_1 ON pairs (sprint, image_1);
CREATE INDEX pairs_of_image_2 ON pairs (sprint, image_2);
CREATE INDEX pairs_of_prompt ON pairs (sprint, prompt_idx);

-- What was published, so that a row that is removed later can be told from where it must go.
CREATE TABLE publications (
    id TEXT PRIMARY KEY,
    sprint TEXT NOT NULL REFERENCES sprints (id),
    destination TEXT NOT NULL,
    dataset TEXT NOT NULL,
    -- The ids of its rows, as a JSON array.
    rows TEXT NOT NULL,
    published_at BIGINT NOT NULL
);
