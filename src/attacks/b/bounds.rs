//! Statements that look restricted and are not: conditions that are true for every row, joins that restrict nothing, limits
//! that limit nothing.

use super::UNBOUNDED;
use crate::attacks::{Fence, Harm, Step, Way};

/// A write to the whole table where policies ask for a WHERE.
const fn unbounded(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, UNBOUNDED, steps, Harm::Changes)
}

pub const TRUE_FOR_ALL: &[Way] = &[
    unbounded("no WHERE at all", &[Step::Sql("DELETE FROM {schema}.{users}")]),
    unbounded("true", &[Step::Sql("DELETE FROM {schema}.{users} WHERE true")]),
    unbounded("1 = 1", &[Step::Sql("UPDATE {schema}.{users} SET role = 'admin' WHERE 1 = 1")]),
    unbounded("the key is not NULL", &[Step::Query("DELETE FROM {schema}.{users} WHERE id IS NOT NULL")]),
    unbounded("not NULL, negated", &[Step::Query("DELETE FROM {schema}.{users} WHERE NOT (id IS NULL)")]),
    unbounded("a column equals itself", &[Step::Sql("DELETE FROM {schema}.{users} WHERE id = id")]),
    unbounded("… by two spellings", &[Step::Query("DELETE FROM {schema}.{users} u WHERE u.id >= (u).\"id\"")]),
    unbounded("… as a row", &[Step::Query("DELETE FROM {schema}.{users} WHERE (id, name) = (id, name)")]),
    unbounded("… plus nothing", &[Step::Query("DELETE FROM {schema}.{users} WHERE id + 0 = id")]),
    unbounded("… is not distinct", &[Step::Query("DELETE FROM {schema}.{users} WHERE name IS NOT DISTINCT FROM name")]),
    unbounded("… lies between itself", &[Step::Query("DELETE FROM {schema}.{users} WHERE id BETWEEN id AND id")]),
    unbounded("… is in a list with itself", &[Step::Query("DELETE FROM {schema}.{users} WHERE id IN (id)")]),
    unbounded("EXISTS (SELECT 1)", &[Step::Sql("DELETE FROM {schema}.{users} WHERE EXISTS (SELECT 1)")]),
    unbounded(
        "EXISTS over the table itself",
        &[Step::Query("DELETE FROM {schema}.{users} u WHERE EXISTS (SELECT 1 FROM {schema}.{users} s WHERE s.id = 1)")],
    ),
    unbounded(
        "the key is one of the keys",
        &[Step::Query("DELETE FROM {schema}.{users} WHERE id IN (SELECT id FROM {schema}.{users})")],
    ),
    unbounded(
        "the place of the row is not NULL",
        &[Step::Query("DELETE FROM {schema}.{users} WHERE ctid IS NOT NULL")],
    ),
    unbounded("NOT false", &[Step::Query("DELETE FROM {schema}.{users} WHERE NOT false")]),
    unbounded("random() <= 1", &[Step::Query("DELETE FROM {schema}.{users} WHERE random() <= 1")]),
    unbounded("true OR a condition", &[Step::Sql("DELETE FROM {schema}.{users} WHERE id = 1 OR true")]),
    unbounded(
        "a CASE that says true",
        &[Step::Query("DELETE FROM {schema}.{users} WHERE CASE WHEN id = 1 THEN true ELSE true END")],
    ),
    unbounded("the text 'yes'", &[Step::Query("DELETE FROM {schema}.{users} WHERE 'yes'")]),
    unbounded("a value that was bound", &[Step::Bound("DELETE FROM {schema}.{users} WHERE $1::bool", &["t"])]),
    unbounded(
        "in a WITH and under EXPLAIN ANALYZE",
        &[Step::Query(
            "EXPLAIN (ANALYZE) WITH d AS (DELETE FROM {schema}.{users} WHERE 1 IN (1)) SELECT FROM {schema}.log",
        )],
    ),
];

pub const USING: &[Way] = &[
    unbounded("DELETE … USING", &[Step::Sql("DELETE FROM {schema}.{users} USING (SELECT 1) x")]),
    unbounded("UPDATE … FROM", &[Step::Sql("UPDATE {schema}.{users} SET role = 'admin' FROM (SELECT 1) x")]),
    unbounded(
        "a condition on the other table only",
        &[Step::Sql("DELETE FROM {schema}.{users} USING {schema}.parent p WHERE p.id = 1")],
    ),
    unbounded(
        "… in a column that both have",
        &[Step::Query("UPDATE {schema}.{users} u SET role = 'admin' FROM {schema}.parent p WHERE p.id IN (1)")],
    ),
    unbounded(
        "a join with itself",
        &[Step::Query("DELETE FROM {schema}.{users} u USING {schema}.{users} s WHERE s.id = 1")],
    ),
    unbounded(
        "the condition in the ON of the others",
        &[Step::Query(
            "DELETE FROM {schema}.{users} USING {schema}.parent p JOIN {schema}.child c ON p.id = c.id AND p.id = 1",
        )],
    ),
];

/// Everything may be read and taken out but one column.
const NO_SSN: Fence = Fence::Own(
    "policy: no-ssn
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: read, actions: [read], tables: ['public.*']}]
deny: [{rule: ssn, columns: [users.ssn]}]
",
);

/// A read of a column that nobody may see.
const fn whole(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, NO_SSN, steps, Harm::Tells("ssn-1"))
}

pub const LIMIT: &[Way] = &[
    unbounded(
        "DELETE of the rows that LIMIT ALL leaves",
        &[Step::Sql("DELETE FROM {schema}.{users} WHERE id IN (SELECT id FROM {schema}.{users} LIMIT ALL)")],
    ),
    unbounded(
        "LIMIT NULL",
        &[Step::Query("DELETE FROM {schema}.{users} WHERE id IN (SELECT id FROM {schema}.{users} LIMIT NULL)")],
    ),
    unbounded(
        "LIMIT of a NULL with a type",
        &[Step::Query("DELETE FROM {schema}.{users} WHERE id IN (SELECT id FROM {schema}.{users} LIMIT NULL::bigint)")],
    ),
    unbounded(
        "LIMIT of as many as there are",
        &[Step::Query(
            "DELETE FROM {schema}.{users} WHERE id IN (SELECT id FROM {schema}.{users} \
             LIMIT (SELECT count(*) FROM {schema}.{users}))",
        )],
    ),
    unbounded(
        "OFFSET 0",
        &[Step::Query("DELETE FROM {schema}.{users} WHERE id IN (SELECT id FROM {schema}.{users} OFFSET 0)")],
    ),
    whole("the whole table in one row of text", &[Step::Sql("SELECT string_agg(u::text, '|') FROM {users} u LIMIT 1")]),
    whole("… of JSON", &[Step::Sql("SELECT json_agg(u) FROM {users} u LIMIT 1")]),
    whole("… as an array", &[Step::Query("SELECT array_agg(u) FROM {users} AS u FETCH FIRST 1 ROWS ONLY")]),
    whole("… as XML", &[Step::Query("SELECT table_to_xml('{users}', true, false, '') LIMIT 1")]),
    whole("… as a query in a string", &[Step::Query("SELECT query_to_xml('TABLE {users}', true, false, '') LIMIT 1")]),
    whole("WITH TIES", &[Step::Query("SELECT * FROM {users} ORDER BY role FETCH FIRST 1 ROWS WITH TIES")]),
    whole("COPY, which has no limit", &[Step::Sql("COPY {users} TO STDOUT")]),
    whole(
        "a cursor, row by row",
        &[
            Step::Query("BEGIN; DECLARE c CURSOR FOR SELECT u FROM {users} u; FETCH 1 FROM c"),
            Step::Query("FETCH 1 FROM c"),
        ],
    ),
];
