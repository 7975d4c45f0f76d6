//! Every key of the policy language with its shape and what it says: the one table behind the decoder, its suggestions and
//! the JSON Schema.

use crate::policy::document::shape::{Key, Known, Shape, Word, key, word};
use crate::policy::verdict::{Alert, Sequel};
use crate::policy::when::Source;
use crate::policy::words::List;

pub(crate) static MODE: [Word<bool>; 2] = [
    word("enforce", false, "what is not allowed is refused"),
    word("observe", true, "nothing is refused or changed; what would be refused is counted and logged"),
];
pub(crate) static UNLISTED: [Word<bool>; 2] = [
    word("refuse", false, "what no rule mentions is refused"),
    word("observe", true, "what no rule mentions passes and is counted"),
];
pub(crate) static DISAGREEMENT: [Word<bool>; 2] = [
    word("refuse", true, "a statement that two parsers read differently is refused"),
    word("observe", false, "it is only counted and logged"),
];
pub(crate) static BASELINE: [Word<bool>; 2] = [
    word("default", true, "what drivers and tools need passes without a rule"),
    word("none", false, "only transactions and the protocol itself pass without a rule"),
];
pub(crate) static TEMP_TABLES: [Word<bool>; 2] =
    [word("refuse", false, "no temporary tables"), word("allow", true, "sessions may make temporary tables")];
pub(crate) static ERRORS: [Word<bool>; 2] = [
    word("detailed", false, "a refused client is told why, by which rule"),
    word("terse", true, "a refused client is told only the event's id"),
];
pub(crate) static TRUTH: [Word<bool>; 2] = [word("true", true, "yes"), word("false", false, "no")];
pub(crate) static OUTCOME: [Word<Sequel>; 2] =
    [word("refuse", Sequel::Fails, "the statement fails"), word("terminate", Sequel::Terminates, "the session ends")];
pub(crate) static SEVERITY: [Word<Alert>; 5] = [
    word("info", Alert::Info, "worth knowing"),
    word("low", Alert::Low, "worth a look some day"),
    word("medium", Alert::Medium, "worth a look today"),
    word("high", Alert::High, "worth a look now"),
    word("critical", Alert::Critical, "worth waking somebody up"),
];
pub(crate) static MISSING: [Word<()>; 1] = [word("missing", (), "the statement has none that restricts anything")];
pub(crate) static INLINE: [Word<()>; 1] = [word("inline", (), "values are written into the text")];
pub(crate) static SOURCE: [Word<Source>; 2] = [
    word("simple", Source::Simple, "sent as a simple query"),
    word("extended", Source::Extended, "sent by Parse, Bind and Execute, as drivers send prepared statements"),
];
pub(crate) static PROTOCOL: [Word<bool>; 2] =
    [word("simple", true, "as a simple query"), word("extended", false, "by Parse, Bind and Execute")];
pub(crate) static LOGIN: [Word<bool>; 2] =
    [word("allow", true, "the login succeeds"), word("refuse", false, "the login is refused")];

const GLOBS: Shape = Shape::Some(&Shape::Glob);
const PATTERNS: Shape = Shape::Some(&Shape::Pattern);

/// One `---` document.
pub(crate) static POLICY: Known = Known {
    what: "a policy",
    name: "policy",
    doc: "What a group of sessions may do.",
    example: "policy: shop",
    keys: &[
        key("policy", Shape::Label, "The policy's name in errors, logs and metrics; unique.").required(),
        key("applies_to", Shape::Mapping(&APPLIES_TO), "Who: the sessions that the policy is for.").required(),
        key("require", Shape::Mapping(&REQUIRE), "How they must come: a session that does not is refused at login."),
        key("mode", Shape::Words(&MODE), "Whether the policy refuses, or only reports."),
        key("unlisted", Shape::Words(&UNLISTED), "What becomes of what no rule mentions."),
        key(
            "on_disagreement",
            Shape::Words(&DISAGREEMENT),
            "What becomes of a statement that two parsers read differently.",
        ),
        key("baseline", Shape::Words(&BASELINE), "What passes without a rule."),
        key(
            "search_path",
            Shape::Any(&Shape::Text),
            "The schemas in which unqualified names are looked up: sessions get this path and can't change it.",
        ),
        key(
            "temp_tables",
            Shape::Words(&TEMP_TABLES),
            "Whether sessions may make temporary tables; needs search_path.",
        ),
        key("pin", Shape::Pins, "Settings that sessions get and can't change."),
        key("allow", Shape::Rules(List::Allow, &RULE), "What passes: everything a statement does must be covered."),
        key("deny", Shape::Rules(List::Deny, &RULE), "What is refused, whatever is allowed."),
        key("errors", Shape::Words(&ERRORS), "What a refused client is told."),
        key("injection", Shape::Mapping(&INJECTION), "From which score on signs of an SQL injection are acted upon."),
        key("limits", Shape::Mapping(&LIMITS), "How long, how deep, how many, how often."),
        key("decoys", PATTERNS, "Tables that nobody has a reason to touch: touching one is an alarm."),
        key(
            "tests",
            Shape::Any(&Shape::Mapping(&TEST)),
            "What must pass and what must not; else the set is not loaded.",
        ),
    ],
    one_of: &[],
};

/// One document of a `*.test.yaml` file.
pub(crate) static TESTS: Known = Known {
    what: "a document of tests",
    name: "tests",
    doc: "Tests of a policy, in a file of their own.",
    example: "policy: shop",
    keys: &[
        key("policy", Shape::Label, "The policy whose tests these are.").required(),
        key("tests", Shape::Any(&Shape::Mapping(&TEST)), "What must pass and what must not.").required(),
    ],
    one_of: &[],
};

pub(crate) static APPLIES_TO: Known = Known {
    what: "applies_to",
    name: "applies_to",
    doc: "Who: the sessions that the policy is for.",
    example: "applies_to: {users: [shop_app]}",
    keys: &[
        key("users", GLOBS, "Login roles, with * and ?; [\"*\"] is everybody.").required(),
        key("databases", GLOBS, "Databases, with * and ?; all without it."),
        key("listeners", GLOBS, "Listeners of the proxy by name, with * and ?; all without it."),
        key("replication", Shape::Words(&TRUTH), "true: also replication connections."),
    ],
    one_of: &[],
};

pub(crate) static REQUIRE: Known = Known {
    what: "require",
    name: "require",
    doc: "How sessions must come: one that does not is refused at login.",
    example: "require: {networks: [10.0.0.0/8], tls: true}",
    keys: &[
        key("networks", Shape::Some(&Shape::Network), "Where they come from: addresses and CIDR blocks."),
        key("tls", Shape::Words(&TRUTH), "true: only over TLS."),
        key("client_cert", Shape::Mapping(&CLIENT_CERT), "What the client's TLS certificate must say."),
        key("os_users", GLOBS, "The operating system's users at the other end of a Unix socket, with * and ?."),
    ],
    one_of: &[],
};

pub(crate) static CLIENT_CERT: Known = Known {
    what: "client_cert",
    name: "client_cert",
    doc: "The names in a client's certificate; one of each that is written must match.",
    example: "client_cert: {cn: \"shop-*.internal\"}",
    keys: &[
        key("cn", Shape::OneOrMore(&Shape::Glob), "The subject's common name, with * and ?."),
        key("san", Shape::OneOrMore(&Shape::Glob), "A subjectAltName (DNS, e-mail, URI, IP), with * and ?."),
    ],
    one_of: &[],
};

pub(crate) static INJECTION: Known = Known {
    what: "injection",
    name: "injection",
    doc: "From which score on signs of an SQL injection are acted upon.",
    example: "injection: {observe_at: 3, block_at: 5}",
    keys: &[
        key("observe_at", Shape::Number, "From this score on it is reported as an attempt."),
        key("block_at", Shape::Number, "From this score on the statement is refused."),
    ],
    one_of: &[],
};

pub(crate) static LIMITS: Known = Known {
    what: "limits",
    name: "limits",
    doc: "How long, how deep, how many, how often.",
    example: "limits: {statement_bytes: 64KiB}",
    keys: &[
        key("statement_bytes", Shape::Size, "The longest text of one message; 1MiB without it, 64MiB at most."),
        key("depth", Shape::Number, "Levels of the parse tree."),
        key("message_statements", Shape::Number, "Statements in one message; 10000 without it."),
        key("statements", Shape::OneOrMore(&Shape::Rate), "How often each user may run statements: 600/minute."),
        key("logins", Shape::Rate, "How often each user may log in: 5/minute."),
        key("sessions", Shape::Number, "Sessions of each user at once."),
        key("result_rows", Shape::Number, "Rows that one statement may return."),
    ],
    one_of: &[],
};

pub(crate) static RULE: Known = Known {
    what: "a rule",
    name: "rule",
    doc: "One rule: which actions on which objects, under which conditions.",
    example: "- {rule: data, actions: [select], tables: [orders]}",
    keys: &[
        key("rule", Shape::Label, "The rule's name in errors and metrics; unique in its policy.").required(),
        key("actions", Shape::Some(&Shape::Action), "What is done: actions, groups of them, or pgAudit's classes."),
        key("tables", PATTERNS, "Relations of every kind, sequences too, with * and ?."),
        key("functions", PATTERNS, "Functions, procedures, and operators, casts and types that run code."),
        key("columns", Shape::Some(&Shape::Column), "Columns: table.column or schema.table.column.").only(List::Deny),
        key("settings", Shape::Some(&Shape::Setting), "Settings: name, glob* or name=value."),
        key("roles", GLOBS, "Roles that set_role may become."),
        key("cursors", GLOBS, "Cursors that the session did not make itself."),
        key("objects", PATTERNS, "Anything by name: relations, functions, schemas, types, extensions, channels."),
        key("statements", Shape::StatementList, "A list of statements beside this file, as `learn` writes it.")
            .only(List::Allow),
        key("when", Shape::Mapping(&WHEN), "Conditions, all of which must hold."),
        key("mode", Shape::Words(&MODE), "observe: the rule only reports what it would refuse.").only(List::Deny),
        key("outcome", Shape::Words(&OUTCOME), "What follows.").only(List::Deny),
        key("delay", Shape::Delay, "Holds the refusal back: 2s, at most 10s.").only(List::Deny),
        key("hint", Shape::Text, "What the client is told to do."),
        key("severity", Shape::Words(&SEVERITY), "How much it should alarm."),
    ],
    one_of: &[],
};

pub(crate) static WHEN: Known = Known {
    what: "when",
    name: "when",
    doc: "Conditions, all of which must hold.",
    example: "when: {where: missing}",
    keys: &[
        key("where", Shape::Words(&MISSING), "missing: no WHERE that restricts anything.").only(List::Deny),
        key("limit", Shape::Words(&MISSING), "missing: no LIMIT.").only(List::Deny),
        key("statements", Shape::Over, "\">1\": more statements in one message.").only(List::Deny),
        key("joins", Shape::Over, "\">5\": more joins.").only(List::Deny),
        key("depth", Shape::Over, "\">50\": a deeper parse tree.").only(List::Deny),
        key("injection", Shape::Over, "\">2\": a higher score of its signs of an injection.").only(List::Deny),
        key("parameters", Shape::Words(&INLINE), "inline: values are written into the text.").only(List::Deny),
        key("source", Shape::Words(&SOURCE), "How the statement is sent."),
        key("hours", Shape::OneOrMore(&Shape::Hours), "Hours of the week: Mon-Fri 08:00-20:00 Europe/Paris."),
        key("from", Shape::Timestamp, "From this time on: 2026-11-21T06:00:00Z."),
        key("until", Shape::Timestamp, "Before this time."),
        key("application_name", Shape::OneOrMore(&Shape::Glob), "What the client calls itself; it is free to.")
            .only(List::Allow),
    ],
    one_of: &[],
};

pub(crate) static TEST: Known = Known {
    what: "a test",
    name: "test",
    doc: "What must pass and what must not.",
    example: "- deny: DROP TABLE orders",
    keys: &[
        ALLOW_SQL,
        DENY_SQL,
        key("login", Shape::Words(&LOGIN), "Whether the session is admitted at all."),
        key("as", Shape::Mapping(&AS), "What the session differs in from the default one."),
        key("steps", Shape::Any(&Shape::Mapping(&STEP)), "Statements of one session, in their order."),
        PARAMS,
        BY,
    ],
    one_of: &["allow", "deny", "login", "steps"],
};

pub(crate) static STEP: Known = Known {
    what: "a step",
    name: "step",
    doc: "One statement of a session.",
    example: "- allow: BEGIN",
    keys: &[ALLOW_SQL, DENY_SQL, PARAMS, BY],
    one_of: &["allow", "deny"],
};

const ALLOW_SQL: Key = key("allow", Shape::Text, "A statement that must pass.");
const DENY_SQL: Key = key("deny", Shape::Text, "A statement that must be refused.");
const PARAMS: Key = key("params", Shape::Any(&Shape::Parameter), "The values of $1, $2, … in their order.");
const BY: Key = key("by", Shape::Text, "What must refuse it: a rule, policy/rule, default, guard, require, parse …");

pub(crate) static AS: Known = Known {
    what: "as",
    name: "as",
    doc: "What the test's session differs in from the default one.",
    example: "as: {user: shop_app, tls: false}",
    keys: &[
        key("user", Shape::Text, "The login role."),
        key("database", Shape::Text, "The database."),
        key("address", Shape::Address, "Where it comes from."),
        key("tls", Shape::Words(&TRUTH), "Whether it comes over TLS."),
        key("protocol", Shape::Words(&PROTOCOL), "How statements are sent."),
        key("application_name", Shape::Text, "What the client calls itself."),
        key("replication", Shape::Words(&TRUTH), "true: a replication connection."),
        key("listener", Shape::Text, "The listener by which it comes."),
        key("client_cn", Shape::Text, "The common name in the client's certificate."),
        key("client_san", Shape::Text, "A subjectAltName in the client's certificate."),
        key("os_user", Shape::Text, "The operating system's user at the other end of a Unix socket."),
        key("at", Shape::Timestamp, "The time at which it is judged."),
    ],
    one_of: &[],
};

/// All of them.
pub(crate) static ALL: [&Known; 11] =
    [&POLICY, &APPLIES_TO, &REQUIRE, &CLIENT_CERT, &INJECTION, &LIMITS, &RULE, &WHEN, &TEST, &STEP, &AS];
