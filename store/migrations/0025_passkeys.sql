-- +goose Up

-- The public half of a factor of kind webauthn, once it is confirmed. Until
-- then factors.sealed is the challenge that its browser has to answer.
CREATE TABLE passkeys (
    credential_id BYTEA   NOT NULL,
    user_id       TEXT    NOT NULL,
    factor_id     TEXT    NOT NULL,
    public_key    BYTEA   NOT NULL,
    sign_count    BIGINT  NOT NULL,
    syncable      BOOLEAN NOT NULL,
    transports    TEXT    NOT NULL, -- JSON list
    CONSTRAINT passkeys_pkey PRIMARY KEY (credential_id),
    CONSTRAINT passkeys_factor_once UNIQUE (user_id, factor_id),
    CONSTRAINT passkeys_factor FOREIGN KEY (user_id, factor_id) REFERENCES factors (user_id, factor_id) ON DELETE CASCADE
);

-- What was asked of browsers and not answered yet: to authenticate a login
-- anew, or, with neither user nor login, to sign in.
CREATE TABLE passkey_challenges (
    token_hash BYTEA  NOT NULL,
    user_id    TEXT   NOT NULL,
    login_id   TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT passkey_challenges_pkey PRIMARY KEY (token_hash)
);
CREATE INDEX passkey_challenges_by_expiry ON passkey_challenges (expires_at);

-- Of a connection that waits until its person confirms it in the console; '' of
-- a program that asks for a login.
ALTER TABLE device_logins ADD COLUMN wants_user TEXT NOT NULL DEFAULT '';
