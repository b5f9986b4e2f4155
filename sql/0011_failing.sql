-- Since when a user fails by trouble of its own (src/core/retry.ts), from the first failed attempt on; NULL: it does not.
ALTER TABLE profile ADD COLUMN failing_since timestamptz;

-- The code with which it was set aside until somebody gave it up (`suprsync failed drop`): nothing is sent until its rows change. NULL:
-- nobody did, or something was sent since.
ALTER TABLE profile ADD COLUMN dropped text;
