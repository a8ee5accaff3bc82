INSERT INTO users (id, nickname, email) VALUES (101, 'ann', 'ann@example.org'), (102, 'bob', NULL), (103, 'cid', 'c@example.org'), (104, 'dan', NULL);
INSERT INTO posts (id, user_id, title) VALUES (201, 101, 'first'), (202, 101, 'second'), (203, 102, 'first');
INSERT INTO comments (id, post_id, user_id, body) VALUES (301, 201, 102, 'bob'), (302, 201, 103, 'no'), (303, 203, 101, 'yes');
