-- +goose Up

-- The login, token or key that the session was opened with, so that revoking
-- it ends the session; '' for a password and for sessions from before.
ALTER TABLE sessions ADD COLUMN auth_id TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_open_auth ON sessions (user_id, auth_id) WHERE status IN ('pending', 'active');
