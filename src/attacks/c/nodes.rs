//! C3: the same function in every place of the grammar that takes an expression.

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
    at("COLLATE", &[Step::Sql("SELECT evil.boom('a') COLLATE \"C\"")]),
    at("a subscript", &[Step::Sql("SELECT (string_to_array(evil.boom('a'), ','))[1]")]),
    at("the index of a subscript", &[Step::Sql("SELECT (ARRAY[1, 2])[evil.boom('1')::int]")]),
    at("the end of a slice", &[Step::Sql("SELECT (ARRAY[1, 2])[1:evil.boom('1')::int]")]),
    at("a cast", &[Step::Sql("SELECT CAST(evil.boom('1') AS int)")]),
    at("an operator", &[Step::Sql("SELECT 'a' || evil.boom('b')")]),
    at("NOT", &[Step::Sql("SELECT NOT evil.boom('t')::bool")]),
    at("AND", &[Step::Sql("SELECT true AND evil.boom('t')::bool")]),
    at("IS NULL", &[Step::Sql("SELECT evil.boom('a') IS NULL")]),
    at("IS TRUE", &[Step::Sql("SELECT evil.boom('t')::bool IS TRUE")]),
    at("IS DISTINCT FROM", &[Step::Sql("SELECT 'a' IS DISTINCT FROM evil.boom('b')")]),
    at("BETWEEN", &[Step::Sql("SELECT 'b' BETWEEN 'a' AND evil.boom('c')")]),
    at("IN a list", &[Step::Sql("SELECT 'a' IN ('b', evil.boom('c'))")]),
    at("= ANY", &[Step::Sql("SELECT 'a' = ANY (ARRAY['b', evil.boom('c')])")]),
    at("LIKE … ESCAPE", &[Step::Sql("SELECT 'a' LIKE 'b' ESCAPE evil.boom('c')")]),
    at("SIMILAR TO", &[Step::Sql("SELECT 'a' SIMILAR TO evil.boom('b')")]),
    at("AT TIME ZONE", &[Step::Sql("SELECT now() AT TIME ZONE evil.boom('UTC') IS NULL")]),
    at("OVERLAPS", &[Step::Sql(
        "SELECT ('epoch'::date, evil.boom('2000-01-01')::date) OVERLAPS ('epoch'::date, 'epoch'::date)",
    )]),
    at("CASE", &[Step::Sql("SELECT CASE evil.boom('a') WHEN 'b' THEN 1 END")]),
    at("WHEN", &[Step::Sql("SELECT CASE WHEN evil.boom('a') = 'b' THEN 1 END")]),
    at("ELSE", &[Step::Sql("SELECT CASE WHEN false THEN '1' ELSE evil.boom('a') END")]),
    at("coalesce", &[Step::Sql("SELECT coalesce(NULL, evil.boom('a'))")]),
    at("greatest", &[Step::Sql("SELECT greatest('0', evil.boom('a'))")]),
    at("nullif", &[Step::Sql("SELECT nullif('0', evil.boom('a'))")]),
    at("a row", &[Step::Sql("SELECT ROW(1, evil.boom('a'))")]),
    at("rows compared", &[Step::Sql("SELECT (1, evil.boom('a')) = (1, 'a')")]),
    at("an array of arrays", &[Step::Sql("SELECT ARRAY[['a', evil.boom('a')]]")]),
    at("a scalar sub-select", &[Step::Sql("SELECT (SELECT evil.boom('a'))")]),
    at("EXISTS", &[Step::Sql("SELECT EXISTS (SELECT WHERE evil.boom('a') = 'a')")]),
    at("IN a sub-select", &[Step::Sql("SELECT 'a' IN (SELECT evil.boom('a'))")]),
    at("an argument of a built-in", &[Step::Sql("SELECT upper(lower(evil.boom('a')))")]),
    at("a named argument", &[Step::Sql("SELECT make_interval(hours => evil.boom('1')::int)")]),
    at("a variadic argument", &[Step::Sql("SELECT concat(VARIADIC ARRAY[evil.boom('1')])")]),
    at("extract", &[Step::Sql("SELECT extract(year FROM evil.boom('2000-01-01')::date)")]),
    at("substring", &[Step::Sql("SELECT substring('abc' FROM evil.boom('1')::int FOR 2)")]),
    at("trim", &[Step::Sql("SELECT trim(BOTH evil.boom('a') FROM 'aba')")]),
    at("position", &[Step::Sql("SELECT position(evil.boom('a') IN 'aba')")]),
    at("overlay", &[Step::Sql("SELECT overlay('aba' PLACING evil.boom('a') FROM 1)")]),
    at("normalize", &[Step::Sql("SELECT normalize(evil.boom('a'), NFC)")]),
    at("IS NORMALIZED", &[Step::Sql("SELECT evil.boom('a') IS NFC NORMALIZED")]),
    at("XMLELEMENT", &[Step::Sql("SELECT XMLELEMENT(NAME a, evil.boom('a'))")]),
    at("XMLATTRIBUTES", &[Step::Sql("SELECT XMLELEMENT(NAME a, XMLATTRIBUTES(evil.boom('a') AS x))")]),
    at("XMLFOREST", &[Step::Sql("SELECT XMLFOREST(evil.boom('a') AS x)")]),
    at("XMLPARSE", &[Step::Sql("SELECT XMLPARSE(CONTENT evil.boom('a'))")]),
    at("XMLPI", &[Step::Sql("SELECT XMLPI(NAME a, evil.boom('a'))")]),
    at("XMLCONCAT", &[Step::Sql("SELECT XMLCONCAT(evil.boom('<a/>')::xml, NULL)")]),
    at("XMLROOT", &[Step::Sql("SELECT XMLROOT(evil.boom('<a/>')::xml, VERSION NO VALUE)")]),
    at("XMLSERIALIZE", &[Step::Sql("SELECT XMLSERIALIZE(CONTENT evil.boom('<a/>')::xml AS text)")]),
    at("XMLEXISTS", &[Step::Sql("SELECT XMLEXISTS('/a' PASSING evil.boom('<a/>')::xml)")]),
    at("IS DOCUMENT", &[Step::Sql("SELECT evil.boom('<a/>')::xml IS DOCUMENT")]),
    at("what XMLTABLE reads", &[Step::Sql(
        "SELECT * FROM XMLTABLE('/a' PASSING evil.boom('<a/>')::xml COLUMNS x int)",
    )]),
    at("the path of XMLTABLE", &[Step::Sql("SELECT * FROM XMLTABLE(evil.boom('/a') PASSING '<a/>' COLUMNS x int)")]),
    at("a column's path in XMLTABLE", &[Step::Sql(
        "SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS x text PATH evil.boom('.'))",
    )]),
    at("a column's default in XMLTABLE", &[Step::Sql(
        "SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS x text PATH 'b' DEFAULT evil.boom('a'))",
    )]),
    at("a name space of XMLTABLE", &[Step::Sql(
        "SELECT * FROM XMLTABLE(XMLNAMESPACES(evil.boom('urn:a') AS y), '/y:a' PASSING '<a/>' COLUMNS x text)",
    )]),
    at("JSON_OBJECT", &[Step::Sql("SELECT JSON_OBJECT('a': evil.boom('a'))")]).since(16),
    at("the key of JSON_OBJECT", &[Step::Sql("SELECT JSON_OBJECT(evil.boom('a'): 1)")]).since(16),
    at("JSON_ARRAY", &[Step::Sql("SELECT JSON_ARRAY(evil.boom('a'))")]).since(16),
    at("JSON_ARRAY of a query", &[Step::Sql("SELECT JSON_ARRAY(SELECT evil.boom('a'))")]).since(16),
    at("JSON_OBJECTAGG", &[Step::Sql("SELECT JSON_OBJECTAGG('a': evil.boom('a'))")]).since(16),
    at("JSON_ARRAYAGG", &[Step::Sql("SELECT JSON_ARRAYAGG(1 ORDER BY evil.boom('a'))")]).since(16),
    at("IS JSON", &[Step::Sql("SELECT evil.boom('1') IS JSON")]).since(16),
    at("JSON_VALUE", &[Step::Sql("SELECT JSON_VALUE(evil.boom('1')::jsonb, '$')")]).since(17),
    at("PASSING of JSON_EXISTS", &[Step::Sql("SELECT JSON_EXISTS('1', '$ ? (@ == $x)' PASSING evil.boom('1') AS x)")])
        .since(17),
    at("DEFAULT of JSON_VALUE", &[Step::Sql("SELECT JSON_VALUE('1', '$.a' DEFAULT evil.boom('1') ON EMPTY)")])
        .since(17),
    at("what JSON_TABLE reads", &[Step::Sql(
        "SELECT * FROM JSON_TABLE(evil.boom('1')::jsonb, '$' COLUMNS (x int PATH '$'))",
    )])
    .since(17),
    at("LATERAL", &[Step::Sql("SELECT * FROM {schema}.log RIGHT JOIN LATERAL evil.boom('a') b ON true")]),
    at("ON of a join", &[Step::Sql("SELECT FROM {schema}.parent p JOIN {schema}.child c ON evil.boom('a') = 'a'")]),
    at("a sub-select in FROM", &[Step::Sql("SELECT q.b FROM (SELECT evil.boom('a') b) q")]),
    at("an argument of TABLESAMPLE", &[Step::Sql(
        "SELECT FROM {schema}.parent TABLESAMPLE system(evil.boom('1')::real)",
    )]),
    at("REPEATABLE", &[Step::Sql(
        "SELECT FROM {schema}.parent TABLESAMPLE system(1) REPEATABLE (evil.boom('1')::float8)",
    )]),
    at("WHERE", &[Step::Sql("SELECT FROM {schema}.parent WHERE evil.boom('a') = 'a'")]),
    at("GROUP BY", &[Step::Sql("SELECT FROM {schema}.parent GROUP BY evil.boom('a')")]),
    at("GROUPING SETS", &[Step::Sql("SELECT FROM {schema}.parent GROUP BY GROUPING SETS ((evil.boom('a')), ())")]),
    at("ROLLUP", &[Step::Sql("SELECT FROM {schema}.parent GROUP BY ROLLUP (evil.boom('a'))")]),
    at("CUBE", &[Step::Sql("SELECT FROM {schema}.parent GROUP BY CUBE (id, evil.boom('a'))")]),
    at("HAVING", &[Step::Sql("SELECT count(*) FROM {schema}.parent HAVING evil.boom('a') = 'a'")]),
    at("DISTINCT ON", &[Step::Sql("SELECT DISTINCT ON (evil.boom('a')) id FROM {schema}.parent")]),
    at("ORDER BY", &[Step::Sql("SELECT id FROM {schema}.parent ORDER BY evil.boom('a'), id")]),
    at("ORDER BY of a union's sub-select", &[Step::Sql("SELECT 1 UNION ALL (SELECT 2 ORDER BY evil.boom('a'))")]),
    at("LIMIT", &[Step::Sql("SELECT 1 LIMIT evil.boom('1')::int")]),
    at("OFFSET", &[Step::Sql("SELECT 1 OFFSET evil.boom('1')::int")]),
    at("FETCH FIRST", &[Step::Sql("SELECT 1 FETCH FIRST (evil.boom('1')::int) ROWS ONLY")]),
    at("FETCH FIRST … WITH TIES", &[Step::Sql("SELECT 1 ORDER BY 1 FETCH FIRST (evil.boom('1')::int) ROWS WITH TIES")]),
    at("FILTER", &[Step::Sql("SELECT count(*) FILTER (WHERE evil.boom('a') = 'a')")]),
    at("ORDER BY of an aggregate", &[Step::Sql("SELECT array_agg(1 ORDER BY evil.boom('a'))")]),
    at("WITHIN GROUP", &[Step::Sql("SELECT mode() WITHIN GROUP (ORDER BY evil.boom('a'))")]),
    at("PARTITION BY", &[Step::Sql("SELECT count(*) OVER (PARTITION BY evil.boom('a'))")]),
    at("ORDER BY of a window", &[Step::Sql("SELECT count(*) OVER w WINDOW w AS (ORDER BY evil.boom('a'))")]),
    at("the start of a window's frame", &[Step::Sql(
        "SELECT count(*) OVER (ROWS BETWEEN evil.boom('1')::int PRECEDING AND CURRENT ROW)",
    )]),
    at("the end of a window's frame", &[Step::Sql(
        "SELECT count(*) OVER (ORDER BY 1::int RANGE BETWEEN CURRENT ROW AND evil.boom('1')::int FOLLOWING)",
    )]),
    at("WITH", &[Step::Sql("WITH q AS MATERIALIZED (SELECT evil.boom('a')) TABLE q")]),
    at("WITH RECURSIVE", &[Step::Sql(
        "WITH RECURSIVE q(x) AS (VALUES ('a') UNION SELECT evil.boom(x) FROM q) TABLE q",
    )]),
    at("the second arm of a UNION", &[Step::Sql("SELECT 'a' UNION ALL SELECT evil.boom('b')")]),
    at("INSERT", &[Step::Sql("INSERT INTO {schema}.child SELECT 1 WHERE evil.boom('a') = 'b'")]),
    at("RETURNING", &[Step::Sql("DELETE FROM {schema}.child WHERE id = 1 RETURNING evil.boom('a')")]),
    Way::new(
        "SET of an UPDATE",
        CALL,
        &[Step::Sql("UPDATE {users} SET name = evil.boom('written') WHERE id = 1")],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "the columns of an UPDATE by a row",
        CALL,
        &[Step::Sql("UPDATE {users} SET (name, ssn) = ROW('x', evil.boom('written')) WHERE id = 1")],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "ON CONFLICT … SET",
        CALL,
        &[Step::Sql(
            "INSERT INTO {users} VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = evil.boom('written')",
        )],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "ON CONFLICT … WHERE",
        CALL,
        &[Step::Sql(
            "INSERT INTO {users} VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'x' \
             WHERE evil.boom('written') = ''",
        )],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "USING of a DELETE",
        CALL,
        &[Step::Sql("DELETE FROM {schema}.child USING evil.boom('written') b WHERE b = 'x'")],
        Harm::Server("SELECT count(*) = 1 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "ON of a MERGE",
        CALL,
        &[Step::Sql(
            "MERGE INTO {users} t USING (VALUES (1)) v(x) ON t.id = v.x AND evil.boom('written') = '' \
             WHEN MATCHED THEN DELETE",
        )],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    )
    .since(15),
    Way::new(
        "WHEN of a MERGE",
        CALL,
        &[Step::Sql(
            "MERGE INTO {users} t USING (VALUES (1)) v(x) ON t.id = v.x \
             WHEN MATCHED AND evil.boom('written') = '' THEN DO NOTHING",
        )],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    )
    .since(15),
    at("VALUES of a MERGE", &[Step::Sql(
        "MERGE INTO {schema}.log t USING (VALUES (1)) v(x) ON false WHEN NOT MATCHED THEN INSERT VALUES (evil.boom('a'))",
    )])
    .since(15),
    at("COPY of a query", &[Step::Sql("COPY (SELECT evil.boom('a')) TO STDOUT")]),
    at("EXPLAIN ANALYZE", &[Step::Sql("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT evil.boom('a')")]),
    at("a cursor", &[
        Step::Sql("BEGIN"),
        Step::Sql("DECLARE c CURSOR FOR SELECT evil.boom('a')"),
        Step::Sql("FETCH c"),
        Step::Sql("COMMIT"),
    ]),
    at("an argument of EXECUTE", &[
        Step::Sql("PREPARE p(text) AS SELECT $1"),
        Step::Sql("EXECUTE p(evil.boom('a'))"),
    ]),
    at("an argument of CALL", &[Step::Sql("CALL {schema}.nothing(evil.boom('a'))")])
        .setup("CREATE PROCEDURE {schema}.nothing(a text) LANGUAGE sql AS ''"),
    at("CREATE TABLE AS", &[Step::Sql("CREATE TEMP TABLE x AS SELECT evil.boom('a')")]),
    Way::new(
        "a type change",
        CALL,
        &[Step::Sql("ALTER TABLE {schema}.{users} ALTER COLUMN name TYPE text USING evil.boom('written')")],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "the default of a new column",
        CALL,
        &[Step::Sql("ALTER TABLE {schema}.parent ADD COLUMN x text DEFAULT evil.boom('written')")],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "a default that a later INSERT runs",
        CALL,
        &[
            Step::Sql("ALTER TABLE {schema}.{users} ALTER COLUMN role SET DEFAULT evil.boom('written')"),
            Step::Sql("INSERT INTO {schema}.{users} (id, name) VALUES (9, 'x')"),
        ],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    ),
    Way::new(
        "a check",
        CALL,
        &[Step::Sql("ALTER TABLE {schema}.parent ADD CHECK (evil.boom('written') = 'written')")],
        Harm::Server("SELECT count(*) > 0 FROM {schema}.log WHERE msg = 'written'"),
    ),
    fixed("an index", &[Step::Sql("CREATE INDEX ON {schema}.{users} (evil.fixed(name))")]),
    fixed("a partial index", &[Step::Sql("CREATE INDEX ON {schema}.{users} (id) WHERE evil.fixed(name) = ''")]),
    fixed("a generated column", &[Step::Sql(
        "ALTER TABLE {schema}.{users} ADD COLUMN g text GENERATED ALWAYS AS (evil.fixed(name)) STORED",
    )]),
    fixed("the bound of a partition", &[
        Step::Sql("CREATE TABLE {schema}.whole (x text) PARTITION BY LIST (x)"),
        Step::Sql("CREATE TABLE {schema}.part PARTITION OF {schema}.whole FOR VALUES IN (evil.fixed('a'))"),
    ]),
    fixed("a partition's key", &[
        Step::Sql("CREATE TABLE {schema}.whole (x text) PARTITION BY LIST (evil.fixed(x))"),
        Step::Sql("CREATE TABLE {schema}.part PARTITION OF {schema}.whole DEFAULT"),
        Step::Sql("INSERT INTO {schema}.whole VALUES ('a')"),
    ]),
    fixed("the condition of COPY FROM", &[
        Step::Bytes(
            |target| {
                super::super::frames::query(&target.fill("COPY {schema}.log FROM STDIN WHERE evil.fixed(msg) = ''"))
            },
            1,
        ),
        Step::Bytes(
            |_| [super::super::frames::copy_data("a\n"), super::super::frames::copy_done()].concat(),
            1,
        ),
    ]),
];
