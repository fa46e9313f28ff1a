-- +goose Up

-- uses is how often a key has sealed, at most: it is counted in blocks, before
-- they are used. idle_since is since when nothing names a key that is not the
-- newest any more; 0 while something may.
ALTER TABLE vault_org_keys ADD COLUMN uses BIGINT NOT NULL DEFAULT 0;
ALTER TABLE vault_org_keys ADD COLUMN idle_since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE vault_meta ADD COLUMN old_roots_idle_since BIGINT NOT NULL DEFAULT 0;

-- Turns of the keys. One runs at a time, on the node that has the lease.
CREATE TABLE vault_rotations (
    rotation_id  TEXT   NOT NULL,
    scope        TEXT   NOT NULL,
    org_id       TEXT   NOT NULL, -- '': every organization
    state        TEXT   NOT NULL,
    progress     TEXT   NOT NULL, -- JSON of vault.Rotation
    started_by   TEXT   NOT NULL, -- '': the server itself
    node         TEXT   NOT NULL,
    leased_until BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    finished_at  BIGINT NOT NULL,
    CONSTRAINT vault_rotations_pkey PRIMARY KEY (rotation_id),
    CONSTRAINT vault_rotations_state CHECK (state IN ('running', 'finished'))
);
CREATE UNIQUE INDEX vault_rotations_one ON vault_rotations (state) WHERE state = 'running';
CREATE INDEX vault_rotations_latest ON vault_rotations (started_at, rotation_id);

-- The key of a recording, sealed anew. The file keeps the one that it was made
-- with, since the head of the file is under its seal; this one counts.
CREATE TABLE recording_keys (
    org_id       TEXT  NOT NULL,
    recording_id TEXT  NOT NULL,
    sealed       BYTEA NOT NULL,
    CONSTRAINT recording_keys_pkey PRIMARY KEY (org_id, recording_id),
    CONSTRAINT recording_keys_recording FOREIGN KEY (org_id, recording_id) REFERENCES recordings (org_id, recording_id) ON DELETE CASCADE
);
