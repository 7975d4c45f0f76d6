//! Group I: denial of service on, and fail-open of, the firewall.

use super::{Attack, Seen};

pub const ATTACKS: &[Attack] = &[
    Attack {
        code: "I1",
        name: "stack_exhaustion",
        title: "Texts so deep that the parser's stack ends the process",
        stopped_by: "parsing on large stacks, walking by hand, a bound on depth (sql/parse.rs)",
        seen: Seen::Build(&[
            "tests/bad_input.rs::a_megabyte_of_one_plus_one_is_an_error_and_nothing_more",
            "tests/long_statements.rs::long_wide_and_deep_statements_are_answered_while_other_sessions_go_on",
        ]),
    },
    Attack {
        code: "I2",
        name: "bison_limits",
        title: "Ten thousand parentheses: the grammar's own memory ends",
        stopped_by: "a text that can't be parsed is refused, never forwarded (policy.rs, judge_unparsed)",
        seen: Seen::Build(&[
            "tests/long_statements.rs::long_wide_and_deep_statements_are_answered_while_other_sessions_go_on",
        ]),
    },
    Attack {
        code: "I3",
        name: "big_statements",
        title: "A gigabyte of text, 65,535 parameters, 100,000 elements of IN",
        stopped_by: "statement_bytes, and room that a text must have before it is read (session/cache.rs)",
        seen: Seen::Build(&[
            "src/session/engine/tests.rs::a_statement_that_is_too_long_is_refused_before_it_arrives",
            "tests/long_statements.rs::each_limit_is_refused_clearly_and_counted",
        ]),
    },
    Attack {
        code: "I4",
        name: "audit_back_pressure",
        title: "A full disk or a slow reader of the log: block, or lose?",
        stopped_by: "a log line that can't be written is lost and the refusal stands; a reader that stops reading makes \
                     sessions wait (cli/log.rs)",
        seen: Seen::Build(&["tests/bad_input.rs::a_log_that_can_not_be_written_opens_nothing"]),
    },
    Attack {
        code: "I5",
        name: "metric_cardinality",
        title: "Random users and names as labels of metrics",
        stopped_by: "label sets are closed lists or bounded, with `other` for the rest (metrics.rs)",
        seen: Seen::Build(&["src/metrics/tests.rs::policies_and_rules_past_the_bounds_count_as_other"]),
    },
    Attack {
        code: "I6",
        name: "log_injection",
        title: "Line feeds and escape sequences in SQL and names forge lines of the log",
        stopped_by: "what is foreign is escaped in every line (cli/log.rs)",
        seen: Seen::Build(&[
            "src/cli/log.rs::no_value_can_end_a_line_or_forge_a_field",
            "src/metrics/tests.rs::names_can_not_break_the_text_format",
        ]),
    },
    Attack {
        code: "I7",
        name: "policy_bombs",
        title: "Patterns that take ages to match",
        stopped_by: "globs with one point to come back to, no regular expressions (policy/glob.rs)",
        seen: Seen::Build(&["src/policy/glob.rs::agrees_with_the_definition"]),
    },
    Attack {
        code: "I8",
        name: "slowloris",
        title: "Half a startup packet, and then nothing",
        stopped_by: "handshake_timeout, and where too many handshakes are under way the address with the most makes room (session/handshakes.rs)",
        seen: Seen::Build(&[
            "tests/bad_input.rs::a_client_that_says_nothing_is_not_waited_for_for_ever",
            "src/session/handshake/tests.rs::silence_is_not_awaited_for_ever",
            "src/session/handshakes.rs::whoever_is_new_gets_the_place_of_the_oldest_of_the_most_crowded_address",
            "src/session/handshakes.rs::whom_a_load_balancer_names_is_counted_in_its_stead",
        ]),
    },
    Attack {
        code: "I9",
        name: "panic_is_not_open",
        title: "A panic in a session opens the way, or ends the process",
        stopped_by: "a panic ends its session, both sides closed, and is counted (server/sessions.rs)",
        seen: Seen::Build(&["src/server/sessions.rs::a_panic_is_contained_and_counted"]),
    },
    Attack {
        code: "I10",
        name: "startup_order",
        title: "No policy, an empty one, one that can't be read: allow all?",
        stopped_by: "without policies that load, the program does not start (policy/load.rs)",
        seen: Seen::Build(&[
            "tests/bad_input.rs::a_broken_policy_is_told_with_file_line_and_suggestion",
            "tests/bad_input.rs::missing_files_and_impossible_settings_are_named",
        ]),
    },
    Attack {
        code: "I11",
        name: "reload_failure",
        title: "A reload that fails leaves nothing, or nobody notices",
        stopped_by: "a bad set leaves the old one in force, says why, and raises portcullis_policy_reload_failed (server.rs)",
        seen: Seen::Build(&["tests/reload.rs::a_bad_set_leaves_the_old_one_in_force_and_says_why"]),
    },
];
