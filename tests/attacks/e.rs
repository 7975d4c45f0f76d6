//! Group E: lexer, encoding and grammar differentials.

crate::attacks! {
    e1_standard_conforming_strings_off,
    e2_lexing_changed_in_a_pipeline,
    e3_lexing_changed_at_startup,
    e4_multibyte_client_encoding,
    e5_bytes_that_are_no_text,
    e6_comments,
    e7_dollar_quotes,
    e8_string_continuation,
    e9_unicode_blanks_are_letters,
    e10_no_blanks_at_all,
    e11_vertical_tab,
    e12_newer_grammar,
    e13_older_grammar,
    e14_escaped_characters,
    e15_embedded_nul,
    e16_missing_terminator,
    e17_parsers_that_stop_early,
    e18_directives_in_comments,
    e19_extensions_that_rewrite_sql,
    e20_text_patterns,
}
