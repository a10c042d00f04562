-- What organizers have set from a page: who, what, and when.
CREATE TABLE settings (
    id TEXT PRIMARY KEY,
    sprint TEXT NOT NULL REFERENCES sprints (id),
    person TEXT NOT NULL REFERENCES people (id),
    what TEXT NOT NULL,
    was TEXT NOT NULL,
    became TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX settings_of_sprint ON settings (sprint, id);
