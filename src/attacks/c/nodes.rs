//! C3: the same function in every place of the grammar that takes an expression. By Query only: that both protocols are judged
//! alike is what the other groups show, and these are many.

use super::super::frames::{copy_data, copy_done};
use super::super::{Fence, Harm, Step, Way};

/// Policies that don't let this function run: it writes.
const CALL: Fence = Fence::Deed("SELECT evil.boom('x')");
/// Policies that don't let it run where only immutable functions may stand: it says so.
const FIXED: Fence = Fence::Deed("SELECT evil.fixed('x')");

/// One statement that writes.
const fn at(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, CALL, steps, Harm::Changes)
}

/// One statement in which the function says that it ran.
const fn fixed(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, FIXED, steps, Harm::Tells("fixed ran"))
}

pub const C3: &[Way] = &[
    at("COLLATE", &[Step::Query("SELECT evil.boom('a') COLLATE \"C\"")]),
    at("a subscript", &[Step::Query("SELECT (string_to_array(evil.boom('a'), ','))[1]")]),
    at("the index of a subscript", &[Step::Query("SELECT (ARRAY[1, 2])[evil.boom('1')::int]")]),
    at("the end of a slice", &[Step::Query("SELECT (ARRAY[1, 2])[1:evil.boom('1')::int]")]),
    at("a cast", &[Step::Query("SELECT CAST(evil.boom('1') AS int)")]),
    at("an operator", &[Step::Query("SELECT 'a' || evil.boom('b')")]),
    at("NOT", &[Step::Query("SELECT NOT evil.boom('t')::bool")]),
    at("AND", &[Step::Query("SELECT true AND evil.boom('t')::bool")]),
    at("IS NULL", &[Step::Query("SELECT evil.boom('a') IS NULL")]),
    at("IS TRUE", &[Step::Query("SELECT evil.boom('t')::bool IS TRUE")]),
    at("IS DISTINCT FROM", &[Step::Query("SELECT 'a' IS DISTINCT FROM evil.boom('b')")]),
    at("BETWEEN", &[Step::Query("SELECT 'b' BETWEEN 'a' AND evil.boom('c')")]),
    at("IN a list", &[Step::Query("SELECT 'a' IN ('b', evil.boom('c'))")]),
    at("= ANY", &[Step::Query("SELECT 'a' = ANY (ARRAY['b', evil.boom('c')])")]),
    at("LIKE … ESCAPE", &[Step::Query("SELECT 'a' LIKE 'b' ESCAPE evil.boom('c')")]),
    at("SIMILAR TO", &[Step::Query("SELECT 'a' SIMILAR TO evil.boom('b')")]),
    at("AT TIME ZONE", &[Step::Query("SELECT now() AT TIME ZONE evil.boom('UTC') IS NULL")]),
    at("OVERLAPS", &[Step::Query(
        "SELECT ('epoch'::date, evil.boom('2000-01-01')::date) OVERLAPS ('epoch'::date, 'epoch'::date)",
    )]),
    at("CASE", &[Step::Query("SELECT CASE evil.boom('a') WHEN 'b' THEN 1 END")]),
    at("WHEN", &[Step::Query("SELECT CASE WHEN evil.boom('a') = 'b' THEN 1 END")]),
    at("ELSE", &[Step::Query("SELECT CASE WHEN false THEN '1' ELSE evil.boom('a') END")]),
    at("coalesce", &[Step::Query("SELECT coalesce(NULL, evil.boom('a'))")]),
    at("greatest", &[Step::Query("SELECT greatest('0', evil.boom('a'))")]),
    at("nullif", &[Step::Query("SELECT nullif('0', evil.boom('a'))")]),
    at("a row", &[Step::Query("SELECT ROW(1, evil.boom('a'))")]),
    at("rows compared", &[Step::Query("SELECT (1, evil.boom('a')) = (1, 'a')")]),
    at("an array of arrays", &[Step::Query("SELECT ARRAY[['a', evil.boom('a')]]")]),
    at("a scalar sub-select", &[Step::Query("SELECT (SELECT evil.boom('a'))")]),
    at("EXISTS", &[Step::Query("SELECT EXISTS (SELECT WHERE evil.boom('a') = 'a')")]),
    at("IN a sub-select", &[Step::Query("SELECT 'a' IN (SELECT evil.boom('a'))")]),
    at("an argument of a built-in", &[Step::Query("SELECT upper(lower(evil.boom('a')))")]),
    at("a named argument", &[Step::Query("SELECT make_interval(hours => evil.boom('1')::int)")]),
    at("a variadic argument", &[Step::Query("SELECT concat(VARIADIC ARRAY[evil.boom('1')])")]),
    at("extract", &[Step::Query("SELECT extract(year FROM evil.boom('2000-01-01')::date)")]),
    at("substring", &[Step::Query("SELECT substring('abc' FROM evil.boom('1')::int FOR 2)")]),
    at("trim", &[Step::Query("SELECT trim(BOTH evil.boom('a') FROM 'aba')")]),
    at("position", &[Step::Query("SELECT position(evil.boom('a') IN 'aba')")]),
    at("overlay", &[Step::Query("SELECT overlay('aba' PLACING evil.boom('a') FROM 1)")]),
    at("normalize", &[Step::Query("SELECT normalize(evil.boom('a'), NFC)")]),
    at("IS NORMALIZED", &[Step::Query("SELECT evil.boom('a') IS NFC NORMALIZED")]),
    at("XMLELEMENT", &[Step::Query("SELECT XMLELEMENT(NAME a, evil.boom('a'))")]),
    at("XMLATTRIBUTES", &[Step::Query("SELECT XMLELEMENT(NAME a, XMLATTRIBUTES(evil.boom('a') AS x))")]),
    at("XMLFOREST", &[Step::Query("SELECT XMLFOREST(evil.boom('a') AS x)")]),
    at("XMLPARSE", &[Step::Query("SELECT XMLPARSE(CONTENT evil.boom('a'))")]),
    at("XMLPI", &[Step::Query("SELECT XMLPI(NAME a, evil.boom('a'))")]),
    at("XMLCONCAT", &[Step::Query("SELECT XMLCONCAT(evil.boom('<a/>')::xml, NULL)")]),
    at("XMLROOT", &[Step::Query("SELECT XMLROOT(evil.boom('<a/>')::xml, VERSION NO VALUE)")]),
    at("XMLSERIALIZE", &[Step::Query("SELECT XMLSERIALIZE(CONTENT evil.boom('<a/>')::xml AS text)")]),
    at("XMLEXISTS", &[Step::Query("SELECT XMLEXISTS('/a' PASSING (evil.boom('<a/>')::xml))")]),
    at("IS DOCUMENT", &[Step::Query("SELECT evil.boom('<a/>')::xml IS DOCUMENT")]),
    at("what XMLTABLE reads", &[Step::Query(
        "SELECT * FROM XMLTABLE('/a' PASSING (evil.boom('<a/>')::xml) COLUMNS x int)",
    )]),
    at("the path of XMLTABLE", &[Step::Query("SELECT * FROM XMLTABLE(evil.boom('/a') PASSING '<a/>' COLUMNS x int)")]),
    at("a column's path in XMLTABLE", &[Step::Query(
        "SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS x text PATH evil.boom('.'))",
    )]),
    at("a column's default in XMLTABLE", &[Step::Query(
        "SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS x text PATH 'b' DEFAULT evil.boom('a'))",
    )]),
    at("a name space of XMLTABLE", &[Step::Query(
        "SELECT * FROM XMLTABLE(XMLNAMESPACES(evil.boom('urn:a') AS y), '/y:a' PASSING '<a/>' COLUMNS x text)",
    )]),
    at("JSON_OBJECT", &[Step::Query("SELECT JSON_OBJECT('a': evil.boom('a'))")]).since(16),
    at("the key of JSON_OBJECT", &[Step::Query("SELECT JSON_OBJECT(evil.boom('a'): 1)")]).since(16),
    at("JSON_ARRAY", &[Step::Query("SELECT JSON_ARRAY(evil.boom('a'))")]).since(16),
    at("JSON_ARRAY of a query", &[Step::Query("SELECT JSON_ARRAY(SELECT evil.boom('a'))")]).since(16),
    at("JSON_OBJECTAGG", &[Step::Query("SELECT JSON_OBJECTAGG('a': evil.boom('a'))")]).since(16),
    at("JSON_ARRAYAGG", &[Step::Query("SELECT JSON_ARRAYAGG(1 ORDER BY evil.boom('a'))")]).since(16),
    at("IS JSON", &[Step::Query("SELECT evil.boom('1') IS JSON")]).since(16),
    at("JSON_VALUE", &[Step::Query("SELECT JSON_VALUE(evil.boom('1')::jsonb, '$')")]).since(17),
    at("PASSING of JSON_EXISTS", &[Step::Query("SELECT JSON_EXISTS('1', '$ ? (@ == $x)' PASSING evil.boom('1') AS x)")])
        .since(17),
    at("DEFAULT of JSON_VALUE", &[Step::Query("SELECT JSON_VALUE('1', '$.a' DEFAULT evil.boom('1') ON EMPTY)")])
        .since(17),
    at("what JSON_TABLE reads", &[Step::Query(
        "SELECT * FROM JSON_TABLE(evil.boom('1')::jsonb, '$' COLUMNS (x int PATH '$'))",
    )])
    .since(17),
    at("LATERAL", &[Step::Query("SELECT * FROM {schema}.log RIGHT JOIN LATERAL evil.boom('a') b ON true")]),
    at("ON of a join", &[Step::Query("SELECT FROM {schema}.parent p JOIN {schema}.child c ON evil.boom('a') = 'a'")]),
    at("a sub-select in FROM", &[Step::Query("SELECT q.b FROM (SELECT evil.boom('a') b) q")]),
    at("an argument of TABLESAMPLE", &[Step::Query(
        "SELECT FROM {schema}.parent TABLESAMPLE system(evil.boom('100')::real)",
    )]),
    at("REPEATABLE", &[Step::Query(
        "SELECT FROM {schema}.parent TABLESAMPLE system(1) REPEATABLE (evil.boom('1')::float8)",
    )]),
    at("WHERE", &[Step::Query("SELECT FROM {schema}.parent WHERE evil.boom('a') = 'a'")]),
    at("GROUP BY", &[Step::Query("SELECT FROM {schema}.parent GROUP BY evil.boom('a')")]),
    at("GROUPING SETS", &[Step::Query("SELECT FROM {schema}.parent GROUP BY GROUPING SETS ((evil.boom('a')), ())")]),
    at("ROLLUP", &[Step::Query("SELECT FROM {schema}.parent GROUP BY ROLLUP (evil.boom('a'))")]),
    at("CUBE", &[Step::Query("SELECT FROM {schema}.parent GROUP BY CUBE (id, evil.boom('a'))")]),
    at("HAVING", &[Step::Query("SELECT count(*) FROM {schema}.parent HAVING evil.boom('a') = 'a'")]),
    at("DISTINCT ON", &[Step::Query("SELECT DISTINCT ON (evil.boom('a')) id FROM {schema}.parent")]),
    at("ORDER BY", &[Step::Query("SELECT id FROM {schema}.parent ORDER BY evil.boom('a'), id")]),
    at("ORDER BY of a union's sub-select", &[Step::Query("SELECT 1 UNION ALL (SELECT 2 ORDER BY evil.boom('a'))")]),
    at("LIMIT", &[Step::Query("SELECT 1 LIMIT evil.boom('1')::int")]),
    at("OFFSET", &[Step::Query("SELECT 1 OFFSET evil.boom('1')::int")]),
    at("FETCH FIRST", &[Step::Query("SELECT 1 FETCH FIRST (evil.boom('1')::int) ROWS ONLY")]),
    at("FETCH FIRST … WITH TIES", &[Step::Query("SELECT 1 ORDER BY 1 FETCH FIRST (evil.boom('1')::int) ROWS WITH TIES")]),
    at("FILTER", &[Step::Query("SELECT count(*) FILTER (WHERE evil.boom('a') = 'a')")]),
    at("ORDER BY of an aggregate", &[Step::Query("SELECT array_agg(1 ORDER BY evil.boom('a'))")]),
    at("WITHIN GROUP", &[Step::Query("SELECT mode() WITHIN GROUP (ORDER BY evil.boom('a'))")]),
    at("PARTITION BY", &[Step::Query("SELECT count(*) OVER (PARTITION BY evil.boom('a'))")]),
    at("ORDER BY of a window", &[Step::Query("SELECT count(*) OVER w WINDOW w AS (ORDER BY evil.boom('a'))")]),
    at("the start of a window's frame", &[Step::Query(
        "SELECT count(*) OVER (ROWS BETWEEN evil.boom('1')::int PRECEDING AND CURRENT ROW)",
    )]),
    at("the end of a window's frame", &[Step::Query(
        "SELECT count(*) OVER (ORDER BY 1::int RANGE BETWEEN CURRENT ROW AND evil.boom('1')::int FOLLOWING)",
    )]),
    at("WITH", &[Step::Query("WITH q AS MATERIALIZED (SELECT evil.boom('a')) TABLE q")]),
    at("WITH RECURSIVE", &[Step::Query(
        "WITH RECURSIVE q(x) AS (VALUES ('a') UNION SELECT evil.boom(x) FROM q) TABLE q",
    )]),
    at("the second arm of a UNION", &[Step::Query("SELECT 'a' UNION ALL SELECT evil.boom('b')")]),
    at("INSERT", &[Step::Query("INSERT INTO {schema}.child SELECT 1 WHERE evil.boom('a') = 'b'")]),
    at("RETURNING", &[Step::Query("DELETE FROM {schema}.child WHERE id = 1 RETURNING evil.boom('a')")]),
    Way::new(
        "SET of an UPDATE",
        CALL,
        &[Step::Query("UPDATE {users} SET name = evil.boom('written') WHERE id = 1")],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "the columns of an UPDATE by a row",
        CALL,
        &[Step::Query("UPDATE {users} SET (name, ssn) = ROW('x', evil.boom('written')) WHERE id = 1")],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "ON CONFLICT … SET",
        CALL,
        &[Step::Query(
            "INSERT INTO {users} VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = evil.boom('written')",
        )],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "ON CONFLICT … WHERE",
        CALL,
        &[Step::Query(
            "INSERT INTO {users} VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'x' \
             WHERE evil.boom('written') = ''",
        )],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "USING of a DELETE",
        CALL,
        &[Step::Query("DELETE FROM {schema}.child USING evil.boom('written') b WHERE b = 'x'")],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "ON of a MERGE",
        CALL,
        &[Step::Query(
            "MERGE INTO {users} t USING (VALUES (1)) v(x) ON t.id = v.x AND evil.boom('written') = '' \
             WHEN MATCHED THEN DELETE",
        )],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    )
    .since(15),
    Way::new(
        "WHEN of a MERGE",
        CALL,
        &[Step::Query(
            "MERGE INTO {users} t USING (VALUES (1)) v(x) ON t.id = v.x \
             WHEN MATCHED AND evil.boom('written') = '' THEN DO NOTHING",
        )],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    )
    .since(15),
    at("VALUES of a MERGE", &[Step::Query(
        "MERGE INTO {schema}.log t USING (VALUES (1)) v(x) ON false WHEN NOT MATCHED THEN INSERT VALUES (evil.boom('a'))",
    )])
    .since(15),
    at("COPY of a query", &[Step::Query("COPY (SELECT evil.boom('a')) TO STDOUT")]),
    at("EXPLAIN ANALYZE", &[Step::Query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT evil.boom('a')")]),
    at("a cursor", &[
        Step::Query("BEGIN"),
        Step::Query("DECLARE c CURSOR FOR SELECT evil.boom('a')"),
        Step::Query("FETCH c"),
        Step::Query("COMMIT"),
    ]),
    at("an argument of EXECUTE", &[
        Step::Query("PREPARE p(text) AS SELECT $1"),
        Step::Query("EXECUTE p(evil.boom('a'))"),
    ]),
    at("an argument of CALL", &[Step::Query("CALL {schema}.nothing(evil.boom('a'))")])
        .setup("CREATE PROCEDURE {schema}.nothing(a text) LANGUAGE sql AS ''"),
    at("CREATE TABLE AS", &[Step::Query("CREATE TEMP TABLE x AS SELECT evil.boom('a')")]),
    Way::new(
        "a type change",
        CALL,
        &[Step::Query("ALTER TABLE {schema}.{users} ALTER COLUMN name TYPE text USING evil.boom('written')")],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    )
    .setup("DROP VIEW {schema}.everybody"),
    Way::new(
        "the default of a new column",
        CALL,
        &[Step::Query("ALTER TABLE {schema}.parent ADD COLUMN x text DEFAULT evil.boom('written')")],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "a default that a later INSERT runs",
        CALL,
        &[
            Step::Query("ALTER TABLE {schema}.{users} ALTER COLUMN role SET DEFAULT evil.boom('written')"),
            Step::Query("INSERT INTO {schema}.{users} (id, name) VALUES (9, 'x')"),
        ],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "a check",
        CALL,
        &[Step::Query("ALTER TABLE {schema}.parent ADD CHECK (evil.boom('written') = 'written')")],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    ),
    fixed("an index", &[Step::Query("CREATE INDEX ON {schema}.{users} (evil.fixed(name))")]),
    fixed("a partial index", &[Step::Query("CREATE INDEX ON {schema}.{users} (id) WHERE evil.fixed(name) = ''")]),
    fixed("a generated column", &[Step::Query(
        "ALTER TABLE {schema}.{users} ADD COLUMN g text GENERATED ALWAYS AS (evil.fixed(name)) STORED",
    )]),
    fixed("the bound of a partition", &[
        Step::Query("CREATE TABLE {schema}.whole (x text) PARTITION BY LIST (x)"),
        Step::Query("CREATE TABLE {schema}.part PARTITION OF {schema}.whole FOR VALUES IN (evil.fixed('a'))"),
    ]),
    fixed("a partition's key", &[
        Step::Query("CREATE TABLE {schema}.whole (x text) PARTITION BY LIST (evil.fixed(x))"),
        Step::Query("CREATE TABLE {schema}.part PARTITION OF {schema}.whole DEFAULT"),
        Step::Query("INSERT INTO {schema}.whole VALUES ('a')"),
    ]),
    fixed("the condition of COPY FROM", &[
        Step::Query("COPY {schema}.log FROM STDIN WHERE evil.fixed(msg) = ''"),
        Step::CopyRest(|_| [copy_data("a\n"), copy_done()].concat(), 1),
    ]),
];
