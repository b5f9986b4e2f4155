-- A person decides about what was shown, and about nothing that was lost later (src/state/breaker-decision.ts).

-- A loss bears the number of the next look that can show it.
CREATE TABLE breaker_look (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  next      bigint NOT NULL DEFAULT 1,
  -- Every loss up to this look has been decided.
  decided   bigint NOT NULL DEFAULT 0
);
INSERT INTO breaker_look DEFAULT VALUES;
ALTER TABLE profile ADD COLUMN lost_in bigint NOT NULL DEFAULT 1;
-- Walked in this order, a slice a statement, so that no statement reads what an earlier one has dealt with.
CREATE INDEX profile_losses ON profile (lost_in, distinct_id) WHERE lost_at IS NOT NULL;
DROP INDEX profile_lost;

-- Its loss was rejected: everything else of it is sent, until its rows change again.
ALTER TABLE profile ADD COLUMN rejected boolean NOT NULL DEFAULT false;
CREATE INDEX profile_rejected ON profile (distinct_id) WHERE rejected;

-- Who is held is so by a breaker that is open; one that was closed halfway left them behind.
INSERT INTO breaker (recent, users)
  SELECT count(*), greatest(count(*), 1) FROM profile WHERE held HAVING count(*) > 0 ON CONFLICT DO NOTHING;

-- Who was erased, by a hash: what the stream still brings of them from before that is not sent (src/state/erase-store.ts).
CREATE TABLE erased (
  id_hash     bytea PRIMARY KEY,
  era         integer NOT NULL,
  lsn         pg_lsn NOT NULL,
  -- Child rows of theirs are left in the application's tables, and were forgotten here: who comes back has them read again.
  left_behind boolean NOT NULL DEFAULT false,
  -- Who came back.
  returned_id text
);

-- The newest change of which a slice is stored, while its transaction's end may not be: told at a start without asking every profile.
ALTER TABLE checkpoint ADD COLUMN sliced_lsn pg_lsn;
UPDATE checkpoint SET sliced_lsn = (SELECT max(change_lsn) FROM profile WHERE due_at IS NOT NULL OR held);
