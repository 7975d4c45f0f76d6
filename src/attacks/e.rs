//! Group E: lexer, encoding and grammar differentials. What a firewall's own idea of SQL would overlook, PostgreSQL runs.

mod encodings;
mod guards;
mod strings;
mod texts;

use super::{Attack, Seen};

pub const ATTACKS: &[Attack] = &[
    Attack {
        code: "E1",
        name: "standard_conforming_strings_off",
        title: "standard_conforming_strings is switched off, so that a backslash hides the end of a string",
        stopped_by: "a guarded setting, on every path that sets one (policy/settings.rs)",
        seen: Seen::Wire(strings::SWITCHED_OFF),
    },
    Attack {
        code: "E2",
        name: "lexing_changed_in_a_pipeline",
        title: "how text is read is changed and used in one breath, before the server reports the change",
        stopped_by: "the setting is refused before it is sent; text beyond ASCII waits for a settled client_encoding \
                     (session/judge.rs)",
        seen: Seen::Wire(strings::PIPELINED),
    },
    Attack {
        code: "E3",
        name: "lexing_changed_at_startup",
        title: "standard_conforming_strings is switched off by startup parameters, a role, a database or a function",
        stopped_by: "startup parameters are judged as SET; the firewall's own come last and beat those of roles and \
                     databases (policy/startup.rs)",
        seen: Seen::Wire(strings::AT_STARTUP),
    },
    Attack {
        code: "E4",
        name: "multibyte_client_encoding",
        title: "a client encoding in which a backslash or quote is half a character",
        stopped_by: "only encodings in which a byte below 0x80 is always ASCII (sql/encoding.rs)",
        seen: Seen::Wire(encodings::MULTIBYTE),
    },
    Attack {
        code: "E5",
        name: "bytes_that_are_no_text",
        title: "bytes that are no UTF-8, in a database that takes any byte",
        stopped_by: "strict decoding, and a refusal where it fails; nothing is replaced (sql/encoding.rs)",
        seen: Seen::Wire(encodings::NO_TEXT),
    },
    Attack {
        code: "E6",
        name: "comments",
        title: "a statement hidden behind what other databases take for a comment",
        stopped_by: "PostgreSQL's own lexer (sql/parse.rs)",
        seen: Seen::Wire(texts::COMMENTS),
    },
    Attack {
        code: "E7",
        name: "dollar_quotes",
        title: "a statement hidden behind dollar signs that open no string, or another one",
        stopped_by: "PostgreSQL's own lexer (sql/parse.rs)",
        seen: Seen::Wire(texts::DOLLARS),
    },
    Attack {
        code: "E8",
        name: "string_continuation",
        title: "a constant in pieces on several lines",
        stopped_by: "constants are compared as the grammar has put them together (sql/walk/call.rs)",
        seen: Seen::Wire(texts::CONTINUED),
    },
    Attack {
        code: "E9",
        name: "unicode_blanks_are_letters",
        title: "WHERE and a blank of Unicode: to PostgreSQL the name of an alias, and no condition",
        stopped_by: "PostgreSQL's own lexer: beyond ASCII everything is a letter (sql/parse.rs)",
        seen: Seen::Wire(texts::BLANKS),
    },
    Attack {
        code: "E10",
        name: "no_blanks_at_all",
        title: "tokens that need no blank between them, and numbers with junk behind them",
        stopped_by: "PostgreSQL's own lexer; what it no longer reads is refused as unparsed (sql/parse.rs)",
        seen: Seen::Wire(texts::NO_BLANKS),
    },
    Attack {
        code: "E11",
        name: "vertical_tab",
        title: "white space that only some versions know",
        stopped_by: "PostgreSQL's own lexer (sql/parse.rs)",
        seen: Seen::Wire(texts::TABS),
    },
    Attack {
        code: "E12",
        name: "newer_grammar",
        title: "syntax of a server that is newer than the firewall's grammar",
        stopped_by: "what does not parse is refused, with a hint that names both versions (session/engine.rs)",
        seen: Seen::Build(&[
            "src/session/engine/tests/grammar.rs::syntax_of_a_newer_server_is_refused_with_a_hint",
            "src/session/engine/tests.rs::a_syntax_error_is_the_servers_own",
        ]),
    },
    Attack {
        code: "E13",
        name: "older_grammar",
        title: "syntax that the server still reads and the firewall's grammar no longer does",
        stopped_by: "what does not parse is refused (policy/decide.rs)",
        seen: Seen::Wire(texts::OLDER),
    },
    Attack {
        code: "E14",
        name: "escaped_characters",
        title: "names and constants spelt in escapes",
        stopped_by: "names and constants are compared as the grammar has decoded them (sql/walk/names.rs)",
        seen: Seen::Wire(texts::ESCAPES),
    },
    Attack {
        code: "E15",
        name: "embedded_nul",
        title: "a text behind the NUL that ends the text",
        stopped_by: "a body that is not exactly its parts is never sent (wire/frontend.rs)",
        seen: Seen::Build(&[
            "src/wire/frontend.rs::a_query_is_exactly_one_cstring",
            "src/session/engine/tests.rs::malformed_bodies_are_refused_as_protocol_violations",
            "tests/malformed.rs::bodies_that_are_not_exactly_their_parts_do_nothing",
        ]),
    },
    Attack {
        code: "E16",
        name: "missing_terminator",
        title: "a text without the NUL that ends it",
        stopped_by: "a body that is not exactly its parts is never sent (wire/frontend.rs)",
        seen: Seen::Build(&[
            "src/wire/frontend.rs::a_query_is_exactly_one_cstring",
            "src/session/engine/tests.rs::malformed_bodies_are_refused_as_protocol_violations",
            "tests/malformed.rs::bodies_that_are_not_exactly_their_parts_do_nothing",
        ]),
    },
    Attack {
        code: "E17",
        name: "parsers_that_stop_early",
        title: "a second statement behind one that a lazy parser reads only the first word of",
        stopped_by: "the whole text is parsed, and every statement in it judged (sql/parse.rs)",
        seen: Seen::Wire(texts::EARLY_ENDS),
    },
    Attack {
        code: "E18",
        name: "directives_in_comments",
        title: "hints and orders in comments, for an extension or a pooler",
        stopped_by: "nothing: to PostgreSQL they are comments",
        seen: Seen::Never {
            why: "a comment means nothing to PostgreSQL; what pg_hint_plan or a pooler behind the firewall makes of it \
                  is between them and the client",
            doctor: "pg_hint_plan in shared_preload_libraries or session_preload_libraries; a pooler that reads \
                     directives belongs in front of the firewall",
        },
    },
    Attack {
        code: "E19",
        name: "extensions_that_rewrite_sql",
        title: "an extension in the server that reads another dialect than PostgreSQL's",
        stopped_by: "nothing: such servers are not supported",
        seen: Seen::Never {
            why: "the text on the wire is not what the server runs once an extension has replaced its parser",
            doctor: "libraries in shared_preload_libraries that replace the parser or rewrite statements (Babelfish, \
                     orafce and their kin)",
        },
    },
    Attack {
        code: "E20",
        name: "text_patterns",
        title: "spellings that a search for words in the text takes for something else",
        stopped_by: "verdicts are on what the tree does; no rule looks at the text (sql/walk.rs)",
        seen: Seen::Wire(texts::PATTERNS),
    },
];
