-- A session that a name alone began proves nothing more than the name: it makes no tokens.
ALTER TABLE sessions ADD COLUMN by_name BIGINT NOT NULL DEFAULT 0;

-- What measures people lapses with the leases of pairs, and by the same look.
CREATE INDEX checks_by_lease ON checks (sprint, expires_at) WHERE state = 'open';
