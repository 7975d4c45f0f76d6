-- Every way to change a guarded or pinned setting, one session a line, its messages apart by ` ;; `.
-- A superuser without the firewall gets each of them done.
-- SET in its forms
SET standard_conforming_strings = off
SET STANDARD_conforming_STRINGS TO 0
SET "standard_conforming_strings" TO 'f'
SET SESSION standard_conforming_strings TO false
SET LOCAL standard_conforming_strings = off
BEGIN ;; SET LOCAL standard_conforming_strings = off
BEGIN; SET LOCAL standard_conforming_strings = off
SET backslash_quote = on
SET backslash_quote TO 1
SET LOCAL backslash_quote = off
SET client_encoding = 'SJIS'
SET client_encoding TO sjis
SET client_encoding TO 'S-j.I s'
SET client_encoding TO win932
SET NAMES 'SJIS'
SET NAMES 'BIG5'
SET NAMES 'gbk'
SET NAMES 'UHC'
SET NAMES 'johab'
SET NAMES 'GB18030'
SET NAMES 'gb-18030'
SET NAMES 'shift_jis_2004'
SET NAMES 'mskanji'
SET NAMES 'win950'
SET NAMES 'windows949'
SET NAMES 'WIN936'
SET client_encoding TO euc_jp
SET NAMES 'euc_kr'
SET search_path = evil
SET search_path TO evil, public
SET search_path TO 'evil'
SET search_path TO 'evil, public'
SET search_path TO pg_temp, public
SET search_path TO public, pg_catalog
SET search_path TO ''
SET search_path TO "$user", public
SET SCHEMA 'evil'
SET LOCAL search_path TO evil
BEGIN ;; SET LOCAL search_path TO evil
SET role boss
SET ROLE 'boss'
SET ROLE "boss"
SET SESSION ROLE boss
SET LOCAL ROLE boss
BEGIN ;; SET LOCAL ROLE boss
SET SESSION AUTHORIZATION boss
SET SESSION AUTHORIZATION 'boss'
SET SESSION SESSION AUTHORIZATION boss
SET LOCAL SESSION AUTHORIZATION boss
SET session_authorization TO boss
SET session_replication_role = replica
SET session_replication_role = local
SET row_security = off
SET row_security TO no
SET LOCAL row_security = off
SET work_mem = '64MB'
SET WORK_MEM TO 65536
SET sort_mem = 65536
SET LOCAL work_mem = '64MB'
SET DateStyle = 'SQL, DMY'
SET datestyle TO German
-- set_config
SELECT set_config('standard_conforming_strings', 'off', false)
SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false)
SELECT "set_config"('STANDARD_CONFORMING_STRINGS', 'off', false)
SELECT set_config('standard_conforming_strings'::text, 'off'::text, false)
SELECT set_config(CAST('standard_conforming_strings' AS varchar), 'off', false)
SELECT set_config('standard_conforming_strings'::name::text, 'off', false)
SELECT set_config('standard_conforming' || '_strings', 'off', false)
SELECT set_config(concat('standard_conforming', '_strings'), 'off', false)
SELECT set_config(lower('STANDARD_CONFORMING_STRINGS'), 'off', false)
SELECT set_config(E'standard\x5fconforming_strings', 'off', false)
SELECT set_config(U&'standard\005fconforming_strings', 'off', false)
SELECT set_config('standard_conforming_strings', 'o' || 'ff', false)
SELECT set_config('standard_conforming_strings', (SELECT 'off'), false)
SELECT set_config((SELECT 'standard_conforming_strings'), 'off', false)
SELECT set_config(n, v, false) FROM (VALUES ('standard_conforming_strings', 'off')) AS x (n, v)
SELECT set_config(setting_name => 'standard_conforming_strings', new_value => 'off', is_local => false)
SELECT set_config(new_value => 'off', is_local => false, setting_name => 'standard_conforming_strings')
SELECT set_config(is_local := false, new_value := 'off', setting_name := 'standard_conforming_strings')
SELECT set_config('standard_conforming_strings', is_local => false, new_value => 'off')
SELECT * FROM set_config('standard_conforming_strings', 'off', false)
SELECT 1 FROM ROWS FROM (set_config('standard_conforming_strings', 'off', false))
SELECT 1 WHERE set_config('standard_conforming_strings', 'off', false) = 'off'
SELECT 1 ORDER BY set_config('standard_conforming_strings', 'off', false)
SELECT 1 LIMIT length(set_config('standard_conforming_strings', 'off', false))
SELECT (SELECT set_config('standard_conforming_strings', 'off', false))
WITH x AS MATERIALIZED (SELECT set_config('standard_conforming_strings', 'off', false)) SELECT * FROM x
VALUES (set_config('standard_conforming_strings', 'off', false))
SELECT ARRAY[set_config('standard_conforming_strings', 'off', false)]
SELECT CASE WHEN true THEN set_config('standard_conforming_strings', 'off', false) END
SELECT coalesce(set_config('standard_conforming_strings', 'off', false), 'x')
SELECT set_config('standard_conforming_strings', 'off', false) COLLATE "C"
SELECT DISTINCT ON (set_config('standard_conforming_strings', 'off', false)) 1
SELECT json_build_object('a', set_config('standard_conforming_strings', 'off', false))
SELECT xmlelement(name a, set_config('standard_conforming_strings', 'off', false))
INSERT INTO log VALUES (9, set_config('standard_conforming_strings', 'off', false))
INSERT INTO log VALUES (9, 'x') RETURNING set_config('standard_conforming_strings', 'off', false)
UPDATE log SET note = set_config('standard_conforming_strings', 'off', false)
UPDATE log SET note = 'x' RETURNING set_config('standard_conforming_strings', 'off', false)
DELETE FROM log RETURNING set_config('standard_conforming_strings', 'off', false)
COPY (SELECT set_config('standard_conforming_strings', 'off', false)) TO STDOUT
EXPLAIN ANALYZE SELECT set_config('standard_conforming_strings', 'off', false)
EXPLAIN (ANALYZE off, ANALYZE) SELECT set_config('standard_conforming_strings', 'off', false)
CREATE TEMP TABLE t AS SELECT set_config('standard_conforming_strings', 'off', false) AS a
SELECT set_config('standard_conforming_strings', 'off', false) AS a INTO TEMP t
CREATE TABLE d1 (a int, b text DEFAULT set_config('standard_conforming_strings', 'off', false)) ;; INSERT INTO d1 (a) VALUES (1)
ALTER TABLE log ADD COLUMN extra text DEFAULT set_config('standard_conforming_strings', 'off', false)
ALTER TABLE log ALTER note TYPE text USING set_config('standard_conforming_strings', 'off', false)
CREATE VIEW v1 AS SELECT set_config('standard_conforming_strings', 'off', false) AS a ;; SELECT * FROM v1
PREPARE p AS SELECT set_config('standard_conforming_strings', 'off', false) ;; EXECUTE p
PREPARE p AS SELECT set_config($1, $2, false) ;; EXECUTE p('standard_conforming_strings', 'off')
PREPARE p (text, text) AS SELECT set_config($1, $2, false) ;; EXECUTE p('standard_conforming_strings', 'off')
PREPARE p (text) AS SELECT set_config('standard_conforming_strings', $1, false) ;; EXECUTE p('off')
PREPARE p (text) AS SELECT set_config('standard_conforming_strings', $1, false) ;; EXPLAIN ANALYZE EXECUTE p('off')
PREPARE p (text) AS SELECT set_config('standard_conforming_strings', $1, false) ;; CREATE TEMP TABLE t AS EXECUTE p('off')
BEGIN ;; DECLARE c CURSOR FOR SELECT set_config('standard_conforming_strings', 'off', false) ;; FETCH c
BEGIN ;; DECLARE c CURSOR FOR SELECT set_config('standard_conforming_strings', 'off', false) ;; MOVE ALL FROM c
DO $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', false); END $$
DO $$ BEGIN SET standard_conforming_strings = off; END $$
DO $$ BEGIN EXECUTE 'SET standard_' || 'conforming_strings = off'; END $$
DO $$ DECLARE x text := set_config('standard_conforming_strings', 'off', false); BEGIN END $$
DO LANGUAGE plpgsql 'BEGIN SET row_security = off; END'
SELECT query_to_xml('SELECT set_config(''standard_conforming_strings'', ''off'', false)', true, false, '')
SELECT query_to_xml('SELECT set_config(' || quote_literal('standard_conforming_strings') || ', ''off'', false)', true, false, '')
SELECT query_to_xml($q$SELECT query_to_xml('SELECT set_config(''row_security'', ''off'', false)', true, false, '')$q$, true, false, '')
SELECT * FROM ts_stat('SELECT to_tsvector(set_config(''standard_conforming_strings'', ''off'', false))')
SELECT set_config('role', 'boss', false)
SELECT set_config('Role', 'boss', false)
SELECT set_config('session_authorization', 'boss', false)
SELECT set_config('search_path', 'evil', false)
SELECT set_config('search_path', 'evil, public', false)
SELECT set_config('search_path', '"evil"', false)
SELECT set_config('search_path', 'public, evil', false)
SELECT set_config('search_path', '', false)
SELECT set_config('client_encoding', 'SJIS', false)
SELECT set_config('client_encoding', 'big5', false)
SELECT set_config('session_replication_role', 'replica', false)
SELECT set_config('row_security', 'off', false)
SELECT set_config('backslash_quote', 'on', false)
SELECT set_config('work_mem', '64MB', false)
SELECT set_config('sort_mem', '65536', false)
SELECT set_config('datestyle', 'German', false)
BEGIN ;; SELECT set_config('row_security', 'off', true)
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'row_security'
SELECT set_config(name, 'off', false) FROM pg_catalog.pg_settings WHERE name = 'standard_conforming_strings'
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name LIKE 'row_sec%'
SELECT set_config(name, 'off', false) FROM (SELECT 'row_security' AS name) pg_settings
WITH pg_settings AS (SELECT 'row_security' AS name, 'x' AS y) SELECT set_config(name, 'off', false) FROM pg_settings WHERE name <> 'x'
SELECT set_config(name, 'off', false) FROM pg_settings WHERE 'row_security' = name
SELECT (SELECT set_config(name, 'off', false)) FROM pg_settings WHERE name = 'row_security'
-- the view that sets
UPDATE pg_settings SET setting = 'off' WHERE name = 'row_security'
UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'
UPDATE pg_settings AS s SET setting = 'evil' WHERE s.name = 'search_path'
UPDATE ONLY pg_settings SET setting = 'off' WHERE name = 'row_security'
WITH u AS (UPDATE pg_settings SET setting = 'off' WHERE name = 'row_security' RETURNING 1) SELECT 1
EXPLAIN ANALYZE UPDATE pg_settings SET setting = 'off' WHERE name = 'row_security'
PREPARE p AS UPDATE pg_settings SET setting = 'off' WHERE name = 'row_security' ;; EXECUTE p
CREATE VIEW v3 AS SELECT name, setting FROM pg_settings ;; UPDATE v3 SET setting = 'off' WHERE name = 'row_security'
-- functions with a SET clause, or whose body sets
CREATE FUNCTION f1() RETURNS void LANGUAGE sql AS $$SELECT set_config('row_security', 'off', false)$$ ;; SELECT f1()
CREATE FUNCTION f2() RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('row_security', 'off', false); RETURN 1; END$$ ;; SELECT f2()
CREATE PROCEDURE p1() LANGUAGE plpgsql AS $$BEGIN SET row_security = off; END$$ ;; CALL p1()
CREATE PROCEDURE p2() LANGUAGE sql BEGIN ATOMIC SELECT set_config('row_security', 'off', false); END ;; CALL p2()
-- what stays behind
ALTER ROLE wide SET search_path = evil
ALTER ROLE wide SET search_path TO evil, public
ALTER USER wide SET standard_conforming_strings = off
ALTER ROLE CURRENT_USER SET row_security = off
ALTER ROLE ALL SET session_replication_role = replica
ALTER ROLE wide SET client_encoding = 'SJIS'
ALTER ROLE wide IN DATABASE shop SET backslash_quote = on
ALTER ROLE wide SET role = boss
ALTER ROLE wide SET ROLE boss
ALTER ROLE wide SET work_mem = '64MB'
ALTER DATABASE shop SET row_security = off
ALTER DATABASE shop SET search_path FROM CURRENT
ALTER ROLE wide SET search_path FROM CURRENT
ALTER ROLE wide SET SESSION AUTHORIZATION boss
ALTER DATABASE shop SET search_path = evil
ALTER DATABASE shop SET TimeZone TO DEFAULT; ALTER DATABASE shop SET client_encoding = sjis
ALTER SYSTEM SET session_replication_role = replica
ALTER SYSTEM SET standard_conforming_strings = off
ALTER SYSTEM SET search_path = evil
ALTER SYSTEM SET row_security = off
ALTER SYSTEM SET work_mem = '64MB'
INSERT INTO pg_db_role_setting SELECT 0, oid, '{row_security=off}' FROM pg_roles WHERE rolname = 'wide'
CREATE FUNCTION f3() RETURNS int LANGUAGE sql SET search_path = evil AS 'SELECT 1'
CREATE FUNCTION f3() RETURNS int LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT 1'
CREATE FUNCTION f3() RETURNS int LANGUAGE sql SET role = boss AS 'SELECT 1'
CREATE FUNCTION f3() RETURNS int LANGUAGE sql SET ROLE boss AS 'SELECT 1'
CREATE FUNCTION f3() RETURNS int LANGUAGE sql SET row_security = off AS 'SELECT 1'
CREATE FUNCTION f3() RETURNS int LANGUAGE sql SET work_mem = '64MB' AS 'SELECT 1'
CREATE PROCEDURE f3() LANGUAGE sql SET standard_conforming_strings = off AS 'SELECT 1'
ALTER FUNCTION trick(text, text) SET search_path = evil
ALTER FUNCTION trick(text, text) SET search_path FROM CURRENT
ALTER FUNCTION trick SET row_security TO off
ALTER ROUTINE trick(text, text) SET standard_conforming_strings = off
ALTER FUNCTION trick(text, text) SECURITY DEFINER SET row_security TO off RESET work_mem
