//! Group C: code execution hidden in an expression.

mod calls;
mod nodes;
mod servers;
mod strings;

use super::{Attack, Seen};

pub const ATTACKS: &[Attack] = &[
    Attack {
        code: "C1",
        name: "function_in_from",
        title: "A function in FROM",
        stopped_by: "one walk over every node that the grammar has, lists in lists included (sql/children.rs)",
        seen: Seen::Wire(servers::C1),
    },
    Attack {
        code: "C2",
        name: "function_in_values",
        title: "A function in VALUES",
        stopped_by: "the same walk (sql/children.rs)",
        seen: Seen::Wire(servers::C2),
    },
    Attack {
        code: "C3",
        name: "forgotten_nodes",
        title: "A function in each place where the grammar takes an expression",
        stopped_by: "the walk is generated from the parser's own definition of its nodes (sql/children.rs)",
        seen: Seen::Wire(nodes::C3),
    },
    Attack {
        code: "C4",
        name: "operators_call_functions",
        title: "An operator of another schema, which runs a function",
        stopped_by: "a qualified operator is a call (sql/walk/expression.rs)",
        seen: Seen::Wire(calls::C4),
    },
    Attack {
        code: "C5",
        name: "operator_by_search_path",
        title: "Another operator behind the same sign, by another search_path",
        stopped_by: "search_path is guarded on every way that sets it (policy/settings.rs, policy/startup.rs)",
        seen: Seen::Wire(calls::C5),
    },
    Attack {
        code: "C6",
        name: "attribute_notation",
        title: "A function of a row, written as its column",
        stopped_by: "built-ins that take any row, and names that a functions: pattern matches, are calls (sql/walk/expression.rs)",
        seen: Seen::Wire(calls::C6),
    },
    Attack {
        code: "C7",
        name: "casts",
        title: "A cast that runs a function",
        stopped_by: "a type of another schema is a call (sql/walk/expression.rs)",
        seen: Seen::Wire(calls::C7),
    },
    Attack {
        code: "C8",
        name: "domains",
        title: "A domain whose check runs a function",
        stopped_by: "a type of another schema is a call, wherever a type is written (sql/walk/expression.rs)",
        seen: Seen::Wire(calls::C8),
    },
    Attack {
        code: "C9",
        name: "query_to_xml",
        title: "SQL in a string: query_to_xml and its kin",
        stopped_by: "a constant is analysed as SQL, anything else is unknown (sql/walk/call.rs)",
        seen: Seen::Wire(strings::C9),
    },
    Attack {
        code: "C10",
        name: "ts_stat_and_ts_rewrite",
        title: "SQL in a string: ts_stat and ts_rewrite",
        stopped_by: "a constant is analysed as SQL, anything else is unknown (sql/walk/call.rs)",
        seen: Seen::Wire(strings::C10),
    },
    Attack {
        code: "C11",
        name: "tablefunc",
        title: "SQL in a string: crosstab and connectby",
        stopped_by: "functions of extensions need a call rule (policy/baseline.rs)",
        seen: Seen::Wire(strings::C11),
    },
    Attack {
        code: "C12",
        name: "xpath_table",
        title: "A write stacked into a SELECT by xpath_table",
        stopped_by: "functions of extensions need a call rule (policy/baseline.rs)",
        seen: Seen::Wire(strings::C12),
    },
    Attack {
        code: "C13",
        name: "role_change",
        title: "Another role by an expression",
        stopped_by: "set_config('role', …) is SET ROLE, an UPDATE of pg_settings is SET of anything (sql/walk/call.rs, sql/walk/query.rs)",
        seen: Seen::Wire(calls::C13),
    },
    Attack {
        code: "C14",
        name: "files",
        title: "Files of the server, read and written by functions",
        stopped_by: "a table of what built-ins do, made from the servers' catalogs (sql/functions/classes.rs)",
        seen: Seen::Wire(servers::C14),
    },
    Attack {
        code: "C15",
        name: "network",
        title: "Connections that the server opens",
        stopped_by: "dblink is network; functions of extensions need a call rule (sql/walk/call.rs, policy/baseline.rs)",
        seen: Seen::Wire(servers::C15),
    },
    Attack {
        code: "C16",
        name: "deferred_sql",
        title: "SQL in a string that runs later or elsewhere",
        stopped_by: "functions of extensions need a call rule (policy/baseline.rs)",
        seen: Seen::Wire(strings::C16),
    },
    Attack {
        code: "C17",
        name: "security_definer_and_views",
        title: "An allowed function or view that does the rest with its owner's rights",
        stopped_by: "nothing in between: what a function's body or a view does is not in the text of the statement",
        seen: Seen::Never {
            why: "the body of a function and the query of a view stay on the server, so a call that a rule allows does whatever its owner may",
            doctor: "SECURITY DEFINER functions, and views and rules, that reach what a policy denies to those who may call or read them",
        },
    },
    Attack {
        code: "C18",
        name: "shadowed_built_ins",
        title: "A function that takes the name of a built-in, by a path that names pg_catalog late",
        stopped_by: "search_path is guarded on every way that sets it (policy/settings.rs, policy/startup.rs)",
        seen: Seen::Wire(calls::C18),
    },
    Attack {
        code: "C19",
        name: "allowed_name_other_schema",
        title: "The name of an allowed function, in another schema",
        stopped_by: "schema and name are compared together (policy/names.rs)",
        seen: Seen::Wire(calls::C19),
    },
    Attack {
        code: "C20",
        name: "named_and_variadic_arguments",
        title: "Arguments by name, in another order, or as one array",
        stopped_by: "arguments by name are read by their names; where that can't be done the call is unknown (sql/walk/call.rs)",
        seen: Seen::Wire(strings::C20),
    },
];
