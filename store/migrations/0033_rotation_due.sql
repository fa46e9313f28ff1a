-- +goose Up

-- Rotations that something has asked for, one for each account: the earliest.
CREATE TABLE rotation_due (
    org_id     TEXT   NOT NULL,
    account_id TEXT   NOT NULL,
    trigger    TEXT   NOT NULL,
    due_at     BIGINT NOT NULL,
    CONSTRAINT rotation_due_pkey PRIMARY KEY (org_id, account_id)
);
CREATE INDEX rotation_due_at ON rotation_due (due_at);
