//! Group B: statement-class confusion. The ways are in the files beside: what hides a write in something else (`hidden`), what
//! runs code (`code`), what defines and destroys (`definitions`), and what looks restricted and is not (`bounds`).

mod bounds;
mod code;
mod definitions;
mod hidden;

use super::{Attack, Fence, Seen};

/// For policies without the right to write at all.
const WRITE: Fence = Fence::Deed("INSERT INTO {schema}.log VALUES ('x')");
/// For policies without the right to delete rows of the table under attack.
const DELETE: Fence = Fence::Deed("DELETE FROM {schema}.{users} WHERE id = 1");
/// For policies that let nobody delete or change a whole table.
const UNBOUNDED: Fence = Fence::Deed("DELETE FROM {schema}.{users}");
/// For policies without the right to define anything.
const DEFINE: Fence = Fence::Deed("CREATE TABLE {schema}.x (id int)");
/// For policies that let no table be dropped.
const DROP: Fence = Fence::Deed("DROP TABLE {schema}.{users}");
/// For policies that don't let an attacker's functions be called.
const CALL: Fence = Fence::Deed("SELECT evil.boom('x')");

pub const ATTACKS: &[Attack] = &[
    Attack {
        code: "B1",
        name: "data_modifying_cte",
        title: "DELETE, UPDATE and INSERT in the WITH of a SELECT",
        stopped_by: "what a statement does is collected over its whole tree (sql/walk/query.rs)",
        seen: Seen::Wire(hidden::CTE),
    },
    Attack {
        code: "B2",
        name: "select_into_and_ctas",
        title: "a SELECT that makes a table",
        stopped_by: "INTO is `create:table`, in a SELECT, an EXECUTE and an EXPLAIN ANALYZE alike (sql/walk/ddl.rs)",
        seen: Seen::Wire(hidden::INTO),
    },
    Attack {
        code: "B3",
        name: "copy_wrapping_dml",
        title: "COPY (DELETE … RETURNING *) TO STDOUT",
        stopped_by: "the query of a COPY is walked like any other (sql/walk/utility.rs)",
        seen: Seen::Wire(hidden::COPY),
    },
    Attack {
        code: "B4",
        name: "explain_analyze",
        title: "EXPLAIN ANALYZE in all its spellings runs the statement",
        stopped_by: "EXPLAIN is its statement unless the last `analyze` is literally off (sql/walk/utility.rs)",
        seen: Seen::Wire(hidden::EXPLAIN_ANALYZE),
    },
    Attack {
        code: "B5",
        name: "explain_runs_code",
        title: "EXPLAIN, Bind and DECLARE run immutable functions while they plan",
        stopped_by: "the functions of a statement count where it is only planned (sql/walk/utility.rs)",
        seen: Seen::Wire(code::PLANNING),
    },
    Attack {
        code: "B6",
        name: "prepare_execute",
        title: "PREPARE of a write, EXECUTE later; names that SQL and the protocol share, or that a function made",
        stopped_by: "PREPARE is its statement, and a name that this session was not seen to make is refused \
                     (session/statements.rs)",
        seen: Seen::Wire(hidden::PREPARED),
    },
    Attack {
        code: "B7",
        name: "do_and_dynamic_execute",
        title: "DO with SQL that is put together while it runs",
        stopped_by: "DO is `do`, its body is read, and what can't be known of it is `unknown`, which nothing allows \
                     (sql/walk/body.rs)",
        seen: Seen::Wire(code::DO),
    },
    Attack {
        code: "B8",
        name: "call",
        title: "CALL of a procedure that deletes and commits",
        stopped_by: "CALL needs a `call` rule for the resolved name (sql/walk/call.rs, policy/names.rs)",
        seen: Seen::Wire(code::PROCEDURES),
    },
    Attack {
        code: "B9",
        name: "merge_delete",
        title: "MERGE … WHEN MATCHED THEN DELETE",
        stopped_by: "MERGE is what its WHEN clauses do (sql/walk/query.rs)",
        seen: Seen::Wire(hidden::MERGE),
    },
    Attack {
        code: "B10",
        name: "upsert_is_an_update",
        title: "INSERT … ON CONFLICT DO UPDATE changes rows that are there",
        stopped_by: "an upsert is `insert` and `update`, with the columns of its SET (sql/walk/query.rs)",
        seen: Seen::Wire(hidden::UPSERT),
    },
    Attack {
        code: "B11",
        name: "create_schema_with_elements",
        title: "CREATE SCHEMA with tables, views, triggers and grants inside",
        stopped_by: "the elements of CREATE SCHEMA are statements of their own (sql/walk/ddl.rs)",
        seen: Seen::Wire(definitions::SCHEMA),
    },
    Attack {
        code: "B12",
        name: "destruction_without_names",
        title: "DROP OWNED, REASSIGN OWNED, TRUNCATE CASCADE",
        stopped_by: "both are accesses to the role, which no rule for tables covers (sql/walk/objects.rs)",
        seen: Seen::Wire(definitions::OWNED),
    },
    Attack {
        code: "B13",
        name: "destruction_by_alter",
        title: "ALTER TABLE drops columns, renames, moves, detaches and disarms",
        stopped_by: "each sub-command of ALTER TABLE is an action of its own (sql/walk/kinds.rs)",
        seen: Seen::Wire(definitions::ALTER),
    },
    Attack {
        code: "B14",
        name: "indirect_dml",
        title: "a rule or trigger that does the harm when somebody does something allowed",
        stopped_by: "CREATE RULE and CREATE TRIGGER are of the group `code`, and a rule's actions count \
                     (sql/walk/ddl.rs)",
        seen: Seen::Wire(code::RULES_AND_TRIGGERS),
    },
    Attack {
        code: "B15",
        name: "stored_queries",
        title: "REFRESH, ANALYZE and REINDEX run what was stored",
        stopped_by: "they are of the group `maintenance`, which no right to read or write includes (sql/walk/utility.rs)",
        seen: Seen::Wire(code::STORED),
    },
    Attack {
        code: "B16",
        name: "ddl_that_runs_expressions",
        title: "ALTER TABLE … USING f(x), DEFAULT f(), indexes, checks and bounds with functions",
        stopped_by: "the expressions of DDL are walked: their functions need a `call` rule (sql/walk/ddl.rs)",
        seen: Seen::Wire(code::EXPRESSIONS),
    },
    Attack {
        code: "B17",
        name: "where_that_restricts_nothing",
        title: "DELETE with a WHERE that is true for every row",
        stopped_by: "`where: missing` asks for a predicate that compares a column of the table with something else \
                     (sql/walk/restriction.rs)",
        seen: Seen::Wire(bounds::TRUE_FOR_ALL),
    },
    Attack {
        code: "B18",
        name: "no_where_by_using",
        title: "DELETE … USING and UPDATE … FROM whose conditions are not about the table",
        stopped_by: "`where: missing` is asked of the node that writes, for its own table (sql/walk/restriction.rs); \
                     what ON DELETE CASCADE deletes besides is the schema's",
        seen: Seen::Wire(bounds::USING),
    },
    Attack {
        code: "B19",
        name: "limit_in_disguise",
        title: "LIMIT ALL, LIMIT NULL; a whole table in one row",
        stopped_by: "a limit that limits nothing is no restriction (sql/walk/restriction.rs); whole rows touch every \
                     column (sql/walk/scope.rs)",
        seen: Seen::Wire(bounds::LIMIT),
    },
    Attack {
        code: "B20",
        name: "rare_utility_statements",
        title: "servers, mappings, subscriptions, casts, operators, languages, access methods …",
        stopped_by: "a match over every kind of statement without a wildcard: what is new does not compile, what is \
                     unknown is refused (sql/walk/dispatch.rs)",
        seen: Seen::Wire(definitions::RARE),
    },
    Attack {
        code: "B21",
        name: "persisted_settings",
        title: "ALTER ROLE, DATABASE, FUNCTION … SET of what the session guards",
        stopped_by: "a guarded setting is guarded on every path that sets it (policy/settings.rs)",
        seen: Seen::Wire(definitions::PERSISTED),
    },
    Attack {
        code: "B22",
        name: "replace_then_call",
        title: "an allowed function gets another body, or another function its name",
        stopped_by: "CREATE FUNCTION is `create_function`, and ALTER … RENAME and SET SCHEMA need both names \
                     (sql/walk/objects.rs)",
        seen: Seen::Wire(code::REPLACED),
    },
    Attack {
        code: "B23",
        name: "extensions",
        title: "CREATE EXTENSION of what opens files, connections or languages",
        stopped_by: "CREATE EXTENSION is `create_extension` on the extension's name (sql/walk/objects.rs)",
        seen: Seen::Wire(definitions::EXTENSIONS),
    },
    Attack {
        code: "B24",
        name: "copy_from_stdin",
        title: "COPY FROM STDIN as a bulk insert",
        stopped_by: "COPY FROM is `insert` and `copy_from` (sql/walk/utility.rs)",
        seen: Seen::Wire(hidden::COPY_IN),
    },
    Attack {
        code: "B25",
        name: "cursor_indirection",
        title: "a cursor is declared here and read there",
        stopped_by: "DECLARE is its query; FETCH asks again what may stand behind the name; a function's cursor needs a \
                     `cursor` rule (session/statements.rs)",
        seen: Seen::Wire(hidden::CURSORS),
    },
    Attack {
        code: "B26",
        name: "end_of_transaction",
        title: "COMMIT PREPARED of another session's work",
        stopped_by: "two-phase commit is an action that needs a rule (sql/walk/utility.rs)",
        seen: Seen::Wire(hidden::TWO_PHASE),
    },
];
