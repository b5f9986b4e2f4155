-- Any number of senders (DESIGN §7.1). What each of them owns is in no table but in the locks of its session.

-- One row per sender, for `status`, for the others, and to fence off who is gone (src/state/sender-session.ts). What it says is of no
-- use after a crash of the server, which ends every session.
CREATE UNLOGGED TABLE sender (
  id            uuid PRIMARY KEY,
  -- Claims are made under it; another one makes those that are still under way claim nothing.
  fence         uuid NOT NULL,
  -- Of its session on this server.
  pid           integer NOT NULL,
  backend_start timestamptz,
  host          text NOT NULL,
  process       integer NOT NULL,
  -- By its configuration so many may work (src/core/buckets.ts); the least of all holds.
  most          integer NOT NULL,
  started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When it left as one should. Whether the others are there, and make progress, is told by locks (src/state/locks.ts).
  left_at       timestamptz,
  -- {"buckets", "inHand", "acceptedPerSecond"}; written when it is another one.
  report        jsonb NOT NULL DEFAULT '{}',
  -- What SuprSend answered it that holds for all: {"kind", "account", "untilMs", "forMs"}.
  news          jsonb
) WITH (fillfactor = 50);

-- A sender looks into its own buckets alone, in each of them oldest first.
CREATE INDEX profile_pending ON profile (bucket, lane, due_at) WHERE due_at IS NOT NULL;
DROP INDEX profile_due;
