//! Writing behind something that looks like reading.

use super::super::frames::{parse, query, sync};
use super::{Harm, NO_DDL, NO_WRITE, Step, Way};

pub const WAYS: &[Way] = &[
    Way::new(
        "WITH … DELETE",
        NO_WRITE,
        &[Step::Sql("WITH x AS (SELECT 1) DELETE FROM {schema}.{users} WHERE id = 1")],
        Harm::Changes,
    ),
    Way::new(
        "a comment in front",
        NO_WRITE,
        &[Step::Sql("/* SELECT */ -- SELECT\nDELETE FROM {schema}.{users} WHERE id = 1")],
        Harm::Changes,
    ),
    Way::new(
        "an empty statement in front",
        NO_WRITE,
        &[Step::Query(";; DELETE FROM {schema}.{users} WHERE id = 1")],
        Harm::Changes,
    ),
    Way::new(
        "EXPLAIN ANALYZE",
        NO_WRITE,
        &[Step::Sql("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) DELETE FROM {schema}.{users} WHERE id = 1")],
        Harm::Changes,
    ),
    Way::new(
        "a SELECT in parentheses that creates a table",
        NO_DDL,
        &[Step::Sql("SELECT * INTO {schema}.stolen FROM (TABLE {schema}.{users}) x")],
        Harm::Changes,
    ),
    Way::new(
        "a white space that isn't one for everybody",
        NO_WRITE,
        &[Step::Bytes(|target| query(&target.fill("\x0cSELECT 1;\rDELETE\tFROM {schema}.{users}\x0cWHERE id = 1")), 1)],
        Harm::Changes,
    ),
    Way::new(
        "a statement prepared under another name",
        NO_WRITE,
        &[Step::Bytes(
            |target| {
                let delete = target.fill("DELETE FROM {schema}.{users} WHERE id = 1");
                let bind = super::super::frames::bind("", "SELECT 1", &[]);
                [parse("SELECT 1", &delete), bind, super::super::frames::execute(""), sync()].concat()
            },
            1,
        )],
        Harm::Changes,
    ),
];
