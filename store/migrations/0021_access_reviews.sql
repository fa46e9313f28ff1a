-- +goose Up

-- safes is a JSON list of ids; an empty one means all.
CREATE TABLE access_reviews (
    org_id     TEXT    NOT NULL,
    review_id  TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    safes      TEXT    NOT NULL,
    with_groups BOOLEAN NOT NULL,
    on_expiry  TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    due_at     BIGINT  NOT NULL,
    created_by TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    closed_by  TEXT    NOT NULL,
    closed_at  BIGINT  NOT NULL,
    CONSTRAINT access_reviews_pkey PRIMARY KEY (org_id, review_id),
    CONSTRAINT access_reviews_status CHECK (status IN ('open', 'closed')),
    CONSTRAINT access_reviews_expiry CHECK (on_expiry IN ('keep', 'revoke')),
    CONSTRAINT access_reviews_org FOREIGN KEY (org_id) REFERENCES organizations (id)
);
CREATE INDEX access_reviews_by_status ON access_reviews (org_id, status, review_id);
CREATE INDEX access_reviews_due ON access_reviews (due_at) WHERE status = 'open';

-- What was there when the review began, and what was decided. Nothing here
-- refers to rows elsewhere: it stays when those go. search is what texts are
-- found in, in lower case.
CREATE TABLE access_review_items (
    org_id     TEXT   NOT NULL,
    review_id  TEXT   NOT NULL,
    item_id    TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    safe_id    TEXT   NOT NULL,
    safe_name  TEXT   NOT NULL,
    member_id  TEXT   NOT NULL,
    group_id   TEXT   NOT NULL,
    group_name TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    email      TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    since      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used  BIGINT NOT NULL,
    search     BYTEA  NOT NULL,
    decision   TEXT   NOT NULL,
    comment    TEXT   NOT NULL,
    decided_by TEXT   NOT NULL,
    decider    TEXT   NOT NULL,
    decided_at BIGINT NOT NULL,
    outcome    TEXT   NOT NULL,
    CONSTRAINT access_review_items_pkey PRIMARY KEY (org_id, review_id, item_id),
    CONSTRAINT access_review_items_kind CHECK (kind IN ('safe_member', 'group_member')),
    CONSTRAINT access_review_items_decision CHECK (decision IN ('pending', 'keep', 'revoke', 'lapsed')),
    CONSTRAINT access_review_items_review FOREIGN KEY (org_id, review_id) REFERENCES access_reviews (org_id, review_id)
);
CREATE INDEX access_review_items_by_decision ON access_review_items (org_id, review_id, decision, item_id);
CREATE INDEX access_review_items_by_safe ON access_review_items (org_id, safe_id, review_id);

-- Who can reach what, in the order of the Safes' names.
CREATE INDEX safe_members_by_name ON safe_members (org_id, sort_key, safe_id);
-- When somebody used a Safe last.
CREATE INDEX sessions_last ON sessions (org_id, user_id, safe_id, session_id);
