//! A policy document as it is written: every key of the language (`docs/policies.md`), typed, with its place. What the
//! words mean is `compile`'s business.

use crate::policy::diagnostic::Place;
use crate::policy::limits::{LARGEST_STATEMENT, Limits};
use crate::policy::reader::{At, Known, Reader};
use crate::policy::yaml::{Node, Value};
use crate::units;

/// One `---` document.
#[derive(Debug)]
pub(crate) struct Document {
    pub name: At<String>,
    pub applies_to: AppliesTo,
    pub require: Require,
    pub observe: bool,
    pub unlisted_observe: Option<At<bool>>,
    /// A text that two parsers read differently is refused.
    pub refuse_disagreement: bool,
    pub baseline: bool,
    pub search_path: Option<At<Vec<At<String>>>>,
    pub temp_tables: Option<At<bool>>,
    pub pins: Vec<(At<String>, At<String>)>,
    pub allow: Vec<Rule>,
    pub deny: Vec<Rule>,
    pub terse: bool,
    pub limits: Limits,
    pub decoys: Vec<At<String>>,
    pub tests: Vec<Test>,
}

/// Who.
#[derive(Debug, Default)]
pub(crate) struct AppliesTo {
    pub users: Vec<At<String>>,
    pub databases: Vec<At<String>>,
    pub replication: bool,
}

/// How they must come.
#[derive(Debug, Default)]
pub(crate) struct Require {
    pub networks: Vec<At<String>>,
    pub tls: bool,
}

/// One rule of `allow` or `deny`.
#[derive(Debug)]
pub(crate) struct Rule {
    pub name: At<String>,
    /// Where the rule starts: what a refusal points to.
    pub place: Place,
    pub actions: Option<Vec<At<String>>>,
    pub tables: Vec<At<String>>,
    pub functions: Vec<At<String>>,
    pub columns: Vec<At<String>>,
    pub settings: Vec<At<String>>,
    pub roles: Vec<At<String>>,
    pub cursors: Vec<At<String>>,
    pub objects: Vec<At<String>>,
    pub when: When,
    pub observe: Option<At<bool>>,
    pub hint: Option<String>,
}

/// Conditions; all must hold.
#[derive(Debug, Default)]
pub(crate) struct When {
    pub where_missing: Option<Place>,
    /// `statements: ">1"`: more than this many.
    pub statements_over: Option<u32>,
    pub from: Option<jiff::Timestamp>,
    pub until: Option<jiff::Timestamp>,
}

/// One entry of `tests`.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub who: TestIdentity,
    pub steps: Vec<Step>,
}

/// What a test session differs in from the default one.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestIdentity {
    pub user: Option<String>,
    pub database: Option<String>,
    pub address: Option<std::net::IpAddr>,
    pub tls: Option<bool>,
    pub replication: bool,
    pub simple: bool,
    pub at: Option<jiff::Timestamp>,
}

/// One expectation.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub place: Place,
    pub expect_allow: bool,
    pub what: Tried,
    pub by: Option<At<String>>,
}

/// What a step tries.
#[derive(Debug, Clone)]
pub(crate) enum Tried {
    Login,
    Statement { sql: String, params: Vec<Option<String>> },
}

const POLICY: Known = Known {
    what: "a policy",
    keys: &[
        "policy",
        "applies_to",
        "require",
        "mode",
        "unlisted",
        "on_disagreement",
        "baseline",
        "search_path",
        "temp_tables",
        "pin",
        "allow",
        "deny",
        "errors",
        "limits",
        "decoys",
        "tests",
    ],
    later: &[("injection", "injection signals are counted and nothing is refused for its score")],
};
const LIMITS: Known = Known {
    what: "limits",
    keys: &["statement_bytes", "depth", "message_statements"],
    later: &[
        ("statements", "statements are not counted over time; `message_statements` limits those of one message"),
        ("logins", "logins are not counted"),
        ("sessions", "set CONNECTION LIMIT on the role or the database"),
        ("result_rows", "rows are not counted"),
    ],
};
const APPLIES_TO: Known = Known {
    what: "applies_to",
    keys: &["users", "databases", "replication"],
    later: &[("listeners", "the policy holds on every listener")],
};
const REQUIRE: Known = Known {
    what: "require",
    keys: &["networks", "tls"],
    later: &[("client_cert", "TLS client certificates are not looked at; use `tls: true` and `networks`")],
};
const RULE: Known = Known {
    what: "a rule",
    keys: &[
        "rule",
        "actions",
        "tables",
        "functions",
        "columns",
        "settings",
        "roles",
        "cursors",
        "objects",
        "when",
        "mode",
        "hint",
        "severity",
    ],
    later: &[
        ("statements", "name actions and tables instead of a list of statements"),
        ("action", "a refused statement fails and the session goes on"),
        ("outcome", "a refused statement fails and the session goes on"),
        ("terminate", "a refused statement fails and the session goes on"),
        ("delay", "a refused statement fails at once"),
    ],
};
const WHEN: Known = Known {
    what: "when",
    keys: &["where", "statements", "from", "until"],
    later: &[
        ("limit", "the rule can't ask for a LIMIT"),
        ("hours", "use `from` and `until`"),
        ("source", "the rule holds for both protocols"),
        ("parameters", "the rule holds with and without parameters"),
        ("joins", "the rule holds for any number of joins"),
        ("depth", "the rule holds at any depth"),
        ("injection", "the rule holds at any score"),
        ("application_name", "the rule holds for every application"),
    ],
};
const TEST: Known =
    Known { what: "a test", keys: &["allow", "deny", "login", "as", "steps", "params", "by"], later: &[] };
const STEP: Known = Known { what: "a step", keys: &["allow", "deny", "params", "by"], later: &[] };
const AS: Known =
    Known { what: "as", keys: &["user", "database", "address", "tls", "protocol", "replication", "at"], later: &[] };

/// Decodes one document; what is wrong with it goes to the reader's findings.
pub(crate) fn decode(reader: &mut Reader<'_>, node: &Node) -> Option<Document> {
    let mut fields = reader.mapping(node, &POLICY)?;
    let name = match fields.take("policy") {
        Some(node) => reader.text(node, "a policy's name"),
        None => {
            reader.error_help(first_place(node), "a policy needs a name", "begin the document with `policy: NAME`");
            None
        }
    };
    let applies_to = fields.take("applies_to").map(|node| applies_to(reader, node));
    if applies_to.is_none() {
        reader.error_help(
            first_place(node),
            "`applies_to` is missing: the policy says nothing about who it is for",
            "for instance `applies_to: {users: [shop_app]}`",
        );
    }
    let require = fields.take("require").map(|node| require(reader, node)).unwrap_or_default();
    let observe = mode(reader, fields.take("mode")).is_some_and(|at| at.value);
    let unlisted_observe =
        fields.take("unlisted").and_then(|n| reader.word(n, "unlisted", &[("refuse", false), ("observe", true)]));
    let refuse_disagreement = fields
        .take("on_disagreement")
        .and_then(|n| reader.word(n, "on_disagreement", &[("refuse", true), ("observe", false)]))
        .is_none_or(|at| at.value);
    let baseline = fields
        .take("baseline")
        .and_then(|n| reader.word(n, "baseline", &[("default", true), ("none", false)]))
        .is_none_or(|at| at.value);
    let search_path =
        fields.take("search_path").map(|node| At { value: reader.texts(node, "search_path"), place: node.place });
    let temp_tables =
        fields.take("temp_tables").and_then(|n| reader.word(n, "temp_tables", &[("refuse", false), ("allow", true)]));
    let pins = fields.take("pin").map(|node| pins(reader, node)).unwrap_or_default();
    let allow = rules(reader, fields.take("allow"), "allow");
    let deny = rules(reader, fields.take("deny"), "deny");
    let terse = fields
        .take("errors")
        .and_then(|n| reader.word(n, "errors", &[("detailed", false), ("terse", true)]))
        .is_some_and(|at| at.value);
    let limits = fields.take("limits").map(|node| limits(reader, node)).unwrap_or_default();
    let decoys = fields.take("decoys").map(|node| reader.some_texts(node, "decoys")).unwrap_or_default();
    let mut tests = Vec::new();
    if let Some(node) = fields.take("tests") {
        for node in reader.nodes(node, "tests") {
            tests.extend(test(reader, node));
        }
    }
    Some(Document {
        name: name?,
        applies_to: applies_to?,
        require,
        observe,
        unlisted_observe,
        refuse_disagreement,
        baseline,
        search_path,
        temp_tables,
        pins,
        allow,
        deny,
        terse,
        limits,
        decoys,
        tests,
    })
}

fn first_place(node: &Node) -> Place {
    match &node.value {
        Value::Map(entries) => entries.first().map_or(node.place, |(key, _)| key.place),
        Value::Null | Value::Scalar(_) | Value::Seq(_) => node.place,
    }
}

fn applies_to(reader: &mut Reader<'_>, node: &Node) -> AppliesTo {
    let Some(mut fields) = reader.mapping(node, &APPLIES_TO) else { return AppliesTo::default() };
    let users = match fields.take("users") {
        Some(node) => reader.some_texts(node, "users"),
        None => {
            let place = fields.place;
            reader.error_help(place, "`users` is missing", "`users: [\"*\"]` means everybody");
            Vec::new()
        }
    };
    AppliesTo {
        users,
        databases: fields.take("databases").map(|n| reader.some_texts(n, "databases")).unwrap_or_default(),
        replication: fields.take("replication").and_then(|n| reader.truth(n, "replication")).unwrap_or_default(),
    }
}

fn require(reader: &mut Reader<'_>, node: &Node) -> Require {
    let Some(mut fields) = reader.mapping(node, &REQUIRE) else { return Require::default() };
    Require {
        networks: fields.take("networks").map(|n| reader.some_texts(n, "networks")).unwrap_or_default(),
        tls: fields.take("tls").and_then(|n| reader.truth(n, "tls")).unwrap_or_default(),
    }
}

fn limits(reader: &mut Reader<'_>, node: &Node) -> Limits {
    let mut limits = Limits::default();
    let Some(mut fields) = reader.mapping(node, &LIMITS) else { return limits };
    if let Some(node) = fields.take("statement_bytes")
        && let Some(text) = reader.text(node, "statement_bytes")
    {
        match units::bytes(&text.value) {
            Some(bytes @ 1..=LARGEST_STATEMENT) => limits.statement_bytes = bytes,
            Some(_) => reader.error(node.place, "statement_bytes is from 1 to 64MiB"),
            None => reader.error_help(
                node.place,
                format!("statement_bytes is a size, not \"{}\"", text.value),
                "write it like 64KiB or 1MiB",
            ),
        }
    }
    let mut number = |reader: &mut Reader<'_>, key: &'static str| {
        let node = fields.take(key)?;
        let text = reader.text(node, key)?;
        match text.value.parse::<u32>() {
            Ok(number @ 1..) => Some(number),
            Ok(0) | Err(_) => {
                reader.error(node.place, format!("{key} is a number from 1 on, not \"{}\"", text.value));
                None
            }
        }
    };
    limits.depth = number(reader, "depth");
    limits.message_statements = number(reader, "message_statements").unwrap_or(limits.message_statements);
    limits
}

fn mode(reader: &mut Reader<'_>, node: Option<&Node>) -> Option<At<bool>> {
    reader.word(node?, "mode", &[("enforce", false), ("observe", true)])
}

fn pins(reader: &mut Reader<'_>, node: &Node) -> Vec<(At<String>, At<String>)> {
    let Value::Map(entries) = &node.value else {
        reader.error(node.place, format!("pin is a mapping of settings to values, not {}", node.value.what()));
        return Vec::new();
    };
    let mut pins = Vec::new();
    for (key, value) in entries {
        if let Some(value) = reader.text(value, "a pinned value") {
            pins.push((At { value: key.name.clone(), place: key.place }, value));
        }
    }
    pins
}

fn rules(reader: &mut Reader<'_>, node: Option<&Node>, list: &'static str) -> Vec<Rule> {
    let Some(node) = node else { return Vec::new() };
    let nodes = reader.nodes(node, list);
    nodes.iter().filter_map(|node| rule(reader, node)).collect()
}

fn rule(reader: &mut Reader<'_>, node: &Node) -> Option<Rule> {
    let mut fields = reader.mapping(node, &RULE)?;
    let place = first_place(node);
    let name = match fields.take("rule") {
        Some(node) => reader.text(node, "a rule's name"),
        None => {
            reader.error_help(place, "a rule needs a name", "begin it with `rule: NAME`: errors and metrics show it");
            None
        }
    };
    let mut list =
        |reader: &mut Reader<'_>, key: &'static str| fields.take(key).map(|node| reader.some_texts(node, key));
    let actions = list(reader, "actions");
    let tables = list(reader, "tables").unwrap_or_default();
    let functions = list(reader, "functions").unwrap_or_default();
    let columns = list(reader, "columns").unwrap_or_default();
    let settings = list(reader, "settings").unwrap_or_default();
    let roles = list(reader, "roles").unwrap_or_default();
    let cursors = list(reader, "cursors").unwrap_or_default();
    let objects = list(reader, "objects").unwrap_or_default();
    let when = fields.take("when").map(|node| when(reader, node)).unwrap_or_default();
    let observe = mode(reader, fields.take("mode"));
    let hint = fields.take("hint").and_then(|node| reader.text(node, "hint")).map(|at| at.value);
    // Read by the alerts of a later release; accepted now so that policies need no change then.
    let _ = fields.take("severity").and_then(|node| reader.text(node, "severity"));
    Some(Rule {
        name: name?,
        place,
        actions,
        tables,
        functions,
        columns,
        settings,
        roles,
        cursors,
        objects,
        when,
        observe,
        hint,
    })
}

fn when(reader: &mut Reader<'_>, node: &Node) -> When {
    let Some(mut fields) = reader.mapping(node, &WHEN) else { return When::default() };
    let where_missing =
        fields.take("where").and_then(|node| reader.word(node, "where", &[("missing", ())])).map(|at| at.place);
    let statements_over = fields.take("statements").and_then(|node| {
        let text = reader.text(node, "statements")?;
        let number = text.value.trim().strip_prefix('>').and_then(|n| n.trim().parse().ok());
        if number.is_none() {
            reader.error_help(node.place, format!("statements is \">N\", not \"{}\"", text.value), "write \">1\"");
        }
        number
    });
    let from = fields.take("from").and_then(|node| timestamp(reader, node, "from"));
    let until = fields.take("until").and_then(|node| timestamp(reader, node, "until"));
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        reader.error(node.place, "`until` is not after `from`: the rule would never hold");
    }
    When { where_missing, statements_over, from, until }
}

fn timestamp(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<jiff::Timestamp> {
    let text = reader.text(node, what)?;
    match text.value.parse() {
        Ok(time) => Some(time),
        Err(_) => {
            reader.error_help(
                node.place,
                format!("{what} is a point in time, not \"{}\"", text.value),
                "write it as RFC 3339 with its offset: 2026-11-21T06:00:00Z",
            );
            None
        }
    }
}

fn test(reader: &mut Reader<'_>, node: &Node) -> Option<Test> {
    let mut fields = reader.mapping(node, &TEST)?;
    let place = first_place(node);
    let who = fields.take("as").map(|node| identity(reader, node)).unwrap_or_default();
    let mut steps = Vec::new();
    if let Some(node) = fields.take("login") {
        let expect = reader.word(node, "login", &[("allow", true), ("refuse", false)])?;
        let by = fields.take("by").and_then(|node| reader.text(node, "by"));
        steps.push(Step { place, expect_allow: expect.value, what: Tried::Login, by });
    } else if let Some(node) = fields.take("steps") {
        for node in reader.nodes(node, "steps") {
            let place = first_place(node);
            if let Some(mut fields) = reader.mapping(node, &STEP) {
                steps.extend(step(reader, &mut fields, place));
            }
        }
    } else {
        steps.extend(step(reader, &mut fields, place));
    }
    for key in ["allow", "deny", "steps", "params", "by"] {
        if let Some(place) = fields.has(key) {
            reader.error(place, format!("`{key}` can't stand beside `login` or `steps` or its opposite in one test"));
        }
    }
    Some(Test { who, steps })
}

fn step(reader: &mut Reader<'_>, fields: &mut crate::policy::reader::Fields<'_>, place: Place) -> Option<Step> {
    let (node, expect_allow) = match (fields.take("allow"), fields.has("deny")) {
        (Some(node), None) => (node, true),
        (None, Some(_)) => (fields.take("deny")?, false),
        _ => {
            reader.error(place, "a test says `allow: SQL` or `deny: SQL` (or `login`, or `steps`)");
            return None;
        }
    };
    let sql = reader.text(node, "the statement of a test")?.value;
    let mut params = Vec::new();
    if let Some(node) = fields.take("params") {
        for node in reader.nodes(node, "params") {
            match &node.value {
                Value::Null => params.push(None),
                Value::Scalar(text) => params.push(Some(text.clone())),
                other => reader.error(node.place, format!("a parameter is one value, not {}", other.what())),
            }
        }
    }
    let by = fields.take("by").and_then(|node| reader.text(node, "by"));
    if let Some(by) = &by
        && expect_allow
    {
        reader.error(by.place, "`by` names what refuses: it has no meaning beside `allow`");
    }
    Some(Step { place, expect_allow, what: Tried::Statement { sql, params }, by })
}

fn identity(reader: &mut Reader<'_>, node: &Node) -> TestIdentity {
    let Some(mut fields) = reader.mapping(node, &AS) else { return TestIdentity::default() };
    let mut text = |reader: &mut Reader<'_>, key: &str| fields.take(key).and_then(|node| reader.text(node, key));
    let user = text(reader, "user").map(|at| at.value);
    let database = text(reader, "database").map(|at| at.value);
    let address = text(reader, "address").and_then(|at| match at.value.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            reader.error(at.place, format!("address is an IP address, not \"{}\"", at.value));
            None
        }
    });
    let tls = fields.take("tls").and_then(|n| reader.truth(n, "tls"));
    let simple = fields
        .take("protocol")
        .and_then(|n| reader.word(n, "protocol", &[("simple", true), ("extended", false)]))
        .is_some_and(|at| at.value);
    let replication = fields.take("replication").and_then(|n| reader.truth(n, "replication")).unwrap_or_default();
    let at = fields.take("at").and_then(|node| timestamp(reader, node, "at"));
    TestIdentity { user, database, address, tls, replication, simple, at }
}
