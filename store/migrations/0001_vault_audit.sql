-- +goose Up

-- Every key here is wrapped. There is one root key.
CREATE TABLE vault_meta (
    id         BIGINT NOT NULL,
    seal_kind  TEXT   NOT NULL,
    root       BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT vault_meta_pkey PRIMARY KEY (id),
    CONSTRAINT vault_meta_single CHECK (id = 1)
);

CREATE TABLE vault_org_keys (
    org_id     TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    wrapped    BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT vault_org_keys_pkey PRIMARY KEY (org_id, version)
);

CREATE TABLE vault_signing_keys (
    org_id     TEXT   NOT NULL,
    public     BYTEA  NOT NULL,
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT vault_signing_keys_pkey PRIMARY KEY (org_id)
);

-- leaf_index is NULL until the event has its place in the log of its
-- organization; org_id is empty for the log of the instance.
CREATE TABLE audit_events (
    org_id     TEXT   NOT NULL,
    event_id   TEXT   NOT NULL,
    time       BIGINT NOT NULL,
    type       TEXT   NOT NULL,
    category   TEXT   NOT NULL,
    actor_id   TEXT   NOT NULL,
    target_id  TEXT   NOT NULL,
    canonical  TEXT   NOT NULL,
    leaf_hash  BYTEA  NOT NULL,
    leaf_index BIGINT,
    CONSTRAINT audit_events_pkey PRIMARY KEY (org_id, event_id),
    CONSTRAINT audit_events_leaf UNIQUE (org_id, leaf_index)
);
CREATE INDEX audit_events_time ON audit_events (org_id, time, leaf_index);
CREATE INDEX audit_events_type ON audit_events (org_id, type, time);
CREATE INDEX audit_events_category ON audit_events (org_id, category, time);
CREATE INDEX audit_events_actor ON audit_events (org_id, actor_id, time);
CREATE INDEX audit_events_target ON audit_events (org_id, target_id, time);
CREATE INDEX audit_events_pending ON audit_events (org_id, time, event_id) WHERE leaf_index IS NULL;

-- The roots of full groups of 256 leaves (level 1), of 256 of those (level 2)
-- and so on; all other nodes are computed from them.
CREATE TABLE audit_tiles (
    org_id TEXT   NOT NULL,
    level  BIGINT NOT NULL,
    idx    BIGINT NOT NULL,
    hash   BYTEA  NOT NULL,
    CONSTRAINT audit_tiles_pkey PRIMARY KEY (org_id, level, idx)
);

CREATE TABLE audit_checkpoints (
    org_id TEXT   NOT NULL,
    size   BIGINT NOT NULL,
    time   BIGINT NOT NULL,
    root   BYTEA  NOT NULL,
    note   TEXT   NOT NULL,
    CONSTRAINT audit_checkpoints_pkey PRIMARY KEY (org_id, size, time)
);
