-- What attacks are aimed at. The attacked role is a superuser, so that nothing but the firewall is in its way.
-- {schema} and {users} are filled in; everything else has these names.
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {schema}.{users} (id int PRIMARY KEY, name text NOT NULL, ssn text, role text DEFAULT 'user');
INSERT INTO {schema}.{users} VALUES (1, 'ann', 'ssn-1', 'user'), (2, 'bob', 'ssn-2', 'user'), (3, 'eve', 'ssn-3', 'user');
CREATE TABLE {schema}.log (msg text);
CREATE TABLE {schema}.parent (id int PRIMARY KEY);
CREATE TABLE {schema}.child (id int REFERENCES {schema}.parent ON DELETE CASCADE);
INSERT INTO {schema}.parent VALUES (1), (2);
INSERT INTO {schema}.child VALUES (1), (2);
CREATE SEQUENCE {schema}.counter;
CREATE VIEW {schema}.everybody AS SELECT * FROM {schema}.{users};
CREATE MATERIALIZED VIEW {schema}.mv AS SELECT id FROM {schema}.{users};
-- What an allowed name may be mixed up with.
CREATE SCHEMA hr;
CREATE TABLE hr.salaries (id int, name text, amount text);
INSERT INTO hr.salaries VALUES (1, 'ann', 'salary-1');
CREATE TABLE hr.{users} AS SELECT id, name, 'hr-' || ssn AS ssn FROM {schema}.{users};
-- Code that an attacker got in.
CREATE SCHEMA evil;
CREATE FUNCTION evil.boom(what text) RETURNS text LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO {schema}.log VALUES (what); RETURN what; END$$;
CREATE FUNCTION evil.lower(what text) RETURNS text LANGUAGE sql AS 'SELECT evil.boom(what)';
CREATE FUNCTION evil.count(what text) RETURNS text LANGUAGE sql AS 'SELECT evil.boom(what)';
CREATE FUNCTION evil.fixed(what text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    $$BEGIN RAISE NOTICE 'fixed ran %', what; RETURN what; END$$;
CREATE FUNCTION evil.plus(a text, b int) RETURNS text LANGUAGE sql AS 'SELECT evil.boom(a)';
CREATE OPERATOR evil.+ (leftarg = text, rightarg = int, function = evil.plus);
CREATE FUNCTION evil.is_fine(what text) RETURNS bool LANGUAGE sql AS 'SELECT evil.boom(what) IS NOT NULL';
CREATE DOMAIN evil.dom AS text CHECK (evil.is_fine(VALUE));
CREATE TYPE evil.t2 AS (what text);
CREATE FUNCTION evil.to_t2(u {schema}.{users}) RETURNS evil.t2 LANGUAGE sql AS 'SELECT ROW(evil.boom((u).ssn))::evil.t2';
CREATE CAST ({schema}.{users} AS evil.t2) WITH FUNCTION evil.to_t2({schema}.{users});
CREATE FUNCTION {schema}.onrow(u {schema}.{users}) RETURNS text LANGUAGE sql AS 'SELECT evil.boom((u).ssn)';
CREATE PROCEDURE {schema}.purge() LANGUAGE plpgsql AS
    $$BEGIN DELETE FROM {schema}.{users}; COMMIT; END$$;
CREATE FUNCTION {schema}.allowed_fn() RETURNS text LANGUAGE sql AS $$SELECT 'harmless'::text$$;
