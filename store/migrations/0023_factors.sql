-- +goose Up

-- sealed is the secret of a TOTP; last_step the step of the code that has
-- served last. One that is not confirmed yet proves nothing.
CREATE TABLE factors (
    user_id      TEXT   NOT NULL,
    factor_id    TEXT   NOT NULL,
    kind         TEXT   NOT NULL,
    label        TEXT   NOT NULL,
    sealed       BYTEA  NOT NULL,
    last_step    BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    confirmed_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    CONSTRAINT factors_pkey PRIMARY KEY (user_id, factor_id),
    CONSTRAINT factors_kind CHECK (kind IN ('totp', 'webauthn')),
    CONSTRAINT factors_user FOREIGN KEY (user_id) REFERENCES users (id)
);

-- Codes for the day on which a factor is lost, each by its SHA-256.
CREATE TABLE recovery_codes (
    user_id   TEXT   NOT NULL,
    code_hash BYTEA  NOT NULL,
    used_at   BIGINT NOT NULL,
    CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, code_hash),
    CONSTRAINT recovery_codes_user FOREIGN KEY (user_id) REFERENCES users (id)
);

-- Sign-ins whose password was right and that wait for a factor.
CREATE TABLE mfa_challenges (
    token_hash BYTEA  NOT NULL,
    user_id    TEXT   NOT NULL,
    purpose    TEXT   NOT NULL,
    method     TEXT   NOT NULL,
    wrong      BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT mfa_challenges_pkey PRIMARY KEY (token_hash),
    CONSTRAINT mfa_challenges_user FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX mfa_challenges_by_user ON mfa_challenges (user_id, created_at);
CREATE INDEX mfa_challenges_by_expiry ON mfa_challenges (expires_at);
