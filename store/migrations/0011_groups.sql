-- +goose Up

-- source says who fills the group: manual, scim or claim.
CREATE TABLE org_groups (
    org_id     TEXT   NOT NULL,
    group_id   TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    sort_key   BYTEA  NOT NULL,
    source     TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT org_groups_pkey PRIMARY KEY (org_id, group_id),
    CONSTRAINT org_groups_name UNIQUE (org_id, sort_key),
    CONSTRAINT org_groups_source CHECK (source IN ('manual', 'scim', 'claim')),
    CONSTRAINT org_groups_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);

CREATE TABLE group_members (
    org_id     TEXT   NOT NULL,
    group_id   TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT group_members_pkey PRIMARY KEY (org_id, group_id, user_id),
    CONSTRAINT group_members_group FOREIGN KEY (org_id, group_id) REFERENCES org_groups (org_id, group_id) ON DELETE CASCADE,
    CONSTRAINT group_members_membership FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX group_members_by_user ON group_members (user_id, org_id, group_id);

-- A role in a Safe is held by a user or by a group: holder_id is the one of
-- user_id and group_id that is there. The two are what the references need.
CREATE TABLE safe_holders (
    org_id     TEXT   NOT NULL,
    safe_id    TEXT   NOT NULL,
    member_id  TEXT   NOT NULL,
    holder_id  TEXT   NOT NULL,
    user_id    TEXT,
    group_id   TEXT,
    role       TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sort_key   BYTEA  NOT NULL,
    CONSTRAINT safe_holders_pkey PRIMARY KEY (org_id, safe_id, member_id),
    CONSTRAINT safe_holders_holder UNIQUE (org_id, safe_id, holder_id),
    CONSTRAINT safe_holders_one CHECK (holder_id = COALESCE(user_id, group_id) AND (user_id IS NULL OR group_id IS NULL)),
    CONSTRAINT safe_holders_role CHECK (role IN ('viewer', 'operator', 'manager', 'approver')),
    CONSTRAINT safe_holders_safe FOREIGN KEY (org_id, safe_id) REFERENCES safes (org_id, safe_id) ON DELETE CASCADE,
    CONSTRAINT safe_holders_membership FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE,
    CONSTRAINT safe_holders_group FOREIGN KEY (org_id, group_id) REFERENCES org_groups (org_id, group_id) ON DELETE CASCADE
);
INSERT INTO safe_holders (org_id, safe_id, member_id, holder_id, user_id, role, expires_at, created_at, sort_key)
    SELECT org_id, safe_id, member_id, user_id, user_id, role, expires_at, created_at, sort_key FROM safe_members;
DROP TABLE safe_members;
ALTER TABLE safe_holders RENAME TO safe_members;
CREATE INDEX safe_members_list ON safe_members (org_id, holder_id, sort_key, safe_id);
CREATE INDEX safe_members_created ON safe_members (org_id, holder_id, safe_id);

-- What leaves the house: written in the transaction of the act that it is
-- about, delivered by a job. sealed is the content, NULL once it is over.
CREATE TABLE outbox (
    org_id     TEXT   NOT NULL,
    message_id TEXT   NOT NULL,
    channel    TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    object_id  TEXT   NOT NULL,
    recipient  TEXT   NOT NULL,
    sealed     BYTEA,
    status     TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    problem    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    tried_at   BIGINT NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (org_id, message_id),
    CONSTRAINT outbox_status CHECK (status IN ('pending', 'sent', 'failed'))
);
CREATE INDEX outbox_due ON outbox (next_at) WHERE status = 'pending';
CREATE INDEX outbox_over ON outbox (next_at) WHERE status <> 'pending';
CREATE INDEX outbox_object ON outbox (org_id, object_id, kind, message_id);

-- token_hash is of the link's token (SHA-256); it is replaced when the
-- invitation is sent anew. Of one that is over it stays, and opens nothing.
CREATE TABLE invitations (
    org_id        TEXT    NOT NULL,
    invitation_id TEXT    NOT NULL,
    email         TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    safes         TEXT    NOT NULL, -- JSON list of ids
    safe_role     TEXT    NOT NULL,
    require_mfa   BOOLEAN NOT NULL,
    language      TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    token_hash    BYTEA   NOT NULL,
    invited_by    TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    sent_at       BIGINT  NOT NULL,
    expires_at    BIGINT  NOT NULL,
    accepted_by   TEXT    NOT NULL,
    ended_at      BIGINT  NOT NULL,
    CONSTRAINT invitations_pkey PRIMARY KEY (org_id, invitation_id),
    CONSTRAINT invitations_token UNIQUE (token_hash),
    CONSTRAINT invitations_status CHECK (status IN ('pending', 'accepted', 'revoked')),
    CONSTRAINT invitations_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX invitations_open ON invitations (org_id, email) WHERE status = 'pending';
CREATE INDEX invitations_by_status ON invitations (org_id, status, invitation_id);

-- A link that lets a person choose a new password; one at a time.
CREATE TABLE password_links (
    user_id    TEXT   NOT NULL,
    org_id     TEXT   NOT NULL,
    token_hash BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT password_links_pkey PRIMARY KEY (user_id),
    CONSTRAINT password_links_token UNIQUE (token_hash),
    CONSTRAINT password_links_user FOREIGN KEY (user_id) REFERENCES users (id)
);

-- Whether the organization demands a second factor of this member whatever its
-- settings say, and the language in which somebody is written to; '' unknown.
ALTER TABLE memberships ADD COLUMN require_mfa BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE users ADD COLUMN language TEXT NOT NULL DEFAULT '';
