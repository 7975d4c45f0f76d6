//! DDL and DCL by the kind of object: DROP, COMMENT, RENAME, OWNER, GRANT, roles, and every object that is not a
//! relation.

use pg_query::protobuf::{self as pb, GrantTargetType, ImportForeignSchemaType, ObjectType, RoleSpecType};
use pg_query::{Node, NodeEnum, NodeRef};

use super::Walker;
use super::emit::{Slot, action};
use super::kinds::object_kind;
use super::names::{dotted, inner, parts, range, string};
use super::query::strings;
use crate::sql::{Action, ActionName, Name, Object};

/// The options of CREATE AGGREGATE, OPERATOR, TYPE, TEXT SEARCH PARSER and TEMPLATE that name functions.
const FUNCTIONS: &[&str] = &[
    "procedure",
    "function",
    "restrict",
    "join",
    "sfunc",
    "sfunc1",
    "finalfunc",
    "combinefunc",
    "serialfunc",
    "deserialfunc",
    "msfunc",
    "minvfunc",
    "mfinalfunc",
    "input",
    "output",
    "receive",
    "send",
    "typmod_in",
    "typmod_out",
    "analyze",
    "analyse",
    "subscript",
    "canonical",
    "subtype_diff",
    "start",
    "gettoken",
    "end",
    "headline",
    "lextypes",
    "init",
    "lexize",
];

/// The name that a node is or holds.
fn name_of(node: &NodeEnum) -> Name {
    match node {
        NodeEnum::String(s) => Name::bare(&s.sval),
        NodeEnum::TypeName(t) => dotted(&t.names),
        NodeEnum::ObjectWithArgs(o) => dotted(&o.objname),
        NodeEnum::RangeVar(r) => range(r),
        NodeEnum::Integer(i) => Name::bare(&i.ival.to_string()),
        NodeEnum::Float(f) => Name::bare(&f.fval),
        NodeEnum::List(list) if list.items.iter().all(|n| string(n).is_some()) => dotted(&list.items),
        NodeEnum::List(list) => list.items.first().and_then(inner).map_or_else(|| Name::bare(""), name_of),
        _ => Name::bare(""),
    }
}

/// Kinds that are parts of a relation, whose own name is none of an object.
fn is_part(kind: ObjectType) -> bool {
    matches!(
        kind,
        ObjectType::ObjectColumn
            | ObjectType::ObjectRule
            | ObjectType::ObjectTrigger
            | ObjectType::ObjectTabconstraint
            | ObjectType::ObjectDomconstraint
            | ObjectType::ObjectDefault
    )
}

/// The object that a statement names by kind and node.
pub(super) fn object(kind: ObjectType, node: Option<&NodeEnum>) -> Object {
    let Some(node) = node else { return Object::None };
    match (kind, node) {
        (
            ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectIndex
            | ObjectType::ObjectSequence
            | ObjectType::ObjectForeignTable,
            _,
        ) => Object::Relation(name_of(node)),
        // Parts of a relation: what counts is the relation.
        (
            ObjectType::ObjectColumn
            | ObjectType::ObjectPolicy
            | ObjectType::ObjectRule
            | ObjectType::ObjectTrigger
            | ObjectType::ObjectTabconstraint
            | ObjectType::ObjectDefault,
            NodeEnum::List(list),
        ) => {
            let names: Vec<&str> = strings(&list.items).collect();
            Object::Relation(parts(names.split_last().map_or(&[][..], |(_, relation)| relation)))
        }
        (ObjectType::ObjectRole, node) => Object::Role(Some(name_of(node).name)),
        // The access method comes first.
        (ObjectType::ObjectOpclass | ObjectType::ObjectOpfamily, NodeEnum::List(list)) => Object::Other {
            kind: object_kind(kind).unwrap_or("object"),
            name: dotted(list.items.get(1..).unwrap_or_default()),
        },
        (kind, node) => Object::Other { kind: object_kind(kind).unwrap_or("object"), name: name_of(node) },
    }
}

/// A role as a statement names it.
pub(super) fn role(role: &pb::RoleSpec) -> Object {
    let name = match RoleSpecType::try_from(role.roletype) {
        Ok(RoleSpecType::RolespecCstring) => role.rolename.as_str(),
        Ok(RoleSpecType::RolespecCurrentRole | RoleSpecType::RolespecCurrentUser) => "current_user",
        Ok(RoleSpecType::RolespecSessionUser) => "session_user",
        Ok(RoleSpecType::RolespecPublic) => "public",
        Ok(RoleSpecType::Undefined) | Err(_) => return Object::AnyRole,
    };
    Object::Role(Some(name.into()))
}

fn role_node(node: &Node) -> Object {
    match inner(node) {
        Some(NodeEnum::RoleSpec(spec)) => role(spec),
        Some(NodeEnum::AccessPriv(granted)) => Object::Role(Some(granted.priv_name.as_str().into())),
        _ => Object::AnyRole,
    }
}

impl<'a> Walker<'a> {
    /// The kind of object, or an `unknown` access.
    fn kind(&mut self, kind: i32) -> Option<(ObjectType, &'static str)> {
        let found = ObjectType::try_from(kind).ok().and_then(|k| Some((k, object_kind(k)?)));
        if found.is_none() {
            self.unknown("a kind of object");
        }
        found
    }

    /// One statement about one object, with what belongs to its kind beside ddl.
    fn ddl(&mut self, name: ActionName, kind: ObjectType, word: &'static str, object: Object) {
        match kind {
            ObjectType::ObjectPolicy if name != ActionName::Comment => {
                self.push(ActionName::Policy, object);
                return;
            }
            ObjectType::ObjectRole if name != ActionName::Comment => {
                self.push(ActionName::Role, object);
                return;
            }
            ObjectType::ObjectFdw
            | ObjectType::ObjectForeignServer
            | ObjectType::ObjectForeignTable
            | ObjectType::ObjectUserMapping => {
                self.push(ActionName::ForeignServer, object.clone());
            }
            ObjectType::ObjectSubscription | ObjectType::ObjectPublication => {
                self.push(ActionName::Subscription, object.clone());
            }
            _ => {}
        }
        self.push(action(name, word), object);
    }

    /// A statement of its own for one kind of object.
    pub(super) fn ddl_other(&mut self, name: ActionName, kind: ObjectType, object_name: Name) {
        let word = object_kind(kind).unwrap_or("object");
        self.ddl(name, kind, word, Object::Other { kind: word, name: object_name });
    }

    pub(super) fn drop_objects(&mut self, drop: &'a pb::DropStmt) {
        let Some((kind, word)) = self.kind(drop.remove_type) else { return };
        for node in &drop.objects {
            match inner(node) {
                // Both types of a cast, as in CREATE CAST.
                Some(NodeEnum::List(types)) if kind == ObjectType::ObjectCast => {
                    for of in &types.items {
                        self.ddl(ActionName::Drop, kind, word, object(kind, inner(of)));
                    }
                }
                named => self.ddl(ActionName::Drop, kind, word, object(kind, named)),
            }
        }
    }

    pub(super) fn comment(&mut self, comment: &'a pb::CommentStmt) {
        let Some((kind, word)) = self.kind(comment.objtype) else { return };
        self.push(action(ActionName::Comment, word), object(kind, super::names::boxed(&comment.object)));
    }

    pub(super) fn security_label(&mut self, label: &'a pb::SecLabelStmt) {
        let Some((kind, _)) = self.kind(label.objtype) else { return };
        let object = object(kind, super::names::boxed(&label.object));
        self.ddl(ActionName::Alter, kind, "security_label", object);
    }

    /// The object of a statement that holds either a relation or a node.
    fn either(&mut self, kind: ObjectType, relation: &Option<pb::RangeVar>, node: &Option<Box<Node>>) -> Object {
        match relation {
            Some(relation) if kind == ObjectType::ObjectType => Object::Other { kind: "type", name: range(relation) },
            Some(relation) => Object::Relation(range(relation)),
            None => object(kind, super::names::boxed(node)),
        }
    }

    pub(super) fn rename(&mut self, rename: &'a pb::RenameStmt) {
        let Some((kind, word)) = self.kind(rename.rename_type) else { return };
        let mut object = self.either(kind, &rename.relation, &rename.object);
        if object == Object::None {
            // Databases, schemas, roles and tablespaces are named by `subname`.
            object = match kind {
                ObjectType::ObjectRole => Object::Role(Some(rename.subname.as_str().into())),
                _ => Object::Other { kind: word, name: Name::bare(&rename.subname) },
            };
        }
        match kind {
            ObjectType::ObjectPolicy | ObjectType::ObjectRole => self.ddl(ActionName::Rename, kind, word, object),
            ObjectType::ObjectColumn | ObjectType::ObjectAttribute => {
                let slot = self.push(action(ActionName::Rename, word), object);
                self.name_column(slot, &rename.subname);
                self.name_column(slot, &rename.newname);
            }
            _ => {
                let slot = self.push(action(ActionName::Rename, word), object.clone());
                self.runs_by_another_name(kind, &object);
                if !is_part(kind) {
                    self.leaves_its_name(slot);
                    self.also(action(ActionName::Rename, word), object, |name| {
                        name.name = rename.newname.as_str().into()
                    });
                }
            }
        }
    }

    /// Whoever may call what has the new name runs this code then, so that giving it away is calling.
    fn runs_by_another_name(&mut self, kind: ObjectType, object: &Object) {
        let runs = matches!(
            kind,
            ObjectType::ObjectFunction
                | ObjectType::ObjectProcedure
                | ObjectType::ObjectRoutine
                | ObjectType::ObjectAggregate
                | ObjectType::ObjectOperator
        );
        if let (true, Object::Other { name, .. }) = (runs, object) {
            self.push(ActionName::Call, Object::Function { name: name.clone(), builtin: false });
        }
    }

    /// Under another name, in another schema or below another parent a relation's columns can be read past every rule that
    /// names them: whoever puts it there touches them all.
    pub(super) fn leaves_its_name(&mut self, slot: Slot) {
        self.all_columns(slot);
    }

    /// The same action on the object under its new name: what a rule does not let a session touch, it can't make by
    /// calling something else so.
    fn also(&mut self, action: Action, mut object: Object, change: impl FnOnce(&mut Name)) {
        match &mut object {
            Object::Relation(name) | Object::Other { name, .. } => change(name),
            Object::None
            | Object::Function { .. }
            | Object::Setting { .. }
            | Object::Role(_)
            | Object::AnyRole
            | Object::Cursor(_)
            | Object::Unknown(_) => return,
        }
        self.push(action, object);
    }

    pub(super) fn set_schema(&mut self, alter: &'a pb::AlterObjectSchemaStmt) {
        let Some((kind, _)) = self.kind(alter.object_type) else { return };
        let object = self.either(kind, &alter.relation, &alter.object);
        self.ddl(ActionName::Alter, kind, "set_schema", object.clone());
        self.leaves_its_name(self.statement.accesses.len().saturating_sub(1));
        self.runs_by_another_name(kind, &object);
        // An extension has no schema: its objects move.
        if kind != ObjectType::ObjectExtension {
            self.also(action(ActionName::Alter, "set_schema"), object, |name| {
                name.schema = Some(alter.newschema.as_str().into());
            });
        }
    }

    pub(super) fn set_owner(&mut self, alter: &'a pb::AlterOwnerStmt) {
        let Some((kind, _)) = self.kind(alter.object_type) else { return };
        let object = self.either(kind, &alter.relation, &alter.object);
        self.ddl(ActionName::Alter, kind, "owner", object);
    }

    pub(super) fn depends(&mut self, alter: &'a pb::AlterObjectDependsStmt) {
        let Some((kind, _)) = self.kind(alter.object_type) else { return };
        let object = self.either(kind, &alter.relation, &alter.object);
        self.ddl(ActionName::Alter, kind, "depends_on_extension", object);
    }

    pub(super) fn extension_contents(&mut self, alter: &'a pb::AlterExtensionContentsStmt) {
        let Some((kind, _)) = self.kind(alter.objtype) else { return };
        self.ddl_other(ActionName::Alter, ObjectType::ObjectExtension, Name::bare(&alter.extname));
        let object = object(kind, super::names::boxed(&alter.object));
        self.ddl(ActionName::Alter, kind, "extension", object);
    }

    pub(super) fn grant(&mut self, grant: &'a pb::GrantStmt) {
        let verb = if grant.is_grant { ActionName::Grant } else { ActionName::Revoke };
        let Some((kind, word)) = self.kind(grant.objtype) else { return };
        let all_in_schema = match GrantTargetType::try_from(grant.targtype) {
            Ok(GrantTargetType::AclTargetObject) => false,
            Ok(GrantTargetType::AclTargetAllInSchema) => true,
            Ok(GrantTargetType::AclTargetDefaults) => {
                self.other(verb, "default_privileges", Name::bare(word));
                return;
            }
            Ok(GrantTargetType::Undefined) | Err(_) => return self.unknown("what GRANT is about"),
        };
        for node in &grant.objects {
            let object = match inner(node) {
                Some(named) if all_in_schema => Object::Other { kind: "everything in schema", name: name_of(named) },
                named => object(kind, named),
            };
            let slot = self.push(verb, object);
            for privilege in grant.privileges.iter().filter_map(inner) {
                if let NodeEnum::AccessPriv(privilege) = privilege {
                    strings(&privilege.cols).for_each(|column| self.name_column(slot, column));
                }
            }
        }
    }

    pub(super) fn grant_role(&mut self, grant: &'a pb::GrantRoleStmt) {
        let verb = if grant.is_grant { ActionName::Grant } else { ActionName::Revoke };
        for granted in &grant.granted_roles {
            self.push(verb, role_node(granted));
        }
    }

    pub(super) fn default_privileges(&mut self, alter: &'a pb::AlterDefaultPrivilegesStmt) {
        match &alter.action {
            Some(grant) => self.grant(grant),
            None => self.unknown("ALTER DEFAULT PRIVILEGES without an action"),
        }
        self.nodes(&alter.options);
    }

    pub(super) fn roles(&mut self, roles: &'a [Node]) {
        for node in roles {
            self.push(ActionName::Role, role_node(node));
        }
    }

    pub(super) fn named_role(&mut self, spec: Option<&'a pb::RoleSpec>, options: &'a [Node]) {
        // No role: ALL of them.
        self.push(ActionName::Role, spec.map_or(Object::AnyRole, role));
        self.nodes(options);
    }

    pub(super) fn create_role(&mut self, create: &'a pb::CreateRoleStmt) {
        self.push(ActionName::Role, Object::Role(Some(create.role.as_str().into())));
        self.nodes(&create.options);
    }

    /// DROP OWNED, REASSIGN OWNED: everything that the roles own, without a name.
    pub(super) fn owned(&mut self, verb: ActionName, roles: &'a [Node], new: Option<&'a pb::RoleSpec>) {
        for node in roles {
            self.push(action(verb, "owned"), role_node(node));
            self.push(ActionName::Role, role_node(node));
        }
        if let Some(new) = new {
            self.push(ActionName::Role, role(new));
        }
    }

    pub(super) fn define(&mut self, define: &'a pb::DefineStmt) {
        let Some((kind, word)) = self.kind(define.kind) else { return };
        self.ddl(ActionName::Create, kind, word, Object::Other { kind: word, name: dotted(&define.defnames) });
        self.nodes(&define.args);
        self.definition(&define.definition);
    }

    /// `(name = value, …)`: values are types, but for those that name functions.
    fn definition(&mut self, options: &'a [Node]) {
        for option in options.iter().filter_map(inner) {
            match option {
                NodeEnum::DefElem(option) if FUNCTIONS.contains(&option.defname.to_ascii_lowercase().as_str()) => {
                    match super::names::boxed(&option.arg) {
                        Some(NodeEnum::TypeName(function)) => {
                            self.installs(&function.names);
                            self.nodes(&function.typmods);
                        }
                        Some(NodeEnum::String(_)) => {
                            self.installs(option.arg.as_deref().map_or(&[], std::slice::from_ref))
                        }
                        Some(_) => self.unknown("a function of CREATE"),
                        None => {}
                    }
                }
                other => self.node(other.to_ref()),
            }
        }
    }

    pub(super) fn create_range(&mut self, create: &'a pb::CreateRangeStmt) {
        self.ddl_other(ActionName::Create, ObjectType::ObjectType, dotted(&create.type_name));
        self.definition(&create.params);
    }

    pub(super) fn create_function(&mut self, create: &'a pb::CreateFunctionStmt) {
        let kind = if create.is_procedure { ObjectType::ObjectProcedure } else { ObjectType::ObjectFunction };
        let name = dotted(&create.funcname);
        self.ddl_other(ActionName::Create, kind, name.clone());
        self.other(ActionName::CreateFunction, object_kind(kind).unwrap_or("function"), name);
        self.in_frame(super::scope::Frame::default(), |walker| walker.rest(NodeRef::CreateFunctionStmt(create)));
        self.function_body(create);
    }

    pub(super) fn alter_function(&mut self, alter: &'a pb::AlterFunctionStmt) {
        let Some((kind, _)) = self.kind(alter.objtype) else { return };
        let name = alter.func.as_ref().map_or_else(|| Name::bare(""), |f| dotted(&f.objname));
        self.ddl_other(ActionName::Alter, kind, name);
        self.nodes(&alter.actions);
    }

    pub(super) fn create_extension(&mut self, name: &str, verb: ActionName, node: NodeRef<'a>) {
        self.ddl_other(verb, ObjectType::ObjectExtension, Name::bare(name));
        self.other(ActionName::CreateExtension, "extension", Name::bare(name));
        self.rest(node);
    }

    /// CREATE LANGUAGE names C functions that will run everything written in it.
    pub(super) fn create_language(&mut self, create: &'a pb::CreatePLangStmt) {
        self.ddl_other(ActionName::Create, ObjectType::ObjectLanguage, Name::bare(&create.plname));
        self.other(ActionName::CreateFunction, "language", Name::bare(&create.plname));
    }

    pub(super) fn event_trigger(&mut self, create: &'a pb::CreateEventTrigStmt) {
        self.ddl_other(ActionName::Create, ObjectType::ObjectEventTrigger, Name::bare(&create.trigname));
        self.other(ActionName::CreateTrigger, "event_trigger", Name::bare(&create.trigname));
        self.installs(&create.funcname);
    }

    pub(super) fn create_cast(&mut self, create: &'a pb::CreateCastStmt) {
        // A cast has no name: it is about both types.
        for of in [&create.sourcetype, &create.targettype].into_iter().flatten() {
            self.ddl_other(ActionName::Create, ObjectType::ObjectCast, dotted(&of.names));
        }
        if let Some(function) = &create.func {
            self.installs(&function.objname);
        }
    }

    pub(super) fn user_mapping(&mut self, verb: ActionName, server: &str, options: &'a [Node]) {
        self.ddl_other(verb, ObjectType::ObjectUserMapping, Name::bare(server));
        self.nodes(options);
    }

    pub(super) fn import_foreign_schema(&mut self, import: &'a pb::ImportForeignSchemaStmt) {
        self.other(ActionName::ForeignServer, "server", Name::bare(&import.server_name));
        self.other(action(ActionName::Create, "foreign_table"), "schema", Name::bare(&import.local_schema));
        // LIMIT TO names what is made; EXCEPT names what is not.
        if import.list_type == ImportForeignSchemaType::FdwImportSchemaLimitTo as i32 {
            for node in import.table_list.iter().filter_map(inner) {
                let made = Name::qualified(&import.local_schema, &name_of(node).name);
                self.relation(action(ActionName::Create, "foreign_table"), made);
            }
        }
        self.nodes(&import.options);
    }

    /// Publications name tables whose rows leave by a walsender.
    pub(super) fn publication(&mut self, verb: ActionName, name: &str, objects: &'a [Node], options: &'a [Node]) {
        self.ddl_other(verb, ObjectType::ObjectPublication, Name::bare(name));
        for spec in objects.iter().filter_map(inner) {
            let NodeEnum::PublicationObjSpec(spec) = spec else {
                self.unknown("an object of a publication");
                continue;
            };
            match spec.pubtable.as_deref() {
                Some(pb::PublicationTable { relation: Some(relation), where_clause, columns }) => {
                    let slot = self.relation(action(verb, "publication"), range(relation));
                    if columns.is_empty() {
                        self.all_columns(slot);
                    }
                    strings(columns).for_each(|column| self.name_column(slot, column));
                    self.about(&relation.relname, vec![slot], |walker| walker.boxed(where_clause));
                }
                _ => {
                    self.other(action(verb, "publication"), "everything in schema", Name::bare(&spec.name));
                }
            }
        }
        self.nodes(options);
    }
}
