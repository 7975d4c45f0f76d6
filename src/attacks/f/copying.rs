//! F13 and F27: COPY, and messages that have no place.

use super::framing::{DROP, drop_table};
use super::names::{BECOME, NAMES, PARSE_BECOME};
use crate::attacks::frames::{bind, close, copy_data, copy_done, execute, frame, parse, query, run, sync};
use crate::attacks::{Fence, Harm, Step, Way};

const fn drops(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, DROP, steps, Harm::Changes)
}

fn copy_fail() -> Vec<u8> {
    frame(b'f', b"no\0")
}

/// COPY by the extended protocol, up to where the server wants data, or to the end of all three where it was refused.
const COPY: Step = Step::Bytes(
    |target| {
        let copy = target.fill("COPY {schema}.log FROM STDIN");
        [parse("", &copy), bind("", "", &[]), execute(""), sync(), sync(), sync()].concat()
    },
    3,
);

/// The same behind a COPY into the table, which everybody may do.
const fn drops_behind(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, DROP, steps, Harm::Server("SELECT to_regclass('{schema}.log') IS NULL"))
}

pub(super) const DESYNCHRONISED: &[Way] = &[
    Way::new(
        "a Close that the server skipped, behind a COPY that swallowed a Sync",
        Fence::Own(NAMES),
        &[
            PARSE_BECOME,
            COPY,
            Step::Bytes(|_| [copy_fail(), sync()].concat(), 1),
            Step::Bytes(|_| [parse("", "SELECT no_such_column FROM users"), close(b'S', "s"), sync()].concat(), 1),
            Step::Bytes(|_| [close(b'S', "never made"), sync()].concat(), 1),
            Step::Bytes(|_| [parse("s", "SELECT $1::text, $2::text"), sync()].concat(), 1),
            BECOME,
        ],
        Harm::Session("SELECT current_user", "boss"),
    ),
    drops_behind(
        "three Syncs before the end of the COPY, and a Query behind it",
        &[COPY, Step::Bytes(|target| [copy_data("x\n"), copy_done(), sync(), query(&drop_table(target))].concat(), 2)],
    ),
    drops_behind(
        "a COPY that fails at its first row, and a Query behind the data",
        &[
            Step::Query("COPY {schema}.{users} FROM STDIN"),
            Step::CopyRest(|target| [copy_data("no number\n"), copy_done(), query(&drop_table(target))].concat(), 2),
        ],
    ),
    drops_behind(
        "a COPY that the client gives up, and a Query behind",
        &[
            Step::Query("COPY {schema}.log FROM STDIN"),
            Step::CopyRest(|target| [copy_fail(), query(&drop_table(target))].concat(), 2),
        ],
    ),
    drops_behind(
        "data in several messages, and a Query behind it",
        &[
            Step::Query("COPY {schema}.log FROM STDIN"),
            Step::CopyRest(
                |target| {
                    let statement = query(&drop_table(target));
                    [copy_data("x\n"), copy_data("y\n"), copy_done(), statement].concat()
                },
                2,
            ),
        ],
    ),
    drops_behind(
        "a COPY of a second statement in the same message",
        &[
            Step::Query("COPY {schema}.log FROM STDIN; COPY {schema}.log FROM STDIN"),
            Step::CopyRest(|_| [copy_data("x\n"), copy_done()].concat(), 1),
            Step::CopyRest(|target| [copy_done(), query(&drop_table(target))].concat(), 2),
        ],
    ),
];

pub(super) const MISPLACED: &[Way] = &[
    drops(
        "data of a COPY that there is not",
        &[Step::Bytes(|target| [copy_data("x\n"), query(&drop_table(target)), copy_done()].concat(), 1)],
    ),
    drops(
        "the end of a COPY that there is not",
        &[Step::Bytes(|target| [copy_done(), copy_fail(), query(&drop_table(target))].concat(), 1)],
    ),
    drops(
        "data of a COPY in the middle of a pipeline",
        &[Step::Bytes(
            |target| {
                let begun = [parse("", &drop_table(target)), copy_data("x\n"), bind("", "", &[])].concat();
                [begun, copy_done(), execute(""), sync()].concat()
            },
            1,
        )],
    ),
    drops(
        "a Sync with a body, and a Query behind it",
        &[Step::Bytes(|target| [frame(b'S', b"x"), query(&drop_table(target))].concat(), 2)],
    ),
    drops(
        "a Flush with a body, and a Query behind the Sync",
        &[Step::Bytes(|target| [frame(b'H', b"x"), sync(), query(&drop_table(target))].concat(), 2)],
    ),
    drops(
        "an aborted transaction's ROLLBACK and a Query behind it",
        &[Step::Bytes(
            |target| {
                let aborted = [query("BEGIN"), query("SELECT no_such_column"), query("ROLLBACK")].concat();
                [aborted, run(&drop_table(target), &[]), sync()].concat()
            },
            4,
        )],
    ),
];
