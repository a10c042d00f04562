-- How pairs are given out: fairly among categories, with one more person only where the first disagree, and
-- with what several people skip before the moderators.

-- Drawn by seed; the line's order follows from it and from how many pairs each category has.
ALTER TABLE pairs ADD COLUMN draw BIGINT NOT NULL DEFAULT 0;
UPDATE pairs SET draw = shuffle;

-- Between these the overlap of a pair follows from its responses.
ALTER TABLE pairs ADD COLUMN least BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pairs ADD COLUMN most BIGINT NOT NULL DEFAULT 0;
UPDATE pairs SET least = overlap, most = overlap;

-- 'toxic', or 'skipped' for a pair that several people have skipped, under the name of the last of them.
ALTER TABLE reports ADD COLUMN kind TEXT NOT NULL DEFAULT 'toxic';
DROP INDEX reports_once;
CREATE UNIQUE INDEX reports_once ON reports (pair, person, kind);
