//! The techniques of injection that are told apart, each by one rule.

use std::ops::RangeInclusive;

/// The techniques that are told apart: the metric label `technique`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Technique {
    StackedStatements,
    ConstantTrue,
    ConstantCondition,
    MisplacedValue,
    UnguardedOr,
    RedundantTest,
    UnionProbe,
    CommentTruncation,
    InlineComment,
    TimeDelay,
    ErrorForcing,
    ConditionalProbe,
    ClauseProbe,
    StringBuilding,
    FileProgram,
    CatalogProbe,
    ServerProbe,
    ForeignSyntax,
    Inserted,
    Probing,
}

impl Technique {
    /// Every technique.
    pub const ALL: &'static [Technique] = &[
        Technique::StackedStatements,
        Technique::ConstantTrue,
        Technique::ConstantCondition,
        Technique::MisplacedValue,
        Technique::UnguardedOr,
        Technique::RedundantTest,
        Technique::UnionProbe,
        Technique::CommentTruncation,
        Technique::InlineComment,
        Technique::TimeDelay,
        Technique::ErrorForcing,
        Technique::ConditionalProbe,
        Technique::ClauseProbe,
        Technique::StringBuilding,
        Technique::FileProgram,
        Technique::CatalogProbe,
        Technique::ServerProbe,
        Technique::ForeignSyntax,
        Technique::Inserted,
        Technique::Probing,
    ];

    /// The name in metrics, logs and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Technique::StackedStatements => "stacked_statements",
            Technique::ConstantTrue => "constant_true",
            Technique::ConstantCondition => "constant_condition",
            Technique::MisplacedValue => "misplaced_value",
            Technique::UnguardedOr => "unguarded_or",
            Technique::RedundantTest => "redundant_test",
            Technique::UnionProbe => "union_probe",
            Technique::CommentTruncation => "comment_truncation",
            Technique::InlineComment => "inline_comment",
            Technique::TimeDelay => "time_delay",
            Technique::ErrorForcing => "error_forcing",
            Technique::ConditionalProbe => "conditional_probe",
            Technique::ClauseProbe => "clause_probe",
            Technique::StringBuilding => "string_building",
            Technique::FileProgram => "file_program",
            Technique::CatalogProbe => "catalog_probe",
            Technique::ServerProbe => "server_probe",
            Technique::ForeignSyntax => "foreign_syntax",
            Technique::Inserted => "inserted",
            Technique::Probing => "probing",
        }
    }

    /// The least and the greatest weight of such a sign.
    pub fn weights(self) -> RangeInclusive<u8> {
        match self {
            Technique::StackedStatements => 3..=5,
            Technique::ConstantTrue => 1..=5,
            Technique::ConstantCondition => 1..=5,
            Technique::MisplacedValue => 3..=5,
            Technique::UnguardedOr => 3..=3,
            Technique::RedundantTest => 3..=3,
            Technique::UnionProbe => 1..=5,
            Technique::CommentTruncation => 2..=5,
            Technique::InlineComment => 3..=5,
            Technique::TimeDelay => 5..=5,
            Technique::ErrorForcing => 4..=5,
            Technique::ConditionalProbe => 1..=5,
            Technique::ClauseProbe => 3..=5,
            Technique::StringBuilding => 2..=5,
            Technique::FileProgram => 4..=5,
            Technique::CatalogProbe => 3..=4,
            Technique::ServerProbe => 3..=3,
            Technique::ForeignSyntax => 3..=5,
            Technique::Inserted => 1..=5,
            Technique::Probing => 2..=2,
        }
    }

    /// The rule, in one sentence.
    pub fn explain(self) -> &'static str {
        match self {
            Technique::StackedStatements => {
                "behind a SELECT, INSERT, UPDATE or DELETE the same text holds a statement of another kind"
            }
            Technique::ConstantTrue => {
                "an arm of an OR compares constants, or a column with itself, or is true of every row, so that the \
                 condition does not depend on the data"
            }
            Technique::ConstantCondition => {
                "a condition beside AND, in CASE, in HAVING or in the place of a value compares constants, other \
                 than the 0, 1 and true of query builders"
            }
            Technique::MisplacedValue => {
                "a number or a text stands where a condition or a column must, or a condition where a value must"
            }
            Technique::UnguardedOr => "behind a value in the text follows OR, and AND behind that, without parentheses",
            Technique::RedundantTest => {
                "what must equal a value in the text is compared with another one, too, as where the rest of a statement is kept in use"
            }
            Technique::UnionProbe => {
                "a query that reads tables is united with a row of constants, with a catalog of the server, or with a \
                 query of another width, or gives nothing itself"
            }
            Technique::CommentTruncation => {
                "a comment cuts off the rest of a statement: it holds an unmatched quote or parenthesis, goes on in \
                 SQL, or stands behind a value at the end"
            }
            Technique::InlineComment => {
                "comments stand in the place of white space between words, or begin as only MySQL's do"
            }
            Technique::TimeDelay => {
                "a function that only takes time (pg_sleep, a huge generate_series in a sub-query, other databases' \
                 sleep) is called within a statement"
            }
            Technique::ErrorForcing => {
                "an expression can only fail, or fails as a condition says: a text that is no number is cast to \
                 one, a division by nothing, two rows for one value"
            }
            Technique::ConditionalProbe => {
                "one character or the length of what a query gives is compared, or a sub-query without a table \
                 makes a choice"
            }
            Technique::ClauseProbe => {
                "LIMIT or OFFSET holds a column, a condition or a query, or ORDER BY a condition, a text, a column \
                 too many or a query on nothing"
            }
            Technique::StringBuilding => {
                "literal texts are joined or computed with each other or with a query, or letters made of their \
                 codes, where one literal would do"
            }
            Technique::FileProgram => {
                "within a statement on tables, in a sub-query or behind another statement something reaches for \
                 files, programs, large objects or other servers"
            }
            Technique::CatalogProbe => "a statement on the application's tables also asks for the server's catalog",
            Technique::ServerProbe => {
                "a statement on the application's tables also asks for the server's version or settings, or makes \
                 it run a text"
            }
            Technique::ForeignSyntax => {
                "the statement uses functions, catalogs, quotes or comments of MySQL, SQL Server, Oracle or SQLite"
            }
            Technique::Inserted => {
                "the statement is one that is known, but for what was inserted where a value or a name stood, or \
                 for its cut end"
            }
            Technique::Probing => {
                "within a minute the user's statements from this address, five different ones at least, failed in \
                 ways in which trying out an injection fails (syntax, unknown names, bad casts)"
            }
        }
    }
}
