-- +goose Up

-- Sessions and recordings are evidence: they outlive the users, Safes,
-- resources and accounts that they name, so nothing is referenced.
CREATE TABLE sessions (
    org_id       TEXT   NOT NULL,
    session_id   TEXT   NOT NULL,
    status       TEXT   NOT NULL,
    protocol     TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    safe_id      TEXT   NOT NULL,
    resource_id  TEXT   NOT NULL,
    account_id   TEXT   NOT NULL,
    recording_id TEXT   NOT NULL,
    node         TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    client_ip    TEXT   NOT NULL,
    bytes_in     BIGINT NOT NULL,
    bytes_out    BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL,
    end_reason   TEXT   NOT NULL,
    kill_reason  TEXT   NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (org_id, session_id),
    CONSTRAINT sessions_status CHECK (status IN ('pending', 'active', 'ended', 'failed'))
);
CREATE INDEX sessions_user ON sessions (org_id, user_id, session_id);
CREATE INDEX sessions_safe ON sessions (org_id, safe_id, session_id);
CREATE INDEX sessions_resource ON sessions (org_id, resource_id, session_id);
CREATE INDEX sessions_by_status ON sessions (org_id, status, session_id);
CREATE INDEX sessions_open ON sessions (node, session_id) WHERE status IN ('pending', 'active');

-- The processes that serve sessions, and when each last said that it lives.
CREATE TABLE session_nodes (
    node     TEXT   NOT NULL,
    alive_at BIGINT NOT NULL,
    CONSTRAINT session_nodes_pkey PRIMARY KEY (node)
);

CREATE TABLE recordings (
    org_id         TEXT    NOT NULL,
    recording_id   TEXT    NOT NULL,
    session_id     TEXT    NOT NULL,
    safe_id        TEXT    NOT NULL,
    user_id        TEXT    NOT NULL,
    resource_id    TEXT    NOT NULL,
    account_id     TEXT    NOT NULL,
    protocol       TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    format         TEXT    NOT NULL,
    retention_days BIGINT  NOT NULL,
    duration_ms    BIGINT  NOT NULL,
    size_bytes     BIGINT  NOT NULL,
    root_hash      TEXT    NOT NULL,
    end_hash       TEXT    NOT NULL,
    chunks         BIGINT  NOT NULL,
    signature      BYTEA,
    public_key     BYTEA,
    recovered      BOOLEAN NOT NULL,
    problem        TEXT    NOT NULL,
    started_at     BIGINT  NOT NULL,
    ended_at       BIGINT  NOT NULL,
    expires_at     BIGINT  NOT NULL,
    CONSTRAINT recordings_pkey PRIMARY KEY (org_id, recording_id),
    CONSTRAINT recordings_status CHECK (status IN ('in_progress', 'completed', 'error'))
);
CREATE INDEX recordings_session ON recordings (org_id, session_id, recording_id);
CREATE INDEX recordings_user ON recordings (org_id, user_id, recording_id);
CREATE INDEX recordings_safe ON recordings (org_id, safe_id, recording_id);
CREATE INDEX recordings_resource ON recordings (org_id, resource_id, recording_id);
CREATE INDEX recordings_by_status ON recordings (org_id, status, recording_id);
CREATE INDEX recordings_expiry ON recordings (expires_at) WHERE status <> 'in_progress';
CREATE INDEX recordings_unsealed ON recordings (recording_id) WHERE status = 'in_progress';
