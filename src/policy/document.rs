//! A policy document as it is written: every key of the language (`docs/policies.md`), typed, with its place. What the
//! words mean is `compile`'s business.

pub(crate) mod keys;
mod rule;
pub(crate) mod shape;
mod test;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::policy::diagnostic::{Code, Place};
use crate::policy::limits::{LARGEST_STATEMENT, Limits};
use crate::policy::quota::{Quotas, Rate};
use crate::policy::reader::{At, Reader};
use crate::policy::verdict::{Alert, Sequel};
use crate::policy::when::When;
use crate::policy::yaml::{Key, Node, Value};
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
    pub listeners: Vec<At<String>>,
    pub replication: bool,
}

/// How they must come.
#[derive(Debug, Default)]
pub(crate) struct Require {
    pub networks: Vec<At<String>>,
    pub tls: bool,
    pub client_cert: Option<ClientCert>,
    pub os_users: Vec<At<String>>,
}

/// What a client's certificate must say.
#[derive(Debug, Default)]
pub(crate) struct ClientCert {
    pub cn: Vec<At<String>>,
    pub san: Vec<At<String>>,
}

/// One rule of `allow` or `deny`.
#[derive(Debug)]
pub(crate) struct Rule {
    pub name: At<String>,
    /// Where the rule starts: what a refusal points to.
    pub place: Place,
    /// Something in it could not be read: what seems to be missing may be that.
    pub partial: bool,
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

/// One document of a `*.test.yaml` file.
#[derive(Debug)]
pub(crate) struct Tests {
    pub policy: At<String>,
    pub tests: Vec<Test>,
}

/// One entry of `tests`.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    /// Where it stands: the policy's file, or one of tests only.
    pub file: Arc<str>,
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
    pub listener: Option<String>,
    pub client_cn: Option<String>,
    pub client_san: Option<String>,
    pub os_user: Option<String>,
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

/// Decodes one document; what is wrong with it goes to the reader's findings.
pub(crate) fn decode(reader: &mut Reader<'_>, node: &Node) -> Option<Document> {
    let mut fields = reader.mapping(node, &keys::POLICY)?;
    let place = first_place(node);
    let missing = ("a policy needs a name", "begin the document with `policy: NAME`");
    let name = fields.need(reader, "policy", place, missing).and_then(|node| reader.text(node, "a policy's name"));
    let missing = (
        "`applies_to` is missing: the policy says nothing about who it is for",
        "for instance `applies_to: {users: [shop_app]}`",
    );
    let applies_to = fields.need(reader, "applies_to", place, missing).map(|node| applies_to(reader, node));
    let require = fields.take("require").map(|node| require(reader, node)).unwrap_or_default();
    let observe = mode(reader, fields.take("mode")).is_some_and(|at| at.value);
    let unlisted_observe = fields.take("unlisted").and_then(|n| reader.word(n, "unlisted", &keys::UNLISTED));
    let refuse_disagreement = fields
        .take("on_disagreement")
        .and_then(|n| reader.word(n, "on_disagreement", &keys::DISAGREEMENT))
        .is_none_or(|at| at.value);
    let baseline =
        fields.take("baseline").and_then(|n| reader.word(n, "baseline", &keys::BASELINE)).is_none_or(|at| at.value);
    let search_path =
        fields.take("search_path").map(|node| At { value: reader.texts(node, "search_path"), place: node.place });
    let temp_tables = fields.take("temp_tables").and_then(|n| reader.word(n, "temp_tables", &keys::TEMP_TABLES));
    let pins = fields.take("pin").map(|node| pins(reader, node)).unwrap_or_default();
    let allow = rule::rules(reader, fields.take("allow"), "allow");
    let deny = rule::rules(reader, fields.take("deny"), "deny");
    let terse = fields.take("errors").and_then(|n| reader.word(n, "errors", &keys::ERRORS)).is_some_and(|at| at.value);
    let (limits, quotas) = fields.take("limits").map(|node| limits(reader, node)).unwrap_or_default();
    let injection = fields.take("injection").map(|node| injection(reader, node)).unwrap_or_default();
    let decoys = fields.take("decoys").map(|node| reader.some_texts(node, "decoys")).unwrap_or_default();
    let tests = fields.take("tests").map(|node| test::tests(reader, node)).unwrap_or_default();
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
    let Some(mut fields) = reader.mapping(node, &keys::APPLIES_TO) else { return AppliesTo::default() };
    let missing = ("`users` is missing", "name login roles, `users: [shop_app]`; `users: [\"*\"]` means everybody");
    let users = fields.need(reader, "users", node.place, missing).map(|node| reader.some_texts(node, "users"));
    AppliesTo {
        users: users.unwrap_or_default(),
        databases: fields.take("databases").map(|n| reader.some_texts(n, "databases")).unwrap_or_default(),
        listeners: fields.take("listeners").map(|n| reader.some_texts(n, "listeners")).unwrap_or_default(),
        replication: truth(reader, fields.take("replication"), "replication").unwrap_or_default(),
    }
}

fn require(reader: &mut Reader<'_>, node: &Node) -> Require {
    let Some(mut fields) = reader.mapping(node, &keys::REQUIRE) else { return Require::default() };
    let require = Require {
        networks: fields.take("networks").map(|n| reader.some_texts(n, "networks")).unwrap_or_default(),
        tls: truth(reader, fields.take("tls"), "tls").unwrap_or_default(),
        client_cert: fields.take("client_cert").map(|n| client_cert(reader, n)),
        os_users: fields.take("os_users").map(|n| reader.some_texts(n, "os_users")).unwrap_or_default(),
    };
    let of_tls = match (require.tls, &require.client_cert) {
        (true, _) => Some("tls: true"),
        (false, Some(_)) => Some("client_cert"),
        (false, None) => None,
    };
    if let (Some(user), Some(of_tls)) = (require.os_users.first(), of_tls) {
        reader.help(
            Code::NeverMet,
            user.place,
            format!("`os_users` and `{of_tls}` can't both be met: over a Unix socket there is no TLS"),
            "take one of them out; who may come by either way needs a policy for each, with `listeners` of its own",
        );
    }
    require
}

fn client_cert(reader: &mut Reader<'_>, node: &Node) -> ClientCert {
    let Some(mut fields) = reader.mapping(node, &keys::CLIENT_CERT) else { return ClientCert::default() };
    let mut names = |reader: &mut Reader<'_>, key: &str| match fields.take(key) {
        None => Vec::new(),
        Some(node) if matches!(node.value, Value::Seq(_)) => reader.some_texts(node, key),
        Some(node) => reader.text(node, key).into_iter().collect(),
    };
    ClientCert { cn: names(reader, "cn"), san: names(reader, "san") }
}

fn injection(reader: &mut Reader<'_>, node: &Node) -> Injection {
    let Some(mut fields) = reader.mapping(node, &keys::INJECTION) else { return Injection::default() };
    let observe_at = fields.take("observe_at").and_then(|node| number(reader, node, "observe_at"));
    let block_at = fields.take("block_at").and_then(|node| number(reader, node, "block_at"));
    if let (Some(observe), Some(block)) = (observe_at, block_at)
        && observe > block
    {
        reader.help(
            Code::Thresholds,
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
            let message = format!("{key} is a number from 1 on, not \"{}\"", text.value);
            reader.help(Code::BadValue, node.place, message, "write a whole number, in digits");
            None
        }
    }
}

/// How often something may happen.
fn rate(reader: &mut Reader<'_>, node: &Node, key: &'static str) -> Option<Rate> {
    let text = reader.text(node, key)?;
    let rate = Rate::parse(&text.value);
    if rate.is_none() {
        let message = format!("{key} is how often in how long, not \"{}\"", text.value);
        let help = "write it like 600/minute: a number from 1 on in a second, minute, hour or day";
        reader.help(Code::BadValue, node.place, message, help);
    }
    rate
}

fn limits(reader: &mut Reader<'_>, node: &Node) -> (Limits, Quotas) {
    let (mut limits, mut quotas) = (Limits::default(), Quotas::default());
    let Some(mut fields) = reader.mapping(node, &keys::LIMITS) else { return (limits, quotas) };
    if let Some(node) = fields.take("statement_bytes")
        && let Some(text) = reader.text(node, "statement_bytes")
    {
        match units::bytes(&text.value) {
            Some(bytes @ 1..=LARGEST_STATEMENT) => limits.statement_bytes = bytes,
            Some(_) => {
                let message = format!("statement_bytes is from 1 to 64MiB, not {}", text.value);
                reader.help(Code::BadValue, node.place, message, "longer texts would take too much memory to read");
            }
            None => reader.help(
                Code::BadValue,
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
            Value::Seq(nodes) => {
                reader.not_empty(node, "statements", "there would be no limit");
                quotas.statements.extend(nodes.iter().filter_map(|n| rate(reader, n, "statements")));
            }
            _ => quotas.statements.extend(rate(reader, node, "statements")),
        }
    }
    (limits, quotas)
}

fn mode(reader: &mut Reader<'_>, node: Option<&Node>) -> Option<At<bool>> {
    reader.word(node?, "mode", &keys::MODE)
}

fn pins(reader: &mut Reader<'_>, node: &Node) -> Vec<(At<String>, At<String>)> {
    let Value::Map(entries) = &node.value else {
        let message = format!("pin is a mapping of settings to values, not {}", node.value.what());
        reader.help(Code::WrongShape, node.place, message, "write it like `pin: {statement_timeout: 30s}`");
        return Vec::new();
    };
    if entries.is_empty() {
        reader.help(
            Code::EmptyList,
            node.place,
            "pin is empty: it says nothing",
            "say what is meant, or take the key out",
        );
    }
    let mut pins = Vec::new();
    for (key, value) in entries {
        if let Some(value) = reader.text(value, "a pinned value") {
            pins.push((At { value: key.name.clone(), place: key.place }, value));
        }
    }
    pins
}

/// `true` or `false`.
fn truth(reader: &mut Reader<'_>, node: Option<&Node>, what: &str) -> Option<bool> {
    reader.word(node?, what, &keys::TRUTH).map(|at| at.value)
}

/// A point in time.
fn timestamp(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<jiff::Timestamp> {
    let text = reader.text(node, what)?;
    match text.value.parse() {
        Ok(time) => Some(time),
        Err(_) => {
            let message = format!("{what} is a point in time, not \"{}\"", text.value);
            let help = "write it as RFC 3339 with its offset: 2026-11-21T06:00:00Z";
            reader.help(Code::BadValue, node.place, message, help);
            None
        }
    }
}

/// Decodes one document of a `*.test.yaml` file.
pub(crate) fn decode_tests(reader: &mut Reader<'_>, node: &Node) -> Option<Tests> {
    if let Some(key) = of_policy(node) {
        let message = format!("`{}` belongs to a policy, and by its name this file holds tests only", key.name);
        let help = "rename the file, without `.test` before its ending: a policy may hold its tests itself";
        reader.help(Code::UnknownKey, key.place, message, help);
        return None;
    }
    let mut fields = reader.mapping(node, &keys::TESTS)?;
    let place = first_place(node);
    let missing =
        ("it is not said which policy is tested", "begin the document with `policy: NAME` of the policy to test");
    let policy = fields.need(reader, "policy", place, missing).and_then(|node| reader.text(node, "a policy's name"));
    let missing =
        ("`tests` is missing: the document tests nothing", "add `tests:`, a list of `allow: SQL` and `deny: SQL`");
    let tests = fields.need(reader, "tests", place, missing).map(|node| test::tests(reader, node));
    Some(Tests { policy: policy?, tests: tests? })
}

/// The first key of a policy in a document of tests.
fn of_policy(node: &Node) -> Option<&Key> {
    let Value::Map(entries) = &node.value else { return None };
    let belongs = |key: &Key| {
        keys::POLICY.names().any(|name| name == key.name) && !keys::TESTS.names().any(|name| name == key.name)
    };
    entries.iter().map(|(key, _)| key).find(|key| belongs(key))
}
