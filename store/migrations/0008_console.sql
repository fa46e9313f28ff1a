-- +goose Up

-- When a login of the console was used last, to the minute; 0 for others.
ALTER TABLE logins ADD COLUMN used_at BIGINT NOT NULL DEFAULT 0;
