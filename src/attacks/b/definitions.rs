//! Definitions that destroy, move, disarm or open doors.

use super::{DEFINE, DROP};
use crate::attacks::{Fence, Harm, Step, Way};

/// Schemas may be made, and nothing in them.
const ONLY_SCHEMAS: Fence = Fence::Own(
    "policy: only-schemas
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: schemas, actions: ['create:schema'], objects: [s]}
  - {rule: read, actions: [select], tables: ['public.*']}
",
);

/// A schema may be made with everything in it; only one's own may be read.
const OWN_SCHEMA: Fence = Fence::Own(
    "policy: own-schema
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: schema, actions: [ddl], objects: [s, 's.*']}
  - {rule: read, actions: [select], tables: ['public.*', 's.*']}
",
);

pub const SCHEMA: &[Way] = &[
    Way::new(
        "a table and a view",
        ONLY_SCHEMAS,
        &[Step::Sql("CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1 AS one")],
        Harm::Changes,
    ),
    Way::new(
        "where nothing may be defined",
        DEFINE,
        &[Step::Sql("CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1 AS one")],
        Harm::Changes,
    ),
    Way::new("a sequence", ONLY_SCHEMAS, &[Step::Query("CREATE SCHEMA s CREATE SEQUENCE q")], Harm::Changes),
    Way::new(
        "a view of a table that may not be read",
        OWN_SCHEMA,
        &[Step::Sql("CREATE SCHEMA s CREATE VIEW v AS SELECT * FROM hr.salaries"), Step::Sql("SELECT * FROM s.v")],
        Harm::Tells("salary-1"),
    ),
    Way::new(
        "a table with a trigger",
        OWN_SCHEMA,
        &[Step::Query(
            "CREATE SCHEMA s CREATE TABLE t (a int) CREATE TRIGGER g BEFORE UPDATE ON t \
             EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        )],
        Harm::Changes,
    ),
    Way::new(
        "a grant",
        OWN_SCHEMA,
        &[Step::Query("CREATE SCHEMA s CREATE TABLE t (a int) GRANT ALL ON t TO PUBLIC")],
        Harm::Changes,
    ),
    Way::new(
        "a schema named after its owner",
        ONLY_SCHEMAS,
        &[Step::Query("CREATE SCHEMA AUTHORIZATION boss CREATE TABLE t (a int)")],
        Harm::Changes,
    ),
];

/// The attacked table belongs to whoever is logged in.
const OWNED_BY_ROLE: &str = "ALTER TABLE {schema}.{users} OWNER TO {role}";

pub const OWNED: &[Way] = &[
    Way::new(
        "TRUNCATE CASCADE",
        Fence::Own(
            "policy: truncates
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: one, actions: [truncate], tables: [users]}]
",
        ),
        &[Step::Sql("TRUNCATE users CASCADE")],
        Harm::Server("SELECT count(*) = 0 FROM {schema}.orders"),
    )
    .setup(
        "CREATE TABLE {schema}.orders (who int REFERENCES {schema}.{users}); INSERT INTO {schema}.orders VALUES (1)",
    ),
    Way::new("DROP OWNED", DROP, &[Step::Sql("DROP OWNED BY {role} CASCADE")], Harm::Changes).setup(OWNED_BY_ROLE),
    Way::new("DROP OWNED BY CURRENT_USER", DROP, &[Step::Sql("DROP OWNED BY CURRENT_USER CASCADE")], Harm::Changes)
        .setup(OWNED_BY_ROLE),
    Way::new("DROP OWNED BY several", DROP, &[Step::Query("DROP OWNED BY boss, SESSION_USER CASCADE")], Harm::Changes)
        .setup(OWNED_BY_ROLE),
    Way::new("REASSIGN OWNED", DROP, &[Step::Sql("REASSIGN OWNED BY {role} TO boss")], Harm::Changes)
        .setup(OWNED_BY_ROLE),
    Way::new("DROP SCHEMA with everything in it", DROP, &[Step::Query("DROP SCHEMA {schema} CASCADE")], Harm::Changes),
];

/// Columns may be added, and nothing else be altered.
const ADD_COLUMN: Fence = Fence::Own(
    "policy: add-column
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: grow, actions: ['alter:add_column', read, write], objects: ['public.*', 'evil.*', evil]}]
",
);

/// One sub-command of ALTER TABLE.
const fn alter(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, ADD_COLUMN, steps, Harm::Changes)
}

/// A partitioned table and a child that inherits.
const FAMILY: &str = "CREATE TABLE public.whole (id int) PARTITION BY LIST (id); \
    CREATE TABLE public.part PARTITION OF public.whole FOR VALUES IN (1); INSERT INTO public.whole VALUES (1); \
    CREATE TABLE public.heir () INHERITS (public.log); CREATE TABLE public.loose (id int)";

/// A table with its protections.
const PROTECTED: &str = "ALTER TABLE public.{users} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
    CREATE TRIGGER guard BEFORE UPDATE ON public.{users} EXECUTE FUNCTION suppress_redundant_updates_trigger(); \
    CREATE RULE guard AS ON DELETE TO public.{users} DO ALSO NOTHING";

pub const ALTER: &[Way] = &[
    alter(
        "DROP COLUMN behind an ADD COLUMN",
        &[Step::Sql("ALTER TABLE {users} ADD COLUMN x int, DROP COLUMN ssn CASCADE, DROP COLUMN name CASCADE")],
    ),
    alter("RENAME TO", &[Step::Sql("ALTER TABLE {users} RENAME TO x")]),
    alter("RENAME COLUMN", &[Step::Query("ALTER TABLE {users} RENAME ssn TO harmless")]),
    alter("RENAME CONSTRAINT", &[Step::Query("ALTER TABLE {users} RENAME CONSTRAINT {users}_pkey TO x")]),
    alter("SET SCHEMA", &[Step::Sql("ALTER TABLE IF EXISTS ONLY {users} SET SCHEMA evil")]),
    alter("OWNER TO", &[Step::Query("ALTER TABLE {users} OWNER TO boss")]),
    alter("ALTER COLUMN TYPE", &[Step::Query("ALTER TABLE log ALTER msg TYPE int USING 0")]),
    alter("DROP NOT NULL", &[Step::Query("ALTER TABLE {users} ALTER name DROP NOT NULL")]),
    alter("SET DEFAULT", &[Step::Query("ALTER TABLE {users} ALTER role SET DEFAULT 'admin'")]),
    alter("DROP CONSTRAINT", &[Step::Query("ALTER TABLE {users} DROP CONSTRAINT {users}_pkey CASCADE")]),
    alter("a constraint that is not valid", &[Step::Query("ALTER TABLE {users} ADD CHECK (false) NOT VALID")]),
    alter("SET UNLOGGED", &[Step::Query("ALTER TABLE log SET UNLOGGED")]),
    alter("REPLICA IDENTITY", &[Step::Query("ALTER TABLE {users} REPLICA IDENTITY NOTHING")]),
    alter("SET (autovacuum …)", &[Step::Query("ALTER TABLE {users} SET (autovacuum_enabled = off)")]),
    alter("DETACH PARTITION", &[Step::Sql("ALTER TABLE whole DETACH PARTITION part")]).setup(FAMILY),
    alter("ATTACH PARTITION", &[Step::Query("ALTER TABLE whole ATTACH PARTITION loose FOR VALUES IN (2)")])
        .setup(FAMILY),
    alter("NO INHERIT", &[Step::Query("ALTER TABLE heir NO INHERIT log")]).setup(FAMILY),
    alter("DISABLE TRIGGER ALL", &[Step::Sql("ALTER TABLE {users} DISABLE TRIGGER ALL")]).setup(PROTECTED),
    alter("ENABLE REPLICA TRIGGER", &[Step::Query("ALTER TABLE {users} ENABLE REPLICA TRIGGER guard")])
        .setup(PROTECTED),
    alter("DISABLE RULE", &[Step::Query("ALTER TABLE {users} DISABLE RULE guard")]).setup(PROTECTED),
    alter("DISABLE ROW LEVEL SECURITY", &[Step::Sql("ALTER TABLE {users} DISABLE ROW LEVEL SECURITY")])
        .setup(PROTECTED),
    alter("NO FORCE ROW LEVEL SECURITY", &[Step::Query("ALTER TABLE {users} NO FORCE ROW LEVEL SECURITY")])
        .setup(PROTECTED),
    alter("ALTER VIEW … RENAME", &[Step::Query("ALTER VIEW everybody RENAME TO nobody")]),
    alter("ALTER INDEX … RENAME", &[Step::Query("ALTER INDEX {users}_pkey RENAME TO x")]),
    alter("ALTER SEQUENCE … RESTART", &[Step::Query("ALTER SEQUENCE counter RESTART WITH 100 INCREMENT 5")]),
    Way::new(
        "SET SCHEMA out of the own schema, where that may be altered",
        Fence::Deed("CREATE TABLE evil.x (id int)"),
        &[Step::Sql("ALTER TABLE {schema}.{users} SET SCHEMA evil")],
        Harm::Changes,
    ),
    Way::new(
        "SET SCHEMA into the own schema",
        Fence::Deed("ALTER TABLE hr.salaries ADD COLUMN x int"),
        &[Step::Query("ALTER TABLE hr.salaries SET SCHEMA {schema}")],
        Harm::Changes,
    ),
    Way::new(
        "row security off, where tables may be altered",
        Fence::Deed("CREATE POLICY p ON {schema}.{users}"),
        &[Step::Sql("ALTER TABLE {schema}.{users} ADD COLUMN x int, DISABLE ROW LEVEL SECURITY")],
        Harm::Changes,
    )
    .setup("ALTER TABLE {schema}.{users} ENABLE ROW LEVEL SECURITY"),
];

/// For policies without the right to grant.
const GRANT: Fence = Fence::Deed("GRANT SELECT ON {schema}.{users} TO PUBLIC");

/// A server to connect to: this one.
const LOOP: &str = "CREATE EXTENSION postgres_fdw; DO $$BEGIN \
    EXECUTE format('CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host ''127.0.0.1'', port %L, dbname %L)', \
    current_setting('port'), current_database()); END$$; \
    CREATE USER MAPPING FOR {role} SERVER loop OPTIONS (user '{role}', password '{password}')";

/// A definition that no sane policy lets an application make.
const fn rare(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, Fence::Always, steps, Harm::Changes)
}

pub const RARE: &[Way] = &[
    rare("IMPORT FOREIGN SCHEMA", &[Step::Sql("IMPORT FOREIGN SCHEMA hr LIMIT TO (salaries) FROM SERVER loop INTO {schema}")])
        .setup(LOOP),
    rare(
        "CREATE FOREIGN TABLE",
        &[Step::Sql(
            "CREATE FOREIGN TABLE {schema}.remote (id int) SERVER loop OPTIONS (schema_name 'hr', table_name 'salaries')",
        )],
    )
    .setup(LOOP),
    rare("CREATE FOREIGN DATA WRAPPER", &[Step::Sql("CREATE FOREIGN DATA WRAPPER w")]),
    rare(
        "CREATE SERVER",
        &[Step::Sql("CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'evil.example')")],
    )
    .setup("CREATE EXTENSION postgres_fdw"),
    rare("ALTER SERVER", &[Step::Query("ALTER SERVER loop OPTIONS (SET host 'evil.example')")]).setup(LOOP),
    rare(
        "CREATE USER MAPPING",
        &[Step::Sql("CREATE USER MAPPING FOR PUBLIC SERVER loop OPTIONS (user 'boss', password 'x')")],
    )
    .setup(LOOP),
    rare(
        "CREATE SUBSCRIPTION",
        &[Step::Sql(
            "CREATE SUBSCRIPTION portcullis_s CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p \
             WITH (connect = false, slot_name = NONE)",
        )],
    )
    .undo("DROP SUBSCRIPTION IF EXISTS portcullis_s"),
    rare("CREATE PUBLICATION of everything", &[Step::Sql("CREATE PUBLICATION p FOR ALL TABLES")]),
    rare(
        "CREATE TRANSFORM",
        &[Step::Query(
            "CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), \
             TO SQL WITH FUNCTION int4recv(internal))",
        )],
    ),
    rare("CREATE CAST", &[Step::Sql("CREATE CAST (text AS int) WITH INOUT AS IMPLICIT")]),
    rare("CREATE ACCESS METHOD", &[Step::Sql("CREATE ACCESS METHOD m TYPE TABLE HANDLER heap_tableam_handler")]),
    rare("CREATE LANGUAGE", &[Step::Query("CREATE LANGUAGE l HANDLER plpgsql_call_handler")]),
    rare("CREATE EVENT TRIGGER", &[Step::Query("CREATE EVENT TRIGGER t ON sql_drop EXECUTE FUNCTION {schema}.nothing()")])
        .setup(
            "CREATE FUNCTION {schema}.nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        ),
    Way::new(
        "CREATE CONVERSION",
        DEFINE,
        &[Step::Query("CREATE DEFAULT CONVERSION {schema}.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8")],
        Harm::Changes,
    ),
    Way::new(
        "ALTER DEFAULT PRIVILEGES",
        GRANT,
        &[Step::Sql("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT ALL ON TABLES TO PUBLIC")],
        Harm::Changes,
    ),
    Way::new("COMMENT", DEFINE, &[Step::Sql("COMMENT ON TABLE {schema}.{users} IS 'b20'")], Harm::Changes),
    Way::new(
        "CREATE OPERATOR",
        Fence::Deed("SELECT evil.plus('x', 1)"),
        &[Step::Sql("CREATE OPERATOR {schema}.+ (leftarg = text, rightarg = int, function = evil.plus)")],
        Harm::Changes,
    ),
    Way::new(
        "CREATE OPERATOR CLASS",
        DEFINE,
        &[Step::Query("CREATE OPERATOR CLASS {schema}.c FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)")],
        Harm::Changes,
    ),
    Way::new(
        "CREATE TYPE with functions",
        Fence::Deed("SELECT evil.boom('x')"),
        &[Step::Query("CREATE TYPE {schema}.r AS RANGE (subtype = int, subtype_diff = evil.diff)")],
        Harm::Changes,
    )
    .setup("CREATE FUNCTION evil.diff(int, int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT 1.0::float8'"),
    Way::new("CREATE COLLATION", DEFINE, &[Step::Query("CREATE COLLATION {schema}.c FROM \"C\"")], Harm::Changes),
    Way::new("CREATE STATISTICS", DEFINE, &[Step::Query("CREATE STATISTICS {schema}.s ON id, name FROM {schema}.{users}")], Harm::Changes),
    Way::new(
        "CREATE TEXT SEARCH TEMPLATE",
        DEFINE,
        &[Step::Query("CREATE TEXT SEARCH TEMPLATE {schema}.t (lexize = dsimple_lexize)")],
        Harm::Changes,
    ),
];

/// A setting that outlives the session.
const fn persisted(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, Fence::Always, steps, Harm::Changes).undo(
        "ALTER ROLE {role} RESET ALL; ALTER ROLE ALL RESET ALL; ALTER ROLE {role} IN DATABASE {database} RESET ALL; \
         ALTER DATABASE {database} RESET ALL",
    )
}

pub const PERSISTED: &[Way] = &[
    persisted("ALTER ROLE … SET search_path", &[Step::Sql("ALTER ROLE {role} SET search_path = evil")]),
    persisted("ALTER USER CURRENT_USER", &[Step::Sql("ALTER USER CURRENT_USER SET row_security = off")]),
    persisted("ALTER ROLE ALL", &[Step::Sql("ALTER ROLE ALL SET session_replication_role = replica")]),
    persisted(
        "ALTER ROLE … IN DATABASE",
        &[Step::Query("ALTER ROLE {role} IN DATABASE {database} SET standard_conforming_strings = off")],
    ),
    persisted("ALTER DATABASE … SET", &[Step::Sql("ALTER DATABASE {database} SET search_path TO evil, public")]),
    persisted("… FROM CURRENT", &[Step::Query("ALTER DATABASE {database} SET search_path FROM CURRENT")]),
    persisted(
        "ALTER DATABASE, read-only off",
        &[Step::Query("ALTER DATABASE {database} SET default_transaction_read_only = off")],
    ),
    persisted("a setting that is not guarded", &[Step::Query("ALTER ROLE {role} SET work_mem = '1GB'")]),
    persisted(
        "ALTER FUNCTION … SET search_path",
        &[Step::Sql("ALTER FUNCTION {schema}.allowed_fn() SET search_path = evil")],
    ),
    persisted("ALTER PROCEDURE … SET role", &[Step::Query("ALTER PROCEDURE {schema}.purge() SET role = boss")]),
    persisted(
        "ALTER ROUTINE … SECURITY DEFINER",
        &[Step::Query("ALTER ROUTINE {schema}.allowed_fn() SET row_security = off SECURITY DEFINER")],
    ),
    persisted(
        "a function with its setting",
        &[Step::Query(
            "CREATE FUNCTION {schema}.x() RETURNS int LANGUAGE sql SET session_replication_role = replica AS 'SELECT 1'",
        )],
    ),
    persisted("ALTER ROLE … RESET of what protects", &[Step::Query("ALTER ROLE {role} RESET ALL")])
        .setup("ALTER ROLE {role} SET row_security = on"),
    persisted("ALTER SYSTEM", &[Step::Query("ALTER SYSTEM SET session_replication_role = replica")])
        .undo("ALTER SYSTEM RESET session_replication_role"),
];

/// An extension that opens something.
const fn extension(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, Fence::Always, steps, Harm::Changes)
}

pub const EXTENSIONS: &[Way] = &[
    extension("connections", &[Step::Sql("CREATE EXTENSION dblink")]),
    extension("files", &[Step::Sql("CREATE EXTENSION IF NOT EXISTS \"file_fdw\" WITH SCHEMA evil CASCADE")]),
    extension("files, writing", &[Step::Query("CREATE EXTENSION adminpack")]).majors(14, 16),
    extension("other servers", &[Step::Query("create extension postgres_fdw version '1.0'")]),
    extension("pages on disk", &[Step::Query("CREATE EXTENSION pageinspect")]),
    extension("what others ask", &[Step::Query("CREATE EXTENSION pg_stat_statements SCHEMA {schema}")]),
    extension("DROP EXTENSION", &[Step::Query("DROP EXTENSION plpgsql CASCADE")]),
    extension(
        "ALTER EXTENSION takes a function out",
        &[Step::Query("ALTER EXTENSION plpgsql DROP FUNCTION plpgsql_validator(oid)")],
    ),
    extension("ALTER EXTENSION moves its objects", &[Step::Query("ALTER EXTENSION citext SET SCHEMA evil")])
        .setup("CREATE EXTENSION citext"),
];
