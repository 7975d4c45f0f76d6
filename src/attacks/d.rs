//! Group D: object, column and masking rules.

mod policies;

mod columns;
mod objects;

use super::{Attack, Seen};

pub const ATTACKS: &[Attack] = &[
    Attack {
        code: "D1",
        name: "quoting_and_case",
        title: "A forbidden table in another spelling: quotes and upper case",
        stopped_by: "names are compared as PostgreSQL folds them, out of its own parser (sql/walk/names.rs)",
        seen: Seen::Wire(objects::D1),
    },
    Attack {
        code: "D2",
        name: "unicode_identifiers",
        title: "A forbidden table spelled with U& escapes",
        stopped_by: "PostgreSQL's own lexer decodes identifiers; nothing is matched on text (sql/parse.rs)",
        seen: Seen::Wire(objects::D2),
    },
    Attack {
        code: "D3",
        name: "name_truncation",
        title: "A forbidden table by a name that the server cuts at 63 bytes",
        stopped_by: "names and patterns are cut as the server cuts them, at a character's edge (sql/walk/names.rs, policy/names.rs)",
        seen: Seen::Wire(objects::D3),
    },
    Attack {
        code: "D4",
        name: "catalog_qualified",
        title: "A forbidden table by a name of three parts",
        stopped_by: "the database is a part of a name and never of its schema (sql/walk/names.rs)",
        seen: Seen::Wire(objects::D4),
    },
    Attack {
        code: "D5",
        name: "search_path",
        title: "A forbidden table without its schema, by another search_path",
        stopped_by: "search_path is guarded on every way that sets it; a bare name is denied in every schema it may mean (policy/names.rs)",
        seen: Seen::Wire(objects::D5),
    },
    Attack {
        code: "D6",
        name: "temporary_shadow",
        title: "A temporary table that takes the name of an allowed one",
        stopped_by: "temporary relations need temp_tables: allow, and pg_temp is last in the path (policy/decide.rs, policy/startup.rs)",
        seen: Seen::Wire(objects::D6),
    },
    Attack {
        code: "D7",
        name: "alias_objects",
        title: "A forbidden table under another name: view, copy, rename, parent, TOAST",
        stopped_by: "DDL reads what its queries read, and names the table it gives another name to (sql/walk/ddl.rs, sql/walk/objects.rs)",
        seen: Seen::Wire(objects::D7),
    },
    Attack {
        code: "D8",
        name: "name_as_data",
        title: "The name of a table as a value",
        stopped_by: "functions that read what a string names: the constant is read, anything else is unknown (sql/walk/call.rs)",
        seen: Seen::Wire(objects::D8),
    },
    Attack {
        code: "D9",
        name: "whole_row",
        title: "A protected column inside the whole row",
        stopped_by: "a reference to a row touches all its columns (sql/walk/scope.rs)",
        seen: Seen::Wire(columns::D9),
    },
    Attack {
        code: "D10",
        name: "column_alias_list",
        title: "A protected column renamed by an alias list",
        stopped_by: "an alias list on a table touches all its columns (sql/walk/query.rs)",
        seen: Seen::Wire(columns::D10),
    },
    Attack {
        code: "D11",
        name: "cte_alias_list",
        title: "A protected column renamed by a WITH query's column list",
        stopped_by: "TABLE and * touch all columns, wherever they stand (sql/walk/scope.rs)",
        seen: Seen::Wire(columns::D11),
    },
    Attack {
        code: "D12",
        name: "positional_union",
        title: "A protected column by its position in a UNION",
        stopped_by: "* is expanded in every arm (sql/walk/query.rs)",
        seen: Seen::Wire(columns::D12),
    },
    Attack {
        code: "D13",
        name: "star_table_natural_using",
        title: "Columns that nobody names: *, TABLE, NATURAL JOIN, USING, names out of another query",
        stopped_by: "each of them touches all columns, and a qualifier means every relation it may mean (sql/walk/scope.rs)",
        seen: Seen::Wire(columns::D13),
    },
    Attack {
        code: "D14",
        name: "statistics_views",
        title: "Values of a protected column out of the planner's statistics",
        stopped_by: "a deny on a table or column covers pg_stats* and pg_statistic* (policy/rule.rs)",
        seen: Seen::Wire(columns::D14),
    },
    Attack {
        code: "D15",
        name: "error_oracle",
        title: "A protected value in the text of an error",
        stopped_by: "a column rule refuses every mention of the column, cast or not (policy/rule.rs); the rows that errors of constraints tell are withheld (session/withheld.rs)",
        seen: Seen::Wire(columns::D15),
    },
    Attack {
        code: "D16",
        name: "predicate_oracle",
        title: "A protected column in a condition, an order, a group or a join",
        stopped_by: "a column rule covers every place a column is named, not only the output (sql/walk/scope.rs)",
        seen: Seen::Wire(columns::D16),
    },
    Attack {
        code: "D17",
        name: "write_path_reads",
        title: "A protected column read by a write",
        stopped_by: "RETURNING, SET, excluded, FROM and USING name columns like any other place (sql/walk/query.rs)",
        seen: Seen::Wire(columns::D17),
    },
    Attack {
        code: "D18",
        name: "expression_strips_the_name",
        title: "A protected column inside an expression with another name",
        stopped_by: "columns are found in the tree, never by the names of a result (sql/walk/scope.rs)",
        seen: Seen::Wire(columns::D18),
    },
    Attack {
        code: "D19",
        name: "binary_and_copy",
        title: "A protected column in binary or by COPY",
        stopped_by: "statements are judged before anything is answered, in whatever format (session/judge.rs)",
        seen: Seen::Wire(columns::D19),
    },
    Attack {
        code: "D20",
        name: "catalog_reads",
        title: "Passwords, other people's statements and values out of the catalogs",
        stopped_by: "catalogs that hold secrets, values or other people's work need a rule that names them (sql/relations.rs, policy/baseline.rs)",
        seen: Seen::Wire(objects::D20),
    },
    Attack {
        code: "D21",
        name: "inference_by_constraint",
        title: "Guessing values by what a constraint refuses, or how far a sequence has come",
        stopped_by: "nothing in between: whoever may insert into a table may learn what it holds already",
        seen: Seen::Never {
            why: "an INSERT that is allowed and fails on a duplicate is what every application sends, so the answer of a constraint tells whether a value exists",
            doctor: "unique constraints and foreign keys on protected columns of tables that application roles may write",
        },
    },
];
