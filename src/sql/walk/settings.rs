//! SET, RESET, SHOW and the modes of transactions: all are settings.

use pg_query::Node;
use pg_query::NodeEnum;
use pg_query::protobuf::{self as pb, VariableSetKind, a_const::Val};

use super::Walker;
use super::names::{boxed, dotted, inner, last, may_be_builtin, range};
use crate::sql::functions::{Class, builtin};
use crate::sql::settings::{canonical, is_baseline};
use crate::sql::{Action, ActionName, Name, Object, Operand, SettingValue};

/// Settings whose value is a list of identifiers (`GUC_LIST_QUOTE` in guc_tables.c).
pub(super) fn is_list(name: &str) -> bool {
    matches!(
        name,
        "search_path"
            | "temp_tablespaces"
            | "session_preload_libraries"
            | "shared_preload_libraries"
            | "local_preload_libraries"
            | "unix_socket_directories"
    )
}

/// The value of a constant as the server would read it from text.
pub(super) fn constant(constant: &pb::AConst) -> Operand {
    match &constant.val {
        Some(Val::Sval(s)) => Operand::Constant(s.sval.as_str().into()),
        Some(Val::Ival(i)) => Operand::Constant(i.ival.to_string().into()),
        Some(Val::Fval(f)) => Operand::Constant(f.fval.as_str().into()),
        Some(Val::Boolval(b)) => Operand::Constant(if b.boolval { "true" } else { "false" }.into()),
        // NULL and bit strings are no values.
        Some(Val::Bsval(_)) | None => Operand::Unknown,
    }
}

/// Statements that only bring the session back to its start, or set what anybody may set (a pool's release batch, a
/// driver's first words).
pub(super) fn default_set(statement: &NodeEnum) -> bool {
    match statement {
        NodeEnum::VariableSetStmt(set) => match VariableSetKind::try_from(set.kind) {
            Ok(VariableSetKind::VarReset | VariableSetKind::VarResetAll | VariableSetKind::VarSetDefault) => true,
            Ok(VariableSetKind::VarSetValue) => is_first_word(&set.name),
            Ok(VariableSetKind::VarSetCurrent | VariableSetKind::VarSetMulti | VariableSetKind::Undefined) | Err(_) => {
                false
            }
        },
        NodeEnum::DiscardStmt(_) | NodeEnum::UnlistenStmt(_) => true,
        NodeEnum::ClosePortalStmt(close) => close.portalname.is_empty(),
        NodeEnum::DeallocateStmt(deallocate) => deallocate.isall,
        NodeEnum::SelectStmt(select) => match only_target(select) {
            Some(call) => match class(call) {
                Some(Class::AdvisoryUnlock) => {
                    call.args.is_empty() && select.from_clause.is_empty() && select.where_clause.is_none()
                }
                Some(Class::SetConfig) => sets_first_word(call) && is_of_settings(select),
                _ => false,
            },
            None => false,
        },
        _ => false,
    }
}

/// What drivers set before they do anything: harmless settings, and the encoding, which the judge guards by itself.
fn is_first_word(name: &str) -> bool {
    is_baseline(name) || canonical(name) == "client_encoding"
}

/// The call in `SELECT f(…) [FROM …] [WHERE …]`; nothing where any other clause stands there.
fn only_target(select: &pb::SelectStmt) -> Option<&pb::FuncCall> {
    let more = [
        &select.distinct_clause,
        &select.group_clause,
        &select.window_clause,
        &select.values_lists,
        &select.sort_clause,
        &select.locking_clause,
    ];
    let alone = more.iter().all(|clause| clause.is_empty())
        && select.with_clause.is_none()
        && select.into_clause.is_none()
        && select.having_clause.is_none()
        && select.limit_count.is_none()
        && select.limit_offset.is_none();
    let [target] = select.target_list.as_slice() else { return None };
    match inner(target) {
        Some(NodeEnum::ResTarget(target)) if alone => plain_call(boxed(&target.val)?),
        _ => None,
    }
}

/// A call with arguments alone: no FILTER, OVER, ORDER BY …
fn plain_call(node: &NodeEnum) -> Option<&pb::FuncCall> {
    match node {
        NodeEnum::FuncCall(call) => {
            let plain = call.agg_order.is_empty() && call.agg_filter.is_none() && call.over.is_none();
            plain.then_some(call)
        }
        _ => None,
    }
}

fn class(call: &pb::FuncCall) -> Option<Class> {
    let name = dotted(&call.funcname);
    builtin(&name.name).filter(|_| may_be_builtin(&name)).map(|builtin| builtin.class)
}

/// `set_config` of constants.
fn sets_first_word(call: &pb::FuncCall) -> bool {
    let constants = call.args.iter().all(|arg| matches!(inner(arg), Some(NodeEnum::AConst(_))));
    match call.args.first().and_then(inner) {
        Some(NodeEnum::AConst(name)) if constants => match &name.val {
            Some(Val::Sval(name)) => is_first_word(&name.sval),
            _ => false,
        },
        _ => false,
    }
}

/// No FROM, or the one row of a setting, so that it is only set where the server knows it: pgAdmin begins so.
fn is_of_settings(select: &pb::SelectStmt) -> bool {
    match (select.from_clause.as_slice(), boxed(&select.where_clause)) {
        ([], None) => true,
        ([from], Some(NodeEnum::AExpr(filter))) => {
            let of_settings = match inner(from) {
                Some(NodeEnum::RangeVar(from)) => parts_of(&range(from)) == ("pg_settings", true),
                Some(NodeEnum::RangeFunction(from)) => is_all_settings(from),
                _ => false,
            };
            let column = matches!(boxed(&filter.lexpr), Some(NodeEnum::ColumnRef(_)));
            let constant = matches!(boxed(&filter.rexpr), Some(NodeEnum::AConst(_)));
            of_settings && column && constant
        }
        _ => false,
    }
}

/// `FROM pg_show_all_settings()`.
fn is_all_settings(from: &pb::RangeFunction) -> bool {
    let [function] = from.functions.as_slice() else { return false };
    let Some(NodeEnum::List(function)) = inner(function) else { return false };
    let call = match function.items.first().and_then(inner).and_then(plain_call) {
        Some(call) if call.args.is_empty() && from.coldeflist.is_empty() => call,
        _ => return false,
    };
    parts_of(&dotted(&call.funcname)) == ("pg_show_all_settings", true)
}

/// The last part of a name, and whether it can be one of pg_catalog.
fn parts_of(name: &Name) -> (&str, bool) {
    (&name.name, may_be_builtin(name))
}

fn setting(name: &str, value: SettingValue) -> Object {
    Object::Setting { name: Operand::Constant(name.into()), value }
}

impl<'a> Walker<'a> {
    pub(super) fn variable_set(&mut self, set: &'a pb::VariableSetStmt) {
        let name = canonical(&set.name);
        let kind = VariableSetKind::try_from(set.kind).unwrap_or(VariableSetKind::Undefined);
        match kind {
            VariableSetKind::VarSetMulti => return self.set_multi(set),
            VariableSetKind::VarResetAll => {
                self.push(ActionName::Reset, Object::None);
            }
            VariableSetKind::Undefined => return self.unknown("a kind of SET"),
            VariableSetKind::VarSetValue
            | VariableSetKind::VarSetDefault
            | VariableSetKind::VarSetCurrent
            | VariableSetKind::VarReset => match name.as_str() {
                "role" | "session_authorization" => {
                    let object = role(set, kind, name == "role");
                    self.push(ActionName::SetRole, object);
                }
                _ => {
                    let (action, value) = value(set, kind);
                    self.push(action, setting(&name, value));
                }
            },
        }
        self.nodes(&set.args);
    }

    /// ALTER SYSTEM SET: the access is `alter_system` on the setting.
    pub(super) fn alter_system(&mut self, alter: &'a pb::AlterSystemStmt) {
        let Some(set) = &alter.setstmt else { return self.unknown("ALTER SYSTEM of nothing") };
        let kind = VariableSetKind::try_from(set.kind).unwrap_or(VariableSetKind::Undefined);
        let object = match kind {
            VariableSetKind::VarResetAll => Object::None,
            VariableSetKind::Undefined
            | VariableSetKind::VarSetValue
            | VariableSetKind::VarSetDefault
            | VariableSetKind::VarSetCurrent
            | VariableSetKind::VarSetMulti
            | VariableSetKind::VarReset => setting(&canonical(&set.name), value(set, kind).1),
        };
        self.push(ActionName::AlterSystem, object);
        self.nodes(&set.args);
    }

    fn set_multi(&mut self, set: &'a pb::VariableSetStmt) {
        self.push(ActionName::TransactionMode, Object::None);
        match set.name.as_str() {
            "TRANSACTION" => self.modes(&set.args, false),
            "SESSION CHARACTERISTICS" => self.modes(&set.args, true),
            "TRANSACTION SNAPSHOT" => {}
            _ => self.unknown("a form of SET"),
        }
    }

    /// `ISOLATION LEVEL …`, `READ WRITE`, `DEFERRABLE`: each is a setting, too.
    pub(super) fn modes(&mut self, options: &'a [Node], session: bool) {
        for option in options.iter().filter_map(inner) {
            let NodeEnum::DefElem(option) = option else {
                self.unknown("a transaction mode");
                continue;
            };
            let value = option.arg.as_deref().map_or(Operand::Unknown, super::call::operand);
            let flag = |value: Operand| match value {
                Operand::Constant(text) => Operand::Constant(if &*text == "0" { "off" } else { "on" }.into()),
                other @ (Operand::Parameter(_) | Operand::Unknown) => other,
            };
            let (name, default_name, value) = match option.defname.as_str() {
                "transaction_isolation" => ("transaction_isolation", "default_transaction_isolation", value),
                "transaction_read_only" => ("transaction_read_only", "default_transaction_read_only", flag(value)),
                "transaction_deferrable" => ("transaction_deferrable", "default_transaction_deferrable", flag(value)),
                _ => {
                    self.unknown("a transaction mode");
                    continue;
                }
            };
            let name = if session { default_name } else { name };
            self.push(ActionName::Set, setting(name, SettingValue::List(vec![value])));
        }
    }

    pub(super) fn show(&mut self, show: &pb::VariableShowStmt) {
        self.push(ActionName::Show, setting(&canonical(&show.name), SettingValue::Unknown));
    }
}

fn role(set: &pb::VariableSetStmt, kind: VariableSetKind, none_is_none: bool) -> Object {
    if kind != VariableSetKind::VarSetValue {
        // RESET and DEFAULT go back to the login role; FROM CURRENT stores whatever is in force.
        return if kind == VariableSetKind::VarSetCurrent { Object::AnyRole } else { Object::Role(None) };
    }
    match set.args.as_slice() {
        [only] => match super::call::operand(only) {
            Operand::Constant(role) if none_is_none && &*role == "none" => Object::Role(None),
            Operand::Constant(role) => Object::Role(Some(role)),
            Operand::Parameter(_) | Operand::Unknown => Object::AnyRole,
        },
        _ => Object::AnyRole,
    }
}

/// One schema of a search_path, so that nobody takes it for a list: SET reads `'public, pg_temp'` as the name of one schema.
pub(super) fn schema(name: &str) -> Box<str> {
    match name.contains([',', '"']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")).into(),
        false => name.into(),
    }
}

fn value(set: &pb::VariableSetStmt, kind: VariableSetKind) -> (Action, SettingValue) {
    match kind {
        VariableSetKind::VarSetValue => {
            let is_path = canonical(&set.name) == "search_path";
            let element = |arg| match super::call::operand(arg) {
                Operand::Constant(name) if is_path => Operand::Constant(schema(&name)),
                other => other,
            };
            (ActionName::Set.into(), SettingValue::List(set.args.iter().map(element).collect()))
        }
        VariableSetKind::VarSetDefault | VariableSetKind::VarReset => (ActionName::Reset.into(), SettingValue::Default),
        VariableSetKind::VarSetCurrent
        | VariableSetKind::VarSetMulti
        | VariableSetKind::VarResetAll
        | VariableSetKind::Undefined => (ActionName::Set.into(), SettingValue::Unknown),
    }
}

/// An option of the form `(name value)`, as `defGetBoolean` reads it: true unless literally false, off or 0.
pub(super) fn boolean(option: &pb::DefElem) -> bool {
    match super::names::boxed(&option.arg) {
        Some(NodeEnum::String(s)) => !(s.sval.eq_ignore_ascii_case("false") || s.sval.eq_ignore_ascii_case("off")),
        Some(NodeEnum::Integer(i)) => i.ival != 0,
        Some(NodeEnum::Boolean(b)) => b.boolval,
        _ => true,
    }
}

/// The value of the last option of this name; `None` where it is missing.
pub(super) fn last_boolean(options: &[Node], name: &str) -> Option<bool> {
    options.iter().rev().filter_map(inner).find_map(|option| match option {
        NodeEnum::DefElem(option) if option.defname == name => Some(boolean(option)),
        _ => None,
    })
}

/// The text of an option.
pub(super) fn text_of(option: &pb::DefElem) -> Option<&str> {
    match super::names::boxed(&option.arg) {
        Some(NodeEnum::String(s)) => Some(&s.sval),
        Some(NodeEnum::List(list)) => last(&list.items),
        _ => None,
    }
}
