-- The circuit breaker (DESIGN §8): losses are users who are deleted, or of whom a channel loses all its values.

-- One row while it is open.
CREATE TABLE breaker (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  opened_at timestamptz NOT NULL DEFAULT now(),
  -- What tripped it: losses within the window, of so many users.
  recent    bigint NOT NULL,
  users     bigint NOT NULL
);

-- Losses by the time they were stored; what is older than the window goes with the next.
CREATE TABLE breaker_loss (
  at     timestamptz PRIMARY KEY,
  losses bigint NOT NULL
);

-- Since when a loss waits to be sent; NULL: none does.
ALTER TABLE profile ADD COLUMN lost_at timestamptz;
-- The breaker keeps its loss from being sent.
ALTER TABLE profile ADD COLUMN held boolean NOT NULL DEFAULT false;
CREATE INDEX profile_lost ON profile (lost_at) WHERE lost_at IS NOT NULL;
CREATE INDEX profile_held ON profile (distinct_id) WHERE held;
