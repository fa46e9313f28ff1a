-- +goose Up

CREATE TABLE notification_preferences (
    org_id        TEXT    NOT NULL,
    approver_mail BOOLEAN NOT NULL,
    CONSTRAINT notification_preferences_pkey PRIMARY KEY (org_id),
    CONSTRAINT notification_preferences_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);

-- position is the leaf of the organization's log that is to be looked at next;
-- leased_until is when another node may take over from the one at work.
CREATE TABLE webhooks (
    org_id         TEXT   NOT NULL,
    webhook_id     TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    sort_key       BYTEA  NOT NULL,
    format         TEXT   NOT NULL,
    url            TEXT   NOT NULL, -- as it is shown
    events         TEXT   NOT NULL, -- JSON list
    sealed         BYTEA  NOT NULL, -- the whole address, and the keys
    secret_version BIGINT NOT NULL,
    status         TEXT   NOT NULL,
    problem        TEXT   NOT NULL,
    position       BIGINT NOT NULL,
    attempts       BIGINT NOT NULL,
    next_at        BIGINT NOT NULL,
    leased_until   BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    CONSTRAINT webhooks_pkey PRIMARY KEY (org_id, webhook_id),
    CONSTRAINT webhooks_status CHECK (status IN ('active', 'failing', 'disabled')),
    CONSTRAINT webhooks_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);
CREATE INDEX webhooks_due ON webhooks (next_at) WHERE status <> 'disabled';

-- How it went with one event, the last time that it was tried.
CREATE TABLE webhook_deliveries (
    org_id      TEXT   NOT NULL,
    webhook_id  TEXT   NOT NULL,
    event_id    TEXT   NOT NULL,
    event_type  TEXT   NOT NULL,
    status      TEXT   NOT NULL,
    attempts    BIGINT NOT NULL,
    http_status BIGINT NOT NULL, -- 0: there was no answer
    problem     TEXT   NOT NULL,
    duration_us BIGINT NOT NULL,
    tried_at    BIGINT NOT NULL,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (org_id, webhook_id, event_id),
    CONSTRAINT webhook_deliveries_webhook FOREIGN KEY (org_id, webhook_id) REFERENCES webhooks (org_id, webhook_id) ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (org_id, webhook_id, tried_at, event_id);
CREATE INDEX webhook_deliveries_to_purge ON webhook_deliveries (tried_at);
