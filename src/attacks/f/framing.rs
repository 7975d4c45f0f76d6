//! F7, F8, F10, F11, F24, F31: messages together, too long, unreadable, and in pieces.

use crate::attacks::frames::{bind, execute, frame_saying, parse, query, run, sync};
use crate::attacks::{Fence, Harm, Step, Target, Way};

/// The table is dropped: what every starter policy refuses.
pub(super) const DROP: Fence = Fence::Deed("DROP TABLE {schema}.log");

const fn drops(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, DROP, steps, Harm::Changes)
}

/// The text of that.
pub(super) fn drop_table(target: &Target) -> String {
    target.fill("DROP TABLE {schema}.log")
}

fn update(target: &Target) -> String {
    target.fill("UPDATE {schema}.{users} SET name = 'half' WHERE id = 1")
}

pub(super) const OVERWRITTEN: &[Way] = &[
    drops(
        "Parse of the one, Parse of the other, and then both run",
        &[Step::Bytes(
            |target| {
                let parsed = [parse("a", &drop_table(target)), parse("b", "SELECT 1")].concat();
                [parsed, bind("", "a", &[]), execute(""), bind("", "b", &[]), execute(""), sync()].concat()
            },
            1,
        )],
    ),
    drops(
        "the allowed one first",
        &[Step::Bytes(|target| [run("SELECT 1", &[]), run(&drop_table(target), &[]), sync()].concat(), 1)],
    ),
    drops(
        "the unnamed statement parsed twice",
        &[Step::Bytes(
            |target| {
                let drop = drop_table(target);
                let first = [parse("", &drop), bind("p", "", &[]), parse("", "SELECT 1"), bind("q", "", &[])].concat();
                [first, execute("p"), execute("q"), sync()].concat()
            },
            1,
        )],
    ),
    drops(
        "three Query messages in one breath",
        &[Step::Bytes(|target| [query("SELECT 1"), query(&drop_table(target)), query("SELECT 2")].concat(), 3)],
    ),
    drops(
        "a Query behind a Sync behind an error",
        &[Step::Bytes(
            |target| [run("SELECT no_such_column", &[]), sync(), query(&drop_table(target)), sync()].concat(),
            3,
        )],
    ),
    drops(
        "a Query behind messages that no Sync has ended",
        &[Step::Bytes(|target| [run("SELECT 1", &[]), query(&drop_table(target))].concat(), 1)],
    ),
];

/// Longer than what is read by default.
const LONG_TEXT: usize = 1 << 20;

pub(super) const LONG: &[Way] = &[
    drops(
        "behind a megabyte of comment",
        &[Step::Bytes(|target| query(&format!("/*{}*/{}", "x".repeat(LONG_TEXT), drop_table(target))), 1)],
    ),
    drops(
        "in front of a megabyte of comment",
        &[Step::Bytes(|target| query(&format!("{}--{}", drop_table(target), "x".repeat(LONG_TEXT))), 1)],
    ),
    drops(
        "behind a megabyte of blanks, by Parse",
        &[Step::Bytes(
            |target| [run(&format!("{}{}", " ".repeat(LONG_TEXT), drop_table(target)), &[]), sync()].concat(),
            1,
        )],
    ),
    drops(
        "and a short one behind the long one",
        &[Step::Bytes(
            |target| {
                let long = format!("SELECT '{}'", "x".repeat(2 * LONG_TEXT));
                [query(&long), query(&drop_table(target))].concat()
            },
            2,
        )],
    ),
];

pub(super) const UNPARSED: &[Way] = &[
    Way::new(
        "a word that is reserved by now: the whole message",
        Fence::Always,
        &[Step::Query("DROP TABLE {schema}.log; CREATE TABLE system_user (id int)")],
        Harm::Changes,
    )
    .majors(0, 15),
    Way::new(
        "the same by Parse",
        Fence::Always,
        &[Step::Bytes(
            |target| [run(&target.fill("CREATE TABLE {schema}.f10 (system_user int)"), &[]), sync()].concat(),
            1,
        )],
        Harm::Changes,
    )
    .majors(0, 15),
    drops(
        "a syntax error first, in one breath",
        &[Step::Bytes(|target| [query("SELEC 1"), query(&drop_table(target))].concat(), 2)],
    ),
];

/// A Bind that says a length which has wrapped around: the server finds it short, and what was the value's tail is messages.
fn wrapped(tail: &[u8]) -> Vec<u8> {
    let mut body = b"\0\0\0\0\0\x01".to_vec();
    body.extend(100_u32.to_be_bytes());
    body.extend(b"only the beginning");
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [parse("", "SELECT $1::text"), frame_saying(b'B', length, &body), tail.to_vec()].concat()
}

pub(super) const WRAPPED: &[Way] = &[
    drops(
        "a Query in the tail of a value",
        &[Step::Bytes(|target| wrapped(&[sync(), query(&drop_table(target))].concat()), 2)],
    ),
    drops(
        "Parse, Bind and Execute in the tail of a value",
        &[Step::Bytes(|target| wrapped(&[sync(), run(&drop_table(target), &[]), sync()].concat()), 2)],
    ),
];

pub(super) const HALVES: &[Way] = &[
    drops(
        "the harmless half first",
        &[Step::Query("UPDATE {schema}.{users} SET name = 'half' WHERE id = 1; DROP TABLE {schema}.log")],
    ),
    drops(
        "the harmless half made final first",
        &[Step::Query(
            "BEGIN; UPDATE {schema}.{users} SET name = 'half' WHERE id = 1; COMMIT; DROP TABLE {schema}.log",
        )],
    ),
    drops(
        "the harmless half behind it",
        &[Step::Query("DROP TABLE {schema}.log; UPDATE {schema}.{users} SET name = 'half' WHERE id = 1")],
    ),
    drops(
        "in one pipeline",
        &[Step::Bytes(|target| [run(&update(target), &[]), run(&drop_table(target), &[]), sync()].concat(), 1)],
    ),
    drops(
        "in one pipeline, the harmless half behind it",
        &[Step::Bytes(|target| [run(&drop_table(target), &[]), run(&update(target), &[]), sync()].concat(), 1)],
    ),
];

pub(super) const MANY: &[Way] = &[
    drops(
        "one among ten thousand Syncs",
        &[Step::Bytes(
            |target| [sync().repeat(5000), query(&drop_table(target)), sync().repeat(5000)].concat(),
            10_001,
        )],
    ),
    drops(
        "one among a thousand statements",
        &[Step::Bytes(
            |target| {
                let many = [run("SELECT 1", &[]), sync()].concat().repeat(500);
                [many.clone(), run(&drop_table(target), &[]), sync(), many].concat()
            },
            1001,
        )],
    ),
    drops(
        "one among a thousand statements before the first Sync",
        &[Step::Bytes(
            |target| {
                let many = run("SELECT 1", &[]).repeat(500);
                [many.clone(), run(&drop_table(target), &[]), many, sync()].concat()
            },
            1,
        )],
    ),
];
