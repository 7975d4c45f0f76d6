//! Group A: escaping a read-only fence.

mod prefix;

use super::frames::{run, sync};
use super::{Attack, Fence, Harm, Seen, Step, Way};

/// Policies that let nothing be written.
const NO_WRITE: Fence = Fence::Deed("INSERT INTO {schema}.log VALUES ('openly')");

/// Policies that let nobody define anything.
const NO_DDL: Fence = Fence::Deed("CREATE TABLE {schema}.made_openly (id int)");

/// Policies that have no business with large objects.
const LARGE_OBJECTS: Fence = Fence::Deed("SELECT lo_create(4712)");

/// A policy that pins its sessions to reading, and would let them write otherwise: only the pin is in the way.
const PINNED: Fence = Fence::Own(
    "policy: pinned
applies_to: {users: [attacker]}
search_path: [public]
pin: {default_transaction_read_only: on}
allow:
  - {rule: rows, actions: [select, insert, update, delete], tables: ['public.*']}
  - {rule: everything-else, actions: [set, call, cursor], settings: ['*'], functions: ['*.*'], cursors: ['*']}
",
);

const INSERT: Step = Step::Sql("INSERT INTO {schema}.log VALUES ('a')");
const READ_WRITE: Harm = Harm::Session("SHOW default_transaction_read_only", "off");

/// The setting as a startup parameter of the attacked session itself, so that there is a fence without a firewall, too.
const FENCED: &[(&str, &str)] = &[("default_transaction_read_only", "on")];

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
                NO_WRITE,
                &[
                    Step::Query("BEGIN READ ONLY"),
                    Step::Query("SELECT 1; COMMIT; INSERT INTO {schema}.log VALUES ('a1')"),
                ],
                Harm::Changes,
            ),
            Way::new(
                "the same in one pipeline",
                NO_WRITE,
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
        seen: Seen::Wire(&[
            Way::new(
                "BEGIN READ ONLY; SET TRANSACTION READ WRITE; INSERT",
                NO_WRITE,
                &[Step::Sql("BEGIN READ ONLY"), Step::Sql("SET TRANSACTION READ WRITE"), INSERT, Step::Sql("COMMIT")],
                Harm::Changes,
            ),
            Way::new(
                "the same where only the pin is in the way",
                PINNED,
                &[Step::Sql("BEGIN"), Step::Sql("SET TRANSACTION READ WRITE"), INSERT, Step::Sql("COMMIT")],
                Harm::Changes,
            )
            .startup(FENCED),
            Way::new(
                "by the setting's name, SET transaction_read_only = off",
                PINNED,
                &[Step::Sql("BEGIN"), Step::Sql("SET transaction_read_only = off"), INSERT, Step::Sql("COMMIT")],
                Harm::Changes,
            )
            .startup(FENCED),
            Way::new(
                "by its default, RESET transaction_read_only",
                PINNED,
                &[Step::Sql("BEGIN"), Step::Sql("RESET transaction_read_only"), INSERT, Step::Sql("COMMIT")],
                Harm::Changes,
            )
            .majors(14, 15)
            .startup(FENCED),
            Way::new(
                "READ WRITE beside another mode",
                PINNED,
                &[
                    Step::Sql("BEGIN"),
                    Step::Sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE"),
                    INSERT,
                    Step::Sql("COMMIT"),
                ],
                Harm::Changes,
            )
            .startup(FENCED),
        ]),
    },
    Attack {
        code: "A3",
        name: "guc_off",
        title: "SET default_transaction_read_only = off",
        stopped_by: "a pinned setting can't be changed by any statement (policy/settings.rs)",
        seen: Seen::Wire(&[
            Way::new("SET", PINNED, &[Step::Sql("SET default_transaction_read_only = off"), INSERT], Harm::Changes)
                .startup(FENCED),
            Way::new(
                "SET LOCAL",
                PINNED,
                &[
                    Step::Sql("BEGIN"),
                    Step::Sql("SET LOCAL default_transaction_read_only TO 'f'"),
                    Step::Sql("SELECT count(*) FROM {schema}.log"),
                ],
                READ_WRITE,
            )
            .startup(FENCED),
            Way::new(
                "SET … TO DEFAULT, where the role's default is off",
                PINNED,
                &[Step::Sql("SET default_transaction_read_only TO DEFAULT")],
                READ_WRITE,
            )
            .setup("ALTER ROLE {role} SET default_transaction_read_only = off")
            .undo("ALTER ROLE {role} RESET default_transaction_read_only")
            .harmless(),
            Way::new(
                "spelt in other letters",
                PINNED,
                &[Step::Sql("SET SESSION \"Default_Transaction_Read_Only\" = 'OF'"), INSERT],
                Harm::Changes,
            )
            .startup(FENCED),
        ]),
    },
    Attack {
        code: "A4",
        name: "session_characteristics",
        title: "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        stopped_by: "the characteristics are the settings that they set (sql/walk/settings.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "alone",
                PINNED,
                &[Step::Sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"), INSERT],
                Harm::Changes,
            )
            .startup(FENCED),
            Way::new(
                "behind other modes",
                PINNED,
                &[
                    Step::Sql("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE"),
                    INSERT,
                ],
                Harm::Changes,
            )
            .startup(FENCED),
        ]),
    },
    Attack {
        code: "A5",
        name: "explicit_mode",
        title: "BEGIN READ WRITE and its kin",
        stopped_by: "BEGIN and START TRANSACTION are judged by their modes (sql/walk/utility.rs)",
        seen: Seen::Wire(&[
            Way::new("BEGIN READ WRITE", PINNED, &[Step::Sql("BEGIN READ WRITE"), INSERT, Step::Sql("COMMIT")], Harm::Changes)
                .startup(FENCED),
            Way::new(
                "START TRANSACTION READ WRITE",
                PINNED,
                &[Step::Sql("START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ WRITE"), INSERT, Step::Sql("COMMIT")],
                Harm::Changes,
            )
            .startup(FENCED),
            Way::new(
                "the last of two modes wins",
                PINNED,
                &[Step::Sql("BEGIN READ ONLY, READ WRITE"), INSERT, Step::Sql("COMMIT")],
                Harm::Changes,
            )
            .startup(FENCED),
        ]),
    },
    Attack {
        code: "A6",
        name: "set_config_in_a_select",
        title: "set_config('default_transaction_read_only', 'off', false) in a SELECT",
        stopped_by: "set_config is SET: by its constants at Parse, by its values at Bind (policy/decide.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "constants",
                PINNED,
                &[Step::Sql("SELECT set_config('default_transaction_read_only', 'off', false)"), INSERT],
                Harm::Changes,
            )
            .startup(FENCED),
            Way::new(
                "values bound",
                PINNED,
                &[
                    Step::Bound("SELECT set_config($1, $2, false)", &["default_transaction_read_only", "off"]),
                    INSERT,
                ],
                Harm::Changes,
            )
            .startup(FENCED),
            Way::new(
                "a name put together",
                PINNED,
                &[Step::Sql("SELECT set_config('default_transaction' || '_read_only', 'off', false)"), INSERT],
                Harm::Changes,
            )
            .startup(FENCED),
            Way::new(
                "deep inside a query that reads",
                PINNED,
                &[
                    Step::Sql(
                        "SELECT id FROM users WHERE id = (SELECT length(set_config('default_transaction_read_only', \
                         'off', false)) - 2)",
                    ),
                    INSERT,
                ],
                Harm::Changes,
            )
            .startup(FENCED),
            Way::new(
                "through the view that sets settings",
                PINNED,
                &[Step::Sql("UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'")],
                READ_WRITE,
            ),
        ]),
    },
    Attack {
        code: "A7",
        name: "discard_all_and_reset_all",
        title: "DISCARD ALL or RESET ALL undo what a proxy had SET",
        stopped_by: "pins are startup parameters: what RESET returns to (policy/startup.rs)",
        seen: Seen::Wire(&[
            Way::new("DISCARD ALL", PINNED, &[Step::Sql("DISCARD ALL")], READ_WRITE)
                .setup("ALTER ROLE {role} SET default_transaction_read_only = off")
                .undo("ALTER ROLE {role} RESET default_transaction_read_only")
                .harmless(),
            Way::new("RESET ALL", PINNED, &[Step::Sql("RESET ALL")], READ_WRITE)
                .setup("ALTER ROLE {role} SET default_transaction_read_only = off")
                .undo("ALTER ROLE {role} RESET default_transaction_read_only")
                .harmless(),
            Way::new("RESET of it", PINNED, &[Step::Sql("RESET default_transaction_read_only")], READ_WRITE)
                .setup("ALTER ROLE {role} IN DATABASE {database} SET default_transaction_read_only = off")
                .harmless(),
        ]),
    },
    Attack {
        code: "A8",
        name: "savepoint_undo",
        title: "ROLLBACK TO a savepoint takes a SET TRANSACTION READ ONLY back",
        stopped_by: "nothing is injected into transactions; the mode is refused where it would open them (policy/decide.rs)",
        seen: Seen::Wire(&[Way::new(
            "BEGIN READ WRITE; SAVEPOINT; READ ONLY; ROLLBACK TO; INSERT",
            NO_WRITE,
            &[
                Step::Sql("BEGIN READ WRITE"),
                Step::Sql("SAVEPOINT a"),
                Step::Sql("SET TRANSACTION READ ONLY"),
                Step::Sql("ROLLBACK TO a"),
                INSERT,
                Step::Sql("COMMIT"),
            ],
            Harm::Changes,
        )]),
    },
    Attack {
        code: "A9",
        name: "do_with_commit",
        title: "A DO block that sets, commits and writes",
        stopped_by: "DO is an action of its own, and its body is read: what it does is needed, too (sql/plpgsql.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "set_config; COMMIT; INSERT in one block",
                Fence::Deed("DO $$ BEGIN INSERT INTO {schema}.log VALUES ('openly'); END $$"),
                &[Step::Sql(
                    "DO $$ BEGIN PERFORM set_config('default_transaction_read_only', 'off', false); COMMIT; \
                     INSERT INTO {schema}.log VALUES ('x'); END $$",
                )],
                Harm::Changes,
            ),
            Way::new(
                "a block that only writes",
                Fence::Deed("DO $$ BEGIN INSERT INTO {schema}.log VALUES ('openly'); END $$"),
                &[Step::Sql("DO LANGUAGE plpgsql 'BEGIN INSERT INTO {schema}.log VALUES (''x''); END'")],
                Harm::Changes,
            ),
        ]),
    },
    Attack {
        code: "A10",
        name: "copy_to_program",
        title: "COPY TO PROGRAM is allowed in a read-only transaction",
        stopped_by: "COPY with PROGRAM is action copy_program, in no group but file (sql/walk/utility.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "COPY (query) TO PROGRAM",
                Fence::Always,
                &[Step::Sql("COPY (SELECT 1) TO PROGRAM 'cat > portcullis_a10'")],
                Harm::Changes,
            )
            .startup(FENCED)
            .undo("COPY (SELECT 1) TO PROGRAM 'cat; rm -f portcullis_a10'"),
            Way::new(
                "COPY table TO PROGRAM",
                Fence::Always,
                &[Step::Sql("COPY {schema}.{users} TO PROGRAM 'cat > portcullis_a10' WITH (FORMAT csv)")],
                Harm::Changes,
            )
            .undo("COPY (SELECT 1) TO PROGRAM 'cat; rm -f portcullis_a10'"),
            Way::new(
                "COPY FROM PROGRAM",
                Fence::Always,
                &[Step::Sql("COPY {schema}.log FROM PROGRAM 'echo portcullis'")],
                Harm::Changes,
            ),
        ]),
    },
    Attack {
        code: "A11",
        name: "copy_to_file",
        title: "COPY TO a file of the server",
        stopped_by: "COPY with a file name is action copy_file (sql/walk/utility.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "COPY TO",
                Fence::Always,
                &[Step::Sql("COPY {schema}.{users} TO '/dev/null'")],
                Harm::Runs,
            ),
            Way::new(
                "COPY FROM",
                Fence::Always,
                &[Step::Sql("COPY {schema}.log FROM '/etc/passwd'")],
                Harm::Changes,
            ),
        ]),
    },
    Attack {
        code: "A12",
        name: "alter_system",
        title: "ALTER SYSTEM is allowed in a read-only transaction",
        stopped_by: "action alter_system, in no group but admin (sql/walk/utility.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "ALTER SYSTEM SET archive_command",
                Fence::Always,
                &[Step::Sql("ALTER SYSTEM SET archive_command = 'touch portcullis_a12'")],
                Harm::Changes,
            )
            .startup(FENCED)
            .undo("ALTER SYSTEM RESET archive_command"),
            Way::new("ALTER SYSTEM RESET ALL", Fence::Always, &[Step::Sql("ALTER SYSTEM RESET ALL")], Harm::Runs),
            Way::new("pg_reload_conf()", Fence::Always, &[Step::Sql("SELECT pg_reload_conf()")], Harm::Runs),
        ]),
    },
    Attack {
        code: "A13",
        name: "dblink_loopback",
        title: "A second connection from inside the server, past every fence",
        stopped_by: "functions that open connections are action dblink (sql/functions/classes.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "dblink_exec",
                Fence::Always,
                &[Step::Sql(
                    "SELECT public.dblink_exec('dbname={database} user={role} password={password} host=127.0.0.1 port=' || \
                     current_setting('port'), 'INSERT INTO {schema}.log VALUES (''a13'')')",
                )],
                Harm::Changes,
            )
            .setup("CREATE EXTENSION dblink SCHEMA public"),
            Way::new(
                "dblink in FROM",
                Fence::Always,
                &[Step::Sql(
                    "SELECT * FROM public.dblink('dbname={database} user={role} password={password} host=127.0.0.1 port=' || \
                     current_setting('port'), 'SELECT ssn FROM {schema}.{users}') AS t(ssn text)",
                )],
                Harm::Tells("ssn-1"),
            )
            .setup("CREATE EXTENSION dblink SCHEMA public"),
        ]),
    },
    Attack {
        code: "A14",
        name: "large_objects",
        title: "Large objects are written by functions, also in a read-only transaction",
        stopped_by: "the functions are action large_object or file (sql/functions/classes.rs)",
        seen: Seen::Wire(&[
            Way::new("lo_create", LARGE_OBJECTS, &[Step::Sql("SELECT lo_create(0)")], Harm::Changes),
            Way::new(
                "lo_from_bytea",
                LARGE_OBJECTS,
                &[Step::Sql("SELECT lo_from_bytea(0, 'secret'::bytea)")],
                Harm::Changes,
            ),
            Way::new("lo_put", LARGE_OBJECTS, &[Step::Sql("SELECT lo_put(4711, 0, 'secret')")], Harm::Changes)
                .setup("SELECT lo_create(4711)"),
            Way::new("lo_unlink", LARGE_OBJECTS, &[Step::Sql("SELECT lo_unlink(4711)")], Harm::Changes)
                .setup("SELECT lo_create(4711)"),
            Way::new(
                "lowrite in a transaction",
                LARGE_OBJECTS,
                &[Step::Sql("SELECT lowrite(lo_open(4711, 131072), 'secret')")],
                Harm::Changes,
            )
            .setup("SELECT lo_create(4711)"),
            Way::new(
                "lo_import of a file",
                Fence::Always,
                &[Step::Sql("SELECT lo_import('PG_VERSION')")],
                Harm::Changes,
            ),
            Way::new(
                "lo_export to a file",
                Fence::Always,
                &[Step::Sql("SELECT lo_export(4711, 'portcullis_a14')")],
                Harm::Changes,
            )
            .setup("SELECT lo_create(4711)")
            .undo("COPY (SELECT 1) TO PROGRAM 'cat; rm -f portcullis_a14'"),
        ]),
    },
    Attack {
        code: "A15",
        name: "file_writes",
        title: "adminpack and its like write files",
        stopped_by: "functions that write files are action file; unknown functions need a rule (sql/functions/classes.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "pg_file_write",
                Fence::Always,
                &[Step::Sql("SELECT pg_catalog.pg_file_write('portcullis_a15', 'x', false)")],
                Harm::Changes,
            )
            .setup("CREATE EXTENSION adminpack")
            .undo("COPY (SELECT 1) TO PROGRAM 'cat; rm -f portcullis_a15'")
            .majors(0, 16),
            Way::new(
                "pg_file_rename",
                Fence::Always,
                &[Step::Sql("SELECT pg_file_rename('portcullis_a15', 'portcullis_b15')")],
                Harm::Changes,
            )
            .setup("CREATE EXTENSION adminpack; SELECT pg_catalog.pg_file_write('portcullis_a15', 'x', false)")
            .undo("COPY (SELECT 1) TO PROGRAM 'cat; rm -f portcullis_a15 portcullis_b15'")
            .majors(0, 16),
            Way::new(
                "pg_stat_file and pg_ls_dir look around",
                Fence::Always,
                &[Step::Sql("SELECT pg_ls_dir('.')")],
                Harm::Tells("PG_VERSION"),
            ),
        ]),
    },
    Attack {
        code: "A16",
        name: "maintenance",
        title: "VACUUM, ANALYZE, REINDEX, CLUSTER, CHECKPOINT are not writes for the server",
        stopped_by: "actions of the group maintenance, in no group of reading or writing (sql/walk/utility.rs)",
        seen: Seen::Wire(&[
            Way::new("VACUUM", Fence::Deed("VACUUM {schema}.{users}"), &[Step::Sql("VACUUM {schema}.{users}")], Harm::Runs),
            Way::new("VACUUM FULL", Fence::Deed("VACUUM (FULL) {schema}.{users}"), &[Step::Sql("VACUUM (FULL) {schema}.{users}")], Harm::Changes),
            Way::new("ANALYZE", Fence::Deed("ANALYZE {schema}.{users}"), &[Step::Sql("ANALYZE {schema}.{users}")], Harm::Runs).startup(FENCED),
            Way::new("REINDEX", Fence::Deed("REINDEX TABLE {schema}.{users}"), &[Step::Sql("REINDEX TABLE {schema}.{users}")], Harm::Changes),
            Way::new(
                "CLUSTER",
                Fence::Deed("CLUSTER {schema}.{users} USING {users}_pkey"),
                &[Step::Sql("CLUSTER {schema}.{users} USING {users}_pkey")],
                Harm::Changes,
            ),
            Way::new("CHECKPOINT", Fence::Deed("CHECKPOINT"), &[Step::Sql("CHECKPOINT")], Harm::Runs).startup(FENCED),
        ]),
    },
    Attack {
        code: "A17",
        name: "lock_dos",
        title: "Locks that stop everybody else",
        stopped_by: "lock_table, advisory_lock and select_for_update are actions; ACCESS SHARE is reading (sql/walk/utility.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "LOCK TABLE IN ACCESS EXCLUSIVE MODE",
                Fence::Deed("LOCK TABLE {schema}.{users}"),
                &[Step::Sql("BEGIN"), Step::Sql("LOCK TABLE {schema}.{users} IN ACCESS EXCLUSIVE MODE")],
                Harm::Server("SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = '{schema}.{users}'::regclass"),
            ),
            Way::new(
                "pg_advisory_lock",
                Fence::Deed("SELECT pg_advisory_lock(1)"),
                &[Step::Sql("SELECT pg_advisory_lock(1)")],
                Harm::Server("SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory'"),
            ),
            Way::new(
                "pg_try_advisory_xact_lock_shared in a WHERE",
                Fence::Deed("SELECT pg_advisory_lock(1)"),
                &[Step::Sql("BEGIN"), Step::Sql("SELECT id FROM {schema}.{users} WHERE pg_try_advisory_xact_lock_shared(id)")],
                Harm::Server("SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory'"),
            ),
            Way::new(
                "SELECT FOR UPDATE",
                Fence::Deed("SELECT id FROM {schema}.{users} FOR UPDATE"),
                &[Step::Sql("BEGIN"), Step::Sql("SELECT id FROM {schema}.{users} ORDER BY id FOR NO KEY UPDATE")],
                Harm::Server("SELECT count(*) > 0 FROM pg_locks WHERE mode = 'RowShareLock'"),
            ),
        ]),
    },
    Attack {
        code: "A18",
        name: "covert_channel",
        title: "NOTIFY carries data out of a read-only session",
        stopped_by: "NOTIFY and pg_notify are action notify (sql/functions/classes.rs)",
        seen: Seen::Wire(&[
            Way::new("NOTIFY", Fence::Deed("NOTIFY ch, 'secret'"), &[Step::Sql("NOTIFY ch, 'secret'")], Harm::Runs).startup(FENCED),
            Way::new(
                "pg_notify of what is read",
                Fence::Deed("NOTIFY ch, 'secret'"),
                &[Step::Sql("SELECT pg_notify('ch', name) FROM {schema}.{users}")],
                Harm::Runs,
            )
            .startup(FENCED),
        ]),
    },
    Attack {
        code: "A19",
        name: "wal_and_slots",
        title: "Functions that write WAL or make replication slots",
        stopped_by: "the functions are actions server_control and replication (sql/functions/classes.rs)",
        seen: Seen::Wire(&[
            Way::new("pg_switch_wal", Fence::Always, &[Step::Sql("SELECT pg_switch_wal() IS NULL")], Harm::Runs),
            Way::new(
                "pg_create_restore_point",
                Fence::Always,
                &[Step::Sql("SELECT pg_create_restore_point('portcullis') IS NULL")],
                Harm::Runs,
            ),
            Way::new(
                "pg_logical_emit_message",
                Fence::Always,
                &[Step::Sql("SELECT pg_logical_emit_message(false, 'portcullis', 'x') IS NULL")],
                Harm::Runs,
            ),
            Way::new(
                "pg_create_physical_replication_slot",
                Fence::Always,
                &[Step::Sql("SELECT pg_create_physical_replication_slot('portcullis_a19')")],
                Harm::Changes,
            )
            .undo("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'portcullis_a19'"),
            Way::new(
                "pg_drop_replication_slot",
                Fence::Always,
                &[Step::Sql("SELECT pg_drop_replication_slot('portcullis_a19')")],
                Harm::Changes,
            )
            .setup("SELECT pg_create_physical_replication_slot('portcullis_a19')")
            .undo("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'portcullis_a19'"),
        ]),
    },
    Attack {
        code: "A20",
        name: "kill_and_reset",
        title: "Ending other sessions, throwing statistics away",
        stopped_by: "the functions are actions signal_backend and server_control (sql/functions/classes.rs)",
        seen: Seen::Wire(&[
            Way::new("pg_terminate_backend", Fence::Deed("SELECT pg_cancel_backend(0)"), &[Step::Sql("SELECT pg_terminate_backend(0)")], Harm::Runs),
            Way::new(
                "pg_cancel_backend of everybody",
                Fence::Deed("SELECT pg_terminate_backend(0)"),
                &[Step::Sql(
                    "SELECT pg_cancel_backend(pid) FROM pg_catalog.pg_locks WHERE pid <> pg_backend_pid() AND pid < 0",
                )],
                Harm::Runs,
            ),
            Way::new("pg_stat_reset", Fence::Always, &[Step::Sql("SELECT pg_stat_reset()")], Harm::Runs),
            Way::new(
                "pg_stat_statements_reset",
                Fence::Always,
                &[Step::Sql("SELECT public.pg_stat_statements_reset() IS NULL")],
                Harm::Runs,
            )
            .setup(
                "CREATE FUNCTION public.pg_stat_statements_reset() RETURNS void LANGUAGE sql AS 'SELECT'",
            ),
        ]),
    },
    Attack {
        code: "A21",
        name: "load",
        title: "LOAD of a library",
        stopped_by: "action load, in no group but code (sql/walk/utility.rs)",
        seen: Seen::Wire(&[Way::new("LOAD", Fence::Always, &[Step::Sql("LOAD '$libdir/plpgsql'")], Harm::Runs).startup(FENCED)]),
    },
    Attack {
        code: "A22",
        name: "walsender",
        title: "A replication connection runs SQL and commands of its own",
        stopped_by: "a policy matches replication connections only where it says so; its commands are judged (policy/admit.rs)",
        seen: Seen::Wire(&[
            Way::new(
                "replication=database, then INSERT",
                Fence::Always,
                &[Step::Query("INSERT INTO {schema}.log VALUES ('a22')")],
                Harm::Changes,
            )
            .startup(&[("replication", "database")]),
            Way::new(
                "CREATE_REPLICATION_SLOT",
                Fence::Always,
                &[Step::Query("CREATE_REPLICATION_SLOT portcullis_a22 PHYSICAL")],
                Harm::Changes,
            )
            .startup(&[("replication", "TRUE")])
            .undo("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'portcullis_a22'"),
            Way::new(
                "DROP_REPLICATION_SLOT",
                Fence::Always,
                &[Step::Query("DROP_REPLICATION_SLOT portcullis_a22")],
                Harm::Changes,
            )
            .startup(&[("replication", "yes")])
            .setup("SELECT pg_create_physical_replication_slot('portcullis_a22')")
            .undo("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'portcullis_a22'"),
        ]),
    },
    Attack {
        code: "A23",
        name: "read_only_by_prefix",
        title: "Writing behind something that looks like reading",
        stopped_by: "nothing is decided by a prefix: the tree is walked (sql/walk.rs)",
        seen: Seen::Wire(prefix::WAYS),
    },
];
