-- Each answer and each take changes a pair. Where its page has room for another version of it, an answer need
-- not be noted in the table's eight indexes.
ALTER TABLE pairs SET (fillfactor = 50);
