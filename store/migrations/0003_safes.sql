-- +goose Up

-- sort_key is the name in lower case, as bytes: lists have the same order in
-- every database. A time of 0 is no time.
CREATE TABLE resources (
    org_id          TEXT    NOT NULL,
    resource_id     TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    sort_key        BYTEA   NOT NULL,
    slug            TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    host            TEXT    NOT NULL,
    port            BIGINT  NOT NULL,
    host_keys       TEXT    NOT NULL,
    host_key_policy TEXT    NOT NULL,
    learned         BOOLEAN NOT NULL,
    tls             TEXT    NOT NULL,
    version         BIGINT  NOT NULL,
    created_by      TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL,
    CONSTRAINT resources_pkey PRIMARY KEY (org_id, resource_id),
    CONSTRAINT resources_slug UNIQUE (org_id, slug),
    CONSTRAINT resources_order UNIQUE (org_id, sort_key, resource_id),
    CONSTRAINT resources_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);

-- resource_id is NULL for a domain account. promoted is the version of the
-- credential in use, 0 without one.
CREATE TABLE accounts (
    org_id      TEXT   NOT NULL,
    account_id  TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    sort_key    BYTEA  NOT NULL,
    slug        TEXT   NOT NULL,
    username    TEXT   NOT NULL,
    resource_id TEXT,
    promoted    BIGINT NOT NULL,
    version     BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (org_id, account_id),
    CONSTRAINT accounts_slug UNIQUE (org_id, slug),
    CONSTRAINT accounts_order UNIQUE (org_id, sort_key, account_id),
    CONSTRAINT accounts_org FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT accounts_resource FOREIGN KEY (org_id, resource_id) REFERENCES resources (org_id, resource_id)
);
CREATE INDEX accounts_by_resource ON accounts (org_id, resource_id);
CREATE INDEX accounts_by_creator ON accounts (org_id, created_by);

CREATE TABLE credential_versions (
    org_id     TEXT   NOT NULL,
    account_id TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    public_key TEXT   NOT NULL,
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT credential_versions_pkey PRIMARY KEY (org_id, account_id, version),
    CONSTRAINT credential_versions_account FOREIGN KEY (org_id, account_id) REFERENCES accounts (org_id, account_id) ON DELETE CASCADE
);

-- settings holds the controls and the bindings, so that a Safe is read in one
-- row; safe_bindings holds the bindings again, for everything that asks which
-- Safes use an account or a resource. Both are written by one function.
CREATE TABLE safes (
    org_id     TEXT    NOT NULL,
    safe_id    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    sort_key   BYTEA   NOT NULL,
    slug       TEXT    NOT NULL,
    visibility TEXT    NOT NULL,
    settings   TEXT    NOT NULL,
    locked     BOOLEAN NOT NULL,
    version    BIGINT  NOT NULL,
    created_by TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    CONSTRAINT safes_pkey PRIMARY KEY (org_id, safe_id),
    CONSTRAINT safes_slug UNIQUE (org_id, slug),
    CONSTRAINT safes_order UNIQUE (org_id, sort_key, safe_id),
    CONSTRAINT safes_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);
CREATE INDEX safes_requestable ON safes (org_id, sort_key, safe_id) WHERE visibility = 'requestable';

CREATE TABLE safe_bindings (
    org_id      TEXT NOT NULL,
    safe_id     TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    CONSTRAINT safe_bindings_pkey PRIMARY KEY (org_id, safe_id, resource_id, account_id),
    CONSTRAINT safe_bindings_safe FOREIGN KEY (org_id, safe_id) REFERENCES safes (org_id, safe_id) ON DELETE CASCADE,
    CONSTRAINT safe_bindings_resource FOREIGN KEY (org_id, resource_id) REFERENCES resources (org_id, resource_id),
    CONSTRAINT safe_bindings_account FOREIGN KEY (org_id, account_id) REFERENCES accounts (org_id, account_id)
);
CREATE INDEX safe_bindings_by_resource ON safe_bindings (org_id, resource_id, safe_id);
CREATE INDEX safe_bindings_by_account ON safe_bindings (org_id, account_id, safe_id);

-- sort_key is the Safe's, so that the list of somebody's Safes is a walk along
-- one index, however many there are.
CREATE TABLE safe_members (
    org_id     TEXT   NOT NULL,
    safe_id    TEXT   NOT NULL,
    member_id  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sort_key   BYTEA  NOT NULL,
    CONSTRAINT safe_members_pkey PRIMARY KEY (org_id, safe_id, member_id),
    CONSTRAINT safe_members_user UNIQUE (org_id, safe_id, user_id),
    CONSTRAINT safe_members_role CHECK (role IN ('viewer', 'operator', 'manager', 'approver')),
    CONSTRAINT safe_members_safe FOREIGN KEY (org_id, safe_id) REFERENCES safes (org_id, safe_id) ON DELETE CASCADE,
    CONSTRAINT safe_members_membership FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX safe_members_list ON safe_members (org_id, user_id, sort_key, safe_id);

-- A redirection names the account or the resource that it is about, or both;
-- the other is empty. A weakening holds the state that is proposed.
CREATE TABLE confirmations (
    org_id          TEXT    NOT NULL,
    confirmation_id TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    safe_id         TEXT    NOT NULL,
    resource_id     TEXT    NOT NULL,
    account_id      TEXT    NOT NULL,
    dual            BOOLEAN NOT NULL,
    summary         TEXT    NOT NULL,
    proposal        TEXT    NOT NULL,
    requested_by    TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    decided_by      TEXT    NOT NULL,
    decided_at      BIGINT  NOT NULL,
    CONSTRAINT confirmations_pkey PRIMARY KEY (org_id, confirmation_id),
    CONSTRAINT confirmations_kind CHECK (kind IN ('redirection', 'weakening')),
    CONSTRAINT confirmations_status CHECK (status IN ('pending', 'confirmed', 'rejected', 'superseded')),
    CONSTRAINT confirmations_safe FOREIGN KEY (org_id, safe_id) REFERENCES safes (org_id, safe_id) ON DELETE CASCADE
);
CREATE INDEX confirmations_by_safe ON confirmations (org_id, safe_id, confirmation_id);
CREATE INDEX confirmations_by_requester ON confirmations (org_id, requested_by, confirmation_id);
CREATE INDEX confirmations_by_resource ON confirmations (org_id, resource_id, status);
CREATE INDEX confirmations_by_account ON confirmations (org_id, account_id, status);

-- Checkouts are evidence: they outlive what they name, so nothing is
-- referenced.
CREATE TABLE checkouts (
    org_id        TEXT   NOT NULL,
    checkout_id   TEXT   NOT NULL,
    safe_id       TEXT   NOT NULL,
    account_id    TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    username      TEXT   NOT NULL,
    status        TEXT   NOT NULL,
    version       BIGINT NOT NULL,
    reason        TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    checked_in_at BIGINT NOT NULL,
    checked_in_by TEXT   NOT NULL,
    CONSTRAINT checkouts_pkey PRIMARY KEY (org_id, checkout_id),
    CONSTRAINT checkouts_status CHECK (status IN ('checked_out', 'available'))
);
CREATE INDEX checkouts_open ON checkouts (org_id, checkout_id) WHERE status = 'checked_out';
