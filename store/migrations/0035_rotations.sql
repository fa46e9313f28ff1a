-- +goose Up

-- trigger and state are the words of the API. Rotations are evidence: they
-- outlive their accounts. node works on one until lease_until; fence counts who
-- did, so that whoever lost it cannot write any more. pending holds the copies
-- that are still to be brought up to date.
CREATE TABLE rotations (
    org_id       TEXT    NOT NULL,
    rotation_id  TEXT    NOT NULL,
    account_id   TEXT    NOT NULL,
    account_name TEXT    NOT NULL,
    resource_id  TEXT    NOT NULL,
    trigger      TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    old_version  BIGINT  NOT NULL,
    next_version BIGINT  NOT NULL,
    attempts     BIGINT  NOT NULL,
    problem      TEXT    NOT NULL,
    repaired     BOOLEAN NOT NULL,
    pending      TEXT    NOT NULL,
    requested_by TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    ended_at     BIGINT  NOT NULL,
    next_at      BIGINT  NOT NULL,
    node         TEXT    NOT NULL,
    lease_until  BIGINT  NOT NULL,
    fence        BIGINT  NOT NULL,
    CONSTRAINT rotations_pkey PRIMARY KEY (org_id, rotation_id),
    CONSTRAINT rotations_state CHECK (state IN ('queued', 'stored', 'applying', 'applied', 'verified', 'spreading', 'done', 'failed', 'stuck', 'cancelled'))
);
CREATE UNIQUE INDEX rotations_open ON rotations (org_id, account_id)
    WHERE state IN ('queued', 'stored', 'applying', 'applied', 'verified', 'spreading', 'stuck');
CREATE INDEX rotations_due ON rotations (next_at)
    WHERE state IN ('queued', 'stored', 'applying', 'applied', 'verified', 'spreading');
CREATE INDEX rotations_by_account ON rotations (org_id, account_id, rotation_id);
CREATE INDEX rotations_by_state ON rotations (org_id, state, rotation_id);

-- How the credential of an account is changed and looked after, and what is
-- known of it. The schedule leaves it alone before not_before.
CREATE TABLE credential_care (
    org_id        TEXT   NOT NULL,
    account_id    TEXT   NOT NULL,
    settings      TEXT   NOT NULL,
    updated_at    BIGINT NOT NULL,
    not_before    BIGINT NOT NULL,
    check_hours   BIGINT NOT NULL,
    next_check_at BIGINT NOT NULL,
    outcome       TEXT   NOT NULL,
    problem       TEXT   NOT NULL,
    checked_at    BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL,
    CONSTRAINT credential_care_pkey PRIMARY KEY (org_id, account_id),
    CONSTRAINT credential_care_account FOREIGN KEY (org_id, account_id) REFERENCES accounts (org_id, account_id) ON DELETE CASCADE
);
CREATE INDEX credential_care_checks ON credential_care (next_check_at) WHERE check_hours > 0;

-- The interval of the Safe's settings, so that the schedule asks one question;
-- -1 until it was read from them once.
ALTER TABLE safes ADD COLUMN rotate_days BIGINT NOT NULL DEFAULT -1;
CREATE INDEX safes_rotating ON safes (rotate_days) WHERE rotate_days <> 0;

-- Why the value of a version is weak, '' where it is not or nobody looked.
ALTER TABLE credential_versions ADD COLUMN weak TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_by_account ON sessions (org_id, account_id, session_id);
CREATE INDEX checkouts_by_account ON checkouts (org_id, account_id, checkout_id);
