//! Writes and reads that stand in something else: CTEs, COPY, EXPLAIN, prepared statements, cursors.

use super::{DEFINE, DELETE, WRITE};
use crate::attacks::frames::{bind, copy_data, copy_done, describe, execute, parse, query, sync};
use crate::attacks::{Fence, Harm, Step, Target, Way};

/// Rows may be read, made and changed, and not deleted, nor loaded in bulk.
const NO_DELETE: Fence = Fence::Own(
    "policy: no-delete
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: rows, actions: [select, insert, update], tables: ['public.*']}]
",
);

/// Rows may be read and made, and not changed.
const NO_UPDATE: Fence = Fence::Own(
    "policy: no-update
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: rows, actions: [select, insert], tables: ['public.*']}]
",
);

/// Rows may be made and changed, except for one column.
const NO_ROLE: Fence = Fence::Own(
    "policy: no-role
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: rows, actions: [select, insert, update], tables: ['public.*']}]
deny: [{rule: role, actions: [update], columns: [users.role]}]
",
);

/// Everything may be read but one column; some functions may be called.
const NO_SSN: Fence = Fence::Own(
    "policy: no-ssn
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: read, actions: [select], tables: ['public.*']}
  - {rule: own, actions: [call], functions: [public.maker, public.opens]}
deny: [{rule: ssn, columns: [users.ssn]}]
",
);

pub const CTE: &[Way] = &[
    Way::new(
        "DELETE … RETURNING, read by the SELECT",
        DELETE,
        &[Step::Sql("WITH d AS (DELETE FROM {schema}.{users} WHERE id = 1 RETURNING *) SELECT * FROM d")],
        Harm::Changes,
    ),
    Way::new(
        "a CTE that nobody reads",
        DELETE,
        &[Step::Sql("WITH d AS (DELETE FROM {schema}.{users} WHERE id = 1) SELECT 1")],
        Harm::Changes,
    ),
    Way::new(
        "UPDATE before VALUES",
        WRITE,
        &[Step::Query("WITH u AS (UPDATE {schema}.{users} SET role = 'admin' WHERE id = 1) VALUES (1)")],
        Harm::Changes,
    ),
    Way::new(
        "INSERT before TABLE, with RECURSIVE",
        WRITE,
        &[Step::Sql(
            "WITH RECURSIVE i AS (INSERT INTO {schema}.log SELECT ssn FROM {schema}.{users} RETURNING *) TABLE i",
        )],
        Harm::Changes,
    ),
    Way::new(
        "behind a CTE that reads, over a UNION",
        WRITE,
        &[Step::Query(
            "WITH a AS (SELECT 1 AS n), b AS (INSERT INTO {schema}.log VALUES ('b1') RETURNING 2 AS n) \
             SELECT n FROM a UNION ALL (SELECT n FROM b ORDER BY n LIMIT 1)",
        )],
        Harm::Changes,
    ),
    Way::new(
        "MERGE in a CTE",
        WRITE,
        &[Step::Query(
            "WITH m AS (MERGE INTO {schema}.{users} u USING (VALUES (1)) v(id) ON u.id = v.id \
             WHEN MATCHED THEN UPDATE SET role = 'admin' RETURNING u.*) SELECT * FROM m",
        )],
        Harm::Changes,
    )
    .since(17),
];

pub const INTO: &[Way] = &[
    Way::new("SELECT INTO", DEFINE, &[Step::Sql("SELECT * INTO {schema}.stolen FROM {schema}.{users}")], Harm::Changes),
    Way::new(
        "WITH … SELECT INTO, in the first arm of a UNION",
        DEFINE,
        &[Step::Query(
            "WITH a AS (SELECT 1) SELECT name INTO UNLOGGED {schema}.stolen FROM {schema}.{users} UNION SELECT 'x'",
        )],
        Harm::Changes,
    ),
    Way::new(
        "a temporary table",
        DEFINE,
        &[Step::Sql("SELECT ssn INTO TEMP stolen FROM {schema}.{users}")],
        Harm::Session("SELECT count(*) FROM pg_temp.stolen", "3"),
    ),
    Way::new(
        "CREATE TABLE AS TABLE",
        DEFINE,
        &[Step::Sql("CREATE TABLE {schema}.stolen AS TABLE {schema}.{users}")],
        Harm::Changes,
    ),
    Way::new(
        "CREATE TABLE AS EXECUTE",
        DEFINE,
        &[
            Step::Sql("PREPARE p AS SELECT name FROM {schema}.{users}"),
            Step::Sql("CREATE TABLE {schema}.stolen AS EXECUTE p"),
        ],
        Harm::Changes,
    ),
    Way::new(
        "EXPLAIN ANALYZE CREATE TABLE AS",
        DEFINE,
        &[Step::Query("EXPLAIN ANALYZE CREATE TABLE {schema}.stolen AS SELECT name FROM {schema}.{users}")],
        Harm::Changes,
    ),
    Way::new(
        "CREATE MATERIALIZED VIEW",
        DEFINE,
        &[Step::Query("CREATE MATERIALIZED VIEW {schema}.stolen AS SELECT name FROM {schema}.{users}")],
        Harm::Changes,
    ),
    Way::new(
        "CREATE TABLE (LIKE …)",
        DEFINE,
        &[Step::Query("CREATE TABLE {schema}.stolen (LIKE {schema}.{users} INCLUDING ALL)")],
        Harm::Changes,
    ),
];

pub const COPY: &[Way] = &[
    Way::new(
        "DELETE … RETURNING",
        DELETE,
        &[Step::Sql("COPY (DELETE FROM {schema}.{users} WHERE id = 1 RETURNING *) TO STDOUT")],
        Harm::Changes,
    ),
    Way::new(
        "INSERT … RETURNING",
        WRITE,
        &[Step::Sql("COPY (INSERT INTO {schema}.log VALUES ('b3') RETURNING *) TO STDOUT (FORMAT csv)")],
        Harm::Changes,
    ),
    Way::new(
        "UPDATE … RETURNING",
        WRITE,
        &[Step::Query("COPY (UPDATE {schema}.{users} SET role = 'admin' WHERE id = 1 RETURNING id) TO STDOUT")],
        Harm::Changes,
    ),
    Way::new(
        "a CTE in the query of a COPY",
        DELETE,
        &[Step::Query(
            "COPY (WITH d AS (DELETE FROM {schema}.{users} WHERE id = 1 RETURNING *) SELECT * FROM d) TO STDOUT",
        )],
        Harm::Changes,
    ),
    Way::new(
        "MERGE … RETURNING",
        WRITE,
        &[Step::Query(
            "COPY (MERGE INTO {schema}.{users} u USING (VALUES (1)) v(id) ON u.id = v.id \
             WHEN MATCHED THEN UPDATE SET role = 'admin' RETURNING u.id) TO STDOUT",
        )],
        Harm::Changes,
    )
    .since(17),
    Way::new(
        "a query that calls a function",
        super::CALL,
        &[Step::Query("COPY (SELECT evil.boom('b3')) TO STDOUT")],
        Harm::Changes,
    ),
];

/// EXPLAIN of a write that runs it.
const fn explain(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, WRITE, steps, Harm::Changes)
}

pub const EXPLAIN_ANALYZE: &[Way] = &[
    explain("EXPLAIN ANALYZE", &[Step::Sql("EXPLAIN ANALYZE INSERT INTO {schema}.log VALUES ('b4')")]),
    explain("ANALYZE VERBOSE", &[Step::Query("explain analyse verbose INSERT INTO {schema}.log VALUES ('b4')")]),
    explain(
        "the last option wins",
        &[Step::Sql("EXPLAIN (ANALYZE false, ANALYZE true) INSERT INTO {schema}.log VALUES ('b4')")],
    ),
    explain(
        "an option without a value",
        &[Step::Query("EXPLAIN (COSTS off, ANALYZE, TIMING off) INSERT INTO {schema}.log VALUES ('b4')")],
    ),
    explain("on", &[Step::Query("EXPLAIN (ANALYZE oN) INSERT INTO {schema}.log VALUES ('b4')")]),
    explain("1", &[Step::Query("EXPLAIN (ANALYZE 1) INSERT INTO {schema}.log VALUES ('b4')")]),
    explain("a string", &[Step::Query("EXPLAIN (\"analyze\" 'TRUE') INSERT INTO {schema}.log VALUES ('b4')")]),
    explain(
        "off with another option's name in between",
        &[Step::Query("EXPLAIN (ANALYZE off, VERBOSE off, ANALYZE E'o\\x6e') INSERT INTO {schema}.log VALUES ('b4')")],
    ),
    explain(
        "of a prepared statement",
        &[Step::Sql("PREPARE p AS INSERT INTO {schema}.log VALUES ('b4')"), Step::Sql("EXPLAIN ANALYZE EXECUTE p")],
    ),
    explain(
        "of CREATE TABLE AS EXECUTE",
        &[
            Step::Sql("PREPARE p AS SELECT evil.boom('b4')"),
            Step::Sql("EXPLAIN ANALYZE CREATE TEMP TABLE t AS EXECUTE p"),
        ],
    ),
    explain(
        "of CREATE TEMP TABLE AS with a function",
        &[Step::Query("EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT evil.boom('b4')")],
    ),
    explain(
        "of a cursor with a function",
        &[Step::Query("EXPLAIN (ANALYZE) DECLARE c CURSOR FOR SELECT evil.boom('b4')")],
    ),
    explain(
        "of a CTE that writes",
        &[Step::Query("EXPLAIN (ANALYZE) WITH i AS (INSERT INTO {schema}.log VALUES ('b4')) SELECT 1")],
    ),
];

pub const PREPARED: &[Way] = &[
    Way::new(
        "PREPARE, EXECUTE",
        DELETE,
        &[Step::Sql("PREPARE z AS DELETE FROM {schema}.{users} WHERE id = 1"), Step::Sql("EXECUTE z")],
        Harm::Changes,
    ),
    Way::new(
        "both in one Query",
        DELETE,
        &[Step::Query("PREPARE z(int) AS DELETE FROM {schema}.{users} WHERE id = $1; EXECUTE z(1)")],
        Harm::Changes,
    ),
    Way::new(
        "a name that stood for something harmless",
        DELETE,
        &[
            Step::Sql("PREPARE z AS SELECT 1"),
            Step::Sql("EXECUTE z"),
            Step::Sql("DEALLOCATE z"),
            Step::Sql("PREPARE \"z\" AS DELETE FROM {schema}.{users} WHERE id = 1"),
            Step::Sql("EXECUTE Z"),
        ],
        Harm::Changes,
    ),
    Way::new(
        "Parse with a name, EXECUTE by SQL",
        DELETE,
        &[
            Step::Bytes(
                |target| [parse("z", &target.fill("DELETE FROM {schema}.{users} WHERE id = 1")), sync()].concat(),
                1,
            ),
            Step::Query("EXECUTE z"),
        ],
        Harm::Changes,
    ),
    Way::new(
        "PREPARE by SQL, Bind of the name",
        DELETE,
        &[
            Step::Query("PREPARE z AS DELETE FROM {schema}.{users} WHERE id = 1"),
            Step::Bytes(|_| [bind("", "z", &[]), describe(b'P', ""), execute(""), sync()].concat(), 1),
        ],
        Harm::Changes,
    ),
    Way::new(
        "PREPARE and Bind in one pipeline, before the server answered",
        DELETE,
        &[Step::Bytes(
            |target| {
                let prepare = target.fill("PREPARE z AS DELETE FROM {schema}.{users} WHERE id = 1");
                let prepared = [parse("", &prepare), bind("", "", &[]), execute("")].concat();
                [prepared, bind("p", "z", &[]), execute("p"), sync()].concat()
            },
            1,
        )],
        Harm::Changes,
    ),
    Way::new(
        "EXECUTE of a name that a function made",
        NO_SSN,
        &[Step::Sql("SELECT public.maker()"), Step::Sql("EXECUTE made")],
        Harm::Changes,
    )
    .setup(MAKER),
    Way::new(
        "Bind of a name that a function made",
        NO_SSN,
        &[
            Step::Query("SELECT public.maker()"),
            Step::Bytes(|_| [bind("", "made", &[]), execute(""), sync()].concat(), 1),
        ],
        Harm::Changes,
    )
    .setup(MAKER),
    Way::new(
        "EXPLAIN ANALYZE of a name that a function made",
        NO_SSN,
        &[Step::Query("SELECT public.maker()"), Step::Query("EXPLAIN ANALYZE EXECUTE made")],
        Harm::Changes,
    )
    .setup(MAKER),
];

/// A function that may be called, and what it does that no client was seen to do.
const MAKER: &str = "CREATE FUNCTION {schema}.maker() RETURNS void LANGUAGE plpgsql AS \
    $$BEGIN EXECUTE 'PREPARE made AS DELETE FROM {schema}.{users}'; END$$";

pub const MERGE: &[Way] = &[
    Way::new(
        "WHEN MATCHED THEN DELETE",
        NO_DELETE,
        &[Step::Sql("MERGE INTO {users} u USING {users} s ON true WHEN MATCHED AND u.id = s.id THEN DELETE")],
        Harm::Changes,
    )
    .since(15),
    Way::new(
        "DELETE behind two clauses that are allowed",
        NO_DELETE,
        &[Step::Sql(
            "MERGE INTO {users} u USING (VALUES (1), (2), (9)) v(id) ON u.id = v.id \
             WHEN MATCHED AND v.id = 2 THEN UPDATE SET role = 'x' \
             WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'new') WHEN MATCHED THEN DELETE",
        )],
        Harm::Changes,
    )
    .since(15),
    Way::new(
        "NOT MATCHED BY SOURCE THEN DELETE",
        NO_DELETE,
        &[Step::Query(
            "MERGE INTO {users} u USING (SELECT 0 AS id) v ON u.id = v.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
        )],
        Harm::Changes,
    )
    .since(17),
    Way::new(
        "in a WITH",
        NO_DELETE,
        &[Step::Query(
            "WITH m AS (MERGE INTO {users} u USING {users} s ON u.id = s.id WHEN MATCHED THEN DELETE RETURNING u.id) \
             SELECT * FROM m",
        )],
        Harm::Changes,
    )
    .since(17),
    Way::new(
        "UPDATE where rows may only be made",
        NO_UPDATE,
        &[Step::Sql(
            "MERGE INTO {users} u USING (VALUES (1)) v(id) ON u.id = v.id \
             WHEN NOT MATCHED THEN INSERT VALUES (9, 'x') WHEN MATCHED THEN UPDATE SET role = 'admin'",
        )],
        Harm::Changes,
    )
    .since(15),
    Way::new(
        "DELETE of everything where DELETE needs a WHERE",
        super::UNBOUNDED,
        &[Step::Sql("MERGE INTO {schema}.{users} u USING (SELECT 1) x ON true WHEN MATCHED THEN DELETE")],
        Harm::Changes,
    )
    .since(15),
    Way::new(
        "UPDATE of everything where UPDATE needs a WHERE",
        super::UNBOUNDED,
        &[Step::Query(
            "MERGE INTO {schema}.{users} u USING (SELECT 1 AS n) x ON x.n = 1 WHEN MATCHED THEN UPDATE SET role = 'admin'",
        )],
        Harm::Changes,
    )
    .since(15),
];

pub const UPSERT: &[Way] = &[
    Way::new(
        "DO UPDATE where rows may only be made",
        NO_UPDATE,
        &[Step::Sql("INSERT INTO {users} VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET role = 'admin'")],
        Harm::Changes,
    ),
    Way::new(
        "in a WITH, on the name of the constraint",
        NO_UPDATE,
        &[Step::Query(
            "WITH i AS (INSERT INTO {users} AS u VALUES (1, 'x') ON CONFLICT ON CONSTRAINT {users}_pkey \
             DO UPDATE SET role = excluded.name WHERE u.id = 1 RETURNING u.id) SELECT * FROM i",
        )],
        Harm::Changes,
    ),
    Way::new(
        "SET of a column that must stay",
        NO_ROLE,
        &[Step::Sql("INSERT INTO {users} (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET role = 'admin'")],
        Harm::Changes,
    ),
    Way::new(
        "SET of several columns at once",
        NO_ROLE,
        &[Step::Query(
            "INSERT INTO {users} (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE \
             SET (name, \"role\") = (SELECT 'ann', 'admin')",
        )],
        Harm::Changes,
    ),
];

/// A COPY FROM STDIN with its rows, by Query.
fn copy(target: &Target, sql: &str, rows: &str) -> Vec<u8> {
    [query(&target.fill(sql)), copy_data(rows), copy_done()].concat()
}

/// The rows are sent at once; what comes behind them waits for the end of the COPY.
const AFTER: Step = Step::Query("SELECT 1");

pub const COPY_IN: &[Way] = &[
    Way::new(
        "by Query",
        WRITE,
        &[Step::Bytes(|target| copy(target, "COPY {schema}.{users} FROM STDIN", "9\teve\t\\N\tadmin\n"), 1), AFTER],
        Harm::Changes,
    ),
    Way::new(
        "by Parse, Bind, Execute",
        WRITE,
        &[
            Step::Bytes(
                |target| {
                    let sql = target.fill("COPY {schema}.log FROM STDIN");
                    let started = [parse("", &sql), bind("", "", &[]), execute("")].concat();
                    [started, copy_data("b24\n"), copy_done(), sync()].concat()
                },
                1,
            ),
            AFTER,
        ],
        Harm::Changes,
    ),
    Way::new(
        "as psql's \\copy sends it",
        WRITE,
        &[Step::Bytes(|target| copy(target, "COPY  {schema}.log FROM STDIN  ", "b24\n"), 1), AFTER],
        Harm::Changes,
    ),
    Way::new(
        "where INSERT is allowed and bulk loading is not",
        NO_DELETE,
        &[
            Step::Bytes(
                |target| copy(target, "COPY {users} (id, name) FROM STDIN WITH (FORMAT csv)", "9,eve\n10,eve\n"),
                1,
            ),
            AFTER,
        ],
        Harm::Changes,
    ),
    Way::new(
        "in the old syntax, behind a SELECT",
        NO_DELETE,
        &[
            Step::Bytes(
                |target| copy(target, "SELECT 1; COPY {users} FROM STDIN DELIMITERS ',' NULL ''", "9,eve,,\n"),
                1,
            ),
            AFTER,
        ],
        Harm::Changes,
    ),
];

/// A function that may be called; the cursor that it opens is read by nobody's rule.
const OPENS: &str = "CREATE FUNCTION {schema}.opens() RETURNS refcursor LANGUAGE plpgsql AS \
    $$DECLARE c refcursor; BEGIN OPEN c FOR SELECT ssn FROM {schema}.{users}; RETURN c; END$$";

pub const CURSORS: &[Way] = &[
    Way::new(
        "DECLARE, FETCH",
        NO_SSN,
        &[Step::Sql("BEGIN"), Step::Sql("DECLARE c CURSOR FOR SELECT ssn FROM {users}"), Step::Sql("FETCH ALL FROM c")],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "WITH HOLD, in one Query, read backward",
        NO_SSN,
        &[
            Step::Query("DECLARE c SCROLL CURSOR WITH HOLD FOR TABLE {users}; MOVE FORWARD ALL IN c"),
            Step::Sql("FETCH BACKWARD ALL FROM c"),
        ],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "a name that was opened for something allowed",
        NO_SSN,
        &[
            Step::Sql("BEGIN"),
            Step::Sql("DECLARE c CURSOR FOR SELECT name FROM {users}"),
            Step::Sql("FETCH 1 FROM c"),
            Step::Query("CLOSE c; DECLARE c CURSOR FOR SELECT ssn FROM {users}; FETCH ALL FROM c"),
        ],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "a portal of the protocol, read by FETCH",
        NO_SSN,
        &[
            Step::Query("BEGIN"),
            Step::Bytes(
                |target| [parse("", &target.fill("SELECT ssn FROM {users}")), bind("p", "", &[]), sync()].concat(),
                1,
            ),
            Step::Query("FETCH ALL FROM p"),
        ],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "a cursor of SQL, read by Execute",
        NO_SSN,
        &[
            Step::Query("BEGIN"),
            Step::Query("DECLARE c CURSOR FOR SELECT ssn FROM {users}"),
            Step::Bytes(|_| [execute("c"), sync()].concat(), 1),
        ],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "a cursor that a function opened",
        NO_SSN,
        &[Step::Sql("BEGIN"), Step::Sql("SELECT public.opens()"), Step::Sql("FETCH ALL FROM \"<unnamed portal 1>\"")],
        Harm::Tells("ssn-1"),
    )
    .setup(OPENS),
    Way::new(
        "the same, by Execute of the portal",
        NO_SSN,
        &[
            Step::Query("BEGIN"),
            Step::Query("SELECT public.opens()"),
            Step::Bytes(|_| [execute("<unnamed portal 1>"), sync()].concat(), 1),
        ],
        Harm::Tells("ssn-1"),
    )
    .setup(OPENS),
    Way::new(
        "UPDATE … WHERE CURRENT OF",
        WRITE,
        &[
            Step::Sql("BEGIN"),
            Step::Sql("DECLARE c CURSOR FOR SELECT id FROM {schema}.{users}"),
            Step::Sql("FETCH 1 FROM c"),
            Step::Sql("UPDATE {schema}.{users} SET role = 'admin' WHERE CURRENT OF c"),
            Step::Sql("COMMIT"),
        ],
        Harm::Changes,
    ),
];

/// For policies without two-phase commit.
const TWO_PHASE_FENCE: Fence = Fence::Deed("ROLLBACK PREPARED 'x'");

/// Another session's work, waiting for somebody who decides.
const WAITING: &str = "BEGIN; INSERT INTO {schema}.log VALUES ('b26'); PREPARE TRANSACTION 'portcullis_b26'";

pub const TWO_PHASE: &[Way] = &[
    Way::new("COMMIT PREPARED", TWO_PHASE_FENCE, &[Step::Sql("COMMIT PREPARED 'portcullis_b26'")], Harm::Changes)
        .setup(WAITING),
    Way::new(
        "ROLLBACK PREPARED",
        TWO_PHASE_FENCE,
        &[Step::Sql("ROLLBACK PREPARED U&'portcullis\\005fb26'")],
        Harm::Changes,
    )
    .setup(WAITING),
    Way::new(
        "work of one's own that is left behind with its locks",
        TWO_PHASE_FENCE,
        &[
            Step::Sql("BEGIN"),
            Step::Sql("LOCK TABLE {schema}.{users} IN ACCESS SHARE MODE"),
            Step::Sql("PREPARE TRANSACTION 'portcullis_b26'"),
        ],
        Harm::Changes,
    ),
];
