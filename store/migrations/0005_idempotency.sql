-- +goose Up
CREATE TABLE idempotency (
    scope_hash   TEXT    NOT NULL,
    body_hash    TEXT    NOT NULL,
    complete     BOOLEAN NOT NULL,
    status       BIGINT  NOT NULL,
    content_type TEXT    NOT NULL,
    body         BYTEA,
    object_id    TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL,
    CONSTRAINT idempotency_pkey PRIMARY KEY (scope_hash)
);
CREATE INDEX idempotency_expires ON idempotency (expires_at);
