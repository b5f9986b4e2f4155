-- Recovery from gaps (DESIGN §8): a new era reads every table again and sweeps rows that no page showed.

-- No stored page shows anything committed beyond it: tells whether all that was seen came along when a standby was promoted.
ALTER TABLE checkpoint ADD COLUMN pages_lsn pg_lsn NOT NULL DEFAULT '0/0';

-- Why this table must be read again and swept; noted with the new era, taken up by the next backfill.
ALTER TABLE mapped_table ADD COLUMN gap text;

-- Rows of which this run shows none are gone.
ALTER TABLE backfill ADD COLUMN sweep boolean NOT NULL DEFAULT false;
-- Its last page is stored; what is left is to sweep.
ALTER TABLE backfill ADD COLUMN paged_at timestamptz;

-- How the table looked (core/table-shape.ts): what changes that may have changed rows of which no stream told. NULL: not noted yet.
ALTER TABLE mapped_table ADD COLUMN shape jsonb;
