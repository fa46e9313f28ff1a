-- +goose Up

CREATE TABLE organizations (
	id         TEXT   NOT NULL CONSTRAINT organizations_pk PRIMARY KEY,
	name       TEXT   NOT NULL,
	slug       TEXT   NOT NULL CONSTRAINT organizations_slug_unique UNIQUE,
	settings   TEXT   NOT NULL, -- JSON of org.Settings
	version    BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);

CREATE TABLE users (
	id             TEXT    NOT NULL CONSTRAINT users_pk PRIMARY KEY,
	email          TEXT    NOT NULL CONSTRAINT users_email_unique UNIQUE,
	name           TEXT    NOT NULL,
	home_org_id    TEXT    NOT NULL CONSTRAINT users_home_org REFERENCES organizations (id),
	active_org_id  TEXT    NOT NULL, -- the last used one; '' before the first use
	instance_admin BOOLEAN NOT NULL,
	password_hash  TEXT    NOT NULL, -- PHC string; '': no password
	must_change    BOOLEAN NOT NULL,
	created_at     BIGINT  NOT NULL
);

CREATE TABLE memberships (
	org_id    TEXT   NOT NULL CONSTRAINT memberships_org REFERENCES organizations (id),
	user_id   TEXT   NOT NULL CONSTRAINT memberships_user REFERENCES users (id),
	role      TEXT   NOT NULL,
	status    TEXT   NOT NULL, -- active, invited, suspended
	joined_at BIGINT NOT NULL,
	CONSTRAINT memberships_pk PRIMARY KEY (org_id, user_id)
);

CREATE INDEX memberships_by_user ON memberships (user_id, joined_at);

CREATE TABLE logins (
	id         TEXT   NOT NULL CONSTRAINT logins_pk PRIMARY KEY,
	user_id    TEXT   NOT NULL CONSTRAINT logins_user REFERENCES users (id),
	token_hash BYTEA  NOT NULL CONSTRAINT logins_token_unique UNIQUE, -- SHA-256
	purpose    TEXT   NOT NULL, -- '': everything; password: only to change it
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	step_up_at BIGINT NOT NULL,
	client_ip  TEXT   NOT NULL,
	user_agent TEXT   NOT NULL
);

CREATE INDEX logins_by_user ON logins (user_id, id);
CREATE INDEX logins_by_expiry ON logins (expires_at);

CREATE TABLE access_tokens (
	id           TEXT   NOT NULL CONSTRAINT access_tokens_pk PRIMARY KEY,
	org_id       TEXT   NOT NULL CONSTRAINT access_tokens_org REFERENCES organizations (id),
	user_id      TEXT   NOT NULL CONSTRAINT access_tokens_user REFERENCES users (id),
	name         TEXT   NOT NULL,
	scopes       TEXT   NOT NULL, -- JSON list
	token_hash   BYTEA  NOT NULL CONSTRAINT access_tokens_token_unique UNIQUE, -- SHA-256
	created_at   BIGINT NOT NULL,
	expires_at   BIGINT NOT NULL,
	last_used_at BIGINT NOT NULL
);

CREATE INDEX access_tokens_by_user ON access_tokens (user_id, org_id, id);

CREATE TABLE ssh_keys (
	id           TEXT   NOT NULL CONSTRAINT ssh_keys_pk PRIMARY KEY,
	user_id      TEXT   NOT NULL CONSTRAINT ssh_keys_user REFERENCES users (id),
	name         TEXT   NOT NULL,
	public_key   TEXT   NOT NULL, -- OpenSSH line without comment
	fingerprint  TEXT   NOT NULL,
	created_at   BIGINT NOT NULL,
	last_used_at BIGINT NOT NULL,
	CONSTRAINT ssh_keys_unique UNIQUE (user_id, fingerprint)
);
