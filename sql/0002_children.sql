-- Rows of child tables (DESIGN §4): each contributes to the profile of the users row it names.

-- The key of that users row; NULL for users rows themselves, and for a child row that names nobody.
ALTER TABLE source_row ADD COLUMN user_key text COLLATE "C";
-- Finds the children of a user in the order of their keys, of which only the first so many count.
CREATE INDEX source_row_by_user_key ON source_row (user_key, source, key) WHERE user_key IS NOT NULL;

-- The followed tables, and the mapping under which their rows were stored: where it is another one now, they are read again.
CREATE TABLE mapped_table (
  source       text COLLATE "C" PRIMARY KEY,
  table_oid    oid NOT NULL,
  mapping_hash text NOT NULL
);
ALTER TABLE checkpoint DROP COLUMN mapping_hash;

-- Pages of this run count only once every transaction up to this one has ended; NULL: as the checkpoint says.
ALTER TABLE backfill ADD COLUMN start_xid xid8;
