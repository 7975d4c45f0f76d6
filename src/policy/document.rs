//! A policy document as it is written: every key of the language (`docs/policies.md`), typed, with its place. What the
//! words mean is `compile`'s business.

use std::time::Duration;

use crate::policy::diagnostic::Place;
use crate::policy::glob::Glob;
use crate::policy::hours::Hours;
use crate::policy::limits::{LARGEST_STATEMENT, Limits};
use crate::policy::quota::{Quotas, Rate};
use crate::policy::reader::{At, Known, Reader};
use crate::policy::verdict::{Alert, Sequel};
use crate::policy::when::{Source, When};
use crate::policy::yaml::{Node, Value};
use crate::units;

/// The longest that a refusal may be held back.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

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
    pub quotas: Quotas,
    pub injection: Injection,
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
    /// The file of a list of statements, beside the policy's own.
    pub statements: Option<At<String>>,
    pub when: Conditions,
    pub observe: Option<At<bool>>,
    pub hint: Option<String>,
    pub alert: Option<Alert>,
    pub sequel: Option<At<Sequel>>,
}

/// `when:`, with the places of the conditions that not every rule can have.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub when: When,
    pub where_missing: Option<Place>,
    /// Conditions that make sense in a deny rule only, by their keys.
    pub dangers: Vec<At<&'static str>>,
    pub application_name: Option<Place>,
}

/// From which score on the signs of an injection are an attempt, and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Injection {
    pub observe_at: Option<u32>,
    pub block_at: Option<u32>,
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
    pub application_name: String,
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
        "injection",
        "limits",
        "decoys",
        "tests",
    ],
    later: &[],
};
const INJECTION: Known = Known { what: "injection", keys: &["observe_at", "block_at"], later: &[] };
const LIMITS: Known = Known {
    what: "limits",
    keys: &["statement_bytes", "depth", "message_statements", "statements", "logins", "sessions", "result_rows"],
    later: &[],
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
        "statements",
        "when",
        "mode",
        "outcome",
        "delay",
        "hint",
        "severity",
    ],
    later: &[],
};
const WHEN: Known = Known {
    what: "when",
    keys: &[
        "where",
        "limit",
        "statements",
        "joins",
        "depth",
        "injection",
        "parameters",
        "source",
        "hours",
        "from",
        "until",
        "application_name",
    ],
    later: &[],
};
const TEST: Known =
    Known { what: "a test", keys: &["allow", "deny", "login", "as", "steps", "params", "by"], later: &[] };
const STEP: Known = Known { what: "a step", keys: &["allow", "deny", "params", "by"], later: &[] };
const AS: Known = Known {
    what: "as",
    keys: &["user", "database", "address", "tls", "protocol", "application_name", "replication", "at"],
    later: &[],
};

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
    let (limits, quotas) = fields.take("limits").map(|node| limits(reader, node)).unwrap_or_default();
    let injection = fields.take("injection").map(|node| injection(reader, node)).unwrap_or_default();
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
        quotas,
        injection,
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

fn injection(reader: &mut Reader<'_>, node: &Node) -> Injection {
    let Some(mut fields) = reader.mapping(node, &INJECTION) else { return Injection::default() };
    let observe_at = fields.take("observe_at").and_then(|node| number(reader, node, "observe_at"));
    let block_at = fields.take("block_at").and_then(|node| number(reader, node, "block_at"));
    if let (Some(observe), Some(block)) = (observe_at, block_at)
        && observe > block
    {
        reader.error_help(
            node.place,
            "`observe_at` is above `block_at`: what is refused would not be told of as an attempt",
            "write the lower number at observe_at",
        );
    }
    Injection { observe_at, block_at }
}

/// A number from 1 on.
fn number(reader: &mut Reader<'_>, node: &Node, key: &'static str) -> Option<u32> {
    let text = reader.text(node, key)?;
    match text.value.parse::<u32>() {
        Ok(number @ 1..) => Some(number),
        Ok(0) | Err(_) => {
            reader.error(node.place, format!("{key} is a number from 1 on, not \"{}\"", text.value));
            None
        }
    }
}

/// How often something may happen.
fn rate(reader: &mut Reader<'_>, node: &Node, key: &'static str) -> Option<Rate> {
    let text = reader.text(node, key)?;
    let rate = Rate::parse(&text.value);
    if rate.is_none() {
        let message = format!("{key} is a number in a time, not \"{}\"", text.value);
        reader.error_help(node.place, message, "write it like 600/minute: a second, minute, hour or day");
    }
    rate
}

fn limits(reader: &mut Reader<'_>, node: &Node) -> (Limits, Quotas) {
    let (mut limits, mut quotas) = (Limits::default(), Quotas::default());
    let Some(mut fields) = reader.mapping(node, &LIMITS) else { return (limits, quotas) };
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
    let mut counted =
        |reader: &mut Reader<'_>, key: &'static str| fields.take(key).and_then(|node| number(reader, node, key));
    limits.depth = counted(reader, "depth");
    limits.message_statements = counted(reader, "message_statements").unwrap_or(limits.message_statements);
    limits.result_rows = counted(reader, "result_rows").map(u64::from);
    quotas.sessions = counted(reader, "sessions");
    quotas.logins = fields.take("logins").and_then(|node| rate(reader, node, "logins"));
    if let Some(node) = fields.take("statements") {
        match &node.value {
            Value::Seq(nodes) => quotas.statements.extend(nodes.iter().filter_map(|n| rate(reader, n, "statements"))),
            _ => quotas.statements.extend(rate(reader, node, "statements")),
        }
    }
    (limits, quotas)
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
    let statements = fields.take("statements").and_then(|node| reader.text(node, "statements"));
    let alert =
        fields.take("severity").and_then(|node| reader.word(node, "severity", &Alert::WORDS)).map(|at| at.value);
    let sequel = sequel(reader, fields.take("outcome"), fields.take("delay"));
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
        statements,
        when,
        observe,
        hint,
        alert,
        sequel,
    })
}

/// What follows the refusal.
fn sequel(reader: &mut Reader<'_>, outcome: Option<&Node>, delay: Option<&Node>) -> Option<At<Sequel>> {
    let words = [("refuse", Sequel::Fails), ("terminate", Sequel::Terminates)];
    let outcome = outcome.and_then(|node| reader.word(node, "outcome", &words));
    let Some(node) = delay else { return outcome };
    if outcome.as_ref().is_some_and(|at| at.value == Sequel::Terminates) {
        reader.error(node.place, "`delay` can't stand beside `outcome: terminate`: nobody would wait for it");
    }
    let text = reader.text(node, "delay")?;
    match units::duration(&text.value) {
        Some(delay) if !delay.is_zero() && delay <= LONGEST_DELAY => {
            Some(At { value: Sequel::Delays(delay.into()), place: node.place })
        }
        Some(_) => {
            reader.error(node.place, "delay is more than 0 and at most 10s");
            None
        }
        None => {
            let message = format!("delay is a time, not \"{}\"", text.value);
            reader.error_help(node.place, message, "write it like 2s or 500ms");
            None
        }
    }
}

fn when(reader: &mut Reader<'_>, node: &Node) -> Conditions {
    let mut conditions = Conditions::default();
    let Some(mut fields) = reader.mapping(node, &WHEN) else { return conditions };
    let when = &mut conditions.when;
    for (key, missing) in [("where", &mut when.where_missing), ("limit", &mut when.limit_missing)] {
        if let Some(at) = fields.take(key).and_then(|node| reader.word(node, key, &[("missing", ())])) {
            *missing = true;
            conditions.dangers.push(At { value: key, place: at.place });
            if key == "where" {
                conditions.where_missing = Some(at.place);
            }
        }
    }
    for (key, limit) in [
        ("statements", &mut when.statements_over),
        ("joins", &mut when.joins_over),
        ("depth", &mut when.depth_over),
        ("injection", &mut when.injection_over),
    ] {
        if let Some(node) = fields.take(key) {
            *limit = over(reader, node, key);
            conditions.dangers.push(At { value: key, place: node.place });
        }
    }
    if let Some(node) = fields.take("parameters")
        && let Some(at) = reader.word(node, "parameters", &[("inline", ())])
    {
        when.inline = true;
        conditions.dangers.push(At { value: "parameters", place: at.place });
    }
    let sources = [("simple", Source::Simple), ("extended", Source::Extended)];
    when.source = fields.take("source").and_then(|node| reader.word(node, "source", &sources)).map(|at| at.value);
    if let Some(node) = fields.take("hours") {
        when.hours = match &node.value {
            Value::Seq(nodes) => nodes.iter().filter_map(|node| hours(reader, node)).collect(),
            _ => hours(reader, node).into_iter().collect(),
        };
    }
    when.from = fields.take("from").and_then(|node| timestamp(reader, node, "from"));
    when.until = fields.take("until").and_then(|node| timestamp(reader, node, "until"));
    if let (Some(from), Some(until)) = (when.from, when.until)
        && from >= until
    {
        reader.error(node.place, "`until` is not after `from`: the rule would never hold");
    }
    if let Some(node) = fields.take("application_name") {
        let names = match &node.value {
            Value::Seq(_) => reader.some_texts(node, "application_name"),
            _ => reader.text(node, "application_name").into_iter().collect(),
        };
        when.application_name = names.iter().map(|at| Glob::new(&at.value)).collect();
        conditions.application_name = Some(node.place);
    }
    conditions
}

/// `">N"`.
fn over(reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<u32> {
    let text = reader.text(node, key)?;
    let number = text.value.trim().strip_prefix('>').and_then(|n| n.trim().parse().ok());
    if number.is_none() {
        reader.error_help(node.place, format!("{key} is \">N\", not \"{}\"", text.value), "write \">1\"");
    }
    number
}

fn hours(reader: &mut Reader<'_>, node: &Node) -> Option<Hours> {
    let text = reader.text(node, "hours")?;
    match Hours::parse(&text.value) {
        Ok(hours) => Some(hours),
        Err(message) => {
            reader.error_help(node.place, message, "write it like \"Mon-Fri 08:00-20:00 Europe/Paris\"");
            None
        }
    }
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
    let application_name = text(reader, "application_name").map(|at| at.value).unwrap_or_default();
    let tls = fields.take("tls").and_then(|n| reader.truth(n, "tls"));
    let simple = fields
        .take("protocol")
        .and_then(|n| reader.word(n, "protocol", &[("simple", true), ("extended", false)]))
        .is_some_and(|at| at.value);
    let replication = fields.take("replication").and_then(|n| reader.truth(n, "replication")).unwrap_or_default();
    let at = fields.take("at").and_then(|node| timestamp(reader, node, "at"));
    TestIdentity { user, database, address, tls, replication, simple, application_name, at }
}
