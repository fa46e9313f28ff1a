-- +goose Up

-- Those who vouch for people of an organization. sealed is the client's secret,
-- NULL for a client without one; each new one has the next secret_version.
CREATE TABLE sso_providers (
    org_id         TEXT    NOT NULL,
    provider_id    TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    sort_key       BYTEA   NOT NULL,
    issuer         TEXT    NOT NULL,
    client_id      TEXT    NOT NULL,
    sealed         BYTEA,
    secret_version BIGINT  NOT NULL,
    scopes         TEXT    NOT NULL, -- JSON list
    domains        TEXT    NOT NULL, -- JSON list
    group_claim    TEXT    NOT NULL,
    rules          TEXT    NOT NULL, -- JSON of []sso.Rule
    creates        BOOLEAN NOT NULL,
    default_role   TEXT    NOT NULL,
    trusts_mfa     BOOLEAN NOT NULL,
    enabled        BOOLEAN NOT NULL,
    trusted_at     BIGINT  NOT NULL, -- when it came to be believed as it is now
    version        BIGINT  NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL,
    CONSTRAINT sso_providers_pkey PRIMARY KEY (org_id, provider_id),
    CONSTRAINT sso_providers_name UNIQUE (org_id, sort_key),
    CONSTRAINT sso_providers_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);

-- Whom an issuer's subject is in an organization. One person has one subject of
-- each issuer: an address that is given to somebody new does not become them.
CREATE TABLE sso_identities (
    org_id        TEXT   NOT NULL,
    issuer        TEXT   NOT NULL,
    subject       TEXT   NOT NULL,
    identity_id   TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    email         TEXT   NOT NULL, -- as it was asserted the last time
    linked_by     TEXT   NOT NULL, -- self, email, created
    created_at    BIGINT NOT NULL,
    last_login_at BIGINT NOT NULL,
    CONSTRAINT sso_identities_pkey PRIMARY KEY (org_id, issuer, subject),
    CONSTRAINT sso_identities_id UNIQUE (org_id, identity_id),
    CONSTRAINT sso_identities_user UNIQUE (org_id, user_id, issuer),
    CONSTRAINT sso_identities_membership FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);

CREATE INDEX sso_identities_by_user ON sso_identities (user_id);

-- A sign-in on its way. What the browser keeps, and what goes to the provider,
-- follow from a secret of which only the hash is here.
CREATE TABLE sso_attempts (
    state_hash   BYTEA   NOT NULL CONSTRAINT sso_attempts_pk PRIMARY KEY, -- SHA-256
    browser_hash BYTEA   NOT NULL, -- SHA-256
    org_id       TEXT    NOT NULL,
    provider_id  TEXT    NOT NULL,
    user_id      TEXT    NOT NULL, -- who wants to link an identity to themselves; '' for a sign-in
    fresh        BOOLEAN NOT NULL, -- the person was asked to authenticate anew
    created_at   BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL
);
CREATE INDEX sso_attempts_by_expiry ON sso_attempts (expires_at);

-- Which programs may have a token for a service user, by a token of theirs.
CREATE TABLE workload_rules (
    org_id      TEXT    NOT NULL,
    rule_id     TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    sort_key    BYTEA   NOT NULL,
    issuer      TEXT    NOT NULL,
    conditions  TEXT    NOT NULL, -- JSON of []sso.Condition
    user_id     TEXT    NOT NULL,
    scopes      TEXT    NOT NULL, -- JSON list
    ttl_seconds BIGINT  NOT NULL,
    enabled     BOOLEAN NOT NULL,
    version     BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    CONSTRAINT workload_rules_pkey PRIMARY KEY (org_id, rule_id),
    CONSTRAINT workload_rules_name UNIQUE (org_id, sort_key),
    CONSTRAINT workload_rules_membership FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX workload_rules_by_issuer ON workload_rules (org_id, issuer);

-- The one organization in which a login is valid, and what was made with it; ''
-- for those that are the person's own. sso_provider and workload_rule say on
-- whose word they rest, sso_mfa that it said a second factor was shown.
ALTER TABLE logins ADD COLUMN only_org TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN sso_provider TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN sso_identity TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN sso_mfa BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE device_logins ADD COLUMN only_org TEXT NOT NULL DEFAULT '';
ALTER TABLE device_logins ADD COLUMN sso_provider TEXT NOT NULL DEFAULT '';
ALTER TABLE device_logins ADD COLUMN sso_identity TEXT NOT NULL DEFAULT '';
ALTER TABLE device_logins ADD COLUMN sso_mfa BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE ssh_keys ADD COLUMN only_org TEXT NOT NULL DEFAULT '';
ALTER TABLE access_tokens ADD COLUMN workload_rule TEXT NOT NULL DEFAULT '';
CREATE INDEX logins_by_sso ON logins (only_org, sso_provider) WHERE only_org <> '';
CREATE INDEX access_tokens_by_rule ON access_tokens (org_id, workload_rule) WHERE workload_rule <> '';

-- Machines have tokens alone: no password, no mail, no sign-in.
ALTER TABLE users ADD COLUMN machine BOOLEAN NOT NULL DEFAULT FALSE;
