//! Decodes `tests:`.

use super::{Step, Test, TestIdentity, Tried, first_place, keys, timestamp, truth};
use crate::policy::diagnostic::{Code, Place};
use crate::policy::reader::{Fields, Reader};
use crate::policy::yaml::{Node, Value};

/// The entries of the list.
pub(super) fn tests(reader: &mut Reader<'_>, node: &Node) -> Vec<Test> {
    reader.nodes(node, "tests").iter().filter_map(|node| test(reader, node)).collect()
}

fn test(reader: &mut Reader<'_>, node: &Node) -> Option<Test> {
    let mut fields = reader.mapping(node, &keys::TEST)?;
    let place = first_place(node);
    let who = fields.take("as").map(|node| identity(reader, node)).unwrap_or_default();
    let mut steps = Vec::new();
    if let Some(node) = fields.take("login") {
        let expect = reader.word(node, "login", &keys::LOGIN)?;
        let by = fields.take("by").and_then(|node| reader.text(node, "by"));
        steps.push(Step { place, expect_allow: expect.value, what: Tried::Login, by });
    } else if let Some(node) = fields.take("steps") {
        if matches!(&node.value, Value::Seq(steps) if steps.is_empty()) {
            reader.help(
                Code::BadTest,
                node.place,
                "a test without steps tests nothing",
                "write its steps, or take it out",
            );
        }
        for node in reader.nodes(node, "steps") {
            let place = first_place(node);
            if let Some(mut fields) = reader.mapping(node, &keys::STEP) {
                steps.extend(step(reader, &mut fields, place));
            }
        }
    } else {
        steps.extend(step(reader, &mut fields, place));
    }
    let leftovers = if steps.is_empty() { &[][..] } else { &["allow", "deny", "steps", "params", "by"][..] };
    for key in leftovers {
        if let Some(place) = fields.has(key) {
            reader.help(
                Code::BadTest,
                place,
                format!("`{key}` can't stand beside `login` or `steps` or its opposite in one test"),
                "make two tests of it, each with its own `- `",
            );
        }
    }
    Some(Test { file: reader.source.file.clone(), who, steps })
}

fn step(reader: &mut Reader<'_>, fields: &mut Fields<'_>, place: Place) -> Option<Step> {
    let (node, expect_allow) = match (fields.take("allow"), fields.has("deny")) {
        (Some(node), None) => (node, true),
        (None, Some(_)) => (fields.take("deny")?, false),
        _ => {
            // Told once.
            let message = match fields.take("deny") {
                Some(_) => "a test says `allow` or `deny`, not both",
                None => "a test says neither what must pass nor what must not",
            };
            if fields.misspelt() {
                return None;
            }
            reader.help(Code::BadTest, place, message, "write `allow: SQL` or `deny: SQL` (or `login`, or `steps`)");
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
                other @ (Value::Seq(_) | Value::Map(_)) => {
                    let message = format!("a parameter is a single value, not {}", other.what());
                    reader.help(Code::WrongShape, node.place, message, "write the value's text, in quotes");
                }
            }
        }
    }
    let by = fields.take("by").and_then(|node| reader.text(node, "by"));
    if let Some(by) = &by
        && expect_allow
    {
        let message = "`by` names what refuses: it has no meaning beside `allow`";
        reader.help(Code::BadTest, by.place, message, "take it out, or write `deny`");
    }
    Some(Step { place, expect_allow, what: Tried::Statement { sql, params }, by })
}

fn identity(reader: &mut Reader<'_>, node: &Node) -> TestIdentity {
    let Some(mut fields) = reader.mapping(node, &keys::AS) else { return TestIdentity::default() };
    let mut text = |reader: &mut Reader<'_>, key: &str| fields.take(key).and_then(|node| reader.text(node, key));
    let user = text(reader, "user").map(|at| at.value);
    let database = text(reader, "database").map(|at| at.value);
    let address = text(reader, "address").and_then(|at| match at.value.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let message = format!("address is an IP address, not \"{}\"", at.value);
            reader.help(Code::BadNetwork, at.place, message, "write it like 10.0.0.7 or ::1, without a prefix length");
            None
        }
    });
    let application_name = text(reader, "application_name").map(|at| at.value).unwrap_or_default();
    let mut text = |reader: &mut Reader<'_>, key: &str| {
        let text = fields.take(key).and_then(|node| reader.text(node, key));
        text.map(|at| at.value)
    };
    let (listener, os_user) = (text(reader, "listener"), text(reader, "os_user"));
    let (client_cn, client_san) = (text(reader, "client_cn"), text(reader, "client_san"));
    let tls = truth(reader, fields.take("tls"), "tls");
    let simple =
        fields.take("protocol").and_then(|n| reader.word(n, "protocol", &keys::PROTOCOL)).is_some_and(|at| at.value);
    let replication = truth(reader, fields.take("replication"), "replication").unwrap_or_default();
    let at = fields.take("at").and_then(|node| timestamp(reader, node, "at"));
    TestIdentity {
        user,
        database,
        address,
        tls,
        replication,
        listener,
        client_cn,
        client_san,
        os_user,
        simple,
        application_name,
        at,
    }
}
