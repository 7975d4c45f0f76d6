//! C4–C8, C13, C18, C19: code that runs behind operators, types, columns and names that look like others.

use super::super::{Fence, Harm, Step, Way};

/// Policies that don't let the function of the attack run: it writes.
const CALL: Fence = Fence::Deed("SELECT evil.boom('x')");
/// Policies that don't let the path be changed to the attacker's schema.
const PATH: Fence = Fence::Deed("SET search_path = evil, {schema}");

/// One statement that writes.
const fn writes(how: &'static str, fence: Fence, steps: &'static [Step]) -> Way {
    Way::new(how, fence, steps, Harm::Changes)
}

pub const C4: &[Way] = &[
    writes("OPERATOR()", CALL, &[Step::Sql("SELECT 'a'::text OPERATOR(evil.+) 1")]),
    writes(
        "in a condition",
        CALL,
        &[Step::Sql("SELECT FROM {schema}.parent WHERE 'a'::text OPERATOR(evil.+) id = ''")],
    ),
    writes("in quotes and upper case", CALL, &[Step::Sql("SELECT 'a'::text OPERATOR(\"evil\".+) 1")]),
    writes("in ORDER BY", CALL, &[Step::Sql("SELECT 1 ORDER BY 'a'::text OPERATOR(EVIL.+) 1")]),
    writes("with ANY", CALL, &[Step::Sql("SELECT 'a'::text OPERATOR(evil.<<<) ANY (ARRAY[1])")])
        .setup(CREATE_COMPARISON),
    writes("with a sub-select", CALL, &[Step::Sql("SELECT 'a'::text OPERATOR(evil.<<<) ALL (SELECT 1)")])
        .setup(CREATE_COMPARISON),
    writes(
        "ORDER BY USING",
        CALL,
        &[Step::Sql("SELECT x FROM (VALUES ('a'), ('b')) v(x) ORDER BY x USING OPERATOR(evil.<)")],
    )
    .setup(CREATE_ORDER),
    writes("a prefix", CALL, &[Step::Sql("SELECT OPERATOR(evil.!!!) 'a'::text")])
        .setup("CREATE OPERATOR evil.!!! (rightarg = text, function = evil.boom)"),
    writes("an aggregate of the other schema", CALL, &[Step::Sql("SELECT evil.collect(name) FROM {users}")]).setup(
        "CREATE FUNCTION evil.step(a text, b text) RETURNS text LANGUAGE sql AS 'SELECT evil.boom($2)'; \
         CREATE AGGREGATE evil.collect(text) (sfunc = evil.step, stype = text)",
    ),
];

/// `text <<< int` is a bool, and writes.
const CREATE_COMPARISON: &str = "CREATE FUNCTION evil.less(a text, b int) RETURNS bool LANGUAGE sql AS 'SELECT evil.boom(a) IS NULL'; \
     CREATE OPERATOR evil.<<< (leftarg = text, rightarg = int, function = evil.less)";
/// An order of text that writes.
const CREATE_ORDER: &str = "CREATE FUNCTION evil.before(a text, b text) RETURNS bool LANGUAGE sql AS 'SELECT evil.boom(a) < b COLLATE \"C\"'; \
     CREATE FUNCTION evil.compare(a text, b text) RETURNS int LANGUAGE plpgsql AS \
     $$BEGIN PERFORM evil.boom(a); RETURN 1; END$$; \
     CREATE OPERATOR evil.< (leftarg = text, rightarg = text, function = evil.before); \
     CREATE OPERATOR CLASS evil.text_ops FOR TYPE text USING btree AS OPERATOR 1 evil.<, OPERATOR 3 pg_catalog.=, FUNCTION 1 evil.compare(text, text)";

pub const C5: &[Way] = &[
    writes("SET", PATH, &[Step::Sql("SET search_path = evil, {schema}"), Step::Sql("SELECT 'a'::text + 1")]),
    writes(
        "SET LOCAL",
        PATH,
        &[
            Step::Sql("BEGIN"),
            Step::Sql("SET LOCAL search_path TO evil"),
            Step::Sql("SELECT 'a'::text + 1"),
            Step::Sql("COMMIT"),
        ],
    ),
    writes("SET SCHEMA", PATH, &[Step::Sql("SET SCHEMA 'evil'"), Step::Sql("SELECT 'a'::text + 1")]),
    writes("in one message", PATH, &[Step::Query("SET search_path = evil; SELECT 'a'::text + 1")]),
    writes(
        "set_config",
        PATH,
        &[Step::Sql("SELECT set_config('search_path', 'evil', false)"), Step::Sql("SELECT 'a'::text + 1")],
    ),
    writes(
        "set_config in the same statement",
        PATH,
        &[
            Step::Sql("SELECT set_config('Search_Path', 'evil', true); SELECT 1"),
            Step::Query("BEGIN; SELECT set_config('search_path', 'evil', true); SELECT 'a'::text + 1; COMMIT"),
        ],
    ),
    writes(
        "set_config with a bound value",
        PATH,
        &[Step::Bound("SELECT set_config('search_path', $1, false)", &["evil"]), Step::Sql("SELECT 'a'::text + 1")],
    ),
    writes(
        "set_config with a bound name",
        PATH,
        &[Step::Bound("SELECT set_config($1, $2, false)", &["search_path", "evil"]), Step::Sql("SELECT 'a'::text + 1")],
    ),
    writes("a startup parameter", PATH, &[Step::Sql("SELECT 'a'::text + 1 FROM {schema}.parent")])
        .startup(&[("search_path", "evil")]),
    writes("options", PATH, &[Step::Sql("SELECT 'a'::text + 1 FROM {schema}.parent")])
        .startup(&[("options", "--search-path=evil")]),
    writes(
        "UPDATE of pg_settings",
        PATH,
        &[
            Step::Sql("UPDATE pg_settings SET setting = 'evil' WHERE name = 'search_path'"),
            Step::Sql("SELECT 'a'::text + 1"),
        ],
    ),
    // The path that the firewall sends at the start beats it: the sign finds no such operator.
    writes("the role's setting", CALL, &[Step::Sql("SELECT 'a'::text + 1")])
        .setup("ALTER ROLE {role} SET search_path = evil")
        .undo("ALTER ROLE {role} RESET search_path")
        .harmless(),
];

/// A rule speaks of the function that a column hides.
const ROW_FUNCTION: Fence = Fence::Own(
    "
policy: row-functions
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: rows, actions: [select, insert], tables: ['*']}
deny:
  - {rule: no-onrow, actions: [call], functions: ['*.onrow']}
",
);
/// The same, and everything else may be called.
const OTHER_FUNCTIONS: Fence = Fence::Own(
    "
policy: other-functions
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: rows, actions: [select, insert], tables: ['*']}
  - {rule: calls, actions: [call], functions: ['public.*']}
deny:
  - {rule: no-onrow, actions: [call], functions: [public.onrow]}
",
);
/// One column is protected.
const COLUMN: Fence = Fence::Own(
    "
policy: columns
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: rows, actions: [select], tables: ['*']}
deny:
  - {rule: no-ssn, columns: [users.ssn]}
",
);

/// One statement that tells the protected column.
const fn tells(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, COLUMN, steps, Harm::Tells("ssn-1"))
}

pub const C6: &[Way] = &[
    writes("a function of the row's type", ROW_FUNCTION, &[Step::Sql("SELECT u.onrow FROM users u")]),
    writes("of the row in parentheses", ROW_FUNCTION, &[Step::Sql("SELECT (u).onrow FROM users u")]),
    writes("of the table's name", OTHER_FUNCTIONS, &[Step::Sql("SELECT users.onrow FROM users")]),
    writes("with the schema", OTHER_FUNCTIONS, &[Step::Sql("SELECT public.users.ONROW FROM public.users")]),
    writes("in a condition", ROW_FUNCTION, &[Step::Sql("SELECT id FROM users u WHERE u.\"onrow\" > ''")]),
    writes("of a made row", ROW_FUNCTION, &[Step::Sql("SELECT (ROW(u.id, 'a', 'b', 'c')::users).onrow FROM users u")]),
    tells("row_to_json", &[Step::Sql("SELECT u.row_to_json FROM users u")]),
    tells("json_agg", &[Step::Sql("SELECT u.json_agg FROM users u")]),
    tells("jsonb_agg", &[Step::Sql("SELECT u.jsonb_agg FROM users u")]),
    tells("array_agg", &[Step::Sql("SELECT u.array_agg FROM users u")]),
    tells("concat", &[Step::Sql("SELECT u.concat FROM users u")]),
    tells("record_out", &[Step::Sql("SELECT u.record_out FROM users u")]),
    tells("to_jsonb of the row in parentheses", &[Step::Sql("SELECT (u).to_jsonb FROM users u")]),
    tells("quote_literal of the table's name", &[Step::Sql("SELECT users.quote_literal FROM users")]),
    tells("of a sub-select's row", &[Step::Sql("SELECT ((SELECT u FROM users u WHERE id = 1)).to_json")]),
    tells("of an outer row", &[Step::Sql("SELECT (SELECT u.to_jsonb) FROM users u")]),
];

pub const C7: &[Way] = &[
    writes("::", CALL, &[Step::Sql("SELECT u::evil.t2 FROM {schema}.{users} u")]),
    writes("CAST", CALL, &[Step::Sql("SELECT CAST(u AS evil.t2) FROM {schema}.{users} u")]),
    writes("of an array", CALL, &[Step::Sql("SELECT ARRAY[u]::evil.t2[] FROM {schema}.{users} u")]),
    writes("in a condition", CALL, &[Step::Sql("SELECT FROM {schema}.{users} u WHERE (u::\"evil\".T2).what = ''")]),
    writes(
        "by a column's type",
        CALL,
        &[
            Step::Sql("CREATE TEMP TABLE taken (x evil.t2)"),
            Step::Sql("INSERT INTO taken SELECT u FROM {schema}.{users} u"),
        ],
    )
    .setup(
        "DROP CAST ({schema}.{users} AS evil.t2); \
            CREATE CAST ({schema}.{users} AS evil.t2) WITH FUNCTION evil.to_t2({schema}.{users}) AS ASSIGNMENT",
    ),
];

pub const C8: &[Way] = &[
    writes("::", CALL, &[Step::Sql("SELECT 'x'::evil.dom")]),
    writes("CAST", CALL, &[Step::Sql("SELECT CAST('x' AS evil.dom)")]),
    writes("a type before a constant", CALL, &[Step::Sql("SELECT evil.dom 'x'")]),
    writes("an array", CALL, &[Step::Sql("SELECT '{x}'::evil.dom[]")]),
    writes("a row's attribute", CALL, &[Step::Sql("SELECT '(x)'::evil.row_of_dom")])
        .setup("CREATE TYPE evil.row_of_dom AS (x evil.dom)"),
    writes(
        "the columns of a function",
        CALL,
        &[Step::Sql("SELECT * FROM json_to_record('{\"x\": \"y\"}') AS t(x evil.dom)")],
    ),
    writes(
        "a column of XMLTABLE",
        CALL,
        &[Step::Sql("SELECT * FROM XMLTABLE('/a' PASSING '<a>x</a>' COLUMNS x evil.dom PATH '.')")],
    ),
    writes(
        "a column of JSON_TABLE",
        CALL,
        &[Step::Sql("SELECT * FROM JSON_TABLE('\"x\"', '$' COLUMNS (x evil.dom PATH '$'))")],
    )
    .since(17),
    writes("RETURNING of JSON_VALUE", CALL, &[Step::Sql("SELECT JSON_VALUE('\"x\"', '$' RETURNING evil.dom)")])
        .since(17),
    writes(
        "a row of NULL for json_populate_record",
        CALL,
        &[Step::Sql("SELECT json_populate_record(NULL::evil.row_of_dom, '{\"x\": \"y\"}')")],
    )
    .setup("CREATE TYPE evil.row_of_dom AS (x evil.dom)"),
    writes(
        "a parameter of PREPARE",
        CALL,
        &[Step::Sql("PREPARE p(evil.dom) AS SELECT $1"), Step::Sql("EXECUTE p('x')")],
    ),
    writes("a parameter's cast", CALL, &[Step::Bound("SELECT $1::evil.dom", &["x"])]),
    writes("pg_input_is_valid", CALL, &[Step::Sql("SELECT pg_input_is_valid('x', 'evil.dom')")]).since(16),
    writes(
        "the input function of domains",
        CALL,
        &[Step::Sql("SELECT domain_in('x'::cstring, 'evil.dom'::regtype, -1) IS NULL")],
    ),
    writes("a new column", CALL, &[Step::Sql("ALTER TABLE {schema}.log ADD COLUMN d evil.dom DEFAULT 'x'")]),
];

/// Policies that don't let anybody become this role.
const BOSS: Fence = Fence::Deed("SET ROLE boss");
/// Who the session is.
const IS_BOSS: Harm = Harm::Session("SELECT current_user", "boss");

pub const C13: &[Way] = &[
    Way::new("set_config of role", BOSS, &[Step::Sql("SELECT set_config('role', 'boss', false)")], IS_BOSS),
    Way::new(
        "set_config of session_authorization",
        BOSS,
        &[Step::Sql("SELECT set_config('session_authorization', 'boss', false)")],
        Harm::Session("SELECT session_user", "boss"),
    ),
    Way::new("another case", BOSS, &[Step::Sql("SELECT pg_catalog.set_config('ROLE', 'boss', false)")], IS_BOSS),
    Way::new("in FROM", BOSS, &[Step::Sql("SELECT * FROM set_config('role', 'boss', false)")], IS_BOSS),
    Way::new(
        "in a condition",
        BOSS,
        &[Step::Sql("SELECT 1 WHERE set_config('role', 'boss', false) = 'boss'")],
        IS_BOSS,
    ),
    Way::new("a name put together", BOSS, &[Step::Sql("SELECT set_config('ro' || 'le', 'boss', false)")], IS_BOSS),
    Way::new(
        "a name out of a CASE",
        BOSS,
        &[Step::Sql("SELECT set_config(CASE WHEN true THEN 'role' END, 'boss', false)")],
        IS_BOSS,
    ),
    Way::new(
        "a name out of a table",
        BOSS,
        &[Step::Sql("SELECT set_config(v.n, 'boss', false) FROM (VALUES ('role')) v(n)")],
        IS_BOSS,
    ),
    Way::new("a value put together", BOSS, &[Step::Sql("SELECT set_config('role', 'bo' || 'ss', false)")], IS_BOSS),
    Way::new("a bound value", BOSS, &[Step::Bound("SELECT set_config('role', $1, false)", &["boss"])], IS_BOSS),
    Way::new(
        "a bound name and value",
        BOSS,
        &[Step::Bound("SELECT set_config($1, $2, false)", &["role", "boss"])],
        IS_BOSS,
    ),
    Way::new(
        "a bound name in binary",
        BOSS,
        &[Step::Bytes(
            |_| {
                use super::super::frames::{bind_as, execute, parse, sync};
                let set = parse("", "SELECT set_config($1, $2, false)");
                [set, bind_as("", "", 1, &[b"role", b"boss"], 1), execute(""), sync()].concat()
            },
            1,
        )],
        IS_BOSS,
    ),
    Way::new(
        "in EXPLAIN ANALYZE",
        BOSS,
        &[Step::Sql("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT set_config('role', 'boss', false)")],
        IS_BOSS,
    ),
];

pub const C18: &[Way] = &[
    writes("pg_catalog last", PATH, &[Step::Sql("SET search_path = evil, pg_catalog"), Step::Sql("SELECT lower('q')")]),
    writes(
        "in a transaction",
        PATH,
        &[
            Step::Sql("BEGIN"),
            Step::Sql("SET LOCAL search_path = evil, pg_catalog"),
            Step::Sql("SELECT lower('q')"),
            Step::Sql("COMMIT"),
        ],
    ),
    writes(
        "set_config",
        PATH,
        &[Step::Sql("SELECT set_config('search_path', 'evil,pg_catalog', false)"), Step::Sql("SELECT lower('q')")],
    ),
    writes("a startup parameter", PATH, &[Step::Sql("SELECT lower('q') FROM {schema}.parent")])
        .startup(&[("search_path", "evil, pg_catalog")]),
    writes("options with an escape", PATH, &[Step::Sql("SELECT lower('q') FROM {schema}.parent")])
        .startup(&[("options", "-c search_path=evil,\\ pg_catalog")]),
    writes("the role's setting", CALL, &[Step::Sql("SELECT lower('q')")])
        .setup("ALTER ROLE {role} SET search_path = evil, pg_catalog")
        .undo("ALTER ROLE {role} RESET search_path")
        .harmless(),
    writes("the database's setting", CALL, &[Step::Sql("SELECT lower('q')")])
        .setup("ALTER DATABASE {database} SET search_path = evil, pg_catalog")
        .harmless(),
];

/// Some functions of the application may be called, by name or by schema and name.
const BY_NAME: Fence = Fence::Own(
    "
policy: by-name
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: rows, actions: [select, insert], tables: ['*']}
  - {rule: calls, actions: [call], functions: [lower, count, public.allowed_fn, boom]}
",
);
/// The same without a path.
const BY_NAME_ANYWHERE: Fence = Fence::Own(
    "
policy: by-name-anywhere
applies_to: {users: [attacker]}
allow:
  - {rule: rows, actions: [select, insert], tables: ['*']}
  - {rule: calls, actions: [call], functions: [lower, count, 'public.*', boom]}
",
);

/// Everything is allowed but some functions.
const DENIED: Fence = Fence::Own(
    "
policy: denied
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: everything, actions: [all]}]
deny: [{rule: dangerous, functions: [json_value, json_scalar, merge_action, danger]}]
",
);

pub const C19: &[Way] = &[
    writes("what is grammar by now: json_value", DENIED, &[Step::Sql("SELECT json_value('a', 'b')")])
        .setup("CREATE FUNCTION {schema}.json_value(text, text) RETURNS text LANGUAGE sql AS $$SELECT evil.boom($1)$$")
        .majors(14, 16),
    writes("what is grammar by now: json_scalar", DENIED, &[Step::Sql("SELECT json_scalar('a')")])
        .setup("CREATE FUNCTION {schema}.json_scalar(text) RETURNS text LANGUAGE sql AS $$SELECT evil.boom($1)$$")
        .majors(14, 15),
    writes("what is grammar by now: merge_action", DENIED, &[Step::Sql("SELECT merge_action()")])
        .setup("CREATE FUNCTION {schema}.merge_action() RETURNS text LANGUAGE sql AS $$SELECT evil.boom('m')$$")
        .majors(14, 16),
    writes(
        "a support function of an operator class",
        DENIED,
        &[
            Step::Sql(
                "CREATE OPERATOR CLASS mine FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, \
                       OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 danger(int4, int4)",
            ),
            Step::Sql("CREATE INDEX ON {schema}.{users} (id mine)"),
        ],
    )
    .setup(
        "CREATE FUNCTION {schema}.danger(int4, int4) RETURNS int4 IMMUTABLE LANGUAGE plpgsql AS \
         $$BEGIN PERFORM evil.boom('d'); RETURN $1 - $2; END$$",
    ),
    writes("count", CALL, &[Step::Sql("SELECT evil.count('a')")]),
    writes("lower in quotes", CALL, &[Step::Sql("SELECT \"evil\".\"lower\"('a')")]),
    writes("a name of three parts", CALL, &[Step::Sql("SELECT {database}.evil.lower('a')")]),
    writes("an allowed name", BY_NAME, &[Step::Sql("SELECT evil.boom('a')")]),
    writes("an allowed built-in's name", BY_NAME, &[Step::Sql("SELECT evil.count('a')")]),
    writes("an allowed name without a path", BY_NAME_ANYWHERE, &[Step::Sql("SELECT evil.boom('a')")]),
    writes("an allowed built-in's name without a path", BY_NAME_ANYWHERE, &[Step::Sql("SELECT evil.lower('a')")]),
    writes("an allowed function's name elsewhere", BY_NAME, &[Step::Sql("SELECT evil.allowed_fn()")])
        .setup("CREATE FUNCTION evil.allowed_fn() RETURNS text LANGUAGE sql AS $$SELECT evil.boom('a')$$"),
    writes("the database as the schema", BY_NAME_ANYWHERE, &[Step::Sql("SELECT {database}.evil.boom('a')")]),
];
