-- Whether a person asks for their name to be shown in place of the pseudonym, on this sprint's leaderboard.
ALTER TABLE pseudonyms ADD COLUMN named BIGINT NOT NULL DEFAULT 0;
