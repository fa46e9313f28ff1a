-- +goose Up

-- What the server itself keeps secret, such as its SSH host key; sealed.
CREATE TABLE instance_secrets (
	name       TEXT   NOT NULL,
	sealed     BYTEA  NOT NULL,
	created_at BIGINT NOT NULL,
	CONSTRAINT instance_secrets_pkey PRIMARY KEY (name)
);
