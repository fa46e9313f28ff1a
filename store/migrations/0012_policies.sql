-- +goose Up

-- Counts the changes of the organization's policies. Whoever decides by
-- policies that were read before sees by it whether they still hold.
ALTER TABLE organizations ADD COLUMN policies_version BIGINT NOT NULL DEFAULT 0;

-- jit is empty for a policy that asks for no approval.
CREATE TABLE policies (
    org_id      TEXT   NOT NULL,
    policy_id   TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    status      TEXT   NOT NULL,
    action      TEXT   NOT NULL,
    conditions  TEXT   NOT NULL,
    jit         TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    CONSTRAINT policies_pkey PRIMARY KEY (org_id, policy_id),
    CONSTRAINT policies_status CHECK (status IN ('draft', 'active', 'disabled')),
    CONSTRAINT policies_action CHECK (action IN ('allow', 'deny', 'require_approval')),
    CONSTRAINT policies_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);
CREATE INDEX policies_by_status ON policies (org_id, status, policy_id);

-- Both ends are in one organization: the keys say so.
CREATE TABLE policy_safes (
    org_id    TEXT NOT NULL,
    policy_id TEXT NOT NULL,
    safe_id   TEXT NOT NULL,
    CONSTRAINT policy_safes_pkey PRIMARY KEY (org_id, policy_id, safe_id),
    CONSTRAINT policy_safes_policy FOREIGN KEY (org_id, policy_id) REFERENCES policies (org_id, policy_id) ON DELETE CASCADE,
    CONSTRAINT policy_safes_safe FOREIGN KEY (org_id, safe_id) REFERENCES safes (org_id, safe_id) ON DELETE CASCADE
);
CREATE INDEX policy_safes_by_safe ON policy_safes (org_id, safe_id, policy_id);

-- A weakening by a policy waits for a manager of each Safe that it weakens.
ALTER TABLE confirmations ADD COLUMN policy_id TEXT NOT NULL DEFAULT '';
CREATE INDEX confirmations_by_policy ON confirmations (org_id, policy_id, status) WHERE policy_id <> '';

-- What was tried at a Safe, for a preview of a policy.
CREATE INDEX checkouts_by_safe ON checkouts (org_id, safe_id, checkout_id);
