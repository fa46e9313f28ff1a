-- +goose Up

-- When a login of the console was used last, to the minute; 0 for others.
ALTER TABLE logins ADD COLUMN used_at BIGINT NOT NULL DEFAULT 0;

-- What lists are filtered by stands in the index of their order, so that a
-- search reads no rows but those that it shows.
CREATE INDEX resources_search ON resources (org_id, sort_key, resource_id, type, host);
CREATE INDEX accounts_search ON accounts (org_id, sort_key, account_id, username, resource_id);
CREATE INDEX safes_search ON safes (org_id, sort_key, safe_id, locked);
CREATE INDEX safes_requestable_created ON safes (org_id, safe_id) WHERE visibility = 'requestable';
CREATE INDEX safe_members_created ON safe_members (org_id, user_id, safe_id);

-- What the organization may know of its member's name, so that members can be
-- listed by it: nothing of the name of somebody who is only invited.
ALTER TABLE memberships ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE memberships ADD COLUMN name TEXT NOT NULL DEFAULT '';
UPDATE memberships SET email = (SELECT u.email FROM users u WHERE u.id = memberships.user_id);
UPDATE memberships SET name = (SELECT u.name FROM users u WHERE u.id = memberships.user_id) WHERE status <> 'invited';
CREATE INDEX memberships_order ON memberships (org_id, email, user_id, name, role, status);
CREATE INDEX memberships_created ON memberships (org_id, user_id, email, name, role, status);

CREATE INDEX sessions_length ON sessions (org_id, session_id, started_at, ended_at);
CREATE INDEX recordings_length ON recordings (org_id, recording_id, duration_ms, size_bytes);

-- Of events from before, the address stands in canonical alone.
ALTER TABLE audit_events ADD COLUMN source_ip TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_events_source ON audit_events (org_id, source_ip, time);
