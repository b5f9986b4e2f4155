-- Users who wait until everything is read under another mapping (src/core/parking.ts): `desired` is what SuprSend is to hold until
-- then, `eventual` what their rows say (NULL: there is no such user).
ALTER TABLE profile
  ADD COLUMN parked boolean NOT NULL DEFAULT false,
  ADD COLUMN eventual jsonb,
  ADD COLUMN eventual_hash text COLLATE "C";
CREATE INDEX profile_parked ON profile (distinct_id) WHERE parked;

-- They had a lane of their own, from which nobody claimed.
UPDATE profile SET parked = true, eventual = desired, eventual_hash = desired_hash, desired = synced, desired_hash = synced_hash,
  due_at = CASE WHEN sending = '[]' THEN NULL ELSE due_at END
WHERE lane = 2 AND due_at IS NOT NULL;
UPDATE profile SET lane = 1 WHERE lane = 2;

-- Of what tells whose the rows are (src/core/remap-decision.ts). NULL: not noted yet.
ALTER TABLE mapped_table ADD COLUMN owner_hash text;

-- Since when the state may be older than what SuprSend was sent (src/core/start-decision.ts), until everybody was compared.
ALTER TABLE checkpoint ADD COLUMN doubted_at timestamptz;

-- When the first page of a reading was stored: it may have waited for others before.
ALTER TABLE backfill ADD COLUMN begun_at timestamptz;
