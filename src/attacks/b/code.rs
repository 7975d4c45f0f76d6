//! Code that runs where nobody looks for it: while something is planned, in DDL, in what was stored for later.

use super::CALL;
use crate::attacks::frames::{bind, parse, sync};
use crate::attacks::{Fence, Harm, Step, Way};

/// A function that is run by planning alone.
const fn planned(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, CALL, steps, Harm::Tells("fixed ran"))
}

pub const PLANNING: &[Way] = &[
    planned("EXPLAIN", &[Step::Sql("EXPLAIN SELECT evil.fixed('x')")]),
    planned("in a WHERE", &[Step::Query("EXPLAIN (COSTS off) SELECT 1 WHERE evil.fixed('x') = 'x'")]),
    planned(
        "in a statement that writes",
        &[Step::Query("EXPLAIN UPDATE {schema}.{users} SET name = evil.fixed('x') WHERE id = 1")],
    ),
    planned("in a LIMIT", &[Step::Query("EXPLAIN SELECT 1 LIMIT length(evil.fixed('x'))")]),
    planned("ANALYZE that is off", &[Step::Query("EXPLAIN (ANALYZE, ANALYZE off) SELECT \"evil\".\"fixed\"('x')")]),
    planned(
        "of a prepared statement",
        &[Step::Sql("PREPARE p AS SELECT evil.fixed('x')"), Step::Sql("EXPLAIN EXECUTE p")],
    ),
    planned("DECLARE without FETCH", &[Step::Query("BEGIN; DECLARE c CURSOR FOR SELECT evil.fixed('x'); COMMIT")]),
    planned(
        "Parse and Bind without Execute",
        &[Step::Bytes(|_| [parse("", "SELECT evil.fixed('x')"), bind("", "", &[]), sync()].concat(), 1)],
    ),
    Way::new(
        "a stable function, run for an estimate",
        CALL,
        &[Step::Query("EXPLAIN SELECT * FROM {schema}.{users} WHERE name > evil.stable('x')")],
        Harm::Tells("stable ran"),
    )
    .setup(
        "CREATE FUNCTION evil.stable(what text) RETURNS text STABLE LANGUAGE plpgsql AS \
         $$BEGIN RAISE NOTICE 'stable ran %', what; RETURN what; END$$; ANALYZE {schema}.{users}",
    ),
];

/// DO is allowed, and so is everything in the application's schema but to drop tables.
const DO_ALLOWED: Fence = Fence::Own(
    "policy: blocks
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: blocks, actions: [do], objects: [plpgsql]}
  - {rule: schema, actions: [read, write, ddl], objects: ['public.*']}
deny: [{rule: drop, actions: ['drop:table']}]
",
);

/// For policies without DO.
const DO_FENCE: Fence = Fence::Deed("DO $$BEGIN NULL; END$$");

pub const DO: &[Way] = &[
    Way::new(
        "DO",
        DO_FENCE,
        &[Step::Sql("DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE {schema}.{users} CASCADE'; END $$")],
        Harm::Changes,
    ),
    Way::new(
        "DO with its language, as an escaped string",
        DO_FENCE,
        &[Step::Query("DO LANGUAGE plpgsql E'BEGIN DROP TABLE {schema}.{users} CASCADE\\x3b END'")],
        Harm::Changes,
    ),
    Way::new(
        "text put together, where DO is allowed",
        DO_ALLOWED,
        &[Step::Sql("DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE {users} CASCADE'; END $$")],
        Harm::Changes,
    ),
    Way::new(
        "text from a variable",
        DO_ALLOWED,
        &[Step::Query("DO $$ DECLARE t text := 'DROP TABLE {users} CASCADE'; BEGIN EXECUTE t; END $$")],
        Harm::Changes,
    ),
    Way::new(
        "text from a table",
        DO_ALLOWED,
        &[
            Step::Query("INSERT INTO log VALUES ('DROP TABLE {users} CASCADE')"),
            Step::Query("DO $$ DECLARE t text; BEGIN SELECT msg INTO t FROM log; EXECUTE t; END $$"),
        ],
        Harm::Server("SELECT pg_catalog.to_regclass('{schema}.{users}') IS NULL"),
    ),
    Way::new(
        "format()",
        DO_ALLOWED,
        &[Step::Query("DO $$ BEGIN EXECUTE format('DROP TABLE %I CASCADE', '{users}'); END $$")],
        Harm::Changes,
    ),
    Way::new(
        "a constant text",
        DO_ALLOWED,
        &[Step::Query("DO $$ BEGIN EXECUTE 'DROP TABLE {users} CASCADE'; END $$")],
        Harm::Changes,
    ),
    Way::new(
        "in plain sight",
        DO_ALLOWED,
        &[Step::Query("DO $$ BEGIN DROP TABLE {users} CASCADE; END $$")],
        Harm::Changes,
    ),
    Way::new(
        "in a handler of exceptions",
        DO_ALLOWED,
        &[Step::Query(
            "DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN BEGIN DROP TABLE {users} CASCADE; END; END $$",
        )],
        Harm::Changes,
    ),
    Way::new(
        "a loop over dynamic SQL",
        DO_ALLOWED,
        &[Step::Query(
            "DO $$ DECLARE r record; BEGIN \
             FOR r IN EXECUTE 'DELETE FROM hr.' || 'salaries RETURNING id' LOOP NULL; END LOOP; END $$",
        )],
        Harm::Changes,
    ),
    Way::new(
        "OPEN FOR EXECUTE",
        DO_ALLOWED,
        &[Step::Query(
            "DO $$ DECLARE c refcursor; v text; BEGIN \
             OPEN c FOR EXECUTE 'SELECT evil.' || 'boom(''b7'')'; FETCH c INTO v; END $$",
        )],
        Harm::Changes,
    ),
];

/// Some procedures may be called.
const OWN_PROCEDURES: Fence = Fence::Own(
    "policy: own-procedures
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: rows, actions: [select, insert], tables: ['public.*']}
  - {rule: own, actions: [call], functions: ['public.price_*']}
",
);

/// A procedure with an allowed name in a schema of the attacker's.
const PRICE: &str = "CREATE PROCEDURE evil.price_list() LANGUAGE sql AS 'DELETE FROM {schema}.{users}'";

pub const PROCEDURES: &[Way] = &[
    Way::new("CALL", OWN_PROCEDURES, &[Step::Sql("CALL purge()")], Harm::Changes),
    Way::new("with its schema", OWN_PROCEDURES, &[Step::Sql("CALL public.purge()")], Harm::Changes),
    Way::new(
        "by another spelling",
        OWN_PROCEDURES,
        &[Step::Query("call PUBLIC./**/U&\"p\\0075rge\"()")],
        Harm::Changes,
    ),
    Way::new(
        "an allowed name of another schema",
        OWN_PROCEDURES,
        &[Step::Sql("CALL evil.price_list()")],
        Harm::Changes,
    )
    .setup(PRICE),
    Way::new(
        "an allowed procedure with a function in its argument",
        OWN_PROCEDURES,
        &[Step::Query("CALL public.price_of(evil.boom('b8'))")],
        Harm::Changes,
    )
    .setup("CREATE PROCEDURE {schema}.price_of(what text) LANGUAGE sql AS 'SELECT 1'"),
    Way::new(
        "where no procedure may be called",
        Fence::Deed("CALL evil.purge()"),
        &[Step::Sql("CALL {schema}.purge()")],
        Harm::Changes,
    ),
];

/// For policies that let nobody make rules.
const RULE: Fence = Fence::Deed("CREATE RULE r AS ON INSERT TO {schema}.log DO ALSO NOTHING");
/// For policies that let nobody make triggers.
const TRIGGER: Fence =
    Fence::Deed("CREATE TRIGGER t BEFORE UPDATE ON {schema}.log EXECUTE FUNCTION suppress_redundant_updates_trigger()");

/// A trigger function that is there already.
const WIPE: &str = "CREATE FUNCTION {schema}.wipe() RETURNS trigger LANGUAGE plpgsql AS \
    $$BEGIN DELETE FROM {schema}.{users}; RETURN NULL; END$$; \
    CREATE FUNCTION {schema}.wipe_event() RETURNS event_trigger LANGUAGE plpgsql AS \
    $$BEGIN DELETE FROM {schema}.{users}; END$$";

/// The table is empty, whatever else was made.
const WIPED: Harm = Harm::Server("SELECT count(*) = 0 FROM {schema}.{users}");

pub const RULES_AND_TRIGGERS: &[Way] = &[
    Way::new(
        "CREATE RULE, then an INSERT",
        RULE,
        &[
            Step::Sql("CREATE RULE r AS ON INSERT TO {schema}.log DO ALSO DELETE FROM {schema}.{users}"),
            Step::Sql("INSERT INTO {schema}.log VALUES ('b14')"),
        ],
        WIPED,
    ),
    Way::new(
        "CREATE TRIGGER, then an INSERT",
        TRIGGER,
        &[
            Step::Sql("CREATE TRIGGER t AFTER INSERT ON {schema}.log EXECUTE FUNCTION {schema}.wipe()"),
            Step::Sql("INSERT INTO {schema}.log VALUES ('b14')"),
        ],
        WIPED,
    )
    .setup(WIPE),
    Way::new(
        "a constraint trigger that waits for the COMMIT",
        TRIGGER,
        &[
            Step::Query("BEGIN"),
            Step::Query(
                "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON {schema}.log DEFERRABLE INITIALLY DEFERRED \
                 FOR EACH ROW EXECUTE FUNCTION {schema}.wipe()",
            ),
            Step::Query("INSERT INTO {schema}.log VALUES ('b14')"),
            Step::Query("COMMIT"),
        ],
        WIPED,
    )
    .setup(WIPE),
    Way::new(
        "an event trigger, then any DDL",
        TRIGGER,
        &[
            Step::Query("CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION {schema}.wipe_event()"),
            Step::Query("CREATE TABLE {schema}.x (id int)"),
        ],
        WIPED,
    )
    .setup(WIPE),
    Way::new(
        "CREATE OR REPLACE of a trigger that is there",
        TRIGGER,
        &[
            Step::Query(
                "CREATE OR REPLACE TRIGGER there AFTER INSERT ON {schema}.log EXECUTE FUNCTION {schema}.wipe()",
            ),
            Step::Query("INSERT INTO {schema}.log VALUES ('b14')"),
        ],
        WIPED,
    )
    .setup(
        "CREATE FUNCTION {schema}.wipe() RETURNS trigger LANGUAGE plpgsql AS \
         $$BEGIN DELETE FROM {schema}.{users}; RETURN NULL; END$$; \
         CREATE TRIGGER there BEFORE UPDATE ON {schema}.log EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ),
    Way::new(
        "a policy on rows with a function in it",
        Fence::Deed("CREATE POLICY p ON {schema}.log"),
        &[Step::Query("CREATE POLICY p ON {schema}.log USING (evil.is_fine(msg))")],
        Harm::Changes,
    ),
];

/// For policies that let nobody run maintenance.
const MAINTAIN: Fence = Fence::Deed("REFRESH MATERIALIZED VIEW {schema}.mv");

/// A view that calls, made while nobody looked.
const LOUD_VIEW: &str = "CREATE MATERIALIZED VIEW {schema}.loud AS SELECT evil.boom('b15') AS what";
/// An index that calls.
const LOUD_INDEX: &str = "CREATE FUNCTION evil.quiet(what text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS \
    $$BEGIN RAISE NOTICE 'quiet ran'; RETURN what; END$$; CREATE INDEX loud ON {schema}.{users} (evil.quiet(name))";

pub const STORED: &[Way] = &[
    Way::new("REFRESH", MAINTAIN, &[Step::Sql("REFRESH MATERIALIZED VIEW {schema}.loud")], Harm::Changes)
        .setup(LOUD_VIEW),
    Way::new(
        "REFRESH WITH DATA, in a transaction",
        MAINTAIN,
        &[Step::Query("BEGIN; REFRESH MATERIALIZED VIEW {schema}.loud WITH DATA; COMMIT")],
        Harm::Changes,
    )
    .setup(LOUD_VIEW),
    Way::new("ANALYZE", MAINTAIN, &[Step::Sql("ANALYZE {schema}.{users}")], Harm::Tells("quiet ran")).setup(LOUD_INDEX),
    Way::new("VACUUM ANALYZE", MAINTAIN, &[Step::Query("VACUUM (ANALYZE) {schema}.{users}")], Harm::Tells("quiet ran"))
        .setup(LOUD_INDEX),
    Way::new("REINDEX", MAINTAIN, &[Step::Sql("REINDEX TABLE {schema}.{users}")], Harm::Tells("quiet ran"))
        .setup(LOUD_INDEX),
    Way::new("CLUSTER", MAINTAIN, &[Step::Query("CLUSTER {schema}.{users} USING loud")], Harm::Tells("quiet ran"))
        .setup(LOUD_INDEX),
];

/// A statement of DDL that calls a function of the attacker's.
const fn called(how: &'static str, steps: &'static [Step], harm: Harm) -> Way {
    Way::new(how, CALL, steps, harm)
}

/// A row was written by the function.
const RAN: Harm = Harm::Server("SELECT count(*) > 0 FROM {schema}.log");

/// A table that no view depends on.
const NOTES: &str = "CREATE TABLE {schema}.notes AS SELECT name AS msg FROM {schema}.{users}";

pub const EXPRESSIONS: &[Way] = &[
    called(
        "ALTER COLUMN TYPE … USING",
        &[Step::Sql("ALTER TABLE {schema}.notes ALTER msg TYPE text USING evil.boom(msg)")],
        RAN,
    )
    .setup(NOTES),
    called(
        "ADD COLUMN … DEFAULT",
        &[Step::Sql("ALTER TABLE {schema}.{users} ADD COLUMN x text DEFAULT evil.boom('b16')")],
        RAN,
    ),
    called(
        "SET DEFAULT, then an INSERT",
        &[
            Step::Query("ALTER TABLE {schema}.{users} ALTER ssn SET DEFAULT evil.boom('b16')"),
            Step::Query("INSERT INTO {schema}.{users} (id, name) VALUES (9, 'x')"),
        ],
        RAN,
    ),
    called(
        "a default of a table and the INSERT in one Query",
        &[Step::Query(
            "CREATE TABLE {schema}.x (a text DEFAULT evil.boom('b16')); INSERT INTO {schema}.x DEFAULT VALUES",
        )],
        RAN,
    ),
    called(
        "CREATE INDEX on an expression",
        &[Step::Sql("CREATE INDEX ON {schema}.{users} (evil.fixed(name))")],
        Harm::Tells("fixed ran"),
    ),
    called(
        "CREATE INDEX with a predicate",
        &[Step::Query("CREATE INDEX ON {schema}.{users} (id) WHERE evil.fixed(name) <> ''")],
        Harm::Tells("fixed ran"),
    ),
    called("CHECK", &[Step::Sql("ALTER TABLE {schema}.{users} ADD CHECK (evil.is_fine(name))")], RAN),
    called(
        "CHECK that is validated later",
        &[
            Step::Query("ALTER TABLE {schema}.{users} ADD CONSTRAINT late CHECK (evil.is_fine(name)) NOT VALID"),
            Step::Query("ALTER TABLE {schema}.{users} VALIDATE CONSTRAINT late"),
        ],
        RAN,
    ),
    called(
        "GENERATED",
        &[Step::Query("ALTER TABLE {schema}.{users} ADD COLUMN x text GENERATED ALWAYS AS (evil.fixed(name)) STORED")],
        Harm::Tells("fixed ran"),
    ),
    called(
        "the bound of a partition",
        &[
            Step::Query("CREATE TABLE {schema}.p (a text) PARTITION BY LIST (a)"),
            Step::Query("CREATE TABLE {schema}.p1 PARTITION OF {schema}.p FOR VALUES IN (evil.boom('b16'))"),
        ],
        RAN,
    ),
    called(
        "the check of a domain",
        &[
            Step::Query("CREATE DOMAIN {schema}.d AS text CHECK (evil.is_fine(VALUE))"),
            Step::Query("ALTER TABLE {schema}.notes ALTER msg TYPE {schema}.d"),
        ],
        RAN,
    )
    .setup(NOTES),
    called(
        "a column of a domain that checks",
        &[Step::Query("ALTER TABLE {schema}.notes ALTER msg TYPE evil.dom")],
        RAN,
    )
    .setup(NOTES),
    called("CREATE TABLE AS", &[Step::Query("CREATE TABLE {schema}.x AS SELECT evil.boom('b16')")], RAN),
    called(
        "an aggregate over the function",
        &[
            Step::Query("CREATE AGGREGATE {schema}.x (int) (sfunc = evil.plus, stype = text, initcond = 'b16')"),
            Step::Query("SELECT {schema}.x(id) FROM {schema}.{users}"),
        ],
        RAN,
    ),
];

/// One function may be called.
const ONE_FUNCTION: Fence = Fence::Own(
    "policy: one-function
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: own, actions: [call], functions: [public.allowed_fn]}
  - {rule: schema, actions: [read, write, ddl], objects: ['public.*']}
",
);

/// For policies that let nobody make functions.
const FUNCTION: Fence = Fence::Deed("CREATE FUNCTION {schema}.x() RETURNS int LANGUAGE sql AS 'SELECT 1'");

pub const REPLACED: &[Way] = &[
    Way::new(
        "CREATE OR REPLACE FUNCTION",
        ONE_FUNCTION,
        &[
            Step::Sql(
                "CREATE OR REPLACE FUNCTION public.allowed_fn() RETURNS text LANGUAGE sql AS \
                 'SELECT string_agg(amount, '','') FROM hr.salaries'",
            ),
            Step::Sql("SELECT public.allowed_fn()"),
        ],
        Harm::Tells("salary-1"),
    ),
    Way::new(
        "with a body of nodes",
        ONE_FUNCTION,
        &[
            Step::Query(
                "CREATE OR REPLACE FUNCTION allowed_fn() RETURNS text LANGUAGE sql BEGIN ATOMIC \
                 SELECT amount FROM hr.salaries; END",
            ),
            Step::Query("SELECT allowed_fn()"),
        ],
        Harm::Tells("salary-1"),
    ),
    Way::new(
        "an overload of the allowed name",
        ONE_FUNCTION,
        &[
            Step::Query(
                "CREATE FUNCTION public.allowed_fn(what text) RETURNS text LANGUAGE plpgsql AS \
                 $$BEGIN RETURN (SELECT amount FROM hr.salaries); END$$",
            ),
            Step::Query("SELECT allowed_fn('x')"),
        ],
        Harm::Tells("salary-1"),
    ),
    Way::new(
        "another function is moved into the schema",
        ONE_FUNCTION,
        &[Step::Query("ALTER FUNCTION evil.allowed_fn(int) SET SCHEMA public"), Step::Query("SELECT allowed_fn(1)")],
        Harm::Tells("salary-1"),
    )
    .setup("CREATE FUNCTION evil.allowed_fn(int) RETURNS text LANGUAGE sql AS 'SELECT amount FROM hr.salaries'"),
    Way::new(
        "another function gets the name",
        ONE_FUNCTION,
        &[Step::Query("ALTER FUNCTION public.other_fn(int) RENAME TO allowed_fn"), Step::Query("SELECT allowed_fn(1)")],
        Harm::Tells("salary-1"),
    )
    .setup("CREATE FUNCTION public.other_fn(int) RETURNS text LANGUAGE sql AS 'SELECT amount FROM hr.salaries'"),
    Way::new(
        "where no function may be made",
        FUNCTION,
        &[
            Step::Sql(
                "CREATE OR REPLACE FUNCTION {schema}.allowed_fn() RETURNS text LANGUAGE sql AS \
                 'SELECT evil.boom(''b22'')'",
            ),
            Step::Sql("SELECT {schema}.allowed_fn()"),
        ],
        Harm::Changes,
    ),
    Way::new(
        "a procedure",
        FUNCTION,
        &[Step::Query("CREATE OR REPLACE PROCEDURE {schema}.purge() LANGUAGE sql AS 'DELETE FROM hr.salaries'")],
        Harm::Changes,
    ),
];
