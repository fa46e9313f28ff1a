-- +goose Up

-- Requests and grants are evidence: they outlive the people and Safes that
-- they name. seconds is what is asked for, granted what came of it. command is
-- the only one that the access is for, command_hash its SHA-256 in hex; both
-- are empty for any session.
CREATE TABLE access_requests (
    org_id       TEXT   NOT NULL,
    request_id   TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    email        TEXT   NOT NULL,
    safe_id      TEXT   NOT NULL,
    safe_name    TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    ticket       TEXT   NOT NULL,
    seconds      BIGINT NOT NULL,
    command      TEXT   NOT NULL,
    command_hash TEXT   NOT NULL,
    status       TEXT   NOT NULL,
    approvers    BIGINT NOT NULL,
    granted      BIGINT NOT NULL,
    grant_id     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL,
    CONSTRAINT access_requests_pkey PRIMARY KEY (org_id, request_id),
    CONSTRAINT access_requests_status CHECK (status IN ('pending', 'approved', 'rejected', 'expired', 'cancelled')),
    CONSTRAINT access_requests_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX access_requests_open ON access_requests (org_id, user_id, safe_id, command_hash) WHERE status = 'pending';
CREATE INDEX access_requests_by_status ON access_requests (org_id, status, request_id);
CREATE INDEX access_requests_by_safe ON access_requests (org_id, safe_id, request_id);
CREATE INDEX access_requests_by_user ON access_requests (org_id, user_id, request_id);
CREATE INDEX access_requests_due ON access_requests (expires_at) WHERE status = 'pending';

CREATE TABLE access_request_decisions (
    org_id     TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    email      TEXT    NOT NULL,
    approve    BOOLEAN NOT NULL,
    comment    TEXT    NOT NULL,
    seconds    BIGINT  NOT NULL,
    decided_at BIGINT  NOT NULL,
    CONSTRAINT access_request_decisions_pkey PRIMARY KEY (org_id, request_id, user_id),
    CONSTRAINT access_request_decisions_request FOREIGN KEY (org_id, request_id) REFERENCES access_requests (org_id, request_id)
);

-- session_id is the session that used a grant for one command.
CREATE TABLE grants (
    org_id       TEXT   NOT NULL,
    grant_id     TEXT   NOT NULL,
    request_id   TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    email        TEXT   NOT NULL,
    safe_id      TEXT   NOT NULL,
    safe_name    TEXT   NOT NULL,
    approvers    BIGINT NOT NULL,
    starts_at    BIGINT NOT NULL,
    ends_at      BIGINT NOT NULL,
    command_hash TEXT   NOT NULL,
    session_id   TEXT   NOT NULL,
    status       TEXT   NOT NULL,
    ended_at     BIGINT NOT NULL,
    ended_by     TEXT   NOT NULL,
    CONSTRAINT grants_pkey PRIMARY KEY (org_id, grant_id),
    CONSTRAINT grants_status CHECK (status IN ('active', 'used', 'ended', 'revoked')),
    CONSTRAINT grants_request FOREIGN KEY (org_id, request_id) REFERENCES access_requests (org_id, request_id)
);
CREATE INDEX grants_held ON grants (user_id, org_id, safe_id) WHERE status IN ('active', 'used');
CREATE INDEX grants_by_status ON grants (org_id, status, grant_id);
CREATE INDEX grants_by_safe ON grants (org_id, safe_id, grant_id);
CREATE INDEX grants_by_user ON grants (org_id, user_id, grant_id);
CREATE INDEX grants_due ON grants (ends_at) WHERE status IN ('active', 'used');
