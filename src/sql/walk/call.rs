//! Function calls by what pg_catalog's functions do (POLICY 5), and set_config, which is SET.

use pg_query::protobuf::{self as pb, AExprKind};
use pg_query::{Node, NodeEnum, NodeRef, ParserOptions};

use super::names::{boxed, dotted, from_text, inner, last, may_be_builtin, split_identifiers, string};
use super::settings::is_list;
use super::{MAX_STRINGS, Walker, parse_inner};
use crate::sql::functions::{Builtin, Class, SqlArgument, builtin};
use crate::sql::settings::canonical;
use crate::sql::{ActionName, Name, NameUse, Object, Operand, SettingValue};

/// `FirstNormalObjectId` of transam.h: smaller OIDs are those of a fresh database.
const FIRST_NORMAL_OBJECT_ID: u32 = 16384;

impl<'a> Walker<'a> {
    pub(super) fn function_call(&mut self, call: &'a pb::FuncCall) {
        let name = dotted(&call.funcname);
        self.statement.functions.insert(name.to_string());
        match builtin(&name.name).filter(|_| may_be_builtin(&name)) {
            Some(known) => self.builtin(call, name, known),
            None => {
                // dblink's functions, wherever the extension was installed.
                let network = &*name.name == "dblink" || name.name.starts_with("dblink_");
                let action = if network { ActionName::Dblink } else { ActionName::Call };
                self.push(action, Object::Function { name, builtin: false });
            }
        }
        self.rest(NodeRef::FuncCall(call));
    }

    /// A function that a statement installs behind something else: a trigger, an operator, an aggregate, a cast. Whoever
    /// uses that runs it without naming it, so that installing is calling, with arguments that nobody knows.
    pub(super) fn installs(&mut self, function: &'a [Node]) {
        let name = dotted(function);
        let Some(known) = builtin(&name.name).filter(|_| may_be_builtin(&name)) else {
            self.push(ActionName::Call, Object::Function { name, builtin: false });
            return;
        };
        match (known.class, action(known.class)) {
            (_, Some(action)) => {
                self.push(action, Object::Function { name, builtin: true });
            }
            (Class::Nextval, None) => {
                self.push(ActionName::Nextval, Object::Function { name, builtin: true });
            }
            // `array_in` and its kin are what other types are made of; behind these they read the type's own element.
            (Class::SqlInString, None) if matches!(known.sql_argument, Some(SqlArgument::Type(_))) => {
                self.push(ActionName::Call, Object::Function { name, builtin: true });
            }
            (_, None) => self.unknown(&format!("function {name} behind another object")),
        }
    }

    /// What servers read as grammar from this major version on, and before it as the call of a user's function of that name.
    pub(super) fn newer_function(&mut self, name: &str, since: u32, node: NodeRef<'a>) {
        let builtin = self.reading.server_major == 0 || self.reading.server_major >= since;
        self.push(ActionName::Call, Object::Function { name: Name::bare(name), builtin });
        self.rest(node);
    }

    /// A support function runs whenever the index or the sort that uses the class asks it.
    pub(super) fn operator_class_item(&mut self, item: &'a pb::CreateOpClassItem, node: NodeRef<'a>) {
        /// `OPCLASS_ITEM_FUNCTION` of `src/include/nodes/parsenodes.h`.
        const FUNCTION: i32 = 2;
        if let (FUNCTION, Some(function)) = (item.itemtype, &item.name) {
            self.installs(&function.objname);
        }
        self.rest(node);
    }

    fn builtin(&mut self, call: &'a pb::FuncCall, name: Name, known: Builtin) {
        match known.class {
            Class::Nextval => self.sequence(call, name),
            Class::Notify => self.notify_call(call, name),
            Class::SetConfig => self.set_config(call),
            Class::SqlInString => self.sql_in_string(call, name, known.sql_argument),
            class => match action(class) {
                Some(action) => {
                    self.push(action, Object::Function { name, builtin: true });
                }
                None => self.unknown(&format!("function {name}")),
            },
        }
    }

    fn sequence(&mut self, call: &pb::FuncCall, name: Name) {
        let sequence = call.args.first().map(relation_operand).and_then(|operand| match operand {
            Operand::Constant(text) => from_text(&text),
            Operand::Parameter(_) | Operand::Unknown => None,
        });
        // A table's own sequence goes by the table's name, and by the one that `serial` gives it.
        let own = call.args.first().and_then(serial_table);
        if let Some((table, Some(column))) = &own {
            let sequence = Name { name: format!("{}_{column}_seq", table.name).into(), ..table.clone() };
            self.push(ActionName::Nextval, Object::Relation(sequence));
        }
        let object = match sequence.or(own.map(|(table, _)| table)) {
            Some(sequence) => Object::Relation(sequence),
            None => Object::Function { name, builtin: true },
        };
        self.push(ActionName::Nextval, object);
    }

    fn notify_call(&mut self, call: &pb::FuncCall, name: Name) {
        match call.args.first().map(operand) {
            Some(Operand::Constant(channel)) => self.other(ActionName::Notify, "channel", Name::bare(&channel)),
            Some(Operand::Parameter(_) | Operand::Unknown) | None => {
                self.push(ActionName::Notify, Object::Function { name, builtin: true })
            }
        };
    }

    /// `set_config(name, value, is_local)`, by position or by name.
    fn set_config(&mut self, call: &'a pb::FuncCall) {
        let [mut setting, mut value] = [None, None];
        for (position, arg) in call.args.iter().enumerate() {
            match (inner(arg), position) {
                (Some(NodeEnum::NamedArgExpr(named)), _) => match named.name.as_str() {
                    "setting_name" => setting = named.arg.as_deref(),
                    "new_value" => value = named.arg.as_deref(),
                    _ => {}
                },
                (_, 0) => setting = Some(arg),
                (_, 1) => value = Some(arg),
                (_, _) => {}
            }
        }
        if call.func_variadic {
            [setting, value] = [None, None];
        }
        let setting = match setting.map(operand).unwrap_or(Operand::Unknown) {
            Operand::Constant(name) => Operand::Constant(canonical(&name).into()),
            Operand::Parameter(n) => Operand::Parameter(n),
            Operand::Unknown => match setting.and_then(|node| self.pg_settings_row(node, value)) {
                Some(name) => Operand::Constant(canonical(name).into()),
                None => Operand::Unknown,
            },
        };
        self.set_by_expression(setting, value);
    }

    fn set_by_expression(&mut self, setting: Operand, value: Option<&Node>) {
        let null = value.and_then(inner).is_some_and(|v| matches!(v, NodeEnum::AConst(c) if c.isnull));
        let value = value.map(operand).unwrap_or(Operand::Unknown);
        // A role that comes with Bind stays a setting: the judge takes it for SET ROLE when it is known (PostgREST).
        if let Operand::Constant(name) = &setting
            && matches!(&**name, "role" | "session_authorization")
            && !matches!(value, Operand::Parameter(_))
        {
            let object = match value {
                Operand::Constant(role) if &**name == "role" && &*role == "none" => Object::Role(None),
                Operand::Constant(role) => Object::Role(Some(role)),
                Operand::Parameter(_) | Operand::Unknown if null => Object::Role(None),
                Operand::Parameter(_) | Operand::Unknown => Object::AnyRole,
            };
            self.push(ActionName::SetRole, object);
            return;
        }
        let list = matches!(&setting, Operand::Constant(name) if is_list(name));
        let value = match value {
            _ if null => SettingValue::Default,
            // The string holds the whole list.
            Operand::Constant(text) if list => match split_identifiers(&text, ',') {
                Some(parts) => {
                    let element = |part: String| Operand::Constant(super::settings::schema(&part));
                    SettingValue::List(parts.into_iter().map(element).collect())
                }
                None => SettingValue::Unknown,
            },
            operand @ (Operand::Constant(_) | Operand::Parameter(_)) => SettingValue::List(vec![operand]),
            Operand::Unknown => SettingValue::Unknown,
        };
        self.push(ActionName::Set, Object::Setting { name: setting, value });
    }

    /// `set_config(name, …) FROM pg_settings WHERE name = 'x'`, as pg_dump writes it: the name is the constant. Without a schema
    /// it may be a temporary view with rows of its own, so that only the very statement of pg_dump is taken for what it says.
    fn pg_settings_row(&self, node: &'a Node, value: Option<&Node>) -> Option<&'a str> {
        let Some(NodeEnum::ColumnRef(column)) = inner(node) else { return None };
        let select = self.frames.last()?.select?;
        let [from] = select.from_clause.as_slice() else { return None };
        let Some(NodeEnum::RangeVar(from)) = inner(from) else { return None };
        let of_catalog =
            from.schemaname == "pg_catalog" || (from.schemaname.is_empty() && !self.ctes.contains(&"pg_settings"));
        if !of_catalog || from.relname != "pg_settings" || from.alias.is_some() || !from.catalogname.is_empty() {
            return None;
        }
        let Some(NodeEnum::AExpr(filter)) = boxed(&select.where_clause) else { return None };
        if filter.kind != AExprKind::AexprOp as i32 || filter.name.len() != 1 || last(&filter.name) != Some("=") {
            return None;
        }
        let is_name = |c: &pb::ColumnRef| matches!(c.fields.as_slice(), [name] if string(name) == Some("name"));
        match (boxed(&filter.lexpr), boxed(&filter.rexpr)) {
            (Some(NodeEnum::ColumnRef(left)), Some(NodeEnum::AConst(right))) if is_name(left) && is_name(column) => {
                let Some(pb::a_const::Val::Sval(name)) = &right.val else { return None };
                let of_pg_dump = name.sval == "restrict_nonsystem_relation_kind"
                    && value.map(operand) == Some(Operand::Constant("view, foreign-table".into()));
                (of_pg_dump || !from.schemaname.is_empty()).then_some(&name.sval)
            }
            _ => None,
        }
    }

    /// A function that runs SQL out of a string, or reads what a string names.
    fn sql_in_string(&mut self, call: &'a pb::FuncCall, name: Name, argument: Option<SqlArgument>) {
        self.push(ActionName::Call, Object::Function { name: name.clone(), builtin: true });
        // ts_rewrite(query, target, substitute) takes no SQL.
        if &*name.name == "ts_rewrite" && call.args.len() == 3 {
            return;
        }
        let named = call.args.iter().any(|arg| matches!(inner(arg), Some(NodeEnum::NamedArgExpr(_))));
        let read = match argument {
            Some(SqlArgument::Relation(_)) => relation_operand,
            Some(SqlArgument::Type(_)) => type_operand,
            Some(SqlArgument::Query(_) | SqlArgument::Schema(_) | SqlArgument::Database | SqlArgument::Cursor(_))
            | None => operand,
        };
        let constant = |position: u8| match call.args.get(usize::from(position)).map(read) {
            Some(Operand::Constant(text)) if !named && !call.func_variadic => Some(text),
            Some(Operand::Constant(_) | Operand::Parameter(_) | Operand::Unknown) | None => None,
        };
        let known = match argument {
            Some(SqlArgument::Query(position)) => constant(position).is_some_and(|text| self.inner_sql(&text)),
            Some(SqlArgument::Relation(position)) => match constant(position).and_then(|text| from_text(&text)) {
                Some(relation) => {
                    self.relation_read(&relation);
                    let slot = self.relation(ActionName::Select, relation);
                    self.all_columns(slot);
                    self.set_where_missing(slot, true);
                    self.set_limit_missing(slot, true);
                    true
                }
                None => false,
            },
            Some(SqlArgument::Cursor(position)) => match constant(position) {
                Some(cursor) => {
                    self.statement.names.push(NameUse::Fetch(cursor));
                    true
                }
                None => false,
            },
            Some(SqlArgument::Type(position)) => constant(position).is_some_and(|text| self.type_in_string(&text)),
            Some(SqlArgument::Schema(_) | SqlArgument::Database) | None => false,
        };
        if !known {
            self.unknown(&format!("what {name} reads or runs"));
        }
    }

    /// What a type named in a string runs: as a cast to it. False where that can't be known.
    fn type_in_string(&mut self, text: &str) -> bool {
        // An OID; those below are PostgreSQL's own.
        if let Ok(oid) = text.trim().parse::<u32>() {
            return oid < FIRST_NORMAL_OBJECT_ID;
        }
        self.inner_sql(&format!("SELECT CAST(NULL AS {text})"))
    }

    /// Analyses SQL that a string holds; false where that can't be done.
    fn inner_sql(&mut self, text: &str) -> bool {
        if self.strings >= MAX_STRINGS {
            return false;
        }
        let Ok(tree) = parse_inner(text, ParserOptions::DEFAULT) else { return false };
        let Ok(facts) = super::nested(text, &tree, self.reading, self.strings + 1) else { return false };
        for inner in facts.statements {
            self.statement.accesses.extend(inner.accesses);
            self.statement.names.extend(inner.names);
            self.statement.attributes.extend(inner.attributes);
            self.statement.joins = self.statement.joins.saturating_add(inner.joins);
            self.statement.depth = self.statement.depth.max(self.depth + inner.depth);
            // `relations_read`, `relations_written` and `functions` list what is written in the statement's own tree.
        }
        true
    }
}

/// A call of a built-in by name, without the arguments: none of them is known.
pub(super) fn of_builtin(name: &str) -> pb::FuncCall {
    let part = |text: &str| Node { node: Some(NodeEnum::String(pb::String { sval: text.to_owned() })) };
    pb::FuncCall { funcname: vec![part("pg_catalog"), part(name)], ..pb::FuncCall::default() }
}

/// The action of calling a built-in of a class; `None` where that depends on the arguments, or nobody knows.
fn action(class: Class) -> Option<ActionName> {
    Some(match class {
        Class::Harmless | Class::AdvisoryUnlock => ActionName::Call,
        Class::File => ActionName::FileFunction,
        Class::Network => ActionName::NetworkFunction,
        Class::Code => ActionName::Do,
        Class::SignalBackend => ActionName::SignalBackend,
        Class::ServerControl => ActionName::ServerControl,
        Class::Replication => ActionName::Replication,
        Class::AlterSystem => ActionName::AlterSystem,
        Class::AdvisoryLock => ActionName::AdvisoryLock,
        Class::LargeObject => ActionName::LargeObject,
        Class::Sleep => ActionName::Sleep,
        Class::CatalogWrite => ActionName::CatalogWrite,
        Class::Nextval | Class::Notify | Class::SetConfig | Class::SqlInString | Class::Unknown => return None,
    })
}

/// What is known of an argument's value. Casts to the plain string types change nothing.
pub(super) fn operand(node: &Node) -> Operand {
    match inner(node) {
        Some(NodeEnum::AConst(constant)) => super::settings::constant(constant),
        Some(NodeEnum::ParamRef(parameter)) => {
            u32::try_from(parameter.number).map_or(Operand::Unknown, Operand::Parameter)
        }
        Some(NodeEnum::TypeCast(cast)) if cast.type_name.as_ref().is_some_and(is_plain_string) => {
            cast.arg.as_deref().map_or(Operand::Unknown, operand)
        }
        Some(NodeEnum::NamedArgExpr(named)) => named.arg.as_deref().map_or(Operand::Unknown, operand),
        _ => Operand::Unknown,
    }
}

/// The table in `pg_get_serial_sequence('table', …)`, as ORMs write it: its sequence is in the same schema and has the same owner
/// (the manual's ALTER SEQUENCE, *OWNED BY*); and the column, where it is a constant.
fn serial_table(node: &Node) -> Option<(Name, Option<Box<str>>)> {
    match inner(node)? {
        NodeEnum::TypeCast(cast) if cast.type_name.as_ref().is_some_and(|t| is_builtin_type(t, "regclass")) => {
            serial_table(cast.arg.as_deref()?)
        }
        NodeEnum::FuncCall(call) => {
            let name = dotted(&call.funcname);
            if &*name.name != "pg_get_serial_sequence" || !may_be_builtin(&name) || call.func_variadic {
                return None;
            }
            let constant = |at: usize| match call.args.get(at).map(operand) {
                Some(Operand::Constant(text)) => Some(text),
                Some(Operand::Parameter(_) | Operand::Unknown) | None => None,
            };
            Some((from_text(&constant(0)?)?, constant(1)))
        }
        _ => None,
    }
}

/// Likewise, of an argument that names a relation: a cast to regclass reads the name as the server does. Further in it
/// would not: `'1259'::regclass::text` is another text.
fn relation_operand(node: &Node) -> Operand {
    match inner(node) {
        Some(NodeEnum::TypeCast(cast)) if cast.type_name.as_ref().is_some_and(|t| is_builtin_type(t, "regclass")) => {
            cast.arg.as_deref().map_or(Operand::Unknown, operand)
        }
        _ => operand(node),
    }
}

/// Likewise, of an argument that names a type.
fn type_operand(node: &Node) -> Operand {
    match inner(node) {
        Some(NodeEnum::TypeCast(cast)) if cast.type_name.as_ref().is_some_and(|t| is_builtin_type(t, "regtype")) => {
            cast.arg.as_deref().map_or(Operand::Unknown, operand)
        }
        _ => operand(node),
    }
}

fn is_builtin_type(t: &pb::TypeName, wanted: &str) -> bool {
    let name = dotted(&t.names);
    &*name.name == wanted && may_be_builtin(&name) && t.array_bounds.is_empty()
}

fn is_plain_string(t: &pb::TypeName) -> bool {
    let name = dotted(&t.names);
    let plain = matches!(&*name.name, "text" | "varchar" | "refcursor");
    plain && may_be_builtin(&name) && t.typmods.is_empty() && t.array_bounds.is_empty() && !t.setof
}
