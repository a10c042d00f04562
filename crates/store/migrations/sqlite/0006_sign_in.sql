-- How people sign in, and what they have agreed to.

-- Who somebody is at an OpenID provider.
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person TEXT NOT NULL REFERENCES people (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_of_person ON identities (person);

-- Sign-ins that are under way at a provider, by the hash of the browser's secret; each ends once.
CREATE TABLE sign_ins (
    hash TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    next TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sign_ins_to_expire ON sign_ins (expires_at);

-- Links with which people come in under a name of their own.
CREATE TABLE invitations (
    hash TEXT PRIMARY KEY,
    sprint TEXT NOT NULL REFERENCES sprints (id),
    role TEXT NOT NULL,
    -- How many more people may come with it.
    places BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- What people were shown before they began, by its hash, and who has agreed to it when.
CREATE TABLE terms (
    version TEXT PRIMARY KEY,
    text TEXT NOT NULL
);
CREATE TABLE consents (
    sprint TEXT NOT NULL REFERENCES sprints (id),
    person TEXT NOT NULL REFERENCES people (id),
    version TEXT NOT NULL REFERENCES terms (version),
    agreed_at BIGINT NOT NULL,
    PRIMARY KEY (sprint, person, version)
);
CREATE INDEX sessions_of_person ON sessions (person);
