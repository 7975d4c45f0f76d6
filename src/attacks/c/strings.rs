//! C9–C12, C16, C20: SQL in a string, and arguments that are hard to read.

use super::super::{Fence, Harm, Step, Way};

/// Policies that don't let this table be read.
const READ: Fence = Fence::Deed("SELECT * FROM hr.salaries");
/// What it holds.
const SALARY: Harm = Harm::Tells("salary-1");
/// Policies that don't let the function of the attack run: it writes.
const CALL: Fence = Fence::Deed("SELECT evil.boom('x')");

/// One statement that reads the table.
const fn reads(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, READ, steps, SALARY)
}

/// One statement that writes.
const fn writes(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, CALL, steps, Harm::Changes)
}

pub const C9: &[Way] = &[
    reads("query_to_xml", &[Step::Sql("SELECT query_to_xml('select amount from hr.salaries', true, false, '')")]),
    reads(
        "query_to_xml_and_xmlschema",
        &[Step::Sql("SELECT query_to_xml_and_xmlschema('table hr.salaries', true, false, '')")],
    ),
    reads("table_to_xml", &[Step::Sql("SELECT table_to_xml('hr.salaries', true, false, '')")]),
    reads(
        "table_to_xml_and_xmlschema",
        &[Step::Sql("SELECT table_to_xml_and_xmlschema('hr.salaries', true, false, '')")],
    ),
    reads("schema_to_xml", &[Step::Sql("SELECT schema_to_xml('hr', true, false, '')")]),
    reads("database_to_xml", &[Step::Sql("SELECT database_to_xml(true, false, '')")]),
    reads(
        "a string in a string",
        &[Step::Sql(
            "SELECT query_to_xml('select query_to_xml(''select amount from hr.salaries'', true, false, '''')', true, false, '')",
        )],
    ),
    reads("dollar quotes", &[Step::Sql("SELECT query_to_xml($a$table hr.salaries$a$, true, false, '')")]),
    reads("an escape string", &[Step::Sql(r"SELECT query_to_xml(E'table hr.\x73alaries', true, false, '')")]),
    reads("a Unicode string", &[Step::Sql(r"SELECT query_to_xml(U&'table hr.\0073alaries', true, false, '')")]),
    reads("a string in two lines", &[Step::Sql("SELECT query_to_xml('table hr.sal'\n'aries', true, false, '')")]),
    reads("pieces", &[Step::Sql("SELECT query_to_xml('table hr.' || 'salaries', true, false, '')")]),
    reads("a bound string", &[Step::Bound("SELECT query_to_xml($1, true, false, '')", &["table hr.salaries"])]),
    reads(
        "a string out of a table",
        &[Step::Sql("SELECT query_to_xml(q, true, false, '') FROM (VALUES ('table hr.salaries')) v(q)")],
    ),
    reads("in FROM", &[Step::Sql("SELECT * FROM pg_catalog.query_to_xml('table hr.salaries', true, false, '')")]),
    reads(
        "cursor_to_xml",
        &[
            Step::Sql("BEGIN"),
            Step::Sql("DECLARE c CURSOR FOR TABLE hr.salaries"),
            Step::Sql("SELECT cursor_to_xml('c', 9, true, false, '')"),
        ],
    ),
    Way::new(
        "cursor_to_xml of a function's cursor",
        Fence::Own(
            "
policy: cursors
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: rows, actions: [select], tables: ['*']}
  - {rule: calls, actions: [call], functions: [public.open_report]}
",
        ),
        &[
            Step::Sql("BEGIN"),
            Step::Sql("SELECT open_report('c')"),
            Step::Sql("SELECT cursor_to_xml('c', 9, true, false, '')"),
        ],
        SALARY,
    )
    .setup(
        "CREATE FUNCTION {schema}.open_report(c refcursor) RETURNS refcursor LANGUAGE plpgsql AS \
         $$BEGIN OPEN c FOR SELECT * FROM hr.salaries; RETURN c; END$$",
    ),
    Way::new(
        "query_to_xmlschema",
        READ,
        &[Step::Sql("SELECT query_to_xmlschema('table hr.salaries', true, false, '')")],
        Harm::Tells("amount"),
    ),
    Way::new(
        "table_to_xmlschema",
        READ,
        &[Step::Sql("SELECT table_to_xmlschema('hr.salaries', true, false, '')")],
        Harm::Tells("amount"),
    ),
    Way::new(
        "schema_to_xmlschema",
        READ,
        &[Step::Sql("SELECT schema_to_xmlschema('hr', true, false, '')")],
        Harm::Tells("complexType"),
    ),
    writes(
        "a write through a volatile function",
        &[Step::Sql("SELECT query_to_xml('select evil.boom(''q'')', true, false, '')")],
    ),
    writes(
        "a write through a default of the inner statement",
        &[Step::Sql("SELECT query_to_xml('select 1 where evil.boom(''q'') = ''''', true, false, '')")],
    ),
    Way::new(
        "a file through it",
        Fence::Always,
        &[Step::Sql(
            "SELECT query_to_xml('select ''read '' || length(pg_read_file(''PG_VERSION''))', true, false, '')",
        )],
        Harm::Tells("read 3"),
    ),
];

pub const C10: &[Way] = &[
    Way::new(
        "ts_stat reads",
        READ,
        &[Step::Sql("SELECT word FROM ts_stat('select to_tsvector(''simple'', amount) from hr.salaries')")],
        Harm::Tells("salary"),
    ),
    Way::new(
        "ts_stat of a bound string",
        READ,
        &[Step::Bound("SELECT word FROM ts_stat($1)", &["select to_tsvector('simple', amount) from hr.salaries"])],
        Harm::Tells("salary"),
    ),
    Way::new(
        "ts_stat with weights",
        READ,
        &[Step::Sql(
            "SELECT word FROM pg_catalog.ts_stat('select to_tsvector(''simple'', amount) from hr.salaries', 'd')",
        )],
        Harm::Tells("salary"),
    ),
    writes("ts_stat writes", &[Step::Sql("SELECT * FROM ts_stat('select to_tsvector(evil.boom(''a''))')")]),
    writes(
        "ts_rewrite writes",
        &[Step::Sql("SELECT ts_rewrite('a'::tsquery, 'select ''a''::tsquery, evil.boom(''b'')::tsquery')")],
    ),
    Way::new(
        "ts_rewrite reads",
        READ,
        &[Step::Sql(
            "SELECT ts_rewrite('a'::tsquery, 'select ''a''::tsquery, quote_literal(amount)::tsquery from hr.salaries')",
        )],
        SALARY,
    ),
    writes(
        "ts_rewrite of pieces",
        &[Step::Sql("SELECT ts_rewrite('a'::tsquery, 'select ''a''::tsquery, evil.b' || 'oom(''b'')::tsquery')")],
    ),
];

pub const C11: &[Way] = &[
    reads(
        "crosstab",
        &[Step::Sql(
            "SELECT * FROM crosstab('select name, id, amount from hr.salaries order by 1, 2') AS t(name text, a text)",
        )],
    )
    .setup(TABLEFUNC),
    reads("crosstab2", &[Step::Sql("SELECT * FROM crosstab2('select name, id::text, amount from hr.salaries')")])
        .setup(TABLEFUNC),
    reads(
        "crosstab with categories",
        &[Step::Sql(
            "SELECT * FROM crosstab('select name, id, amount from hr.salaries', 'select 1') AS t(name text, a text)",
        )],
    )
    .setup(TABLEFUNC),
    reads(
        "crosstab of a bound string",
        &[Step::Bound(
            "SELECT * FROM crosstab($1) AS t(name text, a text)",
            &["select name, id, amount from hr.salaries"],
        )],
    )
    .setup(TABLEFUNC),
    reads(
        "connectby",
        &[Step::Sql(
            "SELECT * FROM connectby('hr.salaries', 'amount', 'name', 'ann', 1) AS t(k text, p text, level int)",
        )],
    )
    .setup(TABLEFUNC),
    writes(
        "crosstab writes",
        &[Step::Sql("SELECT * FROM crosstab('select evil.boom(''a''), 1, ''b''::text') AS t(name text, a text)")],
    )
    .setup(TABLEFUNC),
];

const TABLEFUNC: &str = "CREATE EXTENSION tablefunc";

/// Policies that let nothing be written.
const WRITE: Fence = Fence::Deed("INSERT INTO {schema}.log VALUES ('x')");

pub const C12: &[Way] = &[
    Way::new(
        "a write behind a condition",
        WRITE,
        &[Step::Sql(
            "SELECT * FROM xpath_table('id', 'name', '{users}', '/a', \
             '1=1; INSERT INTO {schema}.log VALUES (''xp''); SELECT id, name FROM {users}') AS t(id int, x text)",
        )],
        Harm::Changes,
    )
    .setup("CREATE EXTENSION xml2"),
    Way::new(
        "a write in the table's place",
        WRITE,
        &[Step::Sql(
            "SELECT * FROM xpath_table('id', 'name', '{users} WHERE false; INSERT INTO {schema}.log VALUES (''xp''); \
             SELECT 1, ''<a/>''; --', '/a', 'true') AS t(id int, x text)",
        )],
        Harm::Changes,
    )
    .setup("CREATE EXTENSION xml2"),
    Way::new(
        "a write in a bound condition",
        WRITE,
        &[Step::Bound(
            "SELECT * FROM xpath_table('id', 'name', '{users}', '/a', $1) AS t(id int, x text)",
            &["1=1; INSERT INTO log VALUES ('xp'); SELECT 1, '<a/>'"],
        )],
        Harm::Changes,
    )
    .setup("CREATE EXTENSION xml2; CREATE TABLE IF NOT EXISTS public.log (msg text)"),
];

/// Policies that don't let the table be dropped.
const DROP: Fence = Fence::Deed("DROP TABLE {schema}.{users}");

/// One call that leaves SQL with somebody else.
const fn leaves(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, DROP, steps, Harm::Changes)
}

/// Stand-ins: they keep the signature of the extension's function, and run the text at once.
macro_rules! runs {
    ($schema:literal, $function:literal, $result:literal) => {
        concat!(
            "CREATE SCHEMA ",
            $schema,
            "; CREATE FUNCTION ",
            $schema,
            ".",
            $function,
            " RETURNS ",
            $result,
            " LANGUAGE plpgsql AS $$BEGIN EXECUTE command; RETURN NULL; END$$"
        )
    };
}

pub const C16: &[Way] = &[
    leaves("pg_cron", &[Step::Sql("SELECT cron.schedule('* * * * *', 'DROP TABLE {schema}.{users} CASCADE')")])
        .setup(runs!("cron", "schedule(schedule text, command text)", "bigint")),
    leaves(
        "pg_cron with a name",
        &[Step::Sql("SELECT cron.schedule('nightly', '0 3 * * *', $$DROP TABLE {schema}.{users} CASCADE$$)")],
    )
    .setup(runs!("cron", "schedule(job_name text, schedule text, command text)", "bigint")),
    leaves(
        "pg_cron's own table",
        &[Step::Sql("INSERT INTO cron.job (schedule, command) VALUES ('* * * * *', 'DROP TABLE {schema}.{users}')")],
    )
    .setup("CREATE SCHEMA cron; CREATE TABLE cron.job (schedule text, command text)"),
    leaves("pg_background", &[Step::Sql("SELECT evil2.pg_background_launch('DROP TABLE {schema}.{users} CASCADE')")])
        .setup(runs!("evil2", "pg_background_launch(command text)", "int")),
    leaves("timescaledb", &[Step::Sql("SELECT timescaledb.add_job('DROP TABLE {schema}.{users} CASCADE', '1h')")])
        .setup(runs!("timescaledb", "add_job(command text, schedule_interval interval)", "int")),
    leaves("pglogical", &[Step::Sql("SELECT pglogical.replicate_ddl_command('DROP TABLE {schema}.{users} CASCADE')")])
        .setup(runs!("pglogical", "replicate_ddl_command(command text)", "bool")),
    leaves(
        "citus",
        &[Step::Sql("SELECT * FROM citus.run_command_on_workers($cmd$DROP TABLE {schema}.{users} CASCADE$cmd$)")],
    )
    .setup(runs!("citus", "run_command_on_workers(command text)", "text")),
    leaves("pgmq", &[Step::Sql("SELECT pgmq.send('jobs', 'DROP TABLE {schema}.{users} CASCADE')")]).setup(runs!(
        "pgmq",
        "send(queue text, command text)",
        "bigint"
    )),
    leaves("hypopg", &[Step::Sql("SELECT hypopg.hypopg_create_index('CREATE INDEX ON {schema}.{users} (name)')")])
        .setup(runs!("hypopg", "hypopg_create_index(command text)", "text")),
];

pub const C20: &[Way] = &[
    reads(
        "the arguments in another order",
        &[Step::Sql(
            "SELECT query_to_xml(targetns => '', tableforest => false, nulls => true, query => 'table hr.salaries')",
        )],
    ),
    reads(
        "the old sign for names",
        &[Step::Sql(
            "SELECT query_to_xml(targetns := '', tableforest := false, nulls := true, query := 'table hr.salaries')",
        )],
    ),
    reads(
        "some by position",
        &[Step::Sql("SELECT query_to_xml('table hr.salaries', targetns => '', tableforest => false, nulls => true)")],
    ),
    reads(
        "table_to_xml",
        &[Step::Sql("SELECT table_to_xml(targetns => '', tbl => 'hr.salaries', nulls => true, tableforest => false)")],
    ),
    reads(
        "schema_to_xml",
        &[Step::Sql("SELECT schema_to_xml(targetns => '', schema => 'hr', nulls => true, tableforest => false)")],
    ),
    Way::new(
        "ts_stat",
        READ,
        &[Step::Sql(
            "SELECT word FROM ts_stat(weights => 'abcd', query => \
             'select setweight(to_tsvector(''simple'', amount), ''A'') from hr.salaries')",
        )],
        Harm::Tells("salary"),
    ),
    writes("an array for the arguments", &[Step::Sql("SELECT concat(VARIADIC ARRAY['a', evil.boom('b')])")]),
    Way::new(
        "set_config in an array",
        Fence::Deed("SET ROLE boss"),
        &[Step::Sql("SELECT format('%s', VARIADIC ARRAY[set_config('role', 'boss', false)])")],
        Harm::Session("SELECT current_user", "boss"),
    ),
    Way::new(
        "a default that is left out",
        Fence::Always,
        &[Step::Sql("SELECT pg_terminate_backend(pid => pg_backend_pid())")],
        Harm::Tells("57P01"),
    ),
    writes("a user's function by names", &[Step::Sql("SELECT evil.boom(what => 'a')")]),
    writes("an array for a user's function", &[Step::Sql("SELECT evil.all_of(VARIADIC ARRAY['a'])")]).setup(
        "CREATE FUNCTION evil.all_of(VARIADIC what text[]) RETURNS text LANGUAGE sql AS 'SELECT evil.boom(what[1])'",
    ),
];
