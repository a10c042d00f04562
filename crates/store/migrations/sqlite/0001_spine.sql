-- The tables of a sprint, from prompts to responses. Times are milliseconds since 1970, UTC.
-- Both backends have the same tables; where the words of the two differ, the difference stands here.

-- Marks the database as one of ours.
CREATE TABLE diptych (made_by TEXT NOT NULL);
INSERT INTO diptych (made_by) VALUES ('diptych');

CREATE TABLE sprints (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- What an in-process stage was last run with (its key), and what it said.
CREATE TABLE stage_marks (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    stage TEXT NOT NULL,
    key TEXT NOT NULL,
    report TEXT NOT NULL,
    finished_at BIGINT NOT NULL,
    PRIMARY KEY (sprint, stage)
);

CREATE TABLE prompts (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    idx BIGINT NOT NULL,
    source TEXT NOT NULL,
    source_row BIGINT NOT NULL,
    text TEXT NOT NULL,
    current BOOLEAN NOT NULL,
    -- The collect that has seen it last.
    collect TEXT NOT NULL,
    -- What clean made of it; all null before.
    clean_text TEXT,
    clean_state TEXT,
    clean_reason TEXT,
    clean_of BIGINT,
    split TEXT,
    PRIMARY KEY (sprint, idx)
);
CREATE UNIQUE INDEX prompts_by_source ON prompts (sprint, source, source_row);

-- Rows of the sources that did not become prompts.
CREATE TABLE source_drops (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    source TEXT NOT NULL,
    source_row BIGINT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (sprint, source, source_row)
);

-- What screening says of content: kept by what it is and by the policy that was asked.
CREATE TABLE decisions (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    policy TEXT NOT NULL,
    decision TEXT NOT NULL,
    reason TEXT NOT NULL,
    scores TEXT NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (sprint, kind, content, policy)
);

CREATE TABLE variants (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    key TEXT NOT NULL,
    prompt_idx BIGINT NOT NULL,
    evolution TEXT NOT NULL,
    category TEXT NOT NULL,
    sub_category TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    style_prompt TEXT NOT NULL,
    text TEXT NOT NULL,
    engine TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (sprint, key)
);

-- Calls to engines that were answered, so that none is paid twice.
CREATE TABLE calls (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    key TEXT NOT NULL,
    engine TEXT NOT NULL,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    reply TEXT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost DOUBLE PRECISION NOT NULL,
    request_id TEXT,
    called_at BIGINT NOT NULL,
    PRIMARY KEY (sprint, key)
);

CREATE TABLE images (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    key TEXT NOT NULL,
    variant_key TEXT NOT NULL,
    prompt_idx BIGINT NOT NULL,
    evolution TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    hash TEXT NOT NULL,
    format TEXT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    size BIGINT NOT NULL,
    provider TEXT NOT NULL,
    model_name TEXT NOT NULL,
    revision TEXT,
    prompt TEXT NOT NULL,
    seed TEXT NOT NULL,
    steps BIGINT,
    guidance DOUBLE PRECISION,
    request_id TEXT,
    cost DOUBLE PRECISION NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (sprint, key)
);

CREATE TABLE pairs (
    id TEXT PRIMARY KEY,
    sprint TEXT NOT NULL REFERENCES sprints (id),
    key TEXT NOT NULL,
    row_id TEXT NOT NULL,
    prompt_idx BIGINT NOT NULL,
    evolution TEXT NOT NULL,
    category TEXT NOT NULL,
    sub_category TEXT NOT NULL,
    variant_key TEXT NOT NULL,
    prompt TEXT NOT NULL,
    split TEXT NOT NULL,
    model_1 TEXT NOT NULL,
    model_2 TEXT NOT NULL,
    image_1_key TEXT NOT NULL,
    image_2_key TEXT NOT NULL,
    image_1 TEXT NOT NULL,
    image_2 TEXT NOT NULL,
    -- Opaque names under which the images are shown, and the canvas both are shown on.
    picture_1 TEXT NOT NULL UNIQUE,
    picture_2 TEXT NOT NULL UNIQUE,
    canvas_width BIGINT NOT NULL,
    canvas_height BIGINT NOT NULL,
    -- False: withdrawn, because something that it depends on has changed.
    current BOOLEAN NOT NULL,
    overlap BIGINT NOT NULL,
    shuffle BIGINT NOT NULL,
    -- Responses that count, live leases, and what is left of the overlap.
    answered BIGINT NOT NULL DEFAULT 0,
    held BIGINT NOT NULL DEFAULT 0,
    slots BIGINT NOT NULL,
    -- 1 where somebody holds it or has answered it: begun pairs are finished first.
    begun BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    CHECK (held >= 0 AND answered >= 0)
);
CREATE UNIQUE INDEX pairs_by_key ON pairs (sprint, key);
CREATE INDEX pairs_to_take ON pairs (sprint, begun DESC, shuffle) WHERE current AND slots > 0;

CREATE TABLE people (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- The name in lower case: two people cannot differ by case alone.
    handle TEXT NOT NULL UNIQUE,
    -- 'person', or 'simulated' for the annotators of the demo.
    kind TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    hash TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES people (id),
    created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES people (id),
    expires_at BIGINT NOT NULL
);

CREATE TABLE roles (
    person TEXT NOT NULL REFERENCES people (id),
    sprint TEXT NOT NULL REFERENCES sprints (id),
    role TEXT NOT NULL,
    PRIMARY KEY (person, sprint)
);

CREATE TABLE pseudonyms (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    person TEXT NOT NULL REFERENCES people (id),
    pseudonym TEXT NOT NULL UNIQUE,
    PRIMARY KEY (sprint, person)
);

CREATE TABLE assignments (
    id TEXT PRIMARY KEY,
    sprint TEXT NOT NULL,
    pair TEXT NOT NULL REFERENCES pairs (id),
    person TEXT NOT NULL REFERENCES people (id),
    -- Where the pair's first image stands.
    side TEXT NOT NULL,
    -- 'open', 'answered', 'skipped', 'expired' or 'withdrawn'.
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);
-- One person holds or has answered a pair at most once.
CREATE UNIQUE INDEX assignments_once ON assignments (pair, person) WHERE state IN ('open', 'answered');
CREATE INDEX assignments_by_pair ON assignments (pair, person, state);
CREATE INDEX assignments_of_person ON assignments (sprint, person, created_at) WHERE state = 'open';
CREATE INDEX assignments_skipped ON assignments (sprint, person, ended_at) WHERE state = 'skipped';
CREATE INDEX assignments_to_expire ON assignments (expires_at) WHERE state = 'open';

CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    assignment TEXT NOT NULL REFERENCES assignments (id),
    sprint TEXT NOT NULL,
    pair TEXT NOT NULL REFERENCES pairs (id),
    person TEXT NOT NULL REFERENCES people (id),
    kind TEXT NOT NULL,
    answer TEXT NOT NULL,
    side TEXT NOT NULL,
    duration_ms BIGINT,
    comment TEXT,
    -- 'submitted' counts; 'taken_back' does not.
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX responses_once ON responses (pair, person);
CREATE INDEX responses_of_person ON responses (sprint, person);
