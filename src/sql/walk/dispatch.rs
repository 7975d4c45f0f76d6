//! Who handles which node. Every kind of node is named here: there is no wildcard, so that a grammar with a new kind
//! does not compile until somebody decides what it does.

use pg_query::protobuf::{JsonExprOp, ObjectType};
use pg_query::{Node, NodeRef};

use super::names::dotted;
use super::{MAX_DEPTH, Walker};
use crate::sql::ActionName::{Alter, Create, Drop};
use crate::sql::children::children;
use crate::sql::{ActionName, Name, Object};

impl<'a> Walker<'a> {
    /// Walks one node and all that is below it.
    pub(super) fn node(&mut self, node: NodeRef<'a>) {
        if self.depth >= MAX_DEPTH {
            self.too_deep = true;
            return;
        }
        self.depth += 1;
        self.statement.depth = self.statement.depth.max(self.depth);
        self.expression_or_statement(node);
        self.depth -= 1;
    }

    /// Walks the children, except relations, which the handler of the node has dealt with.
    pub(super) fn rest(&mut self, node: NodeRef<'a>) {
        children(node, &mut |child| match child {
            NodeRef::RangeVar(_) => {}
            child => self.node(child),
        });
    }

    fn all_children(&mut self, node: NodeRef<'a>) {
        children(node, &mut |child| self.node(child));
    }

    #[rustfmt::skip]
    fn expression_or_statement(&mut self, node: NodeRef<'a>) {
        match node {
            // Leaves that do nothing by themselves.
            NodeRef::AConst(_) | NodeRef::Integer(_) | NodeRef::Float(_) | NodeRef::Boolean(_) | NodeRef::String(_)
            | NodeRef::BitString(_) | NodeRef::AStar(_) | NodeRef::Alias(_) | NodeRef::RoleSpec(_)
            | NodeRef::SetToDefault(_) | NodeRef::SqlvalueFunction(_) | NodeRef::CurrentOfExpr(_)
            | NodeRef::JsonFormat(_) | NodeRef::ReturningOption(_) | NodeRef::TriggerTransition(_)
            | NodeRef::ReplicaIdentityStmt(_) | NodeRef::AtalterConstraint(_) | NodeRef::LockingClause(_)
            | NodeRef::CtesearchClause(_)
            // Signatures and privileges: they name, they do not run.
            | NodeRef::ObjectWithArgs(_) | NodeRef::AccessPriv(_) => {}

            NodeRef::ColumnRef(n) => self.column(n),
            NodeRef::ParamRef(n) => self.parameter(n),
            NodeRef::AExpr(n) => self.operator_expression(n),
            NodeRef::FuncCall(n) => self.function_call(n),
            NodeRef::TypeName(n) => self.type_name(n),
            NodeRef::AIndirection(n) => self.indirection(n),
            NodeRef::SubLink(n) => { self.operator(&n.oper_name); self.all_children(node) }
            NodeRef::SortBy(n) => { self.operator(&n.use_op); self.all_children(node) }
            NodeRef::IndexElem(n) => self.index_element(n),
            NodeRef::PartitionElem(n) => self.partition_element(n),
            NodeRef::Constraint(n) => self.constraint(n),

            NodeRef::RangeVar(n) => self.relation_in_from(n),
            NodeRef::JoinExpr(n) => self.join(n),
            NodeRef::RangeSubselect(n) => self.sub_select(n),
            NodeRef::RangeFunction(n) => self.call_in_from(node, &n.alias),
            NodeRef::RangeTableFunc(n) => self.call_in_from(node, &n.alias),
            NodeRef::JsonTable(n) => self.call_in_from(node, &n.alias),
            NodeRef::RangeTableSample(n) => self.table_sample(n),
            NodeRef::TableLikeClause(n) => self.table_like(n),

            // What is grammar on newer servers and the call of a user's function on older ones.
            NodeRef::MergeSupportFunc(_) => self.newer_function("merge_action", 17, node),
            NodeRef::JsonScalarExpr(_) => self.newer_function("json_scalar", 17, node),
            NodeRef::JsonSerializeExpr(_) => self.newer_function("json_serialize", 17, node),
            NodeRef::JsonParseExpr(_) => self.newer_function("json", 17, node),
            NodeRef::JsonObjectConstructor(_) => self.newer_function("json_object", 16, node),
            NodeRef::JsonArrayConstructor(_) | NodeRef::JsonArrayQueryConstructor(_) => {
                self.newer_function("json_array", 16, node);
            }
            NodeRef::JsonObjectAgg(_) => self.newer_function("json_objectagg", 16, node),
            NodeRef::JsonArrayAgg(_) => self.newer_function("json_arrayagg", 16, node),
            NodeRef::JsonFuncExpr(n) => {
                let name = match JsonExprOp::try_from(n.op) {
                    Ok(JsonExprOp::JsonExistsOp) => "json_exists",
                    Ok(JsonExprOp::JsonQueryOp) => "json_query",
                    Ok(JsonExprOp::JsonValueOp) => "json_value",
                    Ok(JsonExprOp::JsonTableOp | JsonExprOp::Undefined) | Err(_) => "json_table",
                };
                self.newer_function(name, 17, node);
            }
            NodeRef::CreateOpClassItem(n) => self.operator_class_item(n, node),

            // Expressions and clauses that do nothing of their own: what is in them counts.
            NodeRef::NamedArgExpr(_) | NodeRef::BoolExpr(_) | NodeRef::CaseExpr(_) | NodeRef::CaseWhen(_)
            | NodeRef::RowExpr(_) | NodeRef::CoalesceExpr(_) | NodeRef::MinMaxExpr(_) | NodeRef::XmlExpr(_)
            | NodeRef::NullTest(_) | NodeRef::BooleanTest(_) | NodeRef::GroupingFunc(_) | NodeRef::GroupingSet(_)
            | NodeRef::AIndices(_) | NodeRef::AArrayExpr(_) | NodeRef::ResTarget(_) | NodeRef::MultiAssignRef(_)
            | NodeRef::TypeCast(_) | NodeRef::CollateClause(_) | NodeRef::WindowDef(_) | NodeRef::XmlSerialize(_)
            | NodeRef::RangeTableFuncCol(_) | NodeRef::ColumnDef(_) | NodeRef::DefElem(_) | NodeRef::List(_)
            | NodeRef::WithClause(_) | NodeRef::InferClause(_) | NodeRef::OnConflictClause(_)
            | NodeRef::CommonTableExpr(_) | NodeRef::CtecycleClause(_) | NodeRef::MergeWhenClause(_)
            | NodeRef::ReturningClause(_) | NodeRef::FunctionParameter(_) | NodeRef::StatsElem(_)
            | NodeRef::PartitionSpec(_) | NodeRef::PartitionBoundSpec(_) | NodeRef::PartitionRangeDatum(_)
            | NodeRef::PartitionCmd(_) | NodeRef::IntoClause(_)
            | NodeRef::JsonReturning(_) | NodeRef::JsonValueExpr(_) | NodeRef::JsonIsPredicate(_)
            | NodeRef::JsonOutput(_) | NodeRef::JsonKeyValue(_)
            | NodeRef::JsonAggConstructor(_) | NodeRef::JsonBehavior(_) | NodeRef::JsonArgument(_)
            | NodeRef::JsonTablePathSpec(_) | NodeRef::JsonTableColumn(_) | NodeRef::ReturnStmt(_)
            | NodeRef::VacuumRelation(_) | NodeRef::PublicationObjSpec(_) | NodeRef::PublicationTable(_)
            | NodeRef::RawStmt(_)
            // An assignment in a body of PL/pgSQL: subscripts and the value.
            | NodeRef::PlassignStmt(_) => self.all_children(node),

            // Made by the analyser, the planner, PL/pgSQL or the executor: never in a raw parse tree.
            NodeRef::TableFunc(_) | NodeRef::Var(_) | NodeRef::Param(_) | NodeRef::Aggref(_) | NodeRef::WindowFunc(_)
            | NodeRef::SubscriptingRef(_) | NodeRef::FuncExpr(_) | NodeRef::OpExpr(_) | NodeRef::DistinctExpr(_)
            | NodeRef::NullIfExpr(_) | NodeRef::ScalarArrayOpExpr(_) | NodeRef::SubPlan(_)
            | NodeRef::AlternativeSubPlan(_) | NodeRef::FieldSelect(_) | NodeRef::FieldStore(_)
            | NodeRef::RelabelType(_) | NodeRef::CoerceViaIo(_) | NodeRef::ArrayCoerceExpr(_)
            | NodeRef::ConvertRowtypeExpr(_) | NodeRef::CollateExpr(_) | NodeRef::CaseTestExpr(_)
            | NodeRef::ArrayExpr(_) | NodeRef::RowCompareExpr(_) | NodeRef::CoerceToDomain(_)
            | NodeRef::CoerceToDomainValue(_) | NodeRef::NextValueExpr(_) | NodeRef::InferenceElem(_)
            | NodeRef::TargetEntry(_) | NodeRef::RangeTblRef(_) | NodeRef::FromExpr(_) | NodeRef::OnConflictExpr(_)
            | NodeRef::Query(_) | NodeRef::SetOperationStmt(_) | NodeRef::RangeTblEntry(_)
            | NodeRef::RangeTblFunction(_) | NodeRef::TableSampleClause(_) | NodeRef::WithCheckOption(_)
            | NodeRef::SortGroupClause(_) | NodeRef::WindowClause(_) | NodeRef::RowMarkClause(_)
            | NodeRef::InlineCodeBlock(_) | NodeRef::CallContext(_) | NodeRef::IntList(_) | NodeRef::OidList(_)
            | NodeRef::MergeAction(_) | NodeRef::ReturningExpr(_)
            | NodeRef::JsonConstructorExpr(_) | NodeRef::RtepermissionInfo(_) | NodeRef::WindowFuncRunCondition(_)
            | NodeRef::JsonExpr(_) | NodeRef::JsonTablePath(_) | NodeRef::JsonTablePathScan(_)
            | NodeRef::JsonTableSiblingJoin(_) => self.never_parsed(node),

            NodeRef::SelectStmt(n) => self.select(n),
            NodeRef::InsertStmt(n) => self.insert(n),
            NodeRef::UpdateStmt(n) => self.update(n),
            NodeRef::DeleteStmt(n) => self.delete(n),
            NodeRef::MergeStmt(n) => self.merge(n),

            NodeRef::CopyStmt(n) => self.copy(n),
            NodeRef::ExplainStmt(n) => self.explain(n),
            NodeRef::PrepareStmt(n) => self.prepare(n),
            NodeRef::ExecuteStmt(n) => self.execute(n),
            NodeRef::DeallocateStmt(n) => self.deallocate(n),
            NodeRef::DeclareCursorStmt(n) => self.declare(n),
            NodeRef::FetchStmt(n) => self.fetch(n),
            NodeRef::ClosePortalStmt(n) => self.close(n),
            NodeRef::DiscardStmt(n) => self.discard(n),
            NodeRef::TransactionStmt(n) => self.transaction(n),
            NodeRef::ConstraintsSetStmt(_) => self.constraints_set(),
            NodeRef::VariableSetStmt(n) => self.variable_set(n),
            NodeRef::VariableShowStmt(n) => self.show(n),
            NodeRef::AlterSystemStmt(n) => self.alter_system(n),
            NodeRef::LockStmt(n) => self.lock_table(n),
            NodeRef::TruncateStmt(n) => self.truncate(n),
            NodeRef::VacuumStmt(n) => self.vacuum(n),
            NodeRef::ClusterStmt(n) => self.cluster(n),
            NodeRef::RefreshMatViewStmt(n) => self.refresh(n),
            NodeRef::ReindexStmt(n) => self.reindex(n),
            NodeRef::CheckPointStmt(_) => { self.push(ActionName::Checkpoint, Object::None); }
            NodeRef::ListenStmt(n) => self.listen(n),
            NodeRef::UnlistenStmt(n) => self.unlisten(n),
            NodeRef::NotifyStmt(n) => self.notify(n),
            NodeRef::LoadStmt(n) => self.load(n),
            NodeRef::DoStmt(n) => self.do_block(n),
            NodeRef::CallStmt(n) => self.call(n),

            // Relations.
            NodeRef::CreateStmt(n) => self.create_table(n, "table"),
            NodeRef::CreateForeignTableStmt(n) => self.create_foreign_table(n),
            NodeRef::CreateTableAsStmt(n) => self.create_table_as(n),
            NodeRef::ViewStmt(n) => self.create_view(n),
            NodeRef::IndexStmt(n) => self.create_index(n),
            NodeRef::CreateSeqStmt(n) => self.create_sequence(n),
            NodeRef::AlterSeqStmt(n) => self.alter_sequence(n),
            NodeRef::AlterTableStmt(n) => self.alter_table(n),
            // Only within ALTER TABLE, which walks its own.
            NodeRef::AlterTableCmd(_) => self.never_parsed(node),
            NodeRef::AlterTableMoveAllStmt(n) => self.move_all(n),
            NodeRef::CreateTrigStmt(n) => self.create_trigger(n),
            NodeRef::RuleStmt(n) => self.create_rule(n),
            NodeRef::CreatePolicyStmt(n) => self.create_policy(n),
            NodeRef::AlterPolicyStmt(n) => self.alter_policy(n),
            NodeRef::CreateSchemaStmt(n) => self.create_schema(n),
            NodeRef::CreateStatsStmt(n) => self.create_statistics(n),
            NodeRef::AlterStatsStmt(n) => self.dotted(Alter, ObjectType::ObjectStatisticExt, &n.defnames, node),

            // Any kind of object.
            NodeRef::DropStmt(n) => self.drop_objects(n),
            NodeRef::CommentStmt(n) => self.comment(n),
            NodeRef::SecLabelStmt(n) => self.security_label(n),
            NodeRef::RenameStmt(n) => self.rename(n),
            NodeRef::AlterObjectSchemaStmt(n) => self.set_schema(n),
            NodeRef::AlterOwnerStmt(n) => self.set_owner(n),
            NodeRef::AlterObjectDependsStmt(n) => self.depends(n),
            NodeRef::DefineStmt(n) => self.define(n),

            // Roles and privileges.
            NodeRef::GrantStmt(n) => self.grant(n),
            NodeRef::GrantRoleStmt(n) => self.grant_role(n),
            NodeRef::AlterDefaultPrivilegesStmt(n) => self.default_privileges(n),
            NodeRef::CreateRoleStmt(n) => self.create_role(n),
            NodeRef::AlterRoleStmt(n) => self.named_role(n.role.as_ref(), &n.options),
            NodeRef::AlterRoleSetStmt(n) => { self.named_role(n.role.as_ref(), &[]); self.all_children(node) }
            NodeRef::DropRoleStmt(n) => self.roles(&n.roles),
            NodeRef::DropOwnedStmt(n) => self.owned(Drop, &n.roles, None),
            NodeRef::ReassignOwnedStmt(n) => self.owned(Alter, &n.roles, n.newrole.as_ref()),

            // Code.
            NodeRef::CreateFunctionStmt(n) => self.create_function(n),
            NodeRef::AlterFunctionStmt(n) => self.alter_function(n),
            NodeRef::CreatePlangStmt(n) => self.create_language(n),
            NodeRef::CreateEventTrigStmt(n) => self.event_trigger(n),
            NodeRef::AlterEventTrigStmt(n) => self.named(Alter, ObjectType::ObjectEventTrigger, &n.trigname, node),
            NodeRef::CreateExtensionStmt(n) => self.create_extension(&n.extname, Create, node),
            NodeRef::AlterExtensionStmt(n) => self.create_extension(&n.extname, Alter, node),
            NodeRef::AlterExtensionContentsStmt(n) => self.extension_contents(n),
            NodeRef::CreateCastStmt(n) => self.create_cast(n),

            // The world outside.
            NodeRef::CreateFdwStmt(n) => self.named(Create, ObjectType::ObjectFdw, &n.fdwname, node),
            NodeRef::AlterFdwStmt(n) => self.named(Alter, ObjectType::ObjectFdw, &n.fdwname, node),
            NodeRef::CreateForeignServerStmt(n) => self.named(Create, ObjectType::ObjectForeignServer, &n.servername, node),
            NodeRef::AlterForeignServerStmt(n) => self.named(Alter, ObjectType::ObjectForeignServer, &n.servername, node),
            NodeRef::CreateUserMappingStmt(n) => self.user_mapping(Create, &n.servername, &n.options),
            NodeRef::AlterUserMappingStmt(n) => self.user_mapping(Alter, &n.servername, &n.options),
            NodeRef::DropUserMappingStmt(n) => self.user_mapping(Drop, &n.servername, &[]),
            NodeRef::ImportForeignSchemaStmt(n) => self.import_foreign_schema(n),
            NodeRef::CreatePublicationStmt(n) => self.publication(Create, &n.pubname, &n.pubobjects, &n.options),
            NodeRef::AlterPublicationStmt(n) => self.publication(Alter, &n.pubname, &n.pubobjects, &n.options),
            NodeRef::CreateSubscriptionStmt(n) => self.named(Create, ObjectType::ObjectSubscription, &n.subname, node),
            NodeRef::AlterSubscriptionStmt(n) => self.named(Alter, ObjectType::ObjectSubscription, &n.subname, node),
            NodeRef::DropSubscriptionStmt(n) => self.named(Drop, ObjectType::ObjectSubscription, &n.subname, node),

            // Other objects.
            NodeRef::CreateDomainStmt(n) => self.dotted(Create, ObjectType::ObjectDomain, &n.domainname, node),
            NodeRef::AlterDomainStmt(n) => self.dotted(Alter, ObjectType::ObjectDomain, &n.type_name, node),
            NodeRef::CompositeTypeStmt(n) => self.composite_type(n),
            NodeRef::CreateEnumStmt(n) => self.dotted(Create, ObjectType::ObjectType, &n.type_name, node),
            NodeRef::CreateRangeStmt(n) => self.create_range(n),
            NodeRef::AlterEnumStmt(n) => self.dotted(Alter, ObjectType::ObjectType, &n.type_name, node),
            NodeRef::AlterTypeStmt(n) => self.dotted(Alter, ObjectType::ObjectType, &n.type_name, node),
            NodeRef::AlterCollationStmt(n) => self.dotted(Alter, ObjectType::ObjectCollation, &n.collname, node),
            NodeRef::AlterOperatorStmt(n) => {
                let name = n.opername.as_ref().map_or(&[][..], |o| &o.objname);
                self.dotted(Alter, ObjectType::ObjectOperator, name, node);
            }
            NodeRef::CreateOpClassStmt(n) => self.dotted(Create, ObjectType::ObjectOpclass, &n.opclassname, node),
            NodeRef::CreateOpFamilyStmt(n) => self.dotted(Create, ObjectType::ObjectOpfamily, &n.opfamilyname, node),
            NodeRef::AlterOpFamilyStmt(n) => self.dotted(Alter, ObjectType::ObjectOpfamily, &n.opfamilyname, node),
            NodeRef::CreateConversionStmt(n) => {
                self.dotted(Create, ObjectType::ObjectConversion, &n.conversion_name, node);
                self.installs(&n.func_name);
            }
            NodeRef::CreateTransformStmt(n) => {
                self.named(Create, ObjectType::ObjectTransform, &n.lang, node);
                for function in [&n.fromsql, &n.tosql].into_iter().flatten() {
                    self.installs(&function.objname);
                }
            }
            NodeRef::CreateAmStmt(n) => {
                self.named(Create, ObjectType::ObjectAccessMethod, &n.amname, node);
                self.installs(&n.handler_name);
            }
            NodeRef::AlterTsdictionaryStmt(n) => self.dotted(Alter, ObjectType::ObjectTsdictionary, &n.dictname, node),
            NodeRef::AlterTsconfigurationStmt(n) => {
                self.dotted(Alter, ObjectType::ObjectTsconfiguration, &n.cfgname, node);
            }
            NodeRef::CreateTableSpaceStmt(n) => {
                self.named(Create, ObjectType::ObjectTablespace, &n.tablespacename, node);
            }
            NodeRef::DropTableSpaceStmt(n) => self.named(Drop, ObjectType::ObjectTablespace, &n.tablespacename, node),
            NodeRef::AlterTableSpaceOptionsStmt(n) => {
                self.named(Alter, ObjectType::ObjectTablespace, &n.tablespacename, node);
            }
            NodeRef::CreatedbStmt(n) => self.named(Create, ObjectType::ObjectDatabase, &n.dbname, node),
            NodeRef::DropdbStmt(n) => self.named(Drop, ObjectType::ObjectDatabase, &n.dbname, node),
            NodeRef::AlterDatabaseStmt(n) => self.named(Alter, ObjectType::ObjectDatabase, &n.dbname, node),
            NodeRef::AlterDatabaseSetStmt(n) => self.named(Alter, ObjectType::ObjectDatabase, &n.dbname, node),
            NodeRef::AlterDatabaseRefreshCollStmt(n) => self.named(Alter, ObjectType::ObjectDatabase, &n.dbname, node),
        }
    }

    /// A statement about one object with a plain name.
    fn named(&mut self, verb: ActionName, kind: ObjectType, name: &str, node: NodeRef<'a>) {
        self.ddl_other(verb, kind, Name::bare(name));
        self.rest(node);
    }

    /// A statement about one object whose name may have a schema.
    fn dotted(&mut self, verb: ActionName, kind: ObjectType, name: &[Node], node: NodeRef<'a>) {
        self.ddl_other(verb, kind, dotted(name));
        self.rest(node);
    }

    fn never_parsed(&mut self, node: NodeRef<'a>) {
        self.unknown("a node that no parser makes");
        self.all_children(node);
    }
}
