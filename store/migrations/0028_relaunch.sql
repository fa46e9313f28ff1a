-- +goose Up

-- Whether a grant of one command has been used once more, after the connection
-- of its session was lost.
ALTER TABLE grants ADD COLUMN relaunched BOOLEAN NOT NULL DEFAULT FALSE;
