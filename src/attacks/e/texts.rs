//! E6 to E20: texts that other lexers read otherwise.

use super::guards::{DROP, UNBOUNDED};
use crate::attacks::frames::{describe, execute, parse, query, sync};
use crate::attacks::{Fence, Harm, Step, Way};

/// A text in which something hides that drops the table.
const fn drops(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, DROP, steps, Harm::Changes)
}

/// A text that deletes every row.
const fn empties(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, UNBOUNDED, steps, Harm::Changes)
}

/// A text that makes the session another role's.
const fn becomes(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, Fence::Always, steps, Harm::Session("SELECT current_user", "boss"))
}

pub(super) const COMMENTS: &[Way] = &[
    drops(
        "comments in comments: elsewhere the first end is the end, and a line comment follows",
        &[Step::Sql("/* /* */ -- */ DROP TABLE {schema}.log")],
    ),
    drops(
        "a comment that ends twice: elsewhere the statement stands inside",
        &[Step::Query("/* a /* b */ SELECT 1; */ DROP TABLE {schema}.log; /**/ SELECT 1")],
    ),
    drops("MySQL's # opens no comment", &[Step::Query("SELECT 1 # 2; DROP TABLE {schema}.log")]),
    drops("a carriage return ends a line", &[Step::Query("SELECT 1 -- \r; DROP TABLE {schema}.log")]),
    drops(
        "the beginning of a comment in a line comment",
        &[Step::Query("SELECT 1 --/*\n; DROP TABLE {schema}.log --*/")],
    ),
    drops(
        "the beginning of a comment in a name",
        &[Step::Query("SELECT 1 AS \"/*\"; DROP TABLE {schema}.log; SELECT 1 AS \"*/\"")],
    ),
    drops(
        "a comment at the end of an operator",
        &[Step::Query("SELECT 6 */* '*/ 7 AS a; DROP TABLE {schema}.log --'")],
    ),
    drops("MySQL's comment that runs", &[Step::Sql("/*! SELECT 1 */ DROP TABLE {schema}.log")]),
    drops("two dashes need no blank behind them", &[Step::Query("SELECT 1--'\n; DROP TABLE {schema}.log --'")]),
];

pub(super) const DOLLARS: &[Way] = &[
    drops("a tag, where only $$ is known", &[Step::Query("SELECT $a$ $$ ; $a$ AS a; DROP TABLE {schema}.log; --$$")]),
    drops(
        "dollar signs in a name open no string",
        &[Step::Query("SELECT 1 AS a$$; DROP TABLE {schema}.log; SELECT 1 AS a$$")],
    ),
    drops("tags differ by case", &[Step::Query("SELECT $A$ $a$ ; $A$ AS a; DROP TABLE {schema}.log; --$a$")]),
    drops("letters beyond ASCII in a tag", &[Step::Query("SELECT $ä$ ' $ä$ AS a; DROP TABLE {schema}.log; --'")]),
    drops("a backslash inside is no escape", &[Step::Query(r"SELECT $$\$$ AS a; DROP TABLE {schema}.log; --$$")]),
];

pub(super) const CONTINUED: &[Way] = &[
    becomes("the name of the setting", &[Step::Sql("SELECT set_config('ro'\n'le', 'boss', false)")]),
    becomes("the name of the role", &[Step::Sql("SET ROLE 'bo'\n'ss'")]),
    becomes("with a comment in between", &[Step::Sql("SELECT set_config('ro' -- x\n 'le', 'boss', false)")]),
    becomes("of escapes", &[Step::Sql("SELECT set_config(E'ro'\n'\\154e', 'boss', false)")]),
    Way::new(
        "SQL in a string",
        Fence::Deed("SELECT amount FROM hr.salaries"),
        &[Step::Sql("SELECT query_to_xml('SELECT amount FROM h'\n'r.salaries', true, false, '')")],
        Harm::Tells("salary-1"),
    ),
];

pub(super) const BLANKS: &[Way] = &[
    empties("NO-BREAK SPACE", &[Step::Sql("DELETE FROM {schema}.{users} WHERE\u{a0}id")]),
    empties("NEXT LINE", &[Step::Sql("DELETE FROM {schema}.{users} WHERE\u{85}id")]),
    empties("IDEOGRAPHIC SPACE", &[Step::Sql("DELETE FROM {schema}.{users} WHERE\u{3000}id")]),
    empties("LINE SEPARATOR", &[Step::Sql("DELETE FROM {schema}.{users} WHERE\u{2028}id")]),
    empties("ZERO WIDTH SPACE", &[Step::Sql("DELETE FROM {schema}.{users} WHERE\u{200b}")]),
    empties("BYTE ORDER MARK", &[Step::Sql("DELETE FROM {schema}.{users} AS \u{feff}WHERE")]),
];

pub(super) const NO_BLANKS: &[Way] = &[
    empties("quotes and brackets part tokens", &[Step::Sql("DELETE FROM\"{schema}\".\"{users}\"WHERE(1)=(1)")]),
    empties("strings part tokens", &[Step::Sql("DELETE FROM\"{schema}\".\"{users}\"WHERE'a'='a'OR'b'='b'")]),
    empties("comments part tokens", &[Step::Sql("DELETE/**/FROM/**/{schema}.{users}/**/WHERE/**/1=1")]),
    empties("a number and a word", &[Step::Sql("DELETE FROM {schema}.{users} WHERE id=1OR 1=1")]).majors(0, 14),
];

pub(super) const TABS: &[Way] = &[
    drops("form feed", &[Step::Sql("DROP\x0cTABLE\x0c{schema}.log")]),
    drops("vertical tab", &[Step::Sql("DROP\x0bTABLE\x0b{schema}.log")]).since(16),
    empties("a form feed behind WHERE", &[Step::Sql("DELETE FROM {schema}.{users} WHERE\x0ctrue")]),
];

/// A word that is reserved since PostgreSQL 16, and the name of a table before.
const SYSTEM_USER: &str = "CREATE TABLE {schema}.\"system_user\" (id int)";

pub(super) const OLDER: &[Way] = &[
    Way::new(
        "a name that is reserved by now",
        Fence::Always,
        &[Step::Sql("DROP TABLE {schema}.log, system_user")],
        Harm::Changes,
    )
    .setup(SYSTEM_USER)
    .majors(0, 15),
    Way::new(
        "an alias that is reserved by now",
        Fence::Always,
        &[Step::Sql("DELETE FROM {schema}.{users} system_user")],
        Harm::Changes,
    )
    .majors(0, 15),
];

pub(super) const ESCAPES: &[Way] = &[
    becomes("U&'…'", &[Step::Sql(r"SELECT set_config(U&'\0072\006f\006c\0065', 'boss', false)")]),
    becomes(
        "U&'…' with an escape of one's own",
        &[Step::Sql("SELECT set_config(U&'!0072ole' UESCAPE '!', 'boss', false)")],
    ),
    becomes(r"E'\u…'", &[Step::Sql(r"SELECT set_config(E'\u0072ole', 'boss', false)")]),
    becomes(r"E'\U…'", &[Step::Sql(r"SELECT set_config(E'\U00000072ole', 'boss', false)")]),
    becomes("octal", &[Step::Sql(r"SELECT set_config(E'\162ole', 'boss', false)")]),
    becomes("hexadecimal", &[Step::Sql(r"SELECT set_config(E'\x72ole', 'boss', false)")]),
    becomes("the name of a setting in escapes", &[Step::Sql(r#"SET U&"\0072ole" = boss"#)]),
    becomes("a role in escapes", &[Step::Sql(r#"SET ROLE U&"\0062oss""#)]),
    drops("a name in escapes", &[Step::Sql(r#"DROP TABLE {schema}.U&"l\006fg""#)]),
    drops("a name with an escape of one's own", &[Step::Sql(r#"DROP TABLE {schema}.U&"l*006fg" UESCAPE '*'"#)]),
    Way::new(
        "a quote in escapes, in SQL in a string",
        Fence::Deed("SELECT amount FROM hr.salaries"),
        &[Step::Sql(r"SELECT query_to_xml(U&'SELECT \0027\0027 || amount FROM hr\002esalaries', true, false, '')")],
        Harm::Tells("salary-1"),
    ),
];

pub(super) const EARLY_ENDS: &[Way] = &[
    drops("behind EXPLAIN", &[Step::Query("EXPLAIN SELECT 1; DROP TABLE {schema}.log")]),
    drops("behind SHOW", &[Step::Query("SHOW server_version; DROP TABLE {schema}.log")]),
    drops("behind SET", &[Step::Query("SET application_name = 'x'; DROP TABLE {schema}.log")]),
    drops(
        "behind ALTER TABLE",
        &[Step::Query("ALTER TABLE {schema}.{users} ADD COLUMN e17 int; DROP TABLE {schema}.log")],
    ),
    drops("behind an empty statement", &[Step::Query(";; ;DROP TABLE {schema}.log")]),
    drops("behind BEGIN, with COMMIT", &[Step::Query("BEGIN; SELECT 1; DROP TABLE {schema}.log; COMMIT")]),
    drops("behind COPY", &[Step::Query("COPY {schema}.{users} TO STDOUT; DROP TABLE {schema}.log")]),
    drops(
        "behind a function with statements in its body",
        &[Step::Query(
            "CREATE FUNCTION {schema}.e17() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; DROP TABLE {schema}.log",
        )],
    ),
];

pub(super) const PATTERNS: &[Way] = &[
    drops("capitals", &[Step::Sql("DrOp TaBlE {schema}.log")]),
    drops("a comment between the words", &[Step::Sql("DROP/**/TABLE/*TABLE*/{schema}.log")]),
    drops("line ends between the words", &[Step::Sql("DROP\n\t TABLE\r\n{schema}.log")]),
    drops("IF EXISTS, and another table first", &[Step::Sql("DROP TABLE IF EXISTS nowhere, {schema}.\"log\" CASCADE")]),
    drops("by PREPARE and EXECUTE", &[Step::Query("PREPARE e20 AS SELECT 1; DROP TABLE {schema}.log; EXECUTE e20")]),
    empties("WHERE in a line comment", &[Step::Sql("DELETE FROM {schema}.{users} -- WHERE id = 1")]),
    empties("WHERE in a comment", &[Step::Sql("DELETE FROM {schema}.{users} /* WHERE id = 1 */")]),
    empties("WHERE in a string", &[Step::Sql("UPDATE {schema}.{users} SET name = ' WHERE id = 1'")]),
    empties("WHERE in a name", &[Step::Sql("DELETE FROM {schema}.{users} AS \" WHERE id = 1\"")]),
    empties(
        "WHERE of another part of the statement",
        &[Step::Sql("UPDATE {schema}.{users} SET name = (SELECT 'x' WHERE true)")],
    ),
    empties("a WHERE that is always true", &[Step::Sql("DELETE FROM {schema}.{users} WHERE id = id OR 'a' = 'a'")]),
    Way::new(
        "in a pipeline of the extended protocol",
        DROP,
        &[Step::Bytes(
            |target| {
                let drop = target.fill("dRoP\ttAbLe {schema}.log");
                let bind = crate::attacks::frames::bind("", "drop table", &[]);
                [parse("drop table", &drop), bind, describe(b'P', ""), execute(""), sync(), query("")].concat()
            },
            2,
        )],
        Harm::Changes,
    ),
];
