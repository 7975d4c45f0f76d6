//! Group A: escaping a read-only fence.

use super::frames::{parse, query, run, sync};
use super::{Attack, Fence, Harm, Seen, Step, Way};

/// Policies that let nothing be written.
const READ_ONLY: Fence = Fence::Deed("INSERT INTO {users} VALUES (9, 'x')");
/// The same: by the right to insert that every policy of an application has.
const WRITE: &str = "INSERT INTO log VALUES ('written')";

pub const ATTACKS: &[Attack] = &[
    Attack {
        code: "A1",
        name: "stacked_commit",
        title: "COMMIT and a destruction stacked behind a harmless SELECT",
        stopped_by: "every statement of a message is judged, and all of it goes or nothing (session/judge.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "SELECT; COMMIT; DROP SCHEMA in one Query of a READ ONLY transaction",
                Fence::Deed("DROP SCHEMA {schema} CASCADE"),
                &[Step::Query("BEGIN READ ONLY"), Step::Query("SELECT 1; COMMIT; DROP SCHEMA {schema} CASCADE")],
                Harm::Changes,
            ),
            Way::new(
                "COMMIT and INSERT in one Query",
                READ_ONLY,
                &[
                    Step::Query("BEGIN READ ONLY"),
                    Step::Query("SELECT 1; COMMIT; INSERT INTO {schema}.log VALUES ('a1')"),
                ],
                Harm::Changes,
            ),
            Way::new(
                "the same in one pipeline",
                READ_ONLY,
                &[Step::Bytes(
                    |target| {
                        let write = target.fill("INSERT INTO {schema}.log VALUES ('a1')");
                        [run("BEGIN READ ONLY", &[]), run("COMMIT", &[]), run(&write, &[]), sync()].concat()
                    },
                    1,
                )],
                Harm::Changes,
            ),
        ]),
    },
    Attack {
        code: "A2",
        name: "set_transaction_read_write",
        title: "SET TRANSACTION READ WRITE before the first query",
        stopped_by: "modes of a transaction are accesses; READ WRITE is refused where read-only is pinned (policy/decide.rs)",
        seen: Seen::Wire(&[Way::new(
            "BEGIN READ ONLY; SET TRANSACTION READ WRITE; INSERT",
            READ_ONLY,
            &[
                Step::Sql("BEGIN READ ONLY"),
                Step::Sql("SET TRANSACTION READ WRITE"),
                Step::Sql("INSERT INTO {schema}.log VALUES ('a2')"),
                Step::Sql("COMMIT"),
            ],
            Harm::Changes,
        )]),
    },
];

#[allow(dead_code)]
fn unused() -> Vec<u8> {
    let _ = WRITE;
    [parse("", ""), query("")].concat()
}
