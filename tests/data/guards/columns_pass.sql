-- What certainly does not touch `users.ssn`, and passes.
SELECT id, name FROM users
SELECT count(*) FROM users
SELECT count(*), max(id) FROM users u WHERE u.name = 'ann'
SELECT u.id FROM users u JOIN log l ON l.id = u.id
SELECT l.* FROM users u JOIN log l ON l.id = u.id
SELECT l FROM users u JOIN log l ON l.id = u.id
SELECT row_to_json(l) FROM log l JOIN users u ON u.id = l.id
SELECT u.id, l.note FROM users u JOIN log l USING (id)
SELECT * FROM log
TABLE log
SELECT ssn FROM (SELECT note AS ssn FROM log) x
SELECT * FROM (SELECT id, name FROM users) x
SELECT x FROM (SELECT id, name FROM users) x
WITH q AS (SELECT id, name FROM users) SELECT * FROM q
WITH q (a, b) AS (SELECT id, name FROM users) SELECT a, b FROM q
SELECT a FROM (SELECT id FROM users) AS s (a)
WITH users AS (SELECT 1 AS ssn) SELECT ssn FROM users
WITH users AS (SELECT 1 AS ssn) SELECT * FROM users
SELECT id, name AS ssn FROM users ORDER BY 1
SELECT id FROM users UNION ALL SELECT id FROM log
SELECT EXISTS (SELECT 1 FROM users WHERE id = 1)
SELECT EXISTS (SELECT FROM users)
SELECT 'ssn' FROM users
SELECT id AS "ssn " FROM users
INSERT INTO users (id, name) VALUES (8, 'x') RETURNING id
INSERT INTO users (id, name) VALUES (8, 'y') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name
INSERT INTO users (id, name) VALUES (8, 'y') ON CONFLICT DO NOTHING
UPDATE users SET name = 'z' WHERE id = 8 RETURNING name
UPDATE log SET note = u.name FROM users u WHERE u.id = log.id
DELETE FROM users WHERE id = 8 RETURNING id
MERGE INTO log l USING (SELECT id, name FROM users) u ON l.id = u.id WHEN MATCHED THEN UPDATE SET note = u.name
COPY users (id, name) TO STDOUT
COPY (SELECT id FROM users) TO STDOUT
SELECT row_number() OVER (ORDER BY id) FROM users
SELECT id FROM users FOR UPDATE
SELECT id FROM users TABLESAMPLE system (100)
SELECT DISTINCT ON (name) id FROM users
SELECT s.id FROM log l, LATERAL (SELECT id FROM users WHERE users.id = l.id) s
EXPLAIN SELECT id FROM users
SELECT attname FROM pg_attribute WHERE attname = 'ssn'
SELECT (1, 'ssn') = (1, 'ssn')
