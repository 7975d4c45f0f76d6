//! E1 to E3: standard_conforming_strings.

use crate::attacks::frames::{bind, execute, parse, query, run, sync};
use crate::attacks::{Fence, Harm, Step, Target, Way};

/// To a lexer with standard_conforming_strings on, one string; with it off, a string and the end of a table.
const HIDDEN: Step = Step::Query(r"SELECT 'a\'' AS a; DROP TABLE {schema}.log; --'");

fn hidden(target: &Target) -> Vec<u8> {
    query(&target.fill(r"SELECT 'a\'' AS a; DROP TABLE {schema}.log; --'"))
}

/// Whether the session reads text otherwise.
const OFF: Harm = Harm::Session("SHOW standard_conforming_strings", "off");

pub(super) const SWITCHED_OFF: &[Way] = &[
    Way::new("SET", Fence::Always, &[Step::Sql("SET standard_conforming_strings = off"), HIDDEN], Harm::Changes),
    Way::new(
        "SET in another spelling",
        Fence::Always,
        &[Step::Sql("set session \"Standard_Conforming_Strings\" to 'no'"), HIDDEN],
        Harm::Changes,
    ),
    Way::new(
        "SET LOCAL",
        Fence::Always,
        &[Step::Sql("BEGIN"), Step::Sql("SET LOCAL standard_conforming_strings = 0"), HIDDEN, Step::Query("COMMIT")],
        Harm::Changes,
    ),
    Way::new(
        "with backslash_quote, the statement hidden the other way round",
        Fence::Always,
        &[
            Step::Sql("SET standard_conforming_strings = off"),
            Step::Sql("SET backslash_quote = on"),
            Step::Query(r"SELECT '\'; --', 'b'; DROP TABLE {schema}.log; --'"),
        ],
        Harm::Changes,
    ),
    Way::new(
        "set_config",
        Fence::Always,
        &[Step::Sql("SELECT set_config('standard_conforming_strings', 'off', false)"), HIDDEN],
        Harm::Changes,
    ),
    Way::new(
        "set_config, bound",
        Fence::Always,
        &[Step::Bound("SELECT set_config($1, $2, false)", &["standard_conforming_strings", "off"]), HIDDEN],
        Harm::Changes,
    ),
    Way::new(
        "set_config with a name put together by the server",
        Fence::Always,
        &[Step::Sql("SELECT set_config('standard_conforming' || '_strings', 'off', false)"), HIDDEN],
        Harm::Changes,
    ),
    Way::new(
        "UPDATE of the view pg_settings",
        Fence::Always,
        &[Step::Sql("UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'"), HIDDEN],
        Harm::Changes,
    ),
    Way::new(
        "in a DO block",
        Fence::Always,
        &[Step::Sql("DO $$BEGIN SET standard_conforming_strings = off; END$$"), HIDDEN],
        Harm::Changes,
    ),
    Way::new(
        "backslash_quote alone",
        Fence::Always,
        &[Step::Sql("SET backslash_quote = on")],
        Harm::Session("SHOW backslash_quote", "on"),
    ),
];

/// A table whose name is another one in LATIN1.
const fn umlaut(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(
        how,
        Fence::Own(
            "policy: umlaut
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: read, actions: [select], tables: ['*']}]
deny: [{rule: secret, tables: ['ä']}]
",
        ),
        steps,
        Harm::Tells("secret-1"),
    )
    .setup("CREATE TABLE public.\"ä\" AS SELECT 'secret-1' AS token")
}

fn secret() -> Vec<u8> {
    query("SELECT token FROM \"ä\"")
}

pub(super) const PIPELINED: &[Way] = &[
    Way::new(
        "two Query messages in one breath",
        Fence::Always,
        &[Step::Bytes(|target| [query("SET standard_conforming_strings = off"), hidden(target)].concat(), 2)],
        Harm::Changes,
    ),
    Way::new(
        "the extended protocol, and a Query in the same breath",
        Fence::Always,
        &[Step::Bytes(
            |target| [run("SET standard_conforming_strings = off", &[]), sync(), hidden(target)].concat(),
            2,
        )],
        Harm::Changes,
    ),
    Way::new(
        "set_config with bound values, and a Query in the same breath",
        Fence::Always,
        &[Step::Bytes(
            |target| {
                let set = run("SELECT set_config($1, $2, false)", &["standard_conforming_strings", "off"]);
                [set, sync(), hidden(target)].concat()
            },
            2,
        )],
        Harm::Changes,
    ),
    umlaut(
        "a ROLLBACK that takes client_encoding back, and a text beyond ASCII behind it",
        &[
            Step::Query("BEGIN"),
            Step::Query("SET client_encoding = LATIN1"),
            Step::Bytes(|_| [query("ROLLBACK"), secret()].concat(), 2),
        ],
    ),
    umlaut(
        "a ROLLBACK to a savepoint",
        &[
            Step::Query("BEGIN"),
            Step::Query("SAVEPOINT a"),
            Step::Query("SET client_encoding = LATIN1"),
            Step::Bytes(|_| [query("ROLLBACK TO a"), secret()].concat(), 2),
        ],
    ),
    umlaut(
        "the COMMIT that ends a SET LOCAL",
        &[
            Step::Query("BEGIN"),
            Step::Query("SET LOCAL client_encoding = LATIN1"),
            Step::Bytes(|_| [query("COMMIT"), secret()].concat(), 2),
        ],
    ),
    umlaut(
        "RESET",
        &[
            Step::Query("SET client_encoding = LATIN1"),
            Step::Bytes(|_| [query("RESET client_encoding"), secret()].concat(), 2),
        ],
    ),
    umlaut(
        "DISCARD ALL",
        &[Step::Query("SET client_encoding = LATIN1"), Step::Bytes(|_| [query("DISCARD ALL"), secret()].concat(), 2)],
    ),
    umlaut(
        "a statement that was prepared before",
        &[
            Step::Bytes(|_| [parse("back", "RESET client_encoding"), sync()].concat(), 1),
            Step::Query("SET client_encoding = LATIN1"),
            Step::Bytes(|_| [bind("", "back", &[]), execute(""), sync(), secret()].concat(), 2),
        ],
    ),
    umlaut(
        "set_config with bound values",
        &[
            Step::Bytes(|_| [parse("set", "SELECT set_config($1, $2, false)"), sync()].concat(), 1),
            Step::Bytes(|_| [bind("", "set", &["client_encoding", "LATIN1"]), execute(""), sync()].concat(), 1),
            Step::Bytes(|_| [bind("", "set", &["client_encoding", "UTF8"]), execute(""), sync(), secret()].concat(), 2),
        ],
    ),
    umlaut(
        "a portal that was bound before",
        &[
            Step::Query("BEGIN"),
            Step::Bytes(
                |_| {
                    [parse("", "SELECT set_config('client_encoding', 'UTF8', false)"), bind("p", "", &[]), sync()]
                        .concat()
                },
                1,
            ),
            Step::Query("SET client_encoding = LATIN1"),
            Step::Bytes(|_| [execute("p"), sync(), secret()].concat(), 2),
        ],
    ),
];

pub(super) const AT_STARTUP: &[Way] = &[
    Way::new("a startup parameter", Fence::Always, &[HIDDEN], Harm::Changes)
        .startup(&[("standard_conforming_strings", "off")]),
    Way::new("a startup parameter in another spelling", Fence::Always, &[HIDDEN], Harm::Changes)
        .startup(&[("STANDARD_CONFORMING_STRINGS", "false")]),
    Way::new("options -c", Fence::Always, &[HIDDEN], Harm::Changes)
        .startup(&[("options", "-c standard_conforming_strings=off -c backslash_quote=on")]),
    Way::new("options with dashes and escapes", Fence::Always, &[HIDDEN], Harm::Changes)
        .startup(&[("options", r"--standard-conforming\-strings=o\ff")]),
    Way::new(
        "ALTER ROLE",
        Fence::Always,
        &[Step::Sql("ALTER ROLE \"{role}\" SET standard_conforming_strings = off")],
        Harm::Changes,
    )
    .undo("ALTER ROLE \"{role}\" RESET standard_conforming_strings"),
    Way::new(
        "ALTER DATABASE",
        Fence::Always,
        &[Step::Sql("ALTER DATABASE {database} SET standard_conforming_strings = off")],
        Harm::Changes,
    ),
    Way::new(
        "CREATE FUNCTION … SET",
        Fence::Always,
        &[Step::Sql(
            "CREATE FUNCTION {schema}.e3() RETURNS void LANGUAGE sql SET standard_conforming_strings = off AS 'SELECT'",
        )],
        Harm::Changes,
    ),
    Way::new("a role that has it by ALTER ROLE", Fence::Always, &[Step::Query("SELECT 1")], OFF)
        .setup("ALTER ROLE \"{role}\" SET standard_conforming_strings = off")
        .undo("ALTER ROLE \"{role}\" RESET standard_conforming_strings")
        .harmless(),
    Way::new("a database that has it by ALTER DATABASE", Fence::Always, &[Step::Query("SELECT 1")], OFF)
        .setup("ALTER DATABASE {database} SET standard_conforming_strings = off")
        .harmless(),
    Way::new("the same, after DISCARD ALL", Fence::Always, &[Step::Query("DISCARD ALL")], OFF)
        .setup("ALTER DATABASE {database} SET standard_conforming_strings = off")
        .harmless(),
];
