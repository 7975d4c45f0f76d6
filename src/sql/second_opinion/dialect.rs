//! `sqlparser`'s dialect of PostgreSQL, with a bound on the work. Its parser tries one reading and then another, and each
//! release has mended shapes for which that doubled the time with every level; the next such shape gets no opinion.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

/// How many beginnings of expressions a text of no length may have.
const BASE: usize = 1_000;

/// How many more for each byte. Real statements need less than one.
const PER_BYTE: usize = 8;

/// The dialect, for one text.
#[derive(Debug)]
pub(super) struct Bounded {
    inner: PostgreSqlDialect,
    left: Cell<usize>,
}

impl Bounded {
    pub fn of(text: &str) -> Bounded {
        Bounded::with(BASE + PER_BYTE * text.len())
    }

    /// The bound was reached.
    pub fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }

    fn with(steps: usize) -> Bounded {
        Bounded { inner: PostgreSqlDialect {}, left: Cell::new(steps) }
    }
}

/// What PostgreSQL's dialect says where the default says otherwise. A test compares the two on whole corpora.
macro_rules! as_postgresql {
    ($($question:ident)+) => { $(fn $question(&self) -> bool { self.inner.$question() })+ };
}

impl Dialect for Bounded {
    /// Asked before each expression. This error, unlike others, ends every attempt at once.
    fn parse_prefix(&self, _parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                None
            }
            None => Some(Err(ParserError::RecursionLimitExceeded)),
        }
    }

    fn dialect(&self) -> TypeId {
        self.inner.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.inner.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.inner.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.inner.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.inner.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.inner.is_custom_operator_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.inner.is_reserved_for_identifier(keyword)
    }

    fn is_table_alias(&self, keyword: &Keyword, parser: &mut Parser) -> bool {
        self.inner.is_table_alias(keyword, parser)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        self.inner.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.inner.prec_value(precedence)
    }

    as_postgresql! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        supports_alter_user_as_alter_role
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_exclude_constraint
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_named_fn_args_with_expr_name
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_order_by_using_operator
        supports_set_names
        supports_alter_column_type_using
        supports_left_associative_joins_without_parens
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_aliased_function_args
        supports_comment_optimizer_hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text or more for each answer that PostgreSQL's dialect gives otherwise than the default.
    const TEXTS: &[&str] = &[
        "SELECT U&'d\\0061t', \"a\"\"b\", é, a$b, _c FROM interval",
        "SELECT count(*) FILTER (WHERE a) FROM t GROUP BY GROUPING SETS ((a), ()), ROLLUP (b), CUBE (c)",
        "ALTER USER a PASSWORD 'x'",
        "SELECT extract(fortnight FROM a), extract('year' FROM a)",
        "CREATE INDEX i ON t (a) WITH (fillfactor = 70)",
        "EXPLAIN (ANALYZE, FORMAT json) SELECT 1",
        "LISTEN a",
        "UNLISTEN *",
        "NOTIFY a, 'b'",
        "CREATE TABLE t (a int, EXCLUDE USING gist (a WITH &&))",
        "SELECT 5!",
        "SELECT a << 1 >> 2, a ** b, a ^ b, a || b, a @> b, a ?| b, a <@ b, a & b | c # d, a <-> b, a #>> b",
        "COMMENT ON TABLE t IS 'x'",
        "LOAD 'x'",
        "SELECT json_object('a': 1), json_object(a: 1), f(a => 1), f(a := 1)",
        "SELECT FROM t",
        "SELECT 1 /* a /* b */ c */",
        "SELECT E'a\\'b', 1_000",
        "CREATE TABLE t (a int[], b int[3][], c point)",
        "SELECT a FROM t ORDER BY a USING <",
        "SET NAMES 'utf8'",
        "ALTER TABLE t ALTER COLUMN a TYPE int USING a::int",
        "SELECT 1 FROM a JOIN b JOIN c ON true ON true",
        "SELECT a NOTNULL, a ISNULL, a COLLATE \"C\", a AT TIME ZONE 'x', - a, NOT a AND b OR c",
        "SELECT interval '1' day, interval(3) '1', interval '1 day'",
        "INSERT INTO t AS x VALUES (1)",
        "CREATE TABLE t (LIKE u INCLUDING DEFAULTS)",
        "SELECT * AS a FROM t",
        "SELECT trim('a', 'b')",
        "SELECT xmlelement(name a, xmlattributes(b), c)",
        "SELECT f(a AS b)",
        "SELECT /*+ SeqScan(t) */ a FROM t",
        "SELECT a FROM t limit, u x",
        "SELECT a FROM t percent",
    ];

    #[test]
    fn it_reads_as_postgresql_s_dialect_does() {
        for text in TEXTS {
            let bounded = Bounded::of(text);
            let (ours, theirs) = (Parser::parse_sql(&bounded, text), Parser::parse_sql(&PostgreSqlDialect {}, text));
            assert_eq!(ours, theirs, "{text}");
        }
    }

    #[test]
    fn it_ends_what_costs_too_much() {
        let text = "SELECT 1, 2, (SELECT f(g(3)))";
        assert!(Parser::parse_sql(&Bounded::of(text), text).is_ok());
        assert_eq!(Parser::parse_sql(&Bounded::with(4), text), Err(ParserError::RecursionLimitExceeded));
    }
}
