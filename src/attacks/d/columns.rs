//! D9–D19: one column is protected, and everything else of its table may be read.

use super::super::frames::{bind_as, describe, execute, parse, sync};
use super::super::{Fence, Harm, Step, Way};
use super::policies::{COLUMN, COLUMN_ANYWHERE, COLUMN_DDL, COLUMN_READ, WRITES};

/// One value of the protected column.
const VALUE: Harm = Harm::Tells("ssn-1");

/// One statement that tells it.
const fn tells(how: &'static str, fence: Fence, steps: &'static [Step]) -> Way {
    Way::new(how, fence, steps, VALUE)
}

pub const D9: &[Way] = &[
    tells("the alias", COLUMN, &[Step::Sql("SELECT u FROM users u")]),
    tells("the table's name", COLUMN, &[Step::Sql("SELECT users FROM users")]),
    tells("the alias, expanded", COLUMN, &[Step::Sql("SELECT (u).* FROM users u")]),
    tells("a qualified star", COLUMN, &[Step::Sql("SELECT {schema}.{users}.* FROM {schema}.{users}")]),
    tells("the row as text", COLUMN, &[Step::Sql("SELECT u::text FROM users u")]),
    tells("row_to_json", COLUMN, &[Step::Sql("SELECT row_to_json(u) FROM users u")]),
    tells("json_agg without a path", COLUMN_ANYWHERE, &[Step::Sql("SELECT json_agg(u) FROM users u")]),
    tells("a row constructor", COLUMN, &[Step::Sql("SELECT ROW(u.*) FROM users u")]),
    tells("attribute notation", COLUMN, &[Step::Sql("SELECT u.to_jsonb FROM users u")]),
    tells("the column as a function", COLUMN, &[Step::Sql("SELECT ssn(u) FROM users u")]),
    tells("an attribute of the row", COLUMN, &[Step::Sql("SELECT (u).ssn FROM users u")]),
    tells("the row out of a sub-select", COLUMN, &[Step::Sql("SELECT (SELECT u FROM users u WHERE id = 1)::text")]),
    tells("an array of rows", COLUMN, &[Step::Sql("SELECT ARRAY(SELECT u FROM users u)")]),
    tells(
        "an attribute of an array's element",
        COLUMN,
        &[Step::Sql("SELECT ((SELECT array_agg(u ORDER BY id) FROM users u)[1]).ssn")],
    ),
    tells(
        "the row as argument of a function in FROM",
        COLUMN,
        &[Step::Sql("SELECT j.value FROM users u, LATERAL json_each_text(row_to_json(u)) j")],
    ),
    tells("the row of a join's alias", COLUMN, &[Step::Sql("SELECT j FROM (users CROSS JOIN parent) j")]),
    tells("the row in an outer query", COLUMN, &[Step::Sql("SELECT (SELECT u::text) FROM users u")]),
    tells("the largest row", COLUMN, &[Step::Sql("SELECT max(u::text) FROM users u WHERE u.id < 2")]),
    tells("the row as XML", COLUMN, &[Step::Sql("SELECT xmlforest(u AS r) FROM users u")]),
];

pub const D10: &[Way] = &[
    tells("on the table", COLUMN, &[Step::Sql("SELECT c FROM users AS u(a, b, c)")]),
    tells("on the table, without a path", COLUMN_ANYWHERE, &[Step::Sql("SELECT u.c FROM users u(a, b, c)")]),
    tells("on fewer columns", COLUMN, &[Step::Sql("SELECT u.name FROM users u(id, x, name)")]),
    tells("on a join", COLUMN, &[Step::Sql("SELECT j.c FROM (users CROSS JOIN parent) AS j(a, b, c)")]),
    tells(
        "on a join in parentheses twice",
        COLUMN,
        &[Step::Sql("SELECT c FROM ((users JOIN parent USING (id)) CROSS JOIN child) AS j(a, b, c)")],
    ),
    tells("on a sub-select", COLUMN, &[Step::Sql("SELECT q.c FROM (TABLE users) AS q(a, b, c)")]),
    tells("on ONLY", COLUMN, &[Step::Sql("SELECT c FROM ONLY (users) AS u(a, b, c)")]),
    tells("on a sampled table", COLUMN, &[Step::Sql("SELECT c FROM users AS u(a, b, c) TABLESAMPLE bernoulli(100)")]),
];

pub const D11: &[Way] = &[
    tells("TABLE", COLUMN, &[Step::Sql("WITH q(a, b, c) AS (TABLE users) SELECT c FROM q")]),
    tells("*", COLUMN_ANYWHERE, &[Step::Sql("WITH q(a, b, c) AS (SELECT * FROM users) SELECT c FROM q")]),
    tells(
        "recursive",
        COLUMN,
        &[Step::Sql("WITH RECURSIVE q(a, b, c, d) AS (TABLE users UNION (SELECT * FROM q)) SELECT c FROM q")],
    ),
    tells(
        "a WITH query called like the table",
        COLUMN,
        &[Step::Sql("WITH users AS (SELECT ssn AS x FROM users) SELECT x FROM users")],
    ),
    tells(
        "a WITH query of the table's name that comes later",
        COLUMN,
        &[Step::Sql("WITH x AS (SELECT ssn FROM users), users AS (SELECT 1) SELECT x.ssn FROM x, users")],
    ),
    tells(
        "a WITH query of the table's name in another arm",
        COLUMN,
        &[Step::Sql("(WITH users AS (SELECT '' AS ssn) SELECT ssn FROM users) UNION ALL SELECT ssn FROM users")],
    ),
    tells(
        "a WITH query of the table's name, the table with its schema",
        COLUMN,
        &[Step::Sql("WITH users AS (SELECT '' AS ssn) SELECT ssn FROM {schema}.users")],
    ),
    tells(
        "a write under a WITH query of the table's name",
        COLUMN,
        &[Step::Sql("WITH users AS (SELECT 1 AS id) UPDATE users SET name = users.name RETURNING ssn")],
    ),
];

pub const D12: &[Way] = &[
    tells(
        "TABLE in the second arm",
        COLUMN,
        &[Step::Sql("SELECT 0 AS a, '' AS b, '' AS c, '' AS d UNION ALL TABLE users")],
    ),
    tells(
        "* in the second arm",
        COLUMN_ANYWHERE,
        &[Step::Sql("SELECT 0 AS a, '' AS b, '' AS c, '' AS d UNION ALL SELECT * FROM users")],
    ),
    tells(
        "in a sub-select",
        COLUMN,
        &[Step::Sql("SELECT c FROM (VALUES (0, '', '', '') UNION ALL TABLE users) AS q(a, b, c, d)")],
    ),
    tells(
        "INTERSECT with itself",
        COLUMN,
        &[Step::Sql("SELECT c FROM ((TABLE users) INTERSECT (TABLE users)) AS q(a, b, c, d)")],
    ),
    tells("EXCEPT", COLUMN, &[Step::Sql("SELECT q.* FROM (TABLE users EXCEPT SELECT 0, '', '', '') q")]),
];

pub const D13: &[Way] = &[
    tells("*", COLUMN, &[Step::Sql("SELECT * FROM users")]),
    tells("* without a path", COLUMN_ANYWHERE, &[Step::Sql("SELECT * FROM {schema}.users")]),
    tells("TABLE", COLUMN, &[Step::Sql("TABLE users")]),
    tells("TABLE ONLY", COLUMN, &[Step::Sql("TABLE ONLY {schema}.users")]),
    tells("* of a sub-select's *", COLUMN, &[Step::Sql("SELECT q.* FROM (SELECT * FROM users) q")]),
    tells(
        "NATURAL JOIN",
        COLUMN,
        &[Step::Sql("SELECT v.ssn FROM users NATURAL JOIN (VALUES ('ssn-1'), ('ssn-9')) v(ssn) WHERE users.id = 1")],
    ),
    tells("USING", COLUMN, &[Step::Sql("SELECT v.* FROM users JOIN (VALUES ('ssn-1')) v(ssn) USING (ssn)")]),
    tells("a LATERAL *", COLUMN, &[Step::Sql("SELECT x.* FROM users u, LATERAL (SELECT u.*) x")]),
    tells("PREPARE", COLUMN, &[Step::Sql("PREPARE p AS SELECT * FROM users"), Step::Sql("EXECUTE p")]),
    tells(
        "DECLARE and FETCH",
        COLUMN,
        &[Step::Sql("BEGIN"), Step::Sql("DECLARE c CURSOR FOR TABLE users"), Step::Sql("FETCH ALL FROM c")],
    ),
    tells(
        "EXISTS over a join with *",
        COLUMN,
        &[Step::Sql("SELECT ARRAY(SELECT q::text FROM (SELECT * FROM users) q)")],
    ),
    // In the inner query `users` is another relation, or hidden behind a join's alias: the name means the outer one.
    tells(
        "a schema-qualified name over an inner alias",
        COLUMN,
        &[Step::Sql("SELECT (SELECT {schema}.users.ssn FROM parent users LIMIT 1) FROM users")],
    ),
    tells(
        "a schema-qualified name over an inner sub-select",
        COLUMN,
        &[Step::Sql("SELECT (SELECT {schema}.users.ssn FROM (SELECT 1) users) FROM {schema}.users")],
    ),
    tells(
        "a schema-qualified row over an inner WITH query",
        COLUMN,
        &[Step::Sql(
            "SELECT (WITH w AS (SELECT 1) SELECT ROW({schema}.users.*) FROM w users)::text FROM {schema}.users",
        )],
    ),
    tells(
        "a name that an inner join's alias hides",
        COLUMN,
        &[Step::Sql("SELECT (SELECT users.ssn FROM (parent users CROSS JOIN child) j LIMIT 1) FROM users")],
    ),
    tells(
        "a row that an inner join's alias hides",
        COLUMN_ANYWHERE,
        &[Step::Sql("SELECT (SELECT users::text FROM (parent users CROSS JOIN child) j LIMIT 1) FROM users")],
    ),
    tells(
        "a name in a join's condition inside",
        COLUMN,
        &[Step::Sql("SELECT (SELECT u.ssn FROM parent p JOIN child c ON u.ssn > '' LIMIT 1) FROM users u")],
    ),
    tells("an unqualified name inside", COLUMN, &[Step::Sql("SELECT (SELECT ssn FROM parent LIMIT 1) FROM users")]),
];

pub const D14: &[Way] = &[
    tells(
        "pg_stats",
        COLUMN,
        &[Step::Sql("SELECT histogram_bounds, most_common_vals FROM pg_stats WHERE tablename = 'users'")],
    )
    .setup("ANALYZE {schema}.users"),
    tells(
        "pg_catalog.pg_stats without a path",
        COLUMN_ANYWHERE,
        &[Step::Sql(
            "SELECT histogram_bounds FROM pg_catalog.pg_stats WHERE schemaname = '{schema}' AND attname = 'ssn'",
        )],
    )
    .setup("ANALYZE {schema}.users"),
    tells(
        "pg_statistic",
        COLUMN,
        &[Step::Sql("SELECT stavalues1::text FROM pg_statistic WHERE starelid = '{schema}.users'::regclass")],
    )
    .setup("ANALYZE {schema}.users"),
    tells("pg_stats_ext", COLUMN, &[Step::Sql("SELECT most_common_vals FROM pg_stats_ext")])
        .setup("CREATE STATISTICS {schema}.portrait (mcv) ON name, ssn FROM {schema}.users; ANALYZE {schema}.users"),
    tells(
        "pg_statistic_ext_data",
        COLUMN,
        &[Step::Sql("SELECT m.values FROM pg_statistic_ext_data, pg_mcv_list_items(stxdmcv) m")],
    )
    .setup("CREATE STATISTICS {schema}.portrait (mcv) ON name, ssn FROM {schema}.users; ANALYZE {schema}.users"),
];

pub const D15: &[Way] = &[
    tells("a cast", COLUMN, &[Step::Sql("SELECT ssn::int FROM users")]),
    tells("CAST to a date, without a path", COLUMN_ANYWHERE, &[Step::Sql("SELECT CAST(u.ssn AS date) FROM users u")]),
    tells("uuid", COLUMN, &[Step::Sql("SELECT ssn::uuid FROM users")]),
    tells("in a condition", COLUMN, &[Step::Sql("SELECT id FROM users WHERE ssn::int = 1")]),
    tells("of the row", COLUMN, &[Step::Sql("SELECT u::text::int FROM users u")]),
    tells("of a setting", COLUMN, &[Step::Sql("SELECT current_setting(ssn) FROM users")]),
    tells("of a relation's name", COLUMN, &[Step::Sql("SELECT ssn::regclass FROM users")]),
    tells("in an UPDATE", COLUMN, &[Step::Sql("UPDATE users SET id = ssn::int")]),
    tells("a unique index", COLUMN_DDL, &[Step::Sql("CREATE UNIQUE INDEX ON users (ssn)")])
        .setup("UPDATE {schema}.users SET ssn = 'ssn-1'"),
    tells(
        "another type for the column",
        COLUMN_DDL,
        &[Step::Sql("ALTER TABLE users ALTER COLUMN ssn TYPE int USING ssn::int")],
    )
    .setup("DROP VIEW {schema}.everybody"),
    tells("the row that a constraint refuses", COLUMN, &[Step::Sql("UPDATE users SET name = NULL WHERE id = 1")])
        .harmless(),
    tells(
        "the row that a check refuses, at the end of the transaction",
        COLUMN,
        &[Step::Sql("BEGIN"), Step::Sql("UPDATE users SET name = 'x'"), Step::Sql("COMMIT")],
    )
    .setup(
        "CREATE FUNCTION {schema}.no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \
         RAISE check_violation USING DETAIL = 'Failing row contains ' || NEW::text; END$$; \
         CREATE CONSTRAINT TRIGGER no AFTER UPDATE ON {schema}.{users} DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION {schema}.no()",
    )
    .harmless(),
    tells("the row that a view's check refuses", COLUMN, &[Step::Sql("UPDATE checked SET name = 'zed' WHERE id = 1")])
        .setup(
            "CREATE VIEW {schema}.checked AS SELECT id, name FROM {schema}.{users} WHERE name <> 'zed' WITH CHECK OPTION",
        )
        .harmless(),
    tells("a key that is still in use", COLUMN, &[Step::Sql("DELETE FROM users WHERE id = 1")])
        .setup(
            "ALTER TABLE {schema}.{users} ADD UNIQUE (ssn); CREATE TABLE {schema}.uses (ssn text REFERENCES {schema}.{users} (ssn)); \
             INSERT INTO {schema}.uses VALUES ('ssn-1')",
        )
        .harmless(),
    tells("a check", COLUMN_DDL, &[Step::Sql("ALTER TABLE users ADD CHECK (ssn::int > 0)")]),
];

pub const D16: &[Way] = &[
    Way::new("LIKE", COLUMN, &[Step::Sql("SELECT name FROM users WHERE ssn LIKE '%-1'")], Harm::Tells("ann")),
    Way::new(
        "ORDER BY",
        COLUMN_ANYWHERE,
        &[Step::Sql("SELECT name FROM users ORDER BY ssn OFFSET 1 LIMIT 1")],
        Harm::Tells("bob"),
    ),
    Way::new(
        "ORDER BY an expression",
        COLUMN,
        &[Step::Sql("SELECT name FROM users ORDER BY (ssn = 'ssn-2') DESC LIMIT 1")],
        Harm::Tells("bob"),
    ),
    Way::new("GROUP BY", COLUMN, &[Step::Sql("SELECT max(name) FROM users GROUP BY ssn")], Harm::Tells("bob")),
    Way::new(
        "HAVING",
        COLUMN,
        &[Step::Sql("SELECT name FROM users GROUP BY name HAVING max(ssn) = 'ssn-2'")],
        Harm::Tells("bob"),
    ),
    Way::new("DISTINCT ON", COLUMN, &[Step::Sql("SELECT DISTINCT ON (u.ssn) name FROM users u")], Harm::Tells("bob")),
    Way::new(
        "a window",
        COLUMN,
        &[Step::Sql("SELECT name, rank() OVER (ORDER BY ssn) FROM users")],
        Harm::Tells("bob"),
    ),
    Way::new(
        "a window by name",
        COLUMN,
        &[Step::Sql("SELECT name, rank() OVER w FROM users WINDOW w AS (PARTITION BY ssn)")],
        Harm::Tells("bob"),
    ),
    Way::new(
        "a join on it",
        COLUMN,
        &[Step::Sql("SELECT name FROM users u JOIN (VALUES ('ssn-2')) v(x) ON v.x = u.ssn")],
        Harm::Tells("bob"),
    ),
    Way::new(
        "FILTER",
        COLUMN,
        &[Step::Sql("SELECT max(name) FILTER (WHERE ssn = 'ssn-2') FROM users")],
        Harm::Tells("bob"),
    ),
    Way::new(
        "CASE",
        COLUMN,
        &[Step::Sql("SELECT CASE ssn WHEN 'ssn-2' THEN 'found' END FROM users")],
        Harm::Tells("found"),
    ),
    Way::new("EXPLAIN", COLUMN, &[Step::Sql("EXPLAIN SELECT id FROM users WHERE ssn = 'ssn-1'")], Harm::Runs),
    Way::new(
        "a correlated sub-select",
        COLUMN,
        &[Step::Sql("SELECT name FROM users u WHERE EXISTS (SELECT FROM parent WHERE u.ssn = 'ssn-2')")],
        Harm::Tells("bob"),
    ),
    Way::new(
        "a DELETE",
        COLUMN,
        &[Step::Sql("DELETE FROM users WHERE ssn = 'ssn-2' RETURNING name")],
        Harm::Tells("bob"),
    ),
    Way::new(
        "a lock",
        COLUMN,
        &[Step::Sql("SELECT name FROM users WHERE ssn = 'ssn-2' FOR UPDATE")],
        Harm::Tells("bob"),
    ),
    Way::new(
        "a condition of a sample",
        COLUMN,
        &[Step::Sql("SELECT name FROM users TABLESAMPLE bernoulli(100) WHERE ssn = 'ssn-2'")],
        Harm::Tells("bob"),
    ),
];

pub const D17: &[Way] = &[
    tells(
        "RETURNING, where only reading is denied",
        COLUMN_READ,
        &[Step::Sql("UPDATE users SET id = id RETURNING ssn")],
    ),
    tells("RETURNING *, where only writing is allowed", WRITES, &[Step::Sql("UPDATE users SET id = id RETURNING *")]),
    Way::new(
        "a trigger that gets the row",
        COLUMN_DDL,
        &[
            Step::Sql(
                "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION \
                       tsvector_update_trigger(words, 'pg_catalog.simple', ssn)",
            ),
            Step::Elsewhere("INSERT INTO {schema}.{users} (id, name, ssn) VALUES (9, 'zoe', 'sesame')"),
        ],
        Harm::Server("SELECT words::text LIKE '%sesam%' FROM {schema}.{users} WHERE id = 9"),
    )
    .setup("ALTER TABLE {schema}.{users} ADD words tsvector"),
    tells("RETURNING", COLUMN, &[Step::Sql("UPDATE users SET name = name RETURNING ssn")]),
    tells("RETURNING *", COLUMN_ANYWHERE, &[Step::Sql("DELETE FROM users RETURNING *")]),
    tells("RETURNING the row", COLUMN, &[Step::Sql("UPDATE users AS u SET name = name RETURNING u")]),
    tells("RETURNING old", COLUMN, &[Step::Sql("UPDATE users SET name = '' RETURNING old.ssn")]).since(18),
    tells(
        "RETURNING old by another name",
        COLUMN,
        &[Step::Sql("UPDATE users SET name = '' RETURNING WITH (OLD AS o) o.ssn")],
    )
    .since(18),
    tells("into another column", COLUMN, &[Step::Sql("UPDATE users SET name = ssn RETURNING name")]),
    tells(
        "into another column by a row",
        COLUMN,
        &[Step::Sql("UPDATE users SET (name, role) = (SELECT ssn, '') RETURNING name")],
    ),
    tells(
        "excluded",
        COLUMN,
        &[Step::Sql(
            "INSERT INTO users (id, name, ssn) VALUES (1, 'x', 'ssn-1') \
             ON CONFLICT (id) DO UPDATE SET name = excluded.ssn RETURNING name",
        )],
    ),
    tells(
        "the existing row of an upsert",
        COLUMN,
        &[Step::Sql(
            "INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = users.ssn RETURNING name",
        )],
    ),
    tells(
        "the condition of an upsert",
        COLUMN,
        &[Step::Sql(
            "INSERT INTO users AS u (id, name) VALUES (1, 'x') \
             ON CONFLICT (id) DO UPDATE SET name = 'ssn-1' WHERE u.ssn = 'ssn-1' RETURNING name",
        )],
    ),
    tells(
        "UPDATE … FROM",
        COLUMN,
        &[Step::Sql("UPDATE users u SET name = v.ssn FROM users v WHERE u.id = v.id RETURNING u.name")],
    ),
    tells("INSERT … SELECT", COLUMN, &[Step::Sql("INSERT INTO log SELECT ssn FROM users RETURNING msg")]),
    tells("INSERT … TABLE", COLUMN, &[Step::Sql("INSERT INTO hidden TABLE users RETURNING ssn")])
        .setup("CREATE TABLE {schema}.hidden (LIKE {schema}.users)"),
    tells(
        "DELETE … USING",
        COLUMN,
        &[Step::Sql("DELETE FROM parent USING users u WHERE u.id = parent.id RETURNING u.ssn")],
    ),
    tells("a write in WITH", COLUMN, &[Step::Sql("WITH w AS (DELETE FROM users RETURNING *) SELECT * FROM w")]),
    tells(
        "MERGE",
        COLUMN,
        &[
            Step::Sql("MERGE INTO log USING users u ON msg = u.ssn WHEN NOT MATCHED THEN INSERT VALUES (u.ssn)"),
            Step::Sql("SELECT msg FROM log"),
        ],
    )
    .since(15),
    tells(
        "MERGE into itself",
        COLUMN,
        &[
            Step::Sql(
                "MERGE INTO users t USING (VALUES (1)) v(x) ON t.id = v.x WHEN MATCHED THEN UPDATE SET name = t.ssn",
            ),
            Step::Sql("SELECT name FROM users"),
        ],
    )
    .since(15),
    tells(
        "CREATE TABLE AS",
        COLUMN_DDL,
        &[Step::Sql("CREATE TABLE taken AS TABLE users"), Step::Sql("SELECT ssn FROM taken")],
    ),
    tells(
        "SELECT INTO",
        COLUMN_DDL,
        &[Step::Sql("SELECT ssn AS x INTO taken FROM users"), Step::Sql("SELECT x FROM taken")],
    ),
    tells(
        "a default",
        COLUMN_DDL,
        &[
            Step::Sql("ALTER TABLE users ADD COLUMN c text GENERATED ALWAYS AS (ssn) STORED"),
            Step::Sql("SELECT c FROM users"),
        ],
    ),
];

pub const D18: &[Way] = &[
    Way::new("upper", COLUMN, &[Step::Sql("SELECT upper(ssn) FROM users")], Harm::Tells("SSN-1")),
    tells("||", COLUMN_ANYWHERE, &[Step::Sql("SELECT ssn || '' AS name FROM users")]),
    Way::new("substr", COLUMN, &[Step::Sql("SELECT substr(ssn, 4, 2) AS id FROM users")], Harm::Tells("-1")),
    Way::new("reverse", COLUMN, &[Step::Sql("SELECT reverse(u.ssn) FROM users u")], Harm::Tells("1-nss")),
    tells("string_agg", COLUMN, &[Step::Sql("SELECT string_agg(DISTINCT ssn, ' ') FROM users")]),
    tells("an array", COLUMN, &[Step::Sql("SELECT ARRAY[ssn, name] FROM users")]),
    tells("coalesce", COLUMN, &[Step::Sql("SELECT coalesce(NULL, ssn) AS name FROM users")]),
    tells("nullif", COLUMN, &[Step::Sql("SELECT nullif(ssn, '') FROM users")]),
    tells("CASE", COLUMN, &[Step::Sql("SELECT CASE WHEN true THEN ssn ELSE name END AS name FROM users")]),
    tells("format", COLUMN, &[Step::Sql("SELECT format('%s', ssn) FROM users")]),
    tells("VARIADIC", COLUMN, &[Step::Sql("SELECT concat(VARIADIC ARRAY[name, ssn]) FROM users")]),
    tells("JSON", COLUMN, &[Step::Sql("SELECT json_build_object('name', ssn) FROM users")]),
    tells("JSON_OBJECT", COLUMN, &[Step::Sql("SELECT JSON_OBJECT('name' : ssn) FROM users")]).since(16),
    tells("XML", COLUMN, &[Step::Sql("SELECT xmlelement(name n, ssn) FROM users")]),
    tells(
        "XMLTABLE",
        COLUMN,
        &[Step::Sql(
            "SELECT x.n FROM users u, XMLTABLE('/r' PASSING xmlelement(name r, u.ssn) COLUMNS n text PATH '.') x",
        )],
    ),
    tells(
        "a sub-select with another name",
        COLUMN,
        &[Step::Sql("SELECT q.name FROM (SELECT ssn AS name FROM users) q")],
    ),
    tells(
        "query_to_xml",
        COLUMN,
        &[Step::Sql("SELECT query_to_xml('select ssn as name from users', true, false, '')")],
    ),
    tells("lag", COLUMN, &[Step::Sql("SELECT lag(ssn) OVER (ORDER BY id) AS name FROM users")]),
    tells("percentile_disc", COLUMN, &[Step::Sql("SELECT percentile_disc(0) WITHIN GROUP (ORDER BY ssn) FROM users")]),
    tells("unnest", COLUMN, &[Step::Sql("SELECT x FROM users u, unnest(ARRAY[u.ssn]) x")]),
    tells("VALUES", COLUMN, &[Step::Sql("SELECT v.x FROM users u, LATERAL (VALUES (u.ssn)) v(x)")]),
];

pub const D19: &[Way] = &[
    tells("COPY … TO STDOUT", COLUMN, &[Step::Sql("COPY users TO STDOUT")]),
    tells("COPY of the column", COLUMN_ANYWHERE, &[Step::Sql("COPY {schema}.users (ssn) TO STDOUT")]),
    tells("COPY of a query, binary", COLUMN, &[Step::Sql("COPY (SELECT ssn FROM users) TO STDOUT (FORMAT binary)")]),
    tells("COPY of a query, CSV", COLUMN, &[Step::Sql("COPY (TABLE users) TO STDOUT (FORMAT csv, HEADER)")]),
    tells("COPY of a write", COLUMN, &[Step::Sql("COPY (UPDATE users SET name = name RETURNING ssn) TO STDOUT")]),
    tells("COPY of the old syntax", COLUMN, &[Step::Sql("COPY BINARY users TO STDOUT")]),
    tells(
        "results in binary",
        COLUMN,
        &[Step::Bytes(
            |_| {
                let select = parse("", "SELECT ssn FROM users");
                [select, bind_as("", "", 0, &[], 1), describe(b'P', ""), execute(""), sync()].concat()
            },
            1,
        )],
    ),
    tells(
        "a whole row in binary",
        COLUMN_ANYWHERE,
        &[Step::Bytes(
            |_| [parse("s", "SELECT u FROM users u"), bind_as("p", "s", 0, &[], 1), execute("p"), sync()].concat(),
            1,
        )],
    ),
    tells(
        "a binary cursor",
        COLUMN,
        &[
            Step::Sql("BEGIN"),
            Step::Sql("DECLARE c BINARY CURSOR FOR SELECT ssn FROM users"),
            Step::Sql("FETCH ALL FROM c"),
        ],
    ),
];
