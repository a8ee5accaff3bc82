CREATE TABLE users (
    id bigserial PRIMARY KEY,
    nickname varchar(100) UNIQUE,
    email varchar(255),
    logins integer NOT NULL DEFAULT 0,
    lock_version integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00',
    updated_at timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00'
);
CREATE TABLE posts (
    id bigserial PRIMARY KEY,
    user_id bigint REFERENCES users ON DELETE CASCADE,
    title text,
    created_at timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00',
    updated_at timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00'
);
CREATE TABLE comments (
    id bigserial PRIMARY KEY,
    post_id bigint REFERENCES posts ON DELETE CASCADE,
    user_id bigint REFERENCES users ON DELETE CASCADE,
    body text,
    created_at timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00',
    updated_at timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00'
);
