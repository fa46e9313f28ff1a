-- +goose Up

-- The authorities that sign SSH certificates of users, one after the other. The
-- newest whose time has come signs; targets trust all that are listed.
CREATE TABLE ssh_cas (
    org_id      TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    public_key  TEXT   NOT NULL,
    sealed      BYTEA  NOT NULL,
    active_from BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    CONSTRAINT ssh_cas_pkey PRIMARY KEY (org_id, number)
);

-- What they have signed. Rows are deleted when they have expired: the audit log
-- is the evidence. session_id is empty for a check of a login.
CREATE TABLE ssh_certificates (
    org_id     TEXT   NOT NULL,
    serial     BIGINT NOT NULL,
    ca_number  BIGINT NOT NULL,
    session_id TEXT   NOT NULL,
    account_id TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT ssh_certificates_pkey PRIMARY KEY (org_id, serial)
);
CREATE INDEX ssh_certificates_expiry ON ssh_certificates (org_id, expires_at);

-- Users of databases that are to be gone again. They are evidence: they outlive
-- their accounts.
CREATE TABLE leases (
    org_id           TEXT   NOT NULL,
    lease_id         TEXT   NOT NULL,
    account_id       TEXT   NOT NULL,
    account_name     TEXT   NOT NULL,
    resource_id      TEXT   NOT NULL,
    admin_account_id TEXT   NOT NULL,
    safe_id          TEXT   NOT NULL,
    user_id          TEXT   NOT NULL,
    checkout_id      TEXT   NOT NULL,
    username         TEXT   NOT NULL,
    spec             TEXT   NOT NULL,
    state            TEXT   NOT NULL,
    attempts         BIGINT NOT NULL,
    problem          TEXT   NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    next_at          BIGINT NOT NULL,
    fence            BIGINT NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (org_id, lease_id),
    CONSTRAINT leases_state CHECK (state IN ('creating', 'active', 'revoking', 'stuck', 'revoked'))
);
CREATE INDEX leases_due ON leases (next_at) WHERE state IN ('creating', 'active', 'revoking', 'stuck');
CREATE INDEX leases_by_checkout ON leases (org_id, checkout_id);
