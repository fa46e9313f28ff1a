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
