-- +goose Up

-- A version that a rotation has made and that may work or not is a candidate;
-- one that turned out not to work is rejected; of one that was purged, the
-- row is left, and sealed is empty.
ALTER TABLE credential_versions ADD COLUMN state TEXT NOT NULL DEFAULT 'stored';
ALTER TABLE credential_versions ADD COLUMN purged_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE credential_versions ADD COLUMN purged_by TEXT NOT NULL DEFAULT '';

-- working is the version that is known to log in: promoted, but while a
-- rotation is between the two. 0: it is not known at this moment which does,
-- or there is none.
ALTER TABLE accounts ADD COLUMN working BIGINT NOT NULL DEFAULT 0;
UPDATE accounts SET working = promoted;
