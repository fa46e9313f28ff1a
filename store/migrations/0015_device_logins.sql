-- +goose Up

-- Programs without a browser that ask for a login, until it is fetched or its
-- time is over. The id is the one that the login gets.
CREATE TABLE device_logins (
	id          TEXT   NOT NULL CONSTRAINT device_logins_pk PRIMARY KEY,
	code_hash   BYTEA  NOT NULL CONSTRAINT device_logins_code_unique UNIQUE, -- SHA-256 of what the program keeps
	user_code   TEXT   NOT NULL CONSTRAINT device_logins_user_code_unique UNIQUE, -- what the person types
	name        TEXT   NOT NULL, -- as the program calls itself
	client_ip   TEXT   NOT NULL,
	user_agent  TEXT   NOT NULL,
	status      TEXT   NOT NULL, -- pending, approved, denied
	user_id     TEXT   NOT NULL, -- who decided; '' before that
	approved_by TEXT   NOT NULL, -- the login with which it was approved; ''
	step_up_at  BIGINT NOT NULL, -- of that login
	created_at  BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL
);

CREATE INDEX device_logins_by_expiry ON device_logins (expires_at);
CREATE INDEX device_logins_by_user ON device_logins (user_id);
