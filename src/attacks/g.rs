//! Group G: session state, identity, pooling.

use super::{Attack, Fence, Harm, Seen, Step, Way};

/// Who the session is, asked of itself.
const BOSS: Harm = Harm::Session("SELECT current_user", "boss");

/// Rows may be written, nothing be dropped.
const ROWS: Fence = Fence::Own(
    "policy: rows
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: rows, actions: [select, insert, update, delete, cursor], tables: ['public.*'], cursors: ['*']}]
",
);

/// All settings may be set.
const SETTINGS: Fence = Fence::Own(
    "policy: settings
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: settings, actions: [set], settings: ['*']}, {rule: rows, actions: [select], tables: ['public.*']}]
",
);

/// All roles but one may be taken on.
const OTHER_ROLES: Fence = Fence::Own(
    "policy: other-roles
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: roles, actions: [set_role], roles: ['*']}]
deny: [{rule: not-the-boss, actions: [set_role], roles: [boss]}]
",
);

/// Temporary tables may be made.
const TEMPORARY: Fence = Fence::Own(
    "policy: rows
applies_to: {users: [attacker]}
search_path: [public]
temp_tables: allow
allow: [{rule: rows, actions: [read], tables: ['public.*']}]
",
);

/// Parse with types, Bind, Execute, Sync.
fn typed(sql: &str, types: &[u32], values: &[&str]) -> Vec<u8> {
    use super::frames::{bind, execute, parse_typed, sync};
    [parse_typed("", sql, types), bind("", "", values), execute(""), sync()].concat()
}

/// What comes into force later.
const NOTHING: Step = Step::Reload(
    "policy: rows
applies_to: {users: [attacker]}
search_path: [public]
allow: [{rule: rows, actions: [select], tables: [public.log]}]
",
);

pub const ATTACKS: &[Attack] = &[
    Attack {
        code: "G1",
        name: "role_switch",
        title: "SET ROLE and every other way to be somebody else",
        stopped_by: "action set_role, in no group, and `role` is pinned to none at the start (policy/startup.rs)",
        seen: Seen::Wire(&[
            Way::new("SET ROLE", Fence::Always, &[Step::Sql("SET ROLE boss")], BOSS),
            Way::new(
                "SET LOCAL ROLE",
                Fence::Always,
                &[Step::Sql("BEGIN"), Step::Sql("SET LOCAL ROLE \"boss\"")],
                BOSS,
            ),
            Way::new("SET role as a setting", Fence::Always, &[Step::Sql("SET SESSION role TO boss")], BOSS),
            Way::new("SET SESSION AUTHORIZATION", Fence::Always, &[Step::Sql("SET SESSION AUTHORIZATION boss")], BOSS),
            Way::new(
                "set_config('role', …)",
                Fence::Always,
                &[Step::Sql("SELECT set_config('role', 'boss', false)")],
                BOSS,
            ),
            Way::new(
                "set_config with bound values",
                Fence::Always,
                &[Step::Bound("SELECT set_config($1, $2, false)", &["session_authorization", "boss"])],
                BOSS,
            ),
            Way::new(
                "a name with a blank, bound as bpchar",
                SETTINGS,
                &[Step::Bytes(|_| typed("SELECT set_config($1, $2, false)", &[1042, 25], &["role ", "boss"]), 1)],
                BOSS,
            ),
            Way::new(
                "a role with a blank, bound as bpchar",
                OTHER_ROLES,
                &[Step::Bytes(|_| typed("SELECT set_config('role', $1, false)", &[1042], &["boss "]), 1)],
                BOSS,
            ),
            Way::new(
                "a role by another spelling, bound as regrole",
                OTHER_ROLES,
                &[Step::Bytes(|_| typed("SELECT set_config('role', $1::text, false)", &[4096], &["BOSS"]), 1)],
                BOSS,
            ),
            Way::new(
                "a parameter that is bpchar elsewhere",
                SETTINGS,
                &[Step::Bound("SELECT $1::bpchar IS NULL, set_config($1, $2, false)", &["role ", "boss"])],
                BOSS,
            ),
            Way::new(
                "a temporary pg_settings, the path without pg_temp",
                TEMPORARY,
                &[
                    Step::Sql("SET search_path = public"),
                    Step::Sql("CREATE TEMP VIEW pg_settings AS SELECT current_setting('application_name') AS name"),
                    Step::Sql("SET application_name = 'jit'"),
                    Step::Sql(
                        "SELECT set_config('application_name', 'role', false), set_config(name, 'boss', false) \
                               FROM pg_settings WHERE name = 'jit'",
                    ),
                ],
                BOSS,
            ),
            Way::new("a startup parameter", Fence::Always, &[], BOSS).startup(&[("role", "boss")]),
            Way::new("options", Fence::Always, &[], BOSS).startup(&[("options", "-c role=boss")]),
            Way::new(
                "RESET ROLE, where the role's default is another one",
                Fence::Always,
                &[Step::Sql("RESET ROLE")],
                BOSS,
            )
            .setup("ALTER ROLE {role} SET role = boss")
            .undo("ALTER ROLE {role} RESET role")
            .harmless(),
        ]),
    },
    Attack {
        code: "G2",
        name: "guard_gucs",
        title: "Settings that switch protections off",
        stopped_by: "guarded settings need a rule with their very value; others need a rule (policy/settings.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "session_replication_role",
                Fence::Always,
                &[Step::Sql("SET session_replication_role = replica")],
                Harm::Session("SHOW session_replication_role", "replica"),
            ),
            Way::new(
                "session_replication_role at the start",
                Fence::Always,
                &[],
                Harm::Session("SHOW session_replication_role", "replica"),
            )
            .startup(&[("options", "--session-replication-role=replica")]),
            Way::new(
                "row_security",
                Fence::Deed("SET row_security = off"),
                &[Step::Sql("SET row_security TO 'no'")],
                Harm::Session("SHOW row_security", "off"),
            ),
            Way::new(
                "check_function_bodies",
                Fence::Deed("SET check_function_bodies = off"),
                &[Step::Sql("SELECT set_config('check_function_bodies', 'off', false)")],
                Harm::Session("SHOW check_function_bodies", "off"),
            ),
            Way::new(
                "an extension's setting",
                Fence::Deed("SET pgaudit.log = 'none'"),
                &[Step::Sql("SET pgaudit.log = 'none'")],
                Harm::Session("SHOW pgaudit.log", "none"),
            ),
            Way::new(
                "an extension's setting at the start",
                Fence::Deed("SET safeupdate.enabled = 0"),
                &[],
                Harm::Session("SHOW safeupdate.enabled", "0"),
            )
            .startup(&[("safeupdate.enabled", "0")]),
        ]),
    },
    Attack {
        code: "G3",
        name: "spoofed_application_name",
        title: "A client calls itself what a rule trusts",
        stopped_by: "no rule can depend on application_name (policy/document.rs)",
        seen: Seen::Build(&["src/policy/tests/attacks.rs::no_rule_can_trust_what_the_client_calls_itself"]),
    },
    Attack {
        code: "G4",
        name: "pool_leakage",
        title: "What one client leaves in a server session that another one gets",
        stopped_by: "no pooling: one client session is one server session (session.rs)",
        seen: Seen::Build(&["tests/sessions.rs::when_the_client_goes_the_server_session_goes"]),
    },
    Attack {
        code: "G5",
        name: "denied_mid_transaction",
        title: "An application that ignores errors commits a half",
        stopped_by: "a refused frame is replaced by one that fails on the server: its transaction fails (session/refusal.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "BEGIN; UPDATE; a refused statement; COMMIT",
                ROWS,
                &[
                    Step::Sql("BEGIN"),
                    Step::Sql("UPDATE users SET role = 'half' WHERE id = 1"),
                    Step::Sql("DROP TABLE log"),
                    Step::Sql("COMMIT"),
                ],
                Harm::Changes,
            ),
            Way::new(
                "the refused statement is a Bind of a name that was never made",
                ROWS,
                &[
                    Step::Sql("BEGIN"),
                    Step::Sql("UPDATE users SET role = 'half' WHERE id = 1"),
                    Step::Sql("SELECT lo_create(4711)"),
                    Step::Sql("COMMIT AND CHAIN"),
                    Step::Sql("COMMIT"),
                ],
                Harm::Changes,
            ),
        ]),
    },
    Attack {
        code: "G6",
        name: "local_ready_for_query_lies",
        title: "A proxy answers \"idle\" while the server is in a transaction",
        stopped_by: "every ReadyForQuery is the server's own (session/engine/answers.rs)",
        seen: Seen::Build(&["tests/refusals.rs::inside_a_transaction_a_refusal_leaves_it_failed"]),
    },
    Attack {
        code: "G7",
        name: "opened_before_closing_time",
        title: "A cursor, portal or transaction opened before the rules changed",
        stopped_by: "FETCH, Bind and Execute are judged again when the policies or a time window changed (session/judge.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "FETCH from an open cursor",
                ROWS,
                &[
                    Step::Query("BEGIN"),
                    Step::Query("DECLARE k CURSOR FOR SELECT ssn FROM users"),
                    NOTHING,
                    Step::Query("FETCH ALL FROM k"),
                ],
                Harm::Tells("ssn-1"),
            ),
            Way::new(
                "a temporary view of what may not be read any more",
                TEMPORARY,
                &[
                    Step::Query("CREATE TEMP VIEW v AS SELECT ssn FROM users LIMIT 3"),
                    Step::Reload(
                        "policy: rows
applies_to: {users: [attacker]}
search_path: [public]
temp_tables: allow
allow: [{rule: rows, actions: [read], tables: [public.log]}]
",
                    ),
                    Step::Query("SELECT ssn FROM v"),
                ],
                Harm::Tells("ssn-1"),
            ),
            Way::new(
                "Execute of an open portal",
                ROWS,
                &[
                    Step::Bytes(
                        |_| {
                            use super::frames::{bind, parse, run, sync};
                            let select = parse("s", "SELECT ssn FROM users");
                            [run("BEGIN", &[]), select, bind("p", "s", &[]), sync()].concat()
                        },
                        1,
                    ),
                    NOTHING,
                    Step::Bytes(|_| [super::frames::execute("p"), super::frames::sync()].concat(), 1),
                ],
                Harm::Tells("ssn-1"),
            ),
            Way::new(
                "a write in a transaction that is open",
                ROWS,
                &[Step::Sql("BEGIN"), NOTHING, Step::Sql("INSERT INTO log VALUES ('late')"), Step::Sql("COMMIT")],
                Harm::Changes,
            ),
        ]),
    },
    Attack {
        code: "G8",
        name: "approval_swap",
        title: "A verdict on one text is used for another",
        stopped_by: "a remembered verdict is found by the whole text, compared byte by byte (session/cache.rs)",
        seen: Seen::Build(&[
            "src/session/cache/tests.rs::nothing_else_is_taken_for_it",
            "tests/refusals.rs::a_refused_parse_keeps_the_statement_that_had_its_name",
        ]),
    },
    Attack {
        code: "G9",
        name: "hot_reload_race",
        title: "A remembered permission survives stricter policies",
        stopped_by: "verdicts are remembered for a class of sessions of one generation of policies (session/cache.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "the same text again",
                ROWS,
                &[
                    Step::Sql("SELECT ssn FROM users WHERE id = 1"),
                    Step::Sql("SELECT ssn FROM users WHERE id = 1"),
                    NOTHING,
                    Step::Sql("SELECT ssn FROM users WHERE id = 1"),
                ],
                Harm::Runs,
            ),
            Way::new(
                "a prepared statement",
                ROWS,
                &[
                    Step::Bytes(
                        |_| [super::frames::parse("s", "SELECT ssn FROM users"), super::frames::sync()].concat(),
                        1,
                    ),
                    NOTHING,
                    Step::Bytes(
                        |_| {
                            use super::frames::{bind, execute, sync};
                            [bind("", "s", &[]), execute(""), sync()].concat()
                        },
                        1,
                    ),
                ],
                Harm::Tells("ssn-1"),
            ),
        ]),
    },
    Attack {
        code: "G10",
        name: "database_hop",
        title: "The same credentials, another database",
        stopped_by: "a policy selects by user and database; nobody is admitted by none (policy/admit.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "a database that the policy does not name",
                Fence::Own(
                    "policy: one-database
applies_to: {users: [attacker], databases: [portcullis_selftest]}
search_path: [public]
allow: [{rule: rows, actions: [select], tables: ['public.*']}]
",
                ),
                &[Step::Sql("CREATE TEMP TABLE hop (id int)")],
                Harm::Runs,
            )
            .startup(&[("database", "template1")]),
            Way::new(
                "no database: that of the user's name",
                Fence::Own(
                    "policy: one-database
applies_to: {users: [attacker], databases: [portcullis_selftest]}
search_path: [public]
allow: [{rule: rows, actions: [select], tables: ['public.*']}]
",
                ),
                &[Step::Sql("CREATE TEMP TABLE hop (id int)")],
                Harm::Runs,
            )
            .setup("CREATE DATABASE attacker")
            .undo("DROP DATABASE attacker WITH (FORCE)")
            .startup(&[("database", "")]),
        ]),
    },
];
