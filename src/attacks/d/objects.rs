//! D1–D8 and D20: a table is forbidden, by whatever name it is reached.

use super::super::{Fence, Harm, Step, Way};
use super::policies::{
    COLUMN, COLUMN_ANYWHERE, COLUMN_DDL, LISTED, SCHEMA, TABLE, TABLE_ANYWHERE, TEMPORARY, TEMPORARY_READS,
};

/// What the forbidden table holds.
const SALARY: Harm = Harm::Tells("salary-1");

/// One way to read it.
const fn salary(how: &'static str, fence: Fence, steps: &'static [Step]) -> Way {
    Way::new(how, fence, steps, SALARY)
}

pub const D1: &[Way] = &[
    salary("quotes", TABLE, &[Step::Sql("SELECT amount FROM \"hr\".\"salaries\"")]),
    salary("upper case", TABLE, &[Step::Sql("SELECT amount FROM HR.Salaries")]),
    salary("both, without a path", TABLE_ANYWHERE, &[Step::Sql("SELECT AMOUNT FROM \"hr\" . SALARIES")]),
    salary("a comment in the name", TABLE, &[Step::Sql("SELECT amount FROM hr/**/./* x */salaries")]),
    salary("an alias", TABLE, &[Step::Sql("SELECT users.amount FROM hr.salaries AS users")]),
    salary("ONLY", TABLE, &[Step::Sql("SELECT amount FROM ONLY (hr.salaries)")]),
    salary("*", TABLE, &[Step::Sql("SELECT amount FROM hr.salaries *")]),
    Way::new(
        "a protected column in quotes",
        COLUMN,
        &[Step::Sql("SELECT \"ssn\", SSN FROM \"users\"")],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "a quoted table of upper case that a rule names",
        Fence::Own(
            "
policy: quoted
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: rows, actions: [select], tables: ['*']}
deny:
  - {rule: no-secrets, tables: ['\"Secrets\"']}
",
        ),
        &[Step::Sql("SELECT * FROM \"Secrets\"")],
        Harm::Tells("secret-1"),
    )
    .setup("CREATE TABLE {schema}.\"Secrets\" AS SELECT 'secret-1' AS x"),
];

pub const D2: &[Way] = &[
    salary("U&", TABLE, &[Step::Sql(r#"SELECT amount FROM hr.U&"\0073alaries""#)]),
    salary("U& of six digits", TABLE_ANYWHERE, &[Step::Sql(r#"SELECT amount FROM U&"\+000068r".salaries"#)]),
    salary("UESCAPE", TABLE, &[Step::Sql(r#"SELECT amount FROM hr.U&"!0073alaries" UESCAPE '!'"#)]),
    salary(
        "UESCAPE behind a comment",
        TABLE,
        &[Step::Sql("SELECT amount FROM hr.U&\"!0073alaries\" -- '\nUESCAPE '!'")],
    ),
    Way::new(
        "a protected column",
        COLUMN,
        &[Step::Sql(r#"SELECT U&"\0073sn" FROM U&"\0075sers""#)],
        Harm::Tells("ssn-1"),
    ),
];

/// 63 bytes of a name, and the table.
const LONG: &str =
    "CREATE TABLE hr.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa AS TABLE hr.salaries";
/// 62 bytes: the next character has two and would not fit.
const EDGE: &str =
    "CREATE TABLE hr.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa AS TABLE hr.salaries";
/// Both are forbidden.
const LONG_NAMES: Fence = Fence::Own(
    "
policy: long-names
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: rows, actions: [select], tables: ['*.*']}
deny:
  - rule: no-long-name
    tables:
      - hr.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      - hr.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
",
);

pub const D3: &[Way] = &[
    salary(
        "letters behind the 63rd",
        LONG_NAMES,
        &[Step::Sql("SELECT amount FROM hr.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaZZZ")],
    )
    .setup(LONG),
    salary(
        "in quotes",
        LONG_NAMES,
        &[Step::Sql("SELECT amount FROM hr.\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b.c\"")],
    )
    .setup(LONG),
    salary(
        "a character of two bytes at the edge",
        LONG_NAMES,
        &[Step::Sql("SELECT amount FROM hr.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaé")],
    )
    .setup(EDGE),
    salary(
        "U&, a character of two bytes at the edge",
        LONG_NAMES,
        &[Step::Sql(
            r#"SELECT amount FROM hr.U&"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\00e9""#,
        )],
    )
    .setup(EDGE),
    salary(
        "in a string",
        LONG_NAMES,
        &[Step::Sql(
            "SELECT table_to_xml('hr.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaZZZ', true, false, '')",
        )],
    )
    .setup(LONG),
];

pub const D4: &[Way] = &[
    salary("in FROM", TABLE, &[Step::Sql("SELECT amount FROM {database}.hr.salaries")]),
    salary("without a path", TABLE_ANYWHERE, &[Step::Sql("SELECT amount FROM {database}.hr.salaries")]),
    salary("the database in quotes", TABLE, &[Step::Sql("SELECT amount FROM \"{database}\".\"hr\".\"salaries\"")]),
    salary("in a write", TABLE, &[Step::Sql("UPDATE {database}.hr.salaries SET name = '' RETURNING amount")]),
    Way::new(
        "a protected column",
        COLUMN,
        &[Step::Sql("SELECT {database}.{schema}.users.ssn FROM {database}.{schema}.users")],
        Harm::Tells("ssn-1"),
    ),
];

pub const D5: &[Way] = &[
    salary("SET", TABLE, &[Step::Sql("SET search_path = hr"), Step::Sql("SELECT amount FROM salaries")]),
    salary(
        "SET without a path",
        TABLE_ANYWHERE,
        &[Step::Sql("SET search_path TO hr, public"), Step::Sql("SELECT amount FROM salaries")],
    ),
    salary(
        "SET LOCAL",
        TABLE_ANYWHERE,
        &[Step::Sql("BEGIN"), Step::Sql("SET LOCAL search_path = hr"), Step::Sql("SELECT amount FROM salaries")],
    ),
    salary("SET SCHEMA", TABLE, &[Step::Sql("SET SCHEMA 'hr'"), Step::Sql("SELECT amount FROM salaries")]),
    salary(
        "set_config",
        TABLE_ANYWHERE,
        &[Step::Sql("SELECT set_config('search_path', 'hr', false)"), Step::Sql("SELECT amount FROM salaries")],
    ),
    salary(
        "set_config with a bound value",
        TABLE,
        &[
            Step::Bound("SELECT set_config('search_path', $1, false)", &["hr"]),
            Step::Sql("SELECT amount FROM salaries"),
        ],
    ),
    salary("a startup parameter", TABLE, &[Step::Sql("SELECT amount FROM salaries")]).startup(&[("search_path", "hr")]),
    salary("options", TABLE_ANYWHERE, &[Step::Sql("SELECT amount FROM salaries")])
        .startup(&[("options", "-c search_path=hr")]),
    salary("the role's setting", TABLE_ANYWHERE, &[Step::Sql("SELECT amount FROM salaries")])
        .setup("ALTER ROLE {role} SET search_path = hr")
        .undo("ALTER ROLE {role} RESET search_path"),
    // The path goes with the startup packet and beats the role's own setting: the name finds nothing.
    salary("the role's setting, with a path", TABLE, &[Step::Sql("SELECT amount FROM salaries")])
        .setup("ALTER ROLE {role} SET search_path = hr")
        .undo("ALTER ROLE {role} RESET search_path")
        .harmless(),
    salary("a schema of the path that no rule names", LISTED, &[Step::Sql("SELECT amount FROM salaries")])
        .startup(&[("search_path", "public, hr")]),
    salary("an allowed name that a schema of the path has, too", LISTED, &[Step::Sql("SELECT amount FROM users")])
        .setup(
            "DROP TABLE {schema}.users CASCADE; DROP TABLE hr.users; CREATE VIEW hr.users AS TABLE hr.salaries; \
         ALTER ROLE {role} SET search_path = public, hr",
        )
        .undo("ALTER ROLE {role} RESET search_path"),
];

/// Sees a temporary relation where the real one was meant.
const SHADOWED: Harm = Harm::Session("SELECT count(*) FROM {users}", "0");
/// Policies that let nobody make temporary tables.
const NO_TEMPORARY: Fence = Fence::Deed("CREATE TEMP TABLE x (id int)");

pub const D6: &[Way] = &[
    Way::new(
        "a path of one name that reads like a list",
        TEMPORARY,
        &[
            Step::Sql("CREATE TEMP TABLE pg_class AS SELECT 'mine' AS relname"),
            Step::Sql("SET LOCAL search_path = 'public, pg_temp'"),
            Step::Query(
                "BEGIN; SET LOCAL search_path = 'public, pg_temp'; SELECT relname FROM pg_class WHERE relname = 'mine'",
            ),
        ],
        Harm::Tells("mine"),
    ),
    Way::new(
        "CREATE TEMP TABLE",
        NO_TEMPORARY,
        &[Step::Sql("CREATE TEMP TABLE {users} (LIKE {schema}.{users})")],
        SHADOWED,
    ),
    Way::new("pg_temp as the schema", NO_TEMPORARY, &[Step::Sql("CREATE TABLE pg_temp.{users} (id int)")], SHADOWED),
    Way::new(
        "CREATE TEMP VIEW",
        NO_TEMPORARY,
        &[Step::Sql("CREATE TEMP VIEW {users} AS SELECT WHERE false")],
        SHADOWED,
    ),
    Way::new("SELECT INTO TEMP", NO_TEMPORARY, &[Step::Sql("SELECT 1 AS id INTO TEMP {users} LIMIT 0")], SHADOWED),
    Way::new(
        "CREATE TEMP TABLE AS",
        NO_TEMPORARY,
        &[Step::Sql("CREATE LOCAL TEMPORARY TABLE {users} AS SELECT 1 AS id WITH NO DATA")],
        SHADOWED,
    ),
    Way::new(
        "PREPARE of a temporary table",
        NO_TEMPORARY,
        &[
            Step::Sql("PREPARE p AS SELECT 1 AS id"),
            Step::Sql("CREATE TEMP TABLE {users} AS EXECUTE p"),
            Step::Sql("DELETE FROM pg_temp.{users}"),
        ],
        SHADOWED,
    ),
    // pg_temp is last in the path that such a policy sends.
    Way::new(
        "a temporary table that is allowed",
        TEMPORARY,
        &[Step::Sql("CREATE TEMP TABLE users (id int)")],
        SHADOWED,
    )
    .harmless(),
    Way::new(
        "a protected column through a temporary view",
        TEMPORARY,
        &[Step::Sql("CREATE TEMP VIEW v AS SELECT ssn AS x FROM users"), Step::Sql("SELECT x FROM v")],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "a protected column through a temporary table",
        TEMPORARY,
        &[Step::Sql("CREATE TEMP TABLE t AS TABLE users"), Step::Sql("SELECT ssn FROM t")],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "a temporary parent of a real table",
        TEMPORARY,
        &[
            Step::Sql("CREATE TEMP TABLE p (id int NOT NULL, name text NOT NULL, ssn text, role text)"),
            Step::Sql("CREATE TEMP TABLE q (ssn text) INHERITS (users)"),
            Step::Sql("INSERT INTO q SELECT * FROM users"),
            Step::Sql("SELECT ssn FROM q"),
        ],
        Harm::Tells("ssn-1"),
    ),
];

/// A parent table with the columns of the protected one.
const PARENT: &str = "CREATE TABLE {schema}.above (id int NOT NULL, name text NOT NULL, ssn text, role text)";
/// A value of the protected column.
const SSN: Harm = Harm::Tells("ssn-1");

pub const D7: &[Way] = &[
    Way::new(
        "a write through a view whose column looks like an aggregate",
        TEMPORARY_READS,
        &[
            Step::Sql("CREATE TEMP VIEW v AS SELECT id, name, sum(s) AS x FROM stats s"),
            Step::Sql("UPDATE pg_temp.v SET name = 'x'"),
        ],
        Harm::Changes,
    )
    .setup("CREATE TABLE {schema}.stats (id int, sum int, name text); INSERT INTO {schema}.stats VALUES (1, 2, 'a')"),
    Way::new(
        "rows locked through a temporary view",
        TEMPORARY_READS,
        &[
            Step::Query("CREATE TEMP VIEW v AS SELECT id FROM users OFFSET 0"),
            Step::Query("BEGIN; SELECT id FROM pg_temp.v FOR UPDATE"),
        ],
        Harm::Server(
            "SELECT count(*) > 0 FROM pg_locks WHERE relation = '{schema}.{users}'::regclass AND mode = 'RowShareLock'",
        ),
    ),
    Way::new("everything of the owner of a denied table", SCHEMA, &[Step::Sql("DROP OWNED BY boss")], Harm::Changes)
        .setup("ALTER TABLE hr.salaries OWNER TO boss"),
    Way::new(
        "a write through a temporary view",
        TEMPORARY_READS,
        &[
            Step::Sql("CREATE TEMP VIEW v AS SELECT id, name FROM users"),
            Step::Sql("UPDATE pg_temp.v SET name = 'x' WHERE id = 1"),
        ],
        Harm::Changes,
    ),
    Way::new(
        "a write through a temporary view of a catalog",
        TEMPORARY_READS,
        &[
            Step::Sql("CREATE TEMP VIEW v AS SELECT * FROM pg_catalog.pg_proc"),
            Step::Sql("UPDATE pg_temp.v SET procost = 777 WHERE proname = 'onrow'"),
        ],
        Harm::Changes,
    ),
    Way::new(
        "a lock through a temporary view",
        TEMPORARY_READS,
        &[
            Step::Query("CREATE TEMP VIEW v AS SELECT u.id FROM users u, log"),
            Step::Query("BEGIN; LOCK TABLE pg_temp.v IN ACCESS EXCLUSIVE MODE"),
        ],
        Harm::Server(
            "SELECT count(*) > 0 FROM pg_locks WHERE relation = '{schema}.{users}'::regclass AND mode = 'AccessExclusiveLock'",
        ),
    ),
    salary(
        "the schema renamed, where all of DDL is allowed",
        SCHEMA,
        &[Step::Sql("ALTER SCHEMA hr RENAME TO rh"), Step::Sql("TABLE rh.salaries")],
    ),
    Way::new("the schema dropped, a decoy in it", SCHEMA, &[Step::Sql("DROP SCHEMA hr CASCADE")], Harm::Changes),
    Way::new(
        "all tables of the schema opened",
        SCHEMA,
        &[Step::Sql("GRANT SELECT ON ALL TABLES IN SCHEMA hr TO PUBLIC")],
        Harm::Changes,
    ),
    salary("a view", TABLE, &[Step::Sql("CREATE VIEW v AS TABLE hr.salaries"), Step::Sql("SELECT amount FROM v")]),
    salary(
        "a view without a path",
        TABLE_ANYWHERE,
        &[
            Step::Sql("CREATE OR REPLACE RECURSIVE VIEW {schema}.v (a) AS SELECT amount FROM hr.salaries"),
            Step::Sql("SELECT a FROM {schema}.v"),
        ],
    ),
    salary(
        "a materialized view",
        TABLE,
        &[Step::Sql("CREATE MATERIALIZED VIEW v AS SELECT amount FROM hr.salaries"), Step::Sql("TABLE v")],
    ),
    salary("a copy", TABLE, &[Step::Sql("CREATE TABLE x AS TABLE hr.salaries"), Step::Sql("TABLE x")]),
    salary("a rename", TABLE, &[Step::Sql("ALTER TABLE hr.salaries RENAME TO x"), Step::Sql("TABLE hr.x")]),
    salary(
        "a rename as of an index",
        TABLE_ANYWHERE,
        &[Step::Sql("ALTER INDEX hr.salaries RENAME TO x"), Step::Sql("TABLE hr.x")],
    ),
    salary(
        "another schema",
        TABLE,
        &[Step::Sql("ALTER TABLE hr.salaries SET SCHEMA {schema}"), Step::Sql("TABLE {schema}.salaries")],
    ),
    salary("the schema renamed", TABLE, &[Step::Sql("ALTER SCHEMA hr RENAME TO rh"), Step::Sql("TABLE rh.salaries")]),
    salary(
        "a parent",
        TABLE,
        &[
            Step::Sql("CREATE TABLE x (id int, name text, amount text)"),
            Step::Sql("ALTER TABLE hr.salaries INHERIT x"),
            Step::Sql("TABLE x"),
        ],
    ),
    salary(
        "a partition",
        TABLE,
        &[
            Step::Sql("CREATE TABLE x (id int, name text, amount text) PARTITION BY LIST (id)"),
            Step::Sql("ALTER TABLE x ATTACH PARTITION hr.salaries DEFAULT"),
            Step::Sql("TABLE x"),
        ],
    ),
    salary(
        "a rule",
        TABLE,
        &[
            Step::Sql("CREATE RULE r AS ON INSERT TO log DO INSTEAD SELECT amount FROM hr.salaries"),
            Step::Query("INSERT INTO log VALUES ('')"),
        ],
    ),
    Way::new(
        "a foreign key, which tells what it holds",
        TABLE,
        &[Step::Sql("CREATE TABLE x (id int REFERENCES hr.salaries (id))"), Step::Sql("INSERT INTO x VALUES (1)")],
        Harm::Runs,
    )
    .setup("ALTER TABLE hr.salaries ADD PRIMARY KEY (id)"),
    Way::new(
        "a view over a protected column",
        COLUMN_DDL,
        &[Step::Sql("CREATE VIEW v AS SELECT ssn AS x FROM users"), Step::Sql("TABLE v")],
        SSN,
    ),
    Way::new(
        "the table of a protected column renamed",
        COLUMN_DDL,
        &[Step::Sql("ALTER TABLE users RENAME TO x"), Step::Sql("TABLE x")],
        SSN,
    ),
    Way::new(
        "a protected column renamed",
        COLUMN_DDL,
        &[Step::Sql("ALTER TABLE users RENAME ssn TO x"), Step::Sql("SELECT x FROM users")],
        SSN,
    ),
    Way::new(
        "the table of a protected column in another schema",
        Fence::Own(
            "
policy: two-schemas
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: all-of-it, actions: [read, write, ddl], objects: ['*.*']}
deny:
  - {rule: no-ssn, columns: [public.users.ssn]}
",
        ),
        &[Step::Sql("ALTER TABLE users SET SCHEMA evil"), Step::Sql("TABLE evil.users")],
        SSN,
    ),
    Way::new(
        "a parent of the table of a protected column",
        COLUMN_DDL,
        &[Step::Sql("ALTER TABLE users INHERIT above"), Step::Sql("SELECT ssn FROM above")],
        SSN,
    )
    .setup(PARENT),
    Way::new(
        "a partition with a protected column",
        COLUMN_DDL,
        &[
            Step::Sql("CREATE TABLE x (LIKE above) PARTITION BY LIST (id)"),
            Step::Sql("ALTER TABLE x ATTACH PARTITION users DEFAULT"),
            Step::Sql("SELECT ssn FROM x"),
        ],
        SSN,
    )
    .setup(PARENT),
    Way::new(
        "a rule on the table of a protected column",
        COLUMN_DDL,
        &[
            Step::Sql("CREATE RULE r AS ON UPDATE TO users DO INSTEAD SELECT old.ssn"),
            Step::Query("UPDATE users SET name = ''"),
        ],
        SSN,
    ),
    Way::new(
        "the TOAST table",
        COLUMN_ANYWHERE,
        &[Step::Bytes(
            |_| {
                // The table's OID stands in the name, and {schema}.toasted has the name in it.
                super::super::frames::query("TABLE pg_toast.portcullis_toasted")
            },
            1,
        )],
        // The bytes of `toasted-1`.
        Harm::Tells("746f61737465642d31"),
    )
    .setup(
        "CREATE TABLE {schema}.toasted (x text); ALTER TABLE {schema}.toasted ALTER x SET STORAGE EXTERNAL; \
         INSERT INTO {schema}.toasted VALUES (repeat('toasted-1', 1000)); SET allow_system_table_mods = on; \
         DO $$BEGIN EXECUTE (SELECT format('ALTER TABLE pg_toast.%I RENAME TO portcullis_toasted', t.relname) \
         FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.relname = 'toasted'); END$$; \
         RESET allow_system_table_mods",
    ),
    Way::new(
        "large objects",
        COLUMN_ANYWHERE,
        &[Step::Sql("SELECT encode(data, 'escape') FROM pg_largeobject")],
        Harm::Tells("large-1"),
    )
    .setup("SELECT lo_from_bytea(0, 'large-1')"),
];

pub const D8: &[Way] = &[
    Way::new(
        "table_to_xml of a bound name",
        COLUMN,
        &[Step::Bound("SELECT table_to_xml($1, true, false, '')", &["users"])],
        SSN,
    ),
    Way::new(
        "table_to_xml of a bound number",
        COLUMN_ANYWHERE,
        &[Step::Bound("SELECT table_to_xml($1::text::regclass, true, false, '')", &["users"])],
        SSN,
    ),
    Way::new(
        "a constant regclass",
        COLUMN,
        &[Step::Sql("SELECT table_to_xml('users'::regclass, true, false, '')")],
        SSN,
    ),
    Way::new(
        "a constant regclass with its schema",
        COLUMN,
        &[Step::Sql("SELECT table_to_xml(regclass '{schema}.\"users\"', true, false, '')")],
        SSN,
    ),
    Way::new(
        "the OID out of pg_class",
        COLUMN,
        &[Step::Sql("SELECT table_to_xml(oid, true, false, '') FROM pg_class WHERE relname = 'users'")],
        SSN,
    ),
    Way::new("to_regclass", COLUMN, &[Step::Sql("SELECT table_to_xml(to_regclass('users'), true, false, '')")], SSN),
    Way::new(
        "a query put together",
        COLUMN,
        &[Step::Sql("SELECT query_to_xml(format('select %I from users', 'ssn'), true, false, '')")],
        SSN,
    ),
    Way::new(
        "a query of two pieces",
        COLUMN,
        &[Step::Sql("SELECT query_to_xml('select ssn ' || 'from users', true, false, '')")],
        SSN,
    ),
    Way::new(
        "a bound query",
        COLUMN_ANYWHERE,
        &[Step::Bound("SELECT query_to_xml($1, true, false, '')", &["select ssn from users"])],
        SSN,
    ),
    Way::new(
        "a bound query of PREPARE",
        COLUMN,
        &[
            Step::Sql("PREPARE p(text) AS SELECT query_to_xml($1, true, false, '')"),
            Step::Sql("EXECUTE p('select ssn from users')"),
        ],
        SSN,
    ),
    Way::new("a schema", COLUMN, &[Step::Sql("SELECT schema_to_xml('{schema}', true, false, '')")], SSN),
    Way::new("the database", COLUMN, &[Step::Sql("SELECT database_to_xml(true, false, '')")], SSN),
    salary("a forbidden table", TABLE, &[Step::Sql("SELECT table_to_xml('hr.salaries', true, false, '')")]),
    salary(
        "a forbidden table in upper case",
        TABLE_ANYWHERE,
        &[Step::Sql("SELECT table_to_xml(' HR . Salaries ', true, false, '')")],
    ),
];

/// Something that its owner would not like to see told.
const MAPPED: &str = "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER far FOREIGN DATA WRAPPER nothing; \
                      CREATE USER MAPPING FOR {role} SERVER far OPTIONS (user 'x', password 'mapped-1')";
const MAPPED_TOLD: Harm = Harm::Tells("mapped-1");
/// What another session runs. The statement that looks for it does not hold it.
const OTHERS: Harm = Harm::Tells("other people's work");

pub const D20: &[Way] = &[
    Way::new(
        "pg_authid",
        Fence::Always,
        &[Step::Sql("SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = '{role}'")],
        Harm::Tells("SCRAM-SHA-256"),
    ),
    Way::new(
        "pg_shadow",
        Fence::Always,
        &[Step::Sql("SELECT left(passwd, 13) FROM pg_catalog.pg_shadow WHERE usename = '{role}'")],
        Harm::Tells("SCRAM-SHA-256"),
    ),
    Way::new("pg_user_mapping", Fence::Always, &[Step::Sql("SELECT umoptions FROM pg_user_mapping")], MAPPED_TOLD)
        .setup(MAPPED),
    Way::new("pg_user_mappings", Fence::Always, &[Step::Sql("SELECT umoptions FROM pg_user_mappings")], MAPPED_TOLD)
        .setup(MAPPED),
    Way::new(
        "information_schema.user_mapping_options",
        Fence::Always,
        &[Step::Sql("SELECT option_value FROM information_schema.user_mapping_options")],
        MAPPED_TOLD,
    )
    .setup(MAPPED),
    Way::new(
        "pg_subscription.subconninfo",
        Fence::Always,
        &[Step::Sql("SELECT subconninfo FROM pg_subscription")],
        Harm::Tells("subscribed-1"),
    )
    .setup(
        "CREATE SUBSCRIPTION far CONNECTION 'host=127.0.0.1 password=subscribed-1' PUBLICATION p \
         WITH (connect = false, enabled = false, create_slot = false, slot_name = NONE)",
    )
    .undo("DROP SUBSCRIPTION far"),
    Way::new(
        "* of pg_subscription",
        Fence::Always,
        &[Step::Sql("SELECT s::text FROM pg_subscription s")],
        Harm::Tells("subscribed-1"),
    )
    .setup(
        "CREATE SUBSCRIPTION far CONNECTION 'host=127.0.0.1 password=subscribed-1' PUBLICATION p \
         WITH (connect = false, enabled = false, create_slot = false, slot_name = NONE)",
    )
    .undo("DROP SUBSCRIPTION far"),
    Way::new(
        "pg_stat_activity.query",
        Fence::Always,
        &[
            Step::Elsewhere("SELECT 1 -- other people's work"),
            Step::Sql("SELECT query FROM pg_stat_activity WHERE query ~ 'peopl[e]' AND pid <> pg_backend_pid()"),
        ],
        OTHERS,
    ),
    Way::new(
        "pg_stat_get_activity",
        Fence::Always,
        &[
            Step::Elsewhere("SELECT 1 -- other people's work"),
            Step::Sql(
                "SELECT query FROM pg_stat_get_activity(NULL) WHERE query ~ 'peopl[e]' AND pid <> pg_backend_pid()",
            ),
        ],
        OTHERS,
    ),
    Way::new(
        "pg_stat_get_backend_activity",
        Fence::Always,
        &[
            Step::Elsewhere("SELECT 1 -- other people's work"),
            Step::Sql(
                "SELECT q FROM pg_stat_get_backend_idset() i, pg_stat_get_backend_activity(i) q \
                 WHERE q ~ 'peopl[e]' AND pg_stat_get_backend_pid(i) <> pg_backend_pid()",
            ),
        ],
        OTHERS,
    ),
    Way::new(
        "pg_stat_statements",
        Fence::Deed("SELECT query FROM pg_stat_statements"),
        &[Step::Sql("SELECT \"query\" FROM {schema}.PG_STAT_STATEMENTS")],
        OTHERS,
    )
    .setup("CREATE VIEW {schema}.pg_stat_statements AS SELECT 'other people''s work' AS query"),
    Way::new(
        "pg_hba_file_rules",
        Fence::Always,
        &[Step::Sql("SELECT DISTINCT type FROM pg_hba_file_rules WHERE type = 'host'")],
        Harm::Tells("host"),
    ),
    Way::new(
        "pg_file_settings",
        Fence::Always,
        &[Step::Sql("SELECT count(*), 'read' || 'able' FROM pg_file_settings")],
        Harm::Tells("readable"),
    ),
    Way::new(
        "pg_config",
        Fence::Always,
        &[Step::Sql("SELECT name FROM pg_config WHERE name = 'BIN' || 'DIR'")],
        Harm::Tells("BINDIR"),
    ),
    Way::new(
        "pg_db_role_setting",
        Fence::Always,
        &[Step::Sql("SELECT setconfig FROM pg_db_role_setting")],
        Harm::Tells("work_mem=4321kB"),
    )
    .setup("ALTER ROLE {role} SET work_mem = '4321kB'")
    .undo("ALTER ROLE {role} RESET work_mem"),
];
