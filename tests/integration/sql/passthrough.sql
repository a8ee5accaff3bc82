-- A walk through what psql can ask of a server. Run directly and through segue: the outputs must be the same.
\set ON_ERROR_STOP 0
\set VERBOSITY verbose
\set SHOW_CONTEXT always
\pset null '(null)'

CREATE TABLE item (id int PRIMARY KEY, name varchar(20) NOT NULL, price numeric(10,2) CHECK (price > 0), tags text[],
                   made timestamptz DEFAULT '2020-01-01 00:00:00+00', raw bytea, doc jsonb);
COMMENT ON TABLE item IS 'things';
CREATE INDEX item_name ON item (lower(name));
INSERT INTO item (id, name, price, tags, raw, doc)
SELECT g, 'item ' || g, g * 1.5, ARRAY['t' || g % 3, NULL], decode(md5(g::text), 'hex'), jsonb_build_object('k', g)
FROM generate_series(1, 500) g;
\d item
\dt+ item
SELECT * FROM item WHERE id <= 5 ORDER BY id;
SELECT count(*), sum(price), max(name) FROM item;
TABLE item LIMIT 0;
VALUES (1, 'a'), (2, NULL);
SELECT;
;
-- only a comment
/* nested /* comment */ */

-- Errors, with position, detail, hint and the names of what is concerned.
SELECT nme FROM item;
SELEC 1;
INSERT INTO item (id, name, price) VALUES (1, 'again', 1);
INSERT INTO item (id, name, price) VALUES (900, 'free', 0);
INSERT INTO item (id, price) VALUES (901, 1);
INSERT INTO item (id, name, price) VALUES (902, repeat('x', 21), 1);
SELECT 1/0;
SELECT 'é' || nowhere;

-- Several statements in one message, and transactions.
SELECT 1 AS one\; SELECT 2 AS two\; UPDATE item SET price = price WHERE id < 4;
INSERT INTO item (id, name, price) VALUES (910, 'gone', 1)\; SELECT 1/0\; SELECT 'never';
SELECT count(*) FROM item WHERE id = 910;
BEGIN;
SAVEPOINT a;
INSERT INTO item (id, name, price) VALUES (1, 'again', 1);
SELECT 'aborted';
ROLLBACK TO a;
INSERT INTO item (id, name, price) VALUES (911, 'kept', 1);
COMMIT AND CHAIN;
DELETE FROM item WHERE id = 911 RETURNING id, name;
ROLLBACK;
SELECT count(*) FROM item WHERE id = 911;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
DELETE FROM item;
ROLLBACK;

-- Prepared by SQL, cursors, EXPLAIN.
PREPARE by_id (int) AS SELECT name FROM item WHERE id = $1;
EXECUTE by_id (7);
EXECUTE by_id (NULL);
DEALLOCATE by_id;
EXECUTE by_id (7);
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM item ORDER BY id;
FETCH 3 FROM c;
MOVE FORWARD 10 IN c;
FETCH BACKWARD 2 FROM c;
CLOSE c;
COMMIT;
\set FETCH_COUNT 50
SELECT id, name FROM item ORDER BY id;
\unset FETCH_COUNT
EXPLAIN (COSTS OFF) SELECT * FROM item WHERE id = 3;

-- COPY both ways, all forms; errors in the middle.
COPY (SELECT id, name, tags FROM item ORDER BY id LIMIT 5) TO STDOUT;
COPY (SELECT id, name, doc FROM item ORDER BY id LIMIT 5) TO STDOUT WITH (FORMAT csv, HEADER);
COPY item (id, name, price) FROM STDIN;
1001	tab\tin name	1.50
1002	line\nin name	2.50
\.
COPY item (id, name, price) FROM STDIN WITH (FORMAT csv);
1003,"quoted, ""name""",3.50
1004,"two
lines",4.50
\.
COPY item (id, name, price) FROM STDIN;
1005	fine	1
1005	twice	1
\.
SELECT id, name, price FROM item WHERE id > 1000 ORDER BY id;
\copy (SELECT count(*) FROM item) to pstdout

-- Notices, functions, DO, settings.
DO $$ BEGIN RAISE NOTICE 'notice %', 1; RAISE WARNING 'warning' USING HINT = 'a hint'; END $$;
CREATE FUNCTION f(i int) RETURNS TABLE (n int, t text) LANGUAGE plpgsql AS
$f$ BEGIN RETURN QUERY SELECT g, repeat('=', g) FROM generate_series(1, i) g; END $f$;
SELECT * FROM f(4);
DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = 'P0099', DETAIL = 'd', HINT = 'h', COLUMN = 'c', TABLE = 't'; END $$;
SET client_encoding = 'LATIN1';
SELECT 'caf' || chr(233);
RESET client_encoding;
SET application_name = 'walker';
SHOW application_name;
SET DateStyle = 'German';
SELECT date '2020-02-03';
RESET DateStyle;
SET standard_conforming_strings = off;
SELECT 'a\tb';
RESET standard_conforming_strings;
SELECT E'\x41', U&'\0041', $q$dollar 'quoted'$q$;
DISCARD ALL;

-- Large objects, notifications, big rows and many rows.
SELECT lo_from_bytea(4242, '\xdeadbeef');
SELECT encode(lo_get(4242), 'hex');
SELECT lo_unlink(4242);
LISTEN channel;
NOTIFY channel, 'payload';
UNLISTEN *;
SELECT md5(string_agg(x, '')) FROM (SELECT repeat(g::text, 1000) AS x FROM generate_series(1, 2000) g) s;
SELECT repeat('0123456789', 100000) AS wide;
SELECT g, md5(g::text) FROM generate_series(1, 5000) g;
SELECT 'x' AS "Column ""quoted""", NULL::int AS "?column?";
SELECT 1 AS a, 2 AS a \gx
SELECT format('CREATE TABLE made_%s (i int)', g) FROM generate_series(1, 3) g \gexec
\dt made_*
\df f
\l :DBNAME
DROP TABLE item, made_1, made_2, made_3;
DROP FUNCTION f(int);
