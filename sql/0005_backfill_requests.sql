-- Readings that somebody asked for (`suprsync backfill`), beside those that a start owes.

-- SQL over the rows of the table, with which only some are read; NULL: all.
ALTER TABLE backfill ADD COLUMN filter text;
-- The runs of one request, a table each; NULL: nobody asked.
ALTER TABLE backfill ADD COLUMN request uuid;
ALTER TABLE backfill ADD COLUMN cancelled boolean NOT NULL DEFAULT false;
-- The code with which it ended; NULL: it did not fail.
ALTER TABLE backfill ADD COLUMN failure text;
