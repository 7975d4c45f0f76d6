-- Ways to the values of `users.ssn`, a protected column: one session a line.
SELECT ssn FROM users
SELECT "ssn" FROM users
SELECT SSN FROM USERS
SELECT U&"s\0073n" FROM users
SELECT users.ssn FROM users
SELECT public.users.ssn FROM users
SELECT shop.public.users.ssn FROM shop.public.users
SELECT u.ssn FROM users u
SELECT * FROM users
SELECT users.* FROM users
SELECT public.users.* FROM users
SELECT u.* FROM users AS u
TABLE users
TABLE ONLY users
SELECT * FROM ONLY users
SELECT * FROM users *
SELECT u FROM users u
SELECT users FROM users
SELECT u::text FROM users u
SELECT (u).* FROM users u
SELECT (u.*) FROM users u
SELECT (u.*)::text FROM users u
SELECT (u).ssn FROM users u
SELECT ((u)).ssn FROM users u
SELECT (users).ssn FROM users
SELECT (u.*).ssn FROM users u
SELECT row(u.*) FROM users u
SELECT row(u.*)::users FROM users u
SELECT (row(u.*)::users).ssn FROM users u
SELECT (SELECT u) FROM users u
SELECT (SELECT (u).ssn) FROM users u
SELECT (SELECT u.ssn) FROM users u
SELECT row_to_json(u) FROM users u
SELECT row_to_json(u.*) FROM users u
SELECT u.row_to_json FROM users u
SELECT u.to_json FROM users u
SELECT u.json_agg FROM users u
SELECT u.array_agg FROM users u
SELECT u.record_out FROM users u
SELECT u.concat FROM users u
SELECT u.quote_literal FROM users u
SELECT users.to_jsonb FROM users
SELECT (u).row_to_json FROM users u
SELECT (u).to_jsonb->>'ssn' FROM users u
SELECT public.users.to_json FROM public.users
SELECT row_to_json(users) FROM public.users
SELECT json_agg(u) FROM users u
SELECT array_agg(u) FROM users u
SELECT string_agg(u::text, '|') FROM users u
SELECT string_agg(ssn, '|') FROM users
SELECT concat(u) FROM users u
SELECT format('%s', u) FROM users u
SELECT hstore FROM (SELECT u AS hstore FROM users u) x
SELECT to_jsonb(u)->>'ssn' FROM users u
SELECT value FROM users u, json_each_text(row_to_json(u))
SELECT j.* FROM users u, LATERAL json_each_text(to_json(u)) j
SELECT jsonb_populate_record(NULL::users, to_jsonb(u)) FROM users u
SELECT max(ssn) FROM users
SELECT upper(ssn) FROM users
SELECT ssn || '' FROM users
SELECT substr(ssn, 1, 5) FROM users
SELECT ssn::varchar FROM users
SELECT ssn COLLATE "C" FROM users
SELECT coalesce(ssn, 'x') FROM users
SELECT CASE WHEN id > 0 THEN ssn END FROM users
SELECT nullif(ssn, '') FROM users
SELECT greatest(ssn, 'a') FROM users
SELECT ARRAY[ssn] FROM users
SELECT ARRAY(SELECT ssn FROM users)
SELECT (ARRAY(SELECT ssn FROM users))[1]
SELECT xmlelement(name a, ssn) FROM users
SELECT xmlforest(ssn) FROM users
SELECT xmlforest(ssn AS x) FROM users
SELECT ssn::int FROM users
SELECT 1 FROM users WHERE ssn::int = 1
SELECT 1 FROM users ORDER BY ssn::int
SELECT 1 FROM users GROUP BY id HAVING max(ssn)::int > 0
SELECT c FROM users AS u (a, b, c)
SELECT u.c FROM users u (a, b, c)
SELECT c FROM users u (a, b, c) WHERE c LIKE 'ssn%'
SELECT (u).c FROM users u (a, b, c)
SELECT x FROM users AS x (id, name, ssn)
WITH q (a, b, c) AS (TABLE users) SELECT c FROM q
WITH q (a, b, c) AS (SELECT * FROM users) SELECT c FROM q
WITH q AS (SELECT * FROM users) SELECT ssn FROM q
WITH q AS (SELECT u FROM users u) SELECT (u).ssn FROM q
WITH q AS (SELECT ssn AS x FROM users) SELECT x FROM q
WITH q AS MATERIALIZED (TABLE users) TABLE q
WITH RECURSIVE q (a, b) AS (SELECT id, ssn FROM users UNION SELECT a, b FROM q) SELECT b FROM q
WITH users AS (SELECT * FROM users) SELECT * FROM users
WITH users AS (SELECT * FROM public.users) SELECT ssn FROM users
WITH u AS (UPDATE users SET name = name WHERE id = 1 RETURNING ssn) SELECT * FROM u
SELECT x FROM (SELECT ssn AS x FROM users) s
SELECT c FROM (TABLE users) AS s (a, b, c)
SELECT c FROM (SELECT * FROM users) AS s (a, b, c)
SELECT s FROM (SELECT * FROM users) s
SELECT c FROM (users u JOIN log l ON l.id = u.id) AS j (a, b, c, d, e)
SELECT j.c FROM (users CROSS JOIN log) AS j (a, b, c, d, e)
SELECT j FROM (users u JOIN log l ON l.id = u.id) AS j
SELECT j.ssn FROM (users u JOIN log l USING (id)) AS j
SELECT ssn FROM users NATURAL JOIN log
SELECT * FROM users NATURAL JOIN log
SELECT * FROM users JOIN log USING (id)
SELECT u.* FROM users u JOIN log l USING (id)
SELECT 1 FROM users a JOIN users b USING (ssn) WHERE a.ssn::int = 1
SELECT ssn FROM users a JOIN users b USING (ssn)
SELECT ssn FROM users a FULL JOIN users b USING (ssn)
SELECT x.ssn FROM users a JOIN users b USING (ssn) AS x
SELECT x FROM users a JOIN users b USING (ssn) AS x
SELECT 0 AS a, '' AS b, '' AS c UNION ALL TABLE users
SELECT 0 AS a, '' AS b, '' AS c UNION ALL SELECT * FROM users
TABLE users UNION SELECT 0, '', ''
SELECT id, name, '' FROM users UNION SELECT id, name, ssn FROM users
VALUES (1, '', '') UNION ALL TABLE users
TABLE users EXCEPT SELECT 0, '', ''
SELECT ssn FROM users INTERSECT SELECT ssn FROM users
(TABLE users)
(SELECT ssn FROM users) ORDER BY 1
SELECT id, ssn FROM users ORDER BY 2
SELECT (SELECT ssn FROM users LIMIT 1)
SELECT (SELECT ssn FROM users u WHERE u.id = l.id) FROM log l
SELECT s.v FROM log, LATERAL (SELECT ssn AS v FROM users) s
SELECT s.v FROM users u, LATERAL (SELECT u.ssn AS v) s
SELECT s.v FROM users u, LATERAL (SELECT (u).ssn AS v) s
SELECT s.v FROM users u CROSS JOIN LATERAL (VALUES (u.ssn)) s (v)
SELECT s.v FROM users u CROSS JOIN LATERAL (VALUES (ssn)) s (v)
SELECT v FROM users u, unnest(ARRAY[u.ssn]) v
SELECT v FROM users, unnest(ARRAY[ssn]) v
SELECT v FROM users u, unnest(string_to_array(u::text, ',')) v
SELECT first_value(ssn) OVER () FROM users
SELECT lag(u) OVER (ORDER BY id) FROM users u
SELECT first_value(u) OVER w FROM users u WINDOW w AS (ORDER BY id DESC)
SELECT row_number() OVER (PARTITION BY ssn::int) FROM users
SELECT DISTINCT ON (ssn) ssn FROM users
SELECT mode() WITHIN GROUP (ORDER BY ssn) FROM users
SELECT percentile_disc(0) WITHIN GROUP (ORDER BY ssn) FROM users
SELECT count(*) FILTER (WHERE ssn::int > 1) FROM users
SELECT array_agg(id ORDER BY ssn::int) FROM users
SELECT 1 FROM users u WHERE u::text::int = 1
SELECT 1 FROM users u WHERE (u).ssn::int = 1
SELECT 1 FROM users LIMIT (SELECT length(ssn::int::text) FROM users LIMIT 1)
INSERT INTO log (note) SELECT ssn FROM users RETURNING note
INSERT INTO log SELECT id, ssn FROM users RETURNING *
INSERT INTO users VALUES (1, 'x', 'y') ON CONFLICT (id) DO UPDATE SET name = users.ssn RETURNING name
INSERT INTO users VALUES (7, 'x', 'ssn-1') RETURNING *
INSERT INTO users (id, name, ssn) VALUES (7, 'x', 'ssn-1') RETURNING ssn
INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING users
INSERT INTO users AS u (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = (u).ssn RETURNING name
INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y' WHERE users.ssn::int = 1
INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET (name) = ROW (users.ssn) RETURNING name
INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET (name) = (SELECT users.ssn) RETURNING name
UPDATE users SET name = ssn RETURNING name
UPDATE users SET name = 'x' RETURNING *
UPDATE users SET name = 'x' RETURNING users
UPDATE users SET name = 'x' RETURNING ssn
UPDATE users AS u SET name = 'x' RETURNING (u).*
UPDATE users SET (name, id) = (SELECT ssn, id) RETURNING name
UPDATE users u SET name = v.ssn FROM users v WHERE v.id = u.id RETURNING u.name
UPDATE log SET note = users.ssn FROM users RETURNING note
UPDATE log SET note = (SELECT ssn FROM users LIMIT 1) RETURNING note
UPDATE log SET note = u::text FROM users u RETURNING note
DELETE FROM users RETURNING *
DELETE FROM users WHERE id = 1 RETURNING ssn
DELETE FROM users RETURNING users
DELETE FROM log USING users u RETURNING u.ssn
DELETE FROM log USING users RETURNING *
DELETE FROM users WHERE ssn::int = 1
MERGE INTO log l USING users u ON l.id = u.id WHEN MATCHED THEN UPDATE SET note = u.ssn::int::text
MERGE INTO log l USING users u ON l.id = u.ssn::int WHEN MATCHED THEN DELETE
MERGE INTO log l USING (TABLE users) u (a, b, c) ON l.id = u.c::int WHEN MATCHED THEN DELETE
MERGE INTO log l USING users u ON l.id = u.id WHEN MATCHED AND u.ssn::int = 1 THEN DELETE
MERGE INTO log l USING users u ON false WHEN NOT MATCHED THEN INSERT VALUES (1, u.ssn::int::text)
MERGE INTO users u USING log l ON l.id = u.id WHEN MATCHED AND u.ssn::int = 1 THEN DELETE
MERGE INTO users u USING log l ON l.id = u.id WHEN MATCHED THEN UPDATE SET name = u.ssn::int::text
COPY users TO STDOUT
COPY users (ssn) TO STDOUT
COPY users (id, ssn) TO STDOUT WITH (FORMAT csv)
COPY public.users TO STDOUT (FORMAT binary)
COPY (SELECT * FROM users) TO STDOUT
COPY (SELECT ssn FROM users) TO STDOUT
COPY (TABLE users) TO STDOUT
COPY (SELECT u FROM users u) TO STDOUT
COPY (UPDATE users SET name = 'x' RETURNING *) TO STDOUT
PREPARE p AS SELECT ssn FROM users ;; EXECUTE p
BEGIN ;; DECLARE c CURSOR FOR TABLE users ;; FETCH ALL FROM c
BEGIN ;; DECLARE c CURSOR FOR SELECT ssn FROM users ;; FETCH c
CREATE TABLE stolen AS TABLE users ;; SELECT * FROM stolen
SELECT * INTO TEMP stolen FROM users ;; SELECT * FROM stolen
CREATE TEMP VIEW v AS SELECT ssn AS x FROM users ;; SELECT x FROM v
CREATE VIEW v AS TABLE users ;; SELECT * FROM v
CREATE MATERIALIZED VIEW mv AS SELECT id, ssn AS x FROM users ;; SELECT * FROM mv
ALTER TABLE users RENAME ssn TO harmless ;; SELECT harmless FROM users
ALTER TABLE users RENAME COLUMN ssn TO harmless ;; SELECT harmless FROM users
ALTER TABLE log ADD COLUMN x text ;; ALTER TABLE users ADD COLUMN copy text GENERATED ALWAYS AS (ssn) STORED ;; SELECT copy FROM users
CREATE TABLE child () INHERITS (users) ;; SELECT * FROM child UNION ALL TABLE users
CREATE FUNCTION leak() RETURNS SETOF text LANGUAGE sql AS 'SELECT ssn FROM users' ;; SELECT leak()
CREATE FUNCTION leak2(users) RETURNS text LANGUAGE sql AS 'SELECT $1.ssn' ;; SELECT leak2(u) FROM users u
CREATE FUNCTION leak2(users) RETURNS text LANGUAGE sql AS 'SELECT $1.ssn' ;; SELECT leak2(users) FROM users
SELECT query_to_xml('SELECT ssn FROM users', true, false, '')
SELECT query_to_xml('TABLE users', true, false, '')
SELECT table_to_xml('users', true, false, '')
SELECT table_to_xml('public.users'::regclass, true, false, '')
SELECT schema_to_xml('public', true, false, '')
SELECT database_to_xml(true, false, '')
SELECT * FROM ts_stat('SELECT to_tsvector(ssn) FROM users')
DO $$ DECLARE x text; BEGIN SELECT ssn INTO x FROM users; RAISE EXCEPTION '%', x; END $$
SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 'users'
SELECT stavalues1 FROM pg_statistic WHERE starelid = 'users'::regclass
SELECT ssn FROM users TABLESAMPLE system (100)
SELECT id FROM users TABLESAMPLE bernoulli (100) WHERE ssn::int = 1
SELECT ssn FROM users FOR UPDATE
SELECT * FROM users, log
SELECT l.*, u.* FROM users u, log l
SELECT * FROM log JOIN users ON true
SELECT * FROM log, LATERAL (SELECT * FROM users) u
SELECT 1 FROM users WHERE (id, ssn) = (1, (ssn::int)::text)
SELECT 1 FROM users u, users v WHERE u < v AND u.id::text = u::text::int::text
SELECT 1 FROM users u WHERE u IN (SELECT v FROM users v) AND u::text::int = 1
SELECT (array_agg(u))[1] FROM users u
SELECT ((array_agg(u))[1]).ssn FROM users u
SELECT (x).f3 FROM (SELECT row(u.*) AS x FROM users u) s
SELECT EXISTS (SELECT 1 FROM users WHERE ssn::int = 1)
SELECT id FROM users WHERE ssn = ANY (SELECT (ssn::int)::text FROM users)
SELECT users_1.ssn FROM users users_1
SELECT "U".ssn FROM users "U"
EXPLAIN (ANALYZE, VERBOSE) SELECT id FROM users WHERE ssn::int = 1
EXPLAIN SELECT id FROM users WHERE ssn = (SELECT 'ssn-1')
SELECT log.ssn FROM (SELECT id, ssn FROM users) log
SELECT id FROM users ORDER BY (SELECT ssn::int)
SELECT count(*) FROM users GROUP BY ROLLUP (ssn::int)
SELECT ssn AS id FROM users ORDER BY id
SELECT 1 AS ssn, u.ssn::int FROM users u
