-- The state of suprsync (DESIGN §4). Unqualified names: migrations run with search_path set to the state schema.
-- LSNs are pg_lsn, transaction ids xid8 of the source, hashes 32 hexadecimal digits.

-- How far capture has come, and who may write. One row.
CREATE TABLE checkpoint (
  singleton         boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  -- Counts the histories of the source that were followed: a new slot or another server begins a new era.
  era               integer NOT NULL,
  system_identifier text NOT NULL,
  timeline          integer NOT NULL,
  slot              text NOT NULL,
  -- The followed table: another one under its name is not the same.
  table_oid         oid NOT NULL,
  -- Everything committed before it is in the tables below.
  lsn               pg_lsn NOT NULL,
  -- Pages count only once every transaction up to this one has ended (DESIGN §6).
  start_xid         xid8 NOT NULL,
  mapping_hash      text NOT NULL,
  -- Bumped by each take-over; a writer with another epoch writes nothing (DESIGN §5.5).
  epoch             bigint NOT NULL DEFAULT 0,
  advanced_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Noted before a slot is made: a slot that is found without a checkpoint is ours to adopt only if it is here.
CREATE TABLE slot_intent (
  slot              text NOT NULL,
  system_identifier text NOT NULL,
  noted_at          timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (slot, system_identifier)
);

-- The newest TRUNCATE of each followed table: pages that do not see it show rows that are gone.
CREATE TABLE source_table (
  source       text PRIMARY KEY,
  era          integer NOT NULL,
  truncate_xid xid8 NOT NULL,
  truncate_lsn pg_lsn NOT NULL
);

-- What each row of the followed tables contributes to its user's profile.
CREATE TABLE source_row (
  source        text COLLATE "C" NOT NULL,
  -- The primary key's exact text.
  key           text COLLATE "C" NOT NULL,
  distinct_id   text COLLATE "C",
  -- NULL: a tombstone, known to be gone.
  part          jsonb,
  part_hash     text COLLATE "C",
  -- Of the mapped columns' values and the mapping: while it is the same nothing has to be mapped to see that nothing changed.
  row_hash      text COLLATE "C",
  -- Values that were left out, with the reason and without the value.
  reasons       jsonb,
  -- Another live row holds the same distinct_id and goes before this one.
  duplicate     boolean NOT NULL DEFAULT false,
  era           integer NOT NULL,
  -- The newest streamed change.
  change_xid    xid8,
  change_lsn    pg_lsn,
  -- The newest page that wrote or saw the row.
  read_snapshot pg_snapshot,
  -- Since when it is a tombstone that may be removed once nothing can ask for it; else NULL, so that edits stay HOT.
  gone_at       timestamptz,
  PRIMARY KEY (source, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX source_row_by_user ON source_row (distinct_id);
CREATE INDEX source_row_duplicates ON source_row (distinct_id) WHERE duplicate;
-- For `status` and `failed list`. `part` must stand in no index, not even in a predicate: each edit changes it, and would cease
-- to be a HOT update.
CREATE INDEX source_row_reasons ON source_row (key) WHERE reasons IS NOT NULL;
CREATE INDEX source_row_unusable ON source_row (key) WHERE reasons @> '[{"code": "invalid_distinct_id"}]';

CREATE INDEX source_row_gone ON source_row (gone_at) WHERE gone_at IS NOT NULL;

-- One row per user: what SuprSend should hold (desired), what it last certainly accepted (synced), what it may hold (sending).
CREATE TABLE profile (
  distinct_id   text COLLATE "C" PRIMARY KEY,
  bucket        smallint NOT NULL,
  -- NULL: the user must not exist.
  desired       jsonb,
  desired_hash  text COLLATE "C",
  -- For the index of what tidying may remove; `desired` itself must stand in none, or no edit would be a HOT update.
  gone          boolean NOT NULL GENERATED ALWAYS AS (desired IS NULL) STORED,
  synced        jsonb,
  synced_hash   text COLLATE "C",
  -- [{"token": …, "target": profile or null, "unclear": bool}]: appended before a request leaves, emptied by a clear answer.
  sending       jsonb NOT NULL DEFAULT '[]',
  -- The sender that has it in flight. Ownership is its lock session's, not this column's: others' leftovers are taken over.
  claimed_by    uuid,
  reasons       jsonb,
  -- 0: a live edit, 1: backfill.
  lane          smallint NOT NULL DEFAULT 0,
  -- When the newest change was committed, and the oldest that SuprSend has not accepted.
  changed_at    timestamptz NOT NULL,
  pending_since timestamptz,
  -- From when it may be sent; NULL: nothing to send, or set aside.
  due_at        timestamptz,
  attempts      integer NOT NULL DEFAULT 0,
  failure       jsonb,
  -- Not sent before the checkpoint has passed it: its transaction may be stored only in part.
  change_lsn    pg_lsn NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX profile_due ON profile (lane, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX profile_failed ON profile ((failure ->> 'code'), distinct_id) WHERE failure IS NOT NULL AND due_at IS NULL;
CREATE INDEX profile_retrying ON profile ((failure ->> 'code')) WHERE failure IS NOT NULL AND due_at IS NOT NULL;
CREATE INDEX profile_gone ON profile (distinct_id) WHERE gone AND synced IS NULL;

-- Backfill runs; the newest unfinished one is resumed.
CREATE TABLE backfill (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  era            integer NOT NULL,
  source         text NOT NULL,
  reason         text NOT NULL,
  -- Key texts of the last row of the last page; NULL: not begun.
  cursor         jsonb,
  first_snapshot pg_snapshot,
  rows_read      bigint NOT NULL DEFAULT 0,
  rows_estimated bigint,
  started_at     timestamptz NOT NULL DEFAULT now(),
  finished_at    timestamptz
);
