//! Decodes the rules of `allow` and `deny`.

use std::time::Duration;

use super::{Conditions, Rule, first_place, keys, mode, timestamp};
use crate::policy::diagnostic::Code;
use crate::policy::glob::Glob;
use crate::policy::hours::Hours;
use crate::policy::reader::{At, Reader};
use crate::policy::verdict::Sequel;
use crate::policy::yaml::{Node, Value};
use crate::units;

/// The longest that a refusal may be held back.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

pub(super) fn rules(reader: &mut Reader<'_>, node: Option<&Node>, list: &'static str) -> Vec<Rule> {
    let Some(node) = node else { return Vec::new() };
    let nodes = reader.nodes(node, list);
    nodes.iter().filter_map(|node| rule(reader, node)).collect()
}

fn rule(reader: &mut Reader<'_>, node: &Node) -> Option<Rule> {
    let before = reader.findings.len();
    let mut fields = reader.mapping(node, &keys::RULE)?;
    let place = first_place(node);
    let missing = ("a rule needs a name", "begin it with `rule: NAME`: errors and metrics show it");
    let name = fields.need(reader, "rule", place, missing).and_then(|node| reader.text(node, "a rule's name"));
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
        fields.take("severity").and_then(|node| reader.word(node, "severity", &keys::SEVERITY)).map(|at| at.value);
    let sequel = sequel(reader, fields.take("outcome"), fields.take("delay"));
    Some(Rule {
        name: name?,
        place,
        partial: reader.findings.len() > before,
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
    let outcome = outcome.and_then(|node| reader.word(node, "outcome", &keys::OUTCOME));
    let Some(node) = delay else { return outcome };
    if outcome.as_ref().is_some_and(|at| at.value == Sequel::Terminates) {
        let message = "`delay` can't stand beside `outcome: terminate`: nobody would wait for it";
        reader.help(Code::DelayAndTerminate, node.place, message, "take one of the two out");
    }
    let text = reader.text(node, "delay")?;
    match units::duration(&text.value) {
        Some(delay) if !delay.is_zero() && delay <= LONGEST_DELAY => {
            Some(At { value: Sequel::Delays(delay.into()), place: node.place })
        }
        Some(_) => {
            let message = format!("delay is more than 0 and at most 10s, not {}", text.value);
            reader.help(Code::BadValue, node.place, message, "a session that waits longer holds its locks for others");
            None
        }
        None => {
            let message = format!("delay is a time, not \"{}\"", text.value);
            reader.help(Code::BadValue, node.place, message, "write it like 2s or 500ms");
            None
        }
    }
}

fn when(reader: &mut Reader<'_>, node: &Node) -> Conditions {
    let mut conditions = Conditions::default();
    let Some(mut fields) = reader.mapping(node, &keys::WHEN) else { return conditions };
    let when = &mut conditions.when;
    for (key, missing) in [("where", &mut when.where_missing), ("limit", &mut when.limit_missing)] {
        if let Some(at) = fields.take(key).and_then(|node| reader.word(node, key, &keys::MISSING)) {
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
        && let Some(at) = reader.word(node, "parameters", &keys::INLINE)
    {
        when.inline = true;
        conditions.dangers.push(At { value: "parameters", place: at.place });
    }
    when.source = fields.take("source").and_then(|node| reader.word(node, "source", &keys::SOURCE)).map(|at| at.value);
    if let Some(node) = fields.take("hours") {
        when.hours = match &node.value {
            Value::Seq(nodes) => {
                reader.not_empty(node, "hours", "the rule would hold at any time");
                nodes.iter().filter_map(|node| hours(reader, node)).collect()
            }
            _ => hours(reader, node).into_iter().collect(),
        };
    }
    when.from = fields.take("from").and_then(|node| timestamp(reader, node, "from"));
    when.until = fields.take("until").and_then(|node| timestamp(reader, node, "until"));
    if let (Some(from), Some(until)) = (when.from, when.until)
        && from >= until
    {
        let message = "`until` is not after `from`: the rule would never hold";
        reader.help(Code::NeverHolds, node.place, message, "write the earlier time at `from`");
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
        let message = format!("{key} is \">N\", more than a number, not \"{}\"", text.value);
        reader.help(Code::BadValue, node.place, message, format!("write it in quotes, like `{key}: \">5\"`"));
    }
    number
}

fn hours(reader: &mut Reader<'_>, node: &Node) -> Option<Hours> {
    let text = reader.text(node, "hours")?;
    match Hours::parse(&text.value) {
        Ok(hours) => Some(hours),
        Err(bad) => {
            let code = if bad.is_zone() { Code::UnknownTimeZone } else { Code::BadHours };
            reader.help(code, node.place, bad.to_string(), bad.help());
            None
        }
    }
}
