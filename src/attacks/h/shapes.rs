//! Statements that share what others take for a fingerprint: a harmless one first, then its twin.

use super::APPLICATION;
use crate::attacks::frames::{query, run, sync};
use crate::attacks::{Fence, Harm, Step, Target, Way};

/// A column that nobody may see was told.
const TOLD: Harm = Harm::Tells("ssn-1");

pub const CONSTANTS: &[Way] = &[
    Way::new(
        "the name in set_config: role",
        APPLICATION,
        &[
            Step::Sql("SELECT set_config('application_name', 'boss', false)"),
            Step::Sql("SELECT set_config('role', 'boss', false)"),
        ],
        Harm::Session("SELECT current_user", "boss"),
    ),
    Way::new(
        "the name in set_config, bound: search_path",
        APPLICATION,
        &[
            Step::Bound("SELECT set_config($1, $2, false)", &["app.tenant", "hr"]),
            Step::Bound("SELECT set_config($1, $2, false)", &["search_path", "hr"]),
        ],
        Harm::Session("SHOW search_path", "hr"),
    ),
    Way::new(
        "the query in query_to_xml",
        APPLICATION,
        &[
            Step::Sql("SELECT query_to_xml('SELECT 1', true, false, '')"),
            Step::Sql("SELECT query_to_xml('SELECT ssn FROM {users}', true, false, '')"),
        ],
        TOLD,
    ),
    Way::new(
        "the relation in a cast to regclass",
        APPLICATION,
        &[
            Step::Sql("SELECT table_to_xml('public.parent'::regclass, true, false, '')"),
            Step::Sql("SELECT table_to_xml('public.{users}'::regclass, true, false, '')"),
        ],
        TOLD,
    ),
    Way::new(
        "the sequence in nextval",
        APPLICATION,
        &[Step::Sql("SELECT nextval('public.counter')"), Step::Sql("SELECT nextval('hr.counter')")],
        Harm::Server("SELECT is_called FROM hr.counter"),
    )
    .setup("CREATE SEQUENCE hr.counter"),
    Way::new(
        "the file in pg_read_file",
        Fence::Always,
        &[Step::Sql("SELECT length('PG_VERSION')"), Step::Sql("SELECT 'read ' || pg_read_file('PG_VERSION')")],
        Harm::Tells("read 1"),
    ),
    Way::new(
        "the key in a JSON path is plain, the column is not",
        APPLICATION,
        &[
            Step::Query("SELECT to_json(u) ->> 'name' FROM (SELECT name FROM {users}) u"),
            Step::Query("SELECT to_json(u) ->> 'ssn' FROM {users} u"),
        ],
        TOLD,
    ),
];

pub const UTILITY: &[Way] = &[
    Way::new(
        "SET search_path",
        APPLICATION,
        &[Step::Sql("SET search_path = public"), Step::Sql("SET search_path = evil")],
        Harm::Session("SHOW search_path", "evil"),
    ),
    Way::new(
        "SET ROLE",
        APPLICATION,
        &[Step::Sql("SET ROLE NONE"), Step::Sql("SET ROLE boss")],
        Harm::Session("SELECT current_user", "boss"),
    ),
    Way::new(
        "BEGIN READ WRITE",
        Fence::Deed("INSERT INTO {schema}.log VALUES ('x')"),
        &[
            Step::Sql("BEGIN READ ONLY"),
            Step::Sql("COMMIT"),
            Step::Sql("BEGIN READ WRITE"),
            Step::Sql("INSERT INTO {schema}.log VALUES ('h2')"),
            Step::Sql("COMMIT"),
        ],
        Harm::Changes,
    ),
    Way::new(
        "SET TRANSACTION READ WRITE",
        Fence::Deed("INSERT INTO {schema}.log VALUES ('x')"),
        &[
            Step::Query("BEGIN; SET TRANSACTION READ ONLY; COMMIT"),
            Step::Query("BEGIN; SET TRANSACTION READ WRITE; INSERT INTO {schema}.log VALUES ('h2'); COMMIT"),
        ],
        Harm::Changes,
    ),
    Way::new(
        "the body of DO",
        APPLICATION,
        &[Step::Sql("DO $$BEGIN PERFORM 1; END$$"), Step::Sql("DO $$BEGIN DELETE FROM hr.salaries; END$$")],
        Harm::Changes,
    ),
    Way::new(
        "the body of a function",
        APPLICATION,
        &[
            Step::Sql("CREATE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
            Step::Sql(
                "CREATE OR REPLACE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'DELETE FROM hr.salaries RETURNING id'",
            ),
            Step::Sql("SELECT public.own()"),
        ],
        Harm::Server("SELECT count(*) = 0 FROM hr.salaries"),
    ),
    Way::new(
        "the language of a function",
        APPLICATION,
        &[
            Step::Query("CREATE FUNCTION public.own(text) RETURNS text LANGUAGE sql AS 'SELECT 1::text'"),
            Step::Query("CREATE OR REPLACE FUNCTION public.own(text) RETURNS text LANGUAGE internal AS 'current_user'"),
        ],
        Harm::Server(
            "SELECT count(*) > 0 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = prolang \
                      WHERE proname = 'own' AND lanname = 'internal'",
        ),
    ),
    Way::new(
        "EXECUTE of another name",
        APPLICATION,
        &[
            Step::Sql("PREPARE a AS SELECT name FROM {users}"),
            Step::Sql("EXECUTE a"),
            Step::Sql("PREPARE b AS SELECT ssn FROM {users}"),
            Step::Sql("EXECUTE b"),
        ],
        TOLD,
    ),
    Way::new(
        "DECLARE of another name",
        APPLICATION,
        &[
            Step::Sql("BEGIN"),
            Step::Sql("DECLARE c CURSOR FOR SELECT name FROM {users}"),
            Step::Sql("DECLARE d CURSOR FOR SELECT ssn FROM {users}"),
            Step::Sql("FETCH 3 FROM d"),
        ],
        TOLD,
    ),
    Way::new(
        "ALTER SYSTEM",
        Fence::Always,
        &[Step::Query("SHOW work_mem"), Step::Query("ALTER SYSTEM SET work_mem = '5MB'")],
        Harm::Changes,
    )
    .undo("ALTER SYSTEM RESET work_mem"),
];

/// A column at the bottom of so many levels.
fn deep(target: &Target, column: &str, open: &str, close: &str, levels: usize) -> String {
    let bottom = target.fill(&format!("(SELECT {column} FROM {{users}} WHERE id = 1)"));
    format!("SELECT {}{bottom}{}", open.repeat(levels), close.repeat(levels))
}

/// A harmless statement of this depth by Query, and its twin.
fn twins(target: &Target, open: &str, close: &str, levels: usize) -> Vec<u8> {
    ["name", "ssn"].map(|column| query(&deep(target, column, open, close, levels))).concat()
}

/// Sub-selects in FROM within each other.
fn from(target: &Target, column: &str, levels: usize) -> String {
    let bottom = target.fill(&format!("SELECT {column} AS x FROM {{users}}"));
    format!("{}{bottom}{}", "SELECT x FROM (".repeat(levels), ") s".repeat(levels))
}

/// CTEs within each other.
fn ctes(target: &Target, column: &str, levels: usize) -> String {
    let bottom = target.fill(&format!("SELECT {column} AS x FROM {{users}}"));
    format!("{}{bottom}{}", "WITH w AS (".repeat(levels), ") SELECT x FROM w".repeat(levels))
}

/// A UNION of so many arms, with the column in the last one.
fn arms(target: &Target, column: &str, count: usize) -> String {
    let last = target.fill(&format!("SELECT {column} FROM {{users}}"));
    format!("{}{last}", "SELECT 'x' UNION ALL ".repeat(count))
}

pub const DEPTH: &[Way] = &[
    Way::new(
        "60 scalar sub-selects",
        APPLICATION,
        &[Step::Bytes(|target| twins(target, "(SELECT ", ")", 60), 2)],
        TOLD,
    ),
    Way::new("80 calls", APPLICATION, &[Step::Bytes(|target| twins(target, "upper(lower(", "))", 40), 2)], TOLD_UPPER),
    Way::new(
        "60 sub-selects in FROM, by Parse",
        APPLICATION,
        &[Step::Bytes(
            |target| ["name", "ssn"].map(|column| [run(&from(target, column, 60), &[]), sync()].concat()).concat(),
            2,
        )],
        TOLD,
    ),
    Way::new(
        "60 CTEs",
        APPLICATION,
        &[Step::Bytes(|target| ["name", "ssn"].map(|column| query(&ctes(target, column, 60))).concat(), 2)],
        TOLD,
    ),
    Way::new(
        "300 arms of a UNION",
        APPLICATION,
        &[Step::Bytes(|target| ["name", "ssn"].map(|column| query(&arms(target, column, 300))).concat(), 2)],
        TOLD,
    ),
];

/// The same, in capitals.
const TOLD_UPPER: Harm = Harm::Tells("SSN-1");

/// A long statement whose last word is a column.
fn long(target: &Target, column: &str, padding: &str) -> String {
    target.fill(&format!("SELECT {padding}, {column} FROM {{users}}"))
}

pub const LENGTH: &[Way] = &[
    Way::new(
        "behind 100,000 bytes of columns",
        APPLICATION,
        &[Step::Bytes(
            |target| {
                let padding = vec!["id"; 1_600].join(&format!(",{}", " ".repeat(60)));
                ["name", "ssn"].map(|column| query(&long(target, column, &padding))).concat()
            },
            2,
        )],
        TOLD,
    ),
    Way::new(
        "behind a comment of 100,000 bytes",
        APPLICATION,
        &[Step::Bytes(
            |target| {
                let padding = format!("/*{}*/ id", "x".repeat(100_000));
                ["name", "ssn"].map(|column| query(&long(target, column, &padding))).concat()
            },
            2,
        )],
        TOLD,
    ),
    Way::new(
        "behind a literal of 100,000 bytes, by Parse",
        APPLICATION,
        &[Step::Bytes(
            |target| {
                let padding = format!("length('{}')", "x".repeat(100_000));
                let one = |column| [run(&long(target, column, &padding), &[]), sync()].concat();
                ["name", "ssn"].map(one).concat()
            },
            2,
        )],
        TOLD,
    ),
    Way::new(
        "behind 2,000 statements",
        APPLICATION,
        &[Step::Bytes(
            |target| {
                let many = "SELECT 1;".repeat(2_000);
                ["name", "ssn"].map(|column| query(&(many.clone() + &long(target, column, "1")))).concat()
            },
            2,
        )],
        TOLD,
    ),
];

/// Tables may be altered and renamed, and one column not be read.
const RENAMES: Fence = Fence::Own(
    "policy: renames
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: schema, actions: [read, write, ddl], objects: ['public.*']}]
deny: [{rule: ssn, columns: [users.ssn]}]
",
);

pub const MEANING: &[Way] = &[
    Way::new(
        "the path",
        Fence::Always,
        &[
            Step::Sql("SELECT name FROM {users}"),
            Step::Sql("SET search_path = hr"),
            Step::Sql("SELECT ssn FROM {users}"),
        ],
        Harm::Tells("hr-ssn-1"),
    ),
    Way::new(
        "the path of the transaction",
        Fence::Always,
        &[Step::Query("BEGIN; SET LOCAL search_path TO hr, {schema}"), Step::Query("SELECT ssn FROM {users}")],
        Harm::Tells("hr-ssn-1"),
    ),
    Way::new(
        "the path of the startup packet",
        Fence::Always,
        &[Step::Query("SELECT ssn FROM {users}")],
        Harm::Tells("hr-ssn-1"),
    )
    .startup(&[("options", "-c search_path=hr")]),
    Way::new(
        "a temporary table",
        Fence::Deed("CREATE TEMP TABLE x (id int)"),
        &[
            Step::Sql("CREATE TEMP TABLE {users} AS SELECT 1 AS id, 'forged'::text AS name"),
            Step::Sql("SELECT name FROM {users}"),
        ],
        Harm::Tells("forged"),
    ),
    Way::new(
        "a temporary view",
        Fence::Deed("CREATE TEMP TABLE x (id int)"),
        &[
            Step::Query("CREATE TEMPORARY VIEW {users} AS SELECT name, amount AS ssn FROM hr.salaries"),
            Step::Query("SELECT ssn FROM {users}"),
        ],
        Harm::Tells("salary-1"),
    ),
    Way::new(
        "another table gets the name",
        Fence::Deed("ALTER TABLE hr.salaries ADD COLUMN x int"),
        &[
            Step::Query("ALTER TABLE {schema}.{users} RENAME TO before"),
            Step::Query("ALTER TABLE hr.{users} SET SCHEMA {schema}"),
            Step::Query("SELECT ssn FROM {schema}.{users}"),
        ],
        Harm::Tells("hr-ssn-1"),
    ),
    Way::new(
        "the table gets another name than the rule's",
        RENAMES,
        &[Step::Sql("ALTER TABLE {users} RENAME TO harmless"), Step::Sql("SELECT ssn FROM harmless")],
        TOLD,
    ),
    Way::new(
        "the column gets another name than the rule's",
        RENAMES,
        &[Step::Query("ALTER TABLE {users} RENAME ssn TO harmless"), Step::Query("SELECT harmless FROM {users}")],
        TOLD,
    ),
];
