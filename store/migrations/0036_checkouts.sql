-- +goose Up

-- What a checkout rests on beside a membership, and what ended it. A secret is
-- out until its check-in is on record, so that the index is what keeps a
-- second one from an account that somebody has for themself alone.
ALTER TABLE checkouts ADD COLUMN exclusive BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE checkouts ADD COLUMN emergency BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE checkouts ADD COLUMN extensions BIGINT NOT NULL DEFAULT 0;
ALTER TABLE checkouts ADD COLUMN session_id TEXT NOT NULL DEFAULT '';
ALTER TABLE checkouts ADD COLUMN grant_id TEXT NOT NULL DEFAULT '';
ALTER TABLE checkouts ADD COLUMN cause TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX checkouts_exclusive ON checkouts (org_id, account_id) WHERE status = 'checked_out' AND exclusive;

ALTER TABLE sessions ADD COLUMN emergency BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX checkouts_out ON checkouts (org_id, account_id) WHERE status = 'checked_out';
