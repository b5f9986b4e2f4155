-- Recovery from gaps (DESIGN §8): a new era reads every table again and sweeps rows that no page showed.

-- No stored page shows anything committed beyond it: tells whether all that was seen came along when a standby was promoted.
ALTER TABLE checkpoint ADD COLUMN pages_lsn pg_lsn NOT NULL DEFAULT '0/0';

-- Why this table must be read again and swept; noted with the new era, taken up by the next backfill.
ALTER TABLE mapped_table ADD COLUMN gap text;

-- Rows of which this run shows none are gone.
ALTER TABLE backfill ADD COLUMN sweep boolean NOT NULL DEFAULT false;
-- Its last page is stored; what is left is to sweep.
ALTER TABLE backfill ADD COLUMN paged_at timestamptz;

-- How the table was followed: another primary key stores its rows under other keys; a table that was taken out of the publication
-- and put back was not streamed meanwhile. NULL: not noted yet.
ALTER TABLE mapped_table ADD COLUMN key_columns text;
ALTER TABLE mapped_table ADD COLUMN membership text;
