-- +goose Up

-- details is JSON of what may be known of a secret besides its public key:
-- fingerprint, subject, issuer, serial, principals, not_before. not_after is a
-- column, to find what is about to expire; 0: it does not.
ALTER TABLE credential_versions ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
ALTER TABLE credential_versions ADD COLUMN not_after BIGINT NOT NULL DEFAULT 0;

-- ephemeral is JSON of what is made at each launch, once a credential of that
-- kind was stored; '' before.
ALTER TABLE accounts ADD COLUMN ephemeral TEXT NOT NULL DEFAULT '';
