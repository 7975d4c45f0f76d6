//! Group H: evading allow-lists and injection detection. The ways are in the files beside: statements that share what others
//! take for a fingerprint (`shapes`), and injections that no pattern finds (`injections`).
//!
//! Each way sends the harmless twin first, so that whatever the firewall remembers of it is there for the other one.

mod injections;
mod shapes;

use super::{Attack, Fence, Seen};

/// What an application with one column to hide may have.
const APPLICATION: Fence = Fence::Own(
    "policy: shapes
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - {rule: rows, actions: [select, insert, update, delete], tables: ['public.*']}
  - {rule: counter, actions: [nextval], tables: [counter]}
  - {rule: settings, actions: [set], settings: ['app.*']}
  - {rule: blocks, actions: [do], objects: [plpgsql]}
  - {rule: functions, actions: [create, create_function, call], functions: [public.own], objects: [public.own]}
deny: [{rule: ssn, columns: [users.ssn]}]
",
);

pub const ATTACKS: &[Attack] = &[
    Attack {
        code: "H1",
        name: "constants_are_not_in_the_fingerprint",
        title: "another constant in a statement that was seen to be harmless",
        stopped_by: "verdicts are remembered for the whole text (session/cache.rs), and the statement hash blanks only \
                     plain values (sql/hash.rs: h1_constants_that_do_something_count)",
        seen: Seen::Wire(shapes::CONSTANTS),
    },
    Attack {
        code: "H2",
        name: "utility_statements_collide",
        title: "SET, BEGIN, DO, CREATE FUNCTION, EXECUTE, DECLARE: one fingerprint, another deed",
        stopped_by: "as H1; utility statements keep every word in the statement hash (sql/hash.rs: \
                     h2_utility_statements_do_not_collide)",
        seen: Seen::Wire(shapes::UTILITY),
    },
    Attack {
        code: "H3",
        name: "depth_cut_off",
        title: "the difference stands deeper than fingerprints look",
        stopped_by: "statements are walked to their last level or refused (sql/walk.rs), and hashed to it (sql/hash.rs: \
                     h3_no_depth_hides_a_difference)",
        seen: Seen::Wire(shapes::DEPTH),
    },
    Attack {
        code: "H4",
        name: "digest_truncation",
        title: "the difference stands behind what a digest keeps of a long text",
        stopped_by: "nothing is cut off, in judging, remembering or hashing (session/cache.rs; sql/hash.rs: \
                     h4_no_length_hides_a_difference)",
        seen: Seen::Wire(shapes::LENGTH),
    },
    Attack {
        code: "H5",
        name: "same_text_other_object",
        title: "the path, a temporary table or a rename changes what a text means",
        stopped_by: "search_path is sent and pinned with pg_temp last (policy/startup.rs); a new name counts like the old \
                     one (sql/walk/objects.rs)",
        seen: Seen::Wire(shapes::MEANING),
    },
    Attack {
        code: "H6",
        name: "poisoned_learning",
        title: "an attack while statements are recorded becomes policy",
        stopped_by: "no policy takes a list of recorded statements: the key `statements` of a rule is an error \
                     (policy/document.rs)",
        seen: Seen::Build(&["src/policy/tests/learned.rs::no_list_of_recorded_statements_becomes_policy"]),
    },
    Attack {
        code: "H7",
        name: "libinjection",
        title: "payloads that pass libinjection, which was built for fragments",
        stopped_by: "statements are judged by what they do; signals read the tree and not fragments of text (detect.rs: \
                     h7_a_statement_is_no_fragment)",
        seen: Seen::Wire(injections::NO_FRAGMENTS),
    },
    Attack {
        code: "H8",
        name: "tautologies",
        title: "conditions that always hold, beyond 1=1",
        stopped_by: "an OR restricts only where each of its arms does (sql/walk/restriction.rs)",
        seen: Seen::Wire(injections::TAUTOLOGIES),
    },
    Attack {
        code: "H9",
        name: "blind_and_out_of_band",
        title: "asking by delays, by errors and past the connection",
        stopped_by: "sleeping is an action; a column counts wherever it is named, output or not (sql/walk/scope.rs); \
                     functions that connect are of the group `network` (sql/functions.rs)",
        seen: Seen::Wire(injections::BLIND),
    },
    Attack {
        code: "H10",
        name: "injection_inside_the_allowed_shape",
        title: "another column, schema, order or limit in a statement of the application",
        stopped_by: "rules are about objects and columns, not about shapes (policy/decide.rs); whose row a literal names is \
                     the matter of row security",
        seen: Seen::Wire(injections::INSIDE),
    },
];
