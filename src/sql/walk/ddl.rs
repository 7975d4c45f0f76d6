//! DDL about relations: tables, indexes, views, sequences, triggers, rules, row security, schemas.

use pg_query::protobuf::{self as pb, AlterTableType, ObjectType};
use pg_query::{Node, NodeEnum, NodeRef};

use super::Walker;
use super::emit::{Slot, action};
use super::kinds::alter_kind;
use super::names::{boxed, inner, may_be_builtin, range, string};
use crate::sql::{Access, ActionName, Columns, Name, Object, Operand, SettingValue};

impl<'a> Walker<'a> {
    /// The name of a relation that is being made: temporary ones are in `pg_temp`, those of CREATE SCHEMA in it.
    pub(super) fn created(&self, relation: &pb::RangeVar) -> Name {
        let mut name = range(relation);
        if name.schema.is_none() {
            if relation.relpersistence == "t" {
                name.schema = Some("pg_temp".into());
            } else {
                name.schema = self.creating_in.map(Into::into);
            }
        }
        name
    }

    fn create_relation(&mut self, kind: &'static str, relation: Option<&pb::RangeVar>) -> Option<Slot> {
        let Some(relation) = relation else {
            self.unknown("CREATE of a relation without a name");
            return None;
        };
        let name = self.created(relation);
        Some(self.relation(action(ActionName::Create, kind), name))
    }

    pub(super) fn create_table(&mut self, create: &'a pb::CreateStmt, kind: &'static str) {
        let relation = create.relation.as_ref();
        let Some(slot) = self.create_relation(kind, relation) else { return };
        // Parents get children whose rows they show: that changes the parent.
        let verb = if create.partbound.is_some() { "attach_partition" } else { "add_inherit" };
        for parent in create.inh_relations.iter().filter_map(inner) {
            match parent {
                NodeEnum::RangeVar(parent) => {
                    self.relation(action(ActionName::Alter, verb), range(parent));
                }
                other => self.node(other.to_ref()),
            }
        }
        let pb::CreateStmt {
            relation: _,
            table_elts,
            inh_relations: _,
            partbound,
            partspec,
            of_typename,
            constraints,
            nnconstraints,
            options,
            oncommit: _,
            tablespacename: _,
            access_method: _,
            if_not_exists: _,
        } = create;
        self.about(relation.map_or("", |r| &r.relname), vec![slot], |walker| {
            walker.nodes(table_elts);
            if let Some(bound) = partbound {
                walker.node(NodeRef::PartitionBoundSpec(bound));
            }
            if let Some(spec) = partspec {
                walker.node(NodeRef::PartitionSpec(spec));
            }
            if let Some(of) = of_typename {
                walker.node(NodeRef::TypeName(of));
            }
            walker.nodes(constraints);
            walker.nodes(nnconstraints);
            walker.nodes(options);
        });
    }

    pub(super) fn create_foreign_table(&mut self, create: &'a pb::CreateForeignTableStmt) {
        self.other(ActionName::ForeignServer, "server", Name::bare(&create.servername));
        match &create.base_stmt {
            Some(base) => self.create_table(base, "foreign_table"),
            None => self.unknown("CREATE FOREIGN TABLE without a table"),
        }
        self.nodes(&create.options);
    }

    /// LIKE reads the definition of the other table.
    pub(super) fn table_like(&mut self, like: &'a pb::TableLikeClause) {
        match &like.relation {
            Some(relation) => {
                self.relation(ActionName::Select, range(relation));
            }
            None => self.unknown("LIKE of nothing"),
        }
    }

    pub(super) fn create_table_as(&mut self, create: &'a pb::CreateTableAsStmt) {
        let kind = match ObjectType::try_from(create.objtype) {
            Ok(ObjectType::ObjectMatview) => "materialized_view",
            _ => "table",
        };
        match &create.into {
            Some(into) => self.created_by_query(into, kind),
            None => self.unknown("CREATE TABLE AS without a table"),
        }
        self.boxed(&create.query);
    }

    pub(super) fn create_view(&mut self, view: &'a pb::ViewStmt) {
        self.create_relation("view", view.view.as_ref());
        // Whoever updates such a view sets.
        if boxed(&view.query).is_some_and(selects_pg_settings) {
            self.push(ActionName::Set, Object::Setting { name: Operand::Unknown, value: SettingValue::Unknown });
        }
        self.boxed(&view.query);
        self.nodes(&view.options);
        if let Some(base) = boxed(&view.query).and_then(written_through) {
            self.writes_through(&range(base));
        }
    }

    /// Whoever writes to such a view writes to its base, by the view's name and with the rights of its owner.
    fn writes_through(&mut self, base: &Name) {
        let of_base = |access: &&Access| {
            access.action.name == ActionName::Select && access.object == Object::Relation(base.clone())
        };
        // Those of a sub-select's among them: too many cost a refusal, too few a write.
        let mut columns = Columns::default();
        for read in self.statement.accesses.iter().filter(of_base) {
            columns.all |= read.columns.all;
            columns.named.extend(read.columns.named.iter().cloned());
        }
        for write in [ActionName::Insert, ActionName::Update, ActionName::Delete] {
            let slot = self.relation(write, base.clone());
            if let Some(access) = self.statement.accesses.get_mut(slot) {
                access.columns.clone_from(&columns);
            }
        }
    }

    pub(super) fn create_index(&mut self, index: &'a pb::IndexStmt) {
        let Some(table) = &index.relation else { return self.unknown("CREATE INDEX without a table") };
        let name = self.created(table);
        let slot = self.relation(action(ActionName::Create, "index"), name);
        self.about(&table.relname, vec![slot], |walker| walker.rest(NodeRef::IndexStmt(index)));
    }

    pub(super) fn create_sequence(&mut self, create: &'a pb::CreateSeqStmt) {
        self.create_relation("sequence", create.sequence.as_ref());
        self.nodes(&create.options);
    }

    pub(super) fn alter_sequence(&mut self, alter: &'a pb::AlterSeqStmt) {
        match &alter.sequence {
            Some(sequence) => {
                self.relation(action(ActionName::Alter, "sequence"), range(sequence));
            }
            None => self.unknown("ALTER SEQUENCE of nothing"),
        }
        self.nodes(&alter.options);
    }

    pub(super) fn alter_table(&mut self, alter: &'a pb::AlterTableStmt) {
        let Some(relation) = &alter.relation else { return self.unknown("ALTER TABLE without a table") };
        let is_type = alter.objtype == ObjectType::ObjectType as i32;
        for command in alter.cmds.iter().filter_map(inner) {
            let NodeEnum::AlterTableCmd(command) = command else {
                self.unknown("a sub-command of ALTER TABLE");
                continue;
            };
            let Some(kind) = AlterTableType::try_from(command.subtype).ok().and_then(alter_kind) else {
                self.unknown("a sub-command of ALTER TABLE");
                continue;
            };
            let object = match is_type {
                true => Object::Other { kind: "type", name: range(relation) },
                false => Object::Relation(range(relation)),
            };
            let slot = self.push(action(ActionName::Alter, kind), object);
            if !command.name.is_empty() {
                self.name_column(slot, &command.name);
            }
            self.about(&relation.relname, vec![slot], |walker| walker.alter_command(command, relation, kind));
        }
    }

    fn alter_command(&mut self, command: &'a pb::AlterTableCmd, relation: &'a pb::RangeVar, kind: &'static str) {
        if let Ok(
            AlterTableType::AtEnableRowSecurity
            | AlterTableType::AtDisableRowSecurity
            | AlterTableType::AtForceRowSecurity
            | AlterTableType::AtNoForceRowSecurity,
        ) = AlterTableType::try_from(command.subtype)
        {
            self.relation(ActionName::Policy, range(relation));
        }
        match boxed(&command.def) {
            // The parent of INHERIT and NO INHERIT, which shows the rows of its children.
            Some(NodeEnum::RangeVar(parent)) => {
                self.star_here();
                self.relation(action(ActionName::Alter, kind), range(parent));
            }
            Some(NodeEnum::PartitionCmd(partition)) => {
                if let Some(name) = &partition.name {
                    let slot = self.relation(action(ActionName::Alter, kind), range(name));
                    self.leaves_its_name(slot);
                }
                self.rest(NodeRef::PartitionCmd(partition));
            }
            // Names of columns and the like.
            Some(node) if string_list(node) => {}
            Some(node) => self.node(node.to_ref()),
            None => {}
        }
    }

    pub(super) fn move_all(&mut self, alter: &'a pb::AlterTableMoveAllStmt) {
        self.other(action(ActionName::Alter, "set_tablespace"), "tablespace", Name::bare(&alter.orig_tablespacename));
    }

    pub(super) fn create_trigger(&mut self, trigger: &'a pb::CreateTrigStmt) {
        let Some(table) = &trigger.relation else { return self.unknown("CREATE TRIGGER without a table") };
        let slot = self.relation(action(ActionName::Create, "trigger"), range(table));
        let trigger_slot = self.relation(ActionName::CreateTrigger, range(table));
        if let Some(other) = &trigger.constrrel {
            self.relation(ActionName::Select, range(other));
        }
        self.installs(&trigger.funcname);
        // The function gets whole rows.
        self.all_columns(trigger_slot);
        let slots = vec![slot, trigger_slot];
        self.about("new", slots.clone(), |walker| {
            walker.add_item("old", "", slots);
            walker.columns_anywhere(&trigger.columns);
            walker.boxed(&trigger.when_clause);
        });
    }

    pub(super) fn create_rule(&mut self, rule: &'a pb::RuleStmt) {
        let Some(table) = &rule.relation else { return self.unknown("CREATE RULE without a table") };
        let slot = self.relation(action(ActionName::Create, "rule"), range(table));
        let rule_slot = self.relation(ActionName::CreateRule, range(table));
        let slots = vec![slot, rule_slot];
        self.about("new", slots.clone(), |walker| {
            walker.add_item("old", "", slots);
            walker.boxed(&rule.where_clause);
            walker.nodes(&rule.actions);
        });
    }

    pub(super) fn create_policy(&mut self, policy: &'a pb::CreatePolicyStmt) {
        self.row_policy(policy.table.as_ref(), NodeRef::CreatePolicyStmt(policy));
    }

    pub(super) fn alter_policy(&mut self, policy: &'a pb::AlterPolicyStmt) {
        self.row_policy(policy.table.as_ref(), NodeRef::AlterPolicyStmt(policy));
    }

    fn row_policy(&mut self, table: Option<&'a pb::RangeVar>, node: NodeRef<'a>) {
        let Some(table) = table else { return self.unknown("a policy without a table") };
        let slot = self.relation(ActionName::Policy, range(table));
        self.about(&table.relname, vec![slot], |walker| walker.rest(node));
    }

    pub(super) fn create_schema(&mut self, create: &'a pb::CreateSchemaStmt) {
        // Without a name the schema is called like its owner.
        let name = match &create.authrole {
            Some(role) if create.schemaname.is_empty() => role.rolename.as_str(),
            _ => create.schemaname.as_str(),
        };
        self.ddl_other(ActionName::Create, ObjectType::ObjectSchema, Name::bare(name));
        let before = self.creating_in.replace(name);
        self.nodes(&create.schema_elts);
        self.creating_in = before;
    }

    pub(super) fn create_statistics(&mut self, create: &'a pb::CreateStatsStmt) {
        for relation in create.relations.iter().filter_map(inner) {
            // The grammar takes any FROM item; the server only relations.
            let NodeEnum::RangeVar(relation) = relation else {
                self.node(relation.to_ref());
                self.nodes(&create.exprs);
                continue;
            };
            let slot = self.relation(action(ActionName::Create, "statistics"), range(relation));
            self.about(&relation.relname, vec![slot], |walker| {
                for element in create.exprs.iter().filter_map(inner) {
                    match element {
                        NodeEnum::StatsElem(element) => {
                            if !element.name.is_empty() {
                                walker.column_anywhere(&element.name);
                            }
                            walker.boxed(&element.expr);
                        }
                        other => walker.node(other.to_ref()),
                    }
                }
            });
        }
    }

    pub(super) fn composite_type(&mut self, create: &'a pb::CompositeTypeStmt) {
        let name = create.typevar.as_ref().map_or_else(|| Name::bare(""), |r| self.created(r));
        self.ddl_other(ActionName::Create, ObjectType::ObjectType, name);
        self.nodes(&create.coldeflist);
    }
}

fn string_list(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::List(list) if list.items.iter().all(|n| string(n).is_some()))
}

/// The one relation that a view of this query lets its users write to, if there is one (rewriteHandler.c,
/// view_query_is_auto_updatable). Aggregates, window functions and functions that return sets would make it read-only, too,
/// but which functions those are isn't known here, but for `count(*)`.
fn written_through(query: &NodeEnum) -> Option<&pb::RangeVar> {
    let NodeEnum::SelectStmt(select) = query else { return None };
    let plain = select.distinct_clause.is_empty()
        && select.group_clause.is_empty()
        && select.having_clause.is_none()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.with_clause.is_none()
        && !select.target_list.iter().any(only_reads);
    match select.from_clause.as_slice() {
        [only] if plain => match inner(only) {
            Some(NodeEnum::RangeVar(relation)) => Some(relation),
            _ => None,
        },
        _ => None,
    }
}

/// `count(*)`: an output that makes a view read-only. Of other aggregates one can't be sure: `sum(s)` is the column `sum` where
/// `s` is a row with one.
fn only_reads(output: &Node) -> bool {
    let Some(NodeEnum::ResTarget(target)) = inner(output) else { return false };
    matches!(boxed(&target.val), Some(NodeEnum::FuncCall(call)) if call.agg_star && call.over.is_none()
        && matches!(call.funcname.as_slice(), [name] if string(name) == Some("count")))
}

/// A query over nothing but `pg_settings`: a view of it can be updated, and hands the update down (rewriteHandler.c,
/// view_query_is_auto_updatable).
fn selects_pg_settings(query: &NodeEnum) -> bool {
    let NodeEnum::SelectStmt(select) = query else { return false };
    match select.from_clause.as_slice() {
        [only] => match inner(only) {
            Some(NodeEnum::RangeVar(relation)) => relation.relname == "pg_settings" && may_be_builtin(&range(relation)),
            _ => false,
        },
        _ => false,
    }
}
