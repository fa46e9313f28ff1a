-- +goose Up

-- By what protocol a provider vouches, and what only one of them needs. An
-- issuer is the entity id of a SAML provider, and the address of a directory.
-- What a job last read there is not the administrator's, so it has no version.
ALTER TABLE sso_providers ADD COLUMN kind TEXT NOT NULL DEFAULT 'oidc'; -- oidc, saml, ldap
ALTER TABLE sso_providers ADD COLUMN details TEXT NOT NULL DEFAULT '{}'; -- JSON of sso.Details
ALTER TABLE sso_providers ADD COLUMN synced_at BIGINT NOT NULL DEFAULT 0; -- the last try; 0: none yet
ALTER TABLE sso_providers ADD COLUMN sync_problem TEXT NOT NULL DEFAULT ''; -- what was wrong then

-- Assertions that were taken, until nobody would take them any more: none
-- counts twice, on whichever node.
CREATE TABLE sso_assertions (
    org_id         TEXT   NOT NULL,
    provider_id    TEXT   NOT NULL,
    assertion_hash BYTEA  NOT NULL, -- SHA-256 of its id
    expires_at     BIGINT NOT NULL,
    CONSTRAINT sso_assertions_pkey PRIMARY KEY (org_id, provider_id, assertion_hash)
);
CREATE INDEX sso_assertions_by_expiry ON sso_assertions (expires_at);
