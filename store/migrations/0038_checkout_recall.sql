-- +goose Up

-- Where whoever has a secret came from: policies are asked again while it is
-- out. Of a checkout from before it is not known, which counts against it where
-- a policy asks.
ALTER TABLE checkouts ADD COLUMN client_ip TEXT NOT NULL DEFAULT '';

-- What ends by the clock, and with a session, is looked for every second.
CREATE INDEX checkouts_by_end ON checkouts (expires_at) WHERE status = 'checked_out';
CREATE INDEX checkouts_by_session ON checkouts (org_id, session_id) WHERE status = 'checked_out' AND session_id <> '';
