-- +goose Up

-- Where a user was made: a resource may be pointed elsewhere while it is there.
-- Of a lease from before it is not known.
ALTER TABLE leases ADD COLUMN place TEXT NOT NULL DEFAULT '';
