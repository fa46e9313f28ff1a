-- +goose Up

-- What directories show to fill an organization. role is that of people whom
-- they bring in.
CREATE TABLE scim_tokens (
    id           TEXT   NOT NULL CONSTRAINT scim_tokens_pk PRIMARY KEY,
    org_id       TEXT   NOT NULL CONSTRAINT scim_tokens_org REFERENCES organizations (id),
    name         TEXT   NOT NULL,
    role         TEXT   NOT NULL,
    token_hash   BYTEA  NOT NULL CONSTRAINT scim_tokens_token_unique UNIQUE, -- SHA-256
    created_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    CONSTRAINT scim_tokens_role CHECK (role IN ('policy_manager', 'operator', 'auditor'))
);
CREATE INDEX scim_tokens_by_org ON scim_tokens (org_id, id);

-- What a directory says of members beside what every member has. The id that
-- it gives to somebody is its own affair: nothing here makes it unique.
CREATE TABLE scim_users (
    org_id      TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    external_id TEXT   NOT NULL,
    given_name  TEXT   NOT NULL,
    family_name TEXT   NOT NULL,
    updated_at  BIGINT NOT NULL,
    CONSTRAINT scim_users_pkey PRIMARY KEY (org_id, user_id),
    CONSTRAINT scim_users_membership FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX scim_users_by_external_id ON scim_users (org_id, external_id);

CREATE TABLE scim_groups (
    org_id      TEXT   NOT NULL,
    group_id    TEXT   NOT NULL,
    external_id TEXT   NOT NULL,
    CONSTRAINT scim_groups_pkey PRIMARY KEY (org_id, group_id),
    CONSTRAINT scim_groups_group FOREIGN KEY (org_id, group_id) REFERENCES org_groups (org_id, group_id) ON DELETE CASCADE
);
CREATE INDEX scim_groups_by_external_id ON scim_groups (org_id, external_id);

-- When a manager of the Safe last gave or confirmed this role. A directory whose
-- token is newer brings nobody into a group that has it.
ALTER TABLE safe_members ADD COLUMN approved_at BIGINT NOT NULL DEFAULT 0;
UPDATE safe_members SET approved_at = created_at;
