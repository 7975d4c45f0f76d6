//! Injections that no pattern finds: they are stopped by what they do.

use super::APPLICATION;
use crate::attacks::{Fence, Harm, Step, Way};

/// For policies that let nobody delete or change a whole table.
const UNBOUNDED: Fence = Fence::Deed("DELETE FROM {schema}.{users}");

/// A write that was meant for one row.
const fn all_rows(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, UNBOUNDED, steps, Harm::Changes)
}

/// A question that tells a column which nobody may see.
const fn asks(how: &'static str, steps: &'static [Step], harm: Harm) -> Way {
    Way::new(how, APPLICATION, steps, harm)
}

pub const NO_FRAGMENTS: &[Way] = &[
    all_rows("or true", &[Step::Sql("DELETE FROM {schema}.{users} WHERE id = 1 or true")]),
    all_rows("a cast to bool", &[Step::Sql("DELETE FROM {schema}.{users} WHERE id = 1 OR 1::bool")]),
    all_rows("dollar quotes", &[Step::Query("DELETE FROM {schema}.{users} WHERE name = '' OR $$a$$ = $x$a$x$")]),
    all_rows("an array", &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR (ARRAY[true])[1]")]),
    all_rows(
        "comments for white space",
        &[Step::Query("DELETE/**/FROM/**/{schema}.{users}/**/WHERE/**/id=1/**/OR/**/'1'='1'--")],
    ),
    all_rows("SHOW in front", &[Step::Query("SHOW server_version; DELETE FROM {schema}.{users}")]),
    all_rows(
        "a string with an escape, a bit string, a national one",
        &[Step::Query(
            "UPDATE {schema}.{users} SET role = 'admin' WHERE id = 1 OR E'\\x61' = 'a' OR B'1' = b'1' OR N'a' = 'a'",
        )],
    ),
    Way::new(
        "UNION without a space",
        APPLICATION,
        &[Step::Sql("SELECT name FROM {users} WHERE name='x'UNION(SELECT(ssn)FROM\"public\".{users})")],
        Harm::Tells("ssn-1"),
    ),
];

pub const TAUTOLOGIES: &[Way] = &[
    all_rows("id = id", &[Step::Sql("DELETE FROM {schema}.{users} WHERE id = 1 OR id = id")]),
    all_rows("'a' < 'b'", &[Step::Sql("DELETE FROM {schema}.{users} WHERE name = 'x' OR 'a' < 'b'")]),
    all_rows("1 IN (1)", &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR 1 IN (1)")]),
    all_rows("EXISTS (SELECT 1)", &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR EXISTS (SELECT 1)")]),
    all_rows("NULL IS NULL", &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR NULL IS NULL")]),
    all_rows("length('a') = 1", &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR length('a') = 1")]),
    all_rows("2 BETWEEN 1 AND 3", &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR 2 BETWEEN 1 AND 3")]),
    all_rows("pg_backend_pid() > 0", &[Step::Sql("DELETE FROM {schema}.{users} WHERE id = 1 OR pg_backend_pid() > 0")]),
    all_rows("now() is now", &[Step::Query("UPDATE {schema}.{users} SET role = 'x' WHERE id = 1 OR now() >= now()")]),
    all_rows(
        "a negation of what never holds",
        &[Step::Query("DELETE FROM {schema}.{users} WHERE NOT (id = 1 AND 1 = 2)")],
    ),
    all_rows("a pattern that matches all", &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR 'x' LIKE '%'")]),
    all_rows(
        "a count of something else",
        &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR (SELECT count(*) FROM {schema}.parent) > 0")],
    ),
    all_rows(
        "an array that has it",
        &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR 1 = ANY (ARRAY[1, 2])")],
    ),
    all_rows("IS NOT UNKNOWN", &[Step::Query("DELETE FROM {schema}.{users} WHERE (id = 1) IS NOT UNKNOWN")]),
    all_rows("COALESCE", &[Step::Query("DELETE FROM {schema}.{users} WHERE id = 1 OR COALESCE(NULL, true)")]),
    all_rows("a bound value", &[Step::Bound("DELETE FROM {schema}.{users} WHERE id = 1 OR $1::int = 1", &["1"])]),
];

/// For policies without sleep.
const SLEEP: Fence = Fence::Deed("SELECT pg_sleep(0)");

pub const BLIND: &[Way] = &[
    Way::new(
        "a delay in a sub-select",
        SLEEP,
        &[Step::Sql("SELECT name FROM {schema}.{users} WHERE id = 1 AND 1 = (SELECT 1 FROM pg_sleep(0))")],
        Harm::Runs,
    ),
    Way::new(
        "a delay by other names",
        SLEEP,
        &[Step::Query("SELECT \"pg_catalog\".\"pg_sleep_for\"('0 s'), PG_SLEEP_UNTIL(now())")],
        Harm::Runs,
    ),
    Way::new(
        "a delay under a condition",
        SLEEP,
        &[Step::Query(
            "SELECT CASE WHEN EXISTS (SELECT FROM {schema}.{users} WHERE id = 1) THEN pg_sleep(0) END FROM {schema}.{users}",
        )],
        Harm::Runs,
    ),
    asks(
        "an error under a condition",
        &[Step::Sql("SELECT 1 / (CASE WHEN (SELECT ssn FROM {users} WHERE id = 1) LIKE 'ssn%' THEN 0 ELSE 1 END)")],
        Harm::Tells("division by zero"),
    ),
    asks("an error that quotes the value", &[Step::Sql("SELECT CAST(ssn AS int) FROM {users}")], Harm::Tells("ssn-1")),
    asks(
        "… in a condition, past a sub-select",
        &[Step::Query("SELECT name FROM {users} WHERE id = (SELECT max(u.ssn)::int FROM {users} u WHERE u.id = 1)")],
        Harm::Tells("ssn-1"),
    ),
    asks(
        "yes or no",
        &[Step::Sql("SELECT name FROM {users} WHERE id = 1 AND substr(ssn, 1, 1) = 's'")],
        Harm::Tells("ann"),
    ),
    asks("the order of rows", &[Step::Query("SELECT id FROM {users} ORDER BY ssn DESC")], Harm::Runs),
    asks(
        "the number of groups",
        &[Step::Query("SELECT count(*) FROM {users} GROUP BY ssn HAVING count(*) > 0")],
        Harm::Runs,
    ),
    asks(
        "a difference of whole rows",
        &[Step::Query("SELECT count(*) FROM {users} u WHERE u = ROW(1, 'ann'::text, 'ssn-1'::text, 'user'::text)")],
        Harm::Runs,
    ),
    Way::new(
        "a name that is looked up elsewhere",
        Fence::Always,
        &[Step::Sql(
            "SELECT dblink_connect('hostaddr=127.0.0.1 port=1 dbname=' || ssn) FROM {schema}.{users} WHERE id = 1",
        )],
        Harm::Tells("could not establish connection"),
    )
    .setup("CREATE EXTENSION dblink"),
];

pub const INSIDE: &[Way] = &[
    asks(
        "another order",
        &[
            Step::Sql("SELECT id, name FROM {users} ORDER BY name"),
            Step::Sql("SELECT id, name FROM {users} ORDER BY ssn"),
        ],
        Harm::Runs,
    ),
    asks(
        "an order by a condition",
        &[Step::Query("SELECT id, name FROM {users} ORDER BY (CASE WHEN ssn > 'ssn-2' THEN id ELSE -id END)")],
        Harm::Runs,
    ),
    asks(
        "another schema",
        &[Step::Sql("SELECT name FROM public.{users}"), Step::Sql("SELECT ssn AS name FROM hr.{users}")],
        Harm::Tells("hr-ssn-1"),
    ),
    asks(
        "a limit that asks",
        &[Step::Query("SELECT id FROM {users} LIMIT (SELECT count(*) FROM {users} WHERE ssn LIKE 'ssn-1%')")],
        Harm::Runs,
    ),
    asks(
        "a literal that ends early",
        &[
            Step::Sql("SELECT name FROM {users} WHERE name = 'x'"),
            Step::Sql("SELECT name FROM {users} WHERE name = 'x' UNION SELECT ssn FROM {users} --'"),
        ],
        Harm::Tells("ssn-1"),
    ),
    asks(
        "a literal that goes on as an expression",
        &[Step::Query("UPDATE {users} SET name = 'x' || (SELECT ssn FROM {users} WHERE id = 1) || '' WHERE id = 2")],
        Harm::Changes,
    ),
    asks(
        "a second row of values",
        &[Step::Sql("INSERT INTO log VALUES ('x'), ((SELECT ssn FROM {users} WHERE id = 1))")],
        Harm::Changes,
    ),
    asks(
        "a longer RETURNING",
        &[Step::Query("UPDATE {users} SET name = 'x' WHERE id = 1 RETURNING id, *")],
        Harm::Tells("ssn-1"),
    ),
    asks(
        "another column to set",
        &[Step::Query("UPDATE {users} SET name = 'x', ssn = 'mine' WHERE id = 1")],
        Harm::Changes,
    ),
];
