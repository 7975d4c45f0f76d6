//! F4, F5, F6, F25, F26: prepared statements, portals and cursors.

use super::framing::{DROP, drop_table};
use crate::attacks::frames::{bind, close, describe, execute, parse, query, run, sync};
use crate::attacks::{Fence, Harm, Step, Way};

/// A policy under which a statement is allowed that a bound value makes harmful.
pub(super) const NAMES: &str = "policy: names
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, copy_from], tables: ['*']}
  - {rule: tenant, actions: [set], settings: ['app.*']}
  - {rule: evil, actions: [call], functions: ['evil.prepare_drop', 'evil.open_salaries']}
";

/// What may become another role, as a prepared statement `s`.
pub(super) const PARSE_BECOME: Step =
    Step::Bytes(|_| [parse("s", "SELECT set_config($1, $2, false)"), sync()].concat(), 1);

/// It becomes another role.
pub(super) const BECOME: Step = Step::Bytes(|_| [bind("", "s", &["role", "boss"]), execute(""), sync()].concat(), 1);

/// Made again as something harmless, which the server refuses where the name is there still.
const REPLACED: Step = Step::Bytes(|_| [parse("s", "SELECT $1::text, $2::text"), sync()].concat(), 1);

const BOSS: Harm = Harm::Session("SELECT current_user", "boss");

/// A table that the starter policies let nobody read.
const SALARIES: Fence = Fence::Deed("SELECT amount FROM hr.salaries");
const SALARY: Harm = Harm::Tells("salary-1");

const fn becomes(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, Fence::Own(NAMES), steps, BOSS)
}

/// A name that the server cuts in the middle of its last character.
fn long(end: &str) -> String {
    format!("{}{end}", "n".repeat(62))
}

pub(super) const STATEMENTS: &[Way] = &[
    Way::new(
        "parsed by the protocol, run by SQL",
        DROP,
        &[Step::Bytes(|target| [parse("w1", &drop_table(target)), sync()].concat(), 1), Step::Query("EXECUTE w1")],
        Harm::Changes,
    ),
    becomes(
        "PREPARE, then Bind and Execute",
        &[Step::Query("PREPARE s(text, text) AS SELECT set_config($1, $2, false)"), BECOME],
    ),
    becomes("Parse, then EXECUTE", &[PARSE_BECOME, Step::Query("EXECUTE s('role', 'boss')")]),
    becomes(
        "PREPARE, Bind and Execute in one breath",
        &[Step::Bytes(
            |_| {
                let prepare = query("PREPARE s(text, text) AS SELECT set_config($1, $2, false)");
                [prepare, bind("", "s", &["role", "boss"]), execute(""), sync()].concat()
            },
            2,
        )],
    ),
    becomes(
        "EXECUTE in a Parse",
        &[PARSE_BECOME, Step::Bytes(|_| [run("EXECUTE s('role', 'boss')", &[]), sync()].concat(), 1)],
    ),
    becomes(
        "a DEALLOCATE that was parsed and not run",
        &[
            PARSE_BECOME,
            Step::Query("PREPARE other AS SELECT 1"),
            Step::Bytes(|_| [parse("run", "DEALLOCATE other"), sync()].concat(), 1),
            Step::Bytes(|_| [parse("not run", "DEALLOCATE s"), bind("", "run", &[]), execute(""), sync()].concat(), 1),
            REPLACED,
            BECOME,
        ],
    ),
    becomes(
        "a name that the server cuts in the middle of a character",
        &[
            Step::Bytes(|_| [parse(&long(""), "SELECT set_config($1, $2, false)"), sync()].concat(), 1),
            Step::Bytes(|_| [close(b'S', &long("ä")), sync()].concat(), 1),
            Step::Bytes(|_| [parse(&long("Ω"), "SELECT $1::text, $2::text"), sync()].concat(), 1),
            Step::Bytes(|_| [bind("", &long(""), &["role", "boss"]), execute(""), sync()].concat(), 1),
        ],
    ),
    Way::new(
        "a name that a function made",
        Fence::Own(NAMES),
        &[Step::Query("SELECT evil.prepare_drop()"), Step::Sql("EXECUTE hidden")],
        Harm::Changes,
    )
    .setup(HIDDEN),
    Way::new(
        "the same by Bind and Execute",
        Fence::Own(NAMES),
        &[
            Step::Query("SELECT evil.prepare_drop()"),
            Step::Bytes(|_| [bind("", "hidden", &[]), execute(""), sync()].concat(), 1),
        ],
        Harm::Changes,
    )
    .setup(HIDDEN),
];

const HIDDEN: &str = "CREATE FUNCTION evil.prepare_drop() RETURNS void LANGUAGE plpgsql AS
    $$BEGIN EXECUTE 'PREPARE hidden AS DELETE FROM {schema}.{users}'; END$$";

const OPENED: &str = "CREATE FUNCTION evil.open_salaries() RETURNS refcursor LANGUAGE plpgsql AS
    $$DECLARE k refcursor := 'k'; BEGIN OPEN k FOR SELECT amount FROM hr.salaries; RETURN k; END$$";

pub(super) const PORTALS: &[Way] = &[
    Way::new(
        "DECLARE, then Execute",
        SALARIES,
        &[
            Step::Query("BEGIN"),
            Step::Query("DECLARE k CURSOR FOR SELECT amount FROM hr.salaries"),
            Step::Bytes(|_| [describe(b'P', "k"), execute("k"), sync()].concat(), 1),
        ],
        SALARY,
    ),
    Way::new(
        "Bind, then FETCH",
        SALARIES,
        &[
            Step::Query("BEGIN"),
            Step::Bytes(|_| [parse("", "SELECT amount FROM hr.salaries"), bind("port1", "", &[]), sync()].concat(), 1),
            Step::Query("FETCH 1 FROM port1"),
        ],
        SALARY,
    ),
    Way::new(
        "in one breath",
        SALARIES,
        &[Step::Bytes(
            |_| {
                let declare = query("DECLARE k CURSOR FOR SELECT amount FROM hr.salaries");
                [query("BEGIN"), declare, execute("k"), sync(), query("FETCH ALL FROM k")].concat()
            },
            4,
        )],
        SALARY,
    ),
    Way::new(
        "a cursor that a function opened, by FETCH",
        Fence::Own(NAMES),
        &[Step::Query("BEGIN"), Step::Query("SELECT evil.open_salaries()"), Step::Sql("FETCH ALL FROM k")],
        SALARY,
    )
    .setup(OPENED),
    Way::new(
        "a cursor that a function opened, by Execute",
        Fence::Own(NAMES),
        &[
            Step::Query("BEGIN"),
            Step::Query("SELECT evil.open_salaries()"),
            Step::Bytes(|_| [execute("k"), sync()].concat(), 1),
        ],
        SALARY,
    )
    .setup(OPENED),
];

pub(super) const SKIPPED: &[Way] = &[
    becomes(
        "Close and Parse behind a failed Parse",
        &[
            PARSE_BECOME,
            Step::Bytes(
                |_| {
                    let skipped = [close(b'S', "s"), parse("s", "SELECT $1::text, $2::text")].concat();
                    [parse("", "SELECT no_such_column FROM users"), skipped, sync()].concat()
                },
                1,
            ),
            BECOME,
        ],
    ),
    becomes(
        "a Close behind a Query that was skipped too",
        &[
            PARSE_BECOME,
            Step::Bytes(
                |_| {
                    let failed = parse("", "SELECT no_such_column FROM users");
                    [failed, query("SELECT 1"), close(b'S', "s"), sync()].concat()
                },
                1,
            ),
            Step::Bytes(|_| [close(b'S', "never made"), sync()].concat(), 1),
            REPLACED,
            BECOME,
        ],
    ),
    becomes("a Parse of a name that is taken", &[PARSE_BECOME, REPLACED, BECOME]),
    becomes(
        "a DEALLOCATE that its transaction does not undo, and one that fails",
        &[
            PARSE_BECOME,
            Step::Query("BEGIN"),
            Step::Query("SELECT no_such_column"),
            Step::Query("DEALLOCATE s"),
            Step::Query("ROLLBACK"),
            REPLACED,
            BECOME,
        ],
    ),
];

const BEFORE: &str = "policy: before
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: data, actions: [select, insert, delete], tables: ['*']}]
";

const AFTER: &str = "policy: after
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: data, actions: [select], tables: ['log']}]
";

pub(super) const OLDER: &[Way] = &[
    Way::new(
        "a named statement",
        Fence::Own(BEFORE),
        &[
            Step::Bytes(|_| [parse("s", "DELETE FROM users WHERE id = 1"), sync()].concat(), 1),
            Step::Reload(AFTER),
            Step::Bytes(|_| [bind("", "s", &[]), execute(""), sync()].concat(), 1),
        ],
        Harm::Changes,
    ),
    Way::new(
        "a statement of PREPARE",
        Fence::Own(BEFORE),
        &[Step::Query("PREPARE s AS DELETE FROM users WHERE id = 1"), Step::Reload(AFTER), Step::Query("EXECUTE s")],
        Harm::Changes,
    ),
    Way::new(
        "a cursor",
        Fence::Own(BEFORE),
        &[
            Step::Query("BEGIN"),
            Step::Query("DECLARE k CURSOR FOR SELECT ssn FROM users"),
            Step::Reload(AFTER),
            Step::Query("FETCH ALL FROM k"),
        ],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "a portal",
        Fence::Own(BEFORE),
        &[
            Step::Query("BEGIN"),
            Step::Bytes(|_| [parse("", "SELECT ssn FROM users"), bind("p", "", &[]), sync()].concat(), 1),
            Step::Reload(AFTER),
            Step::Bytes(|_| [execute("p"), sync()].concat(), 1),
        ],
        Harm::Tells("ssn-1"),
    ),
    Way::new(
        "the unnamed statement, parsed and bound in different breaths",
        DROP,
        &[
            Step::Bytes(|target| [parse("", &drop_table(target)), sync()].concat(), 1),
            Step::Bytes(|_| [bind("", "", &[]), execute(""), sync()].concat(), 1),
        ],
        Harm::Changes,
    ),
];

pub(super) const DESCRIBED: &[Way] = &[
    Way::new(
        "of a statement",
        SALARIES,
        &[Step::Bytes(|_| [parse("s", "SELECT * FROM hr.salaries"), describe(b'S', "s"), sync()].concat(), 1)],
        Harm::Tells("amount"),
    ),
    Way::new(
        "of a portal",
        SALARIES,
        &[Step::Bytes(
            |_| {
                let bound = [parse("", "TABLE hr.salaries"), bind("p", "", &[])].concat();
                [bound, describe(b'P', "p"), sync()].concat()
            },
            1,
        )],
        Harm::Tells("amount"),
    ),
    Way::new(
        "of the parameters of a statement",
        Fence::Deed("INSERT INTO hr.salaries VALUES (9, 'x', 'y')"),
        &[Step::Bytes(
            |_| {
                let insert = parse("s", "INSERT INTO hr.salaries VALUES ($1, $2, $3)");
                [insert, describe(b'S', "s"), sync()].concat()
            },
            1,
        )],
        Harm::Runs,
    ),
    Way::new(
        "of a cursor that a function opened",
        Fence::Own(NAMES),
        &[
            Step::Query("BEGIN"),
            Step::Query("SELECT evil.open_salaries()"),
            Step::Bytes(|_| [describe(b'P', "k"), sync()].concat(), 1),
        ],
        Harm::Tells("amount"),
    )
    .setup(OPENED),
];
