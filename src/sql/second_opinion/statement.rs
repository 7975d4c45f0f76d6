//! What each kind of statement of `sqlparser`'s does. Exhaustive: a new kind in a new release does not compile until
//! somebody decides what it is.

use sqlparser::ast::{
    AlterRoleOperation, CommentObject, CopySource, CopyTarget, Delete, DiscardObject, Expr, FromTable, GrantObjects,
    Insert, LockTableMode, Merge, MergeAction, ObjectName, ObjectType, OnConflictAction, OnInsert, Reset, ResetConfig,
    Set, SetConfigValue, Statement, TableObject, TableWithJoins, Update, UtilityOption,
};

use super::Loose;
use super::names::{dotted, folded, only, without_last};
use super::reading::SecondReading;
use crate::sql::ActionName;

impl SecondReading {
    /// Writes down what a statement does by itself; queries, tables in FROM and statements inside are visited.
    pub(super) fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Query(_) | Statement::Call(_) => {}
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            Statement::Merge(merge) => self.merge(merge),
            Statement::Copy { source, to, target, .. } => self.copy(source, *to, target),
            Statement::Truncate(truncate) => {
                for table in &truncate.table_names {
                    self.write(ActionName::Truncate, &table.name);
                }
            }
            Statement::Lock(lock) => {
                let reads = matches!(lock.lock_mode, Some(LockTableMode::AccessShare));
                for table in &lock.tables {
                    self.name(&table.name);
                }
                if !reads {
                    self.act(ActionName::LockTable);
                }
            }

            Statement::Explain { analyze, options, .. } => {
                self.explain = !options.as_deref().and_then(analyzes).unwrap_or(*analyze);
            }
            Statement::Prepare { .. } => self.word("prepare"),
            Statement::Execute { .. } => self.word("execute"),
            Statement::Deallocate { .. } => self.word("deallocate"),
            Statement::Declare { .. } => {
                if !self.explain {
                    self.word("declare");
                }
            }
            Statement::Fetch { .. } => self.word("fetch"),
            Statement::Close { .. } => self.word("close"),
            Statement::Discard { object_type } => {
                self.act(ActionName::Discard);
                if matches!(object_type, DiscardObject::ALL) {
                    self.word("close");
                    self.word("deallocate");
                }
            }

            Statement::StartTransaction { statements, exception, has_end_keyword, modifier, .. } => {
                self.act(ActionName::Begin);
                if !statements.is_empty() || exception.is_some() || *has_end_keyword || modifier.is_some() {
                    self.foreign();
                }
            }
            Statement::Commit { modifier, .. } => {
                self.act(ActionName::Commit);
                if modifier.is_some() {
                    self.foreign();
                }
            }
            Statement::Rollback { savepoint: None, .. } => self.act(ActionName::Rollback),
            Statement::Rollback { savepoint: Some(_), .. }
            | Statement::Savepoint { .. }
            | Statement::ReleaseSavepoint { .. } => self.act(ActionName::Savepoint),

            Statement::Set(set) => self.set(set),
            Statement::Reset(reset) => match &reset.reset {
                Reset::ALL => self.act(ActionName::Reset),
                Reset::SessionAuthorization => self.act(ActionName::SetRole),
                Reset::ConfigurationParameter(name) => self.setting(name, ActionName::Reset),
            },
            Statement::ShowVariable { .. } => self.act(ActionName::Show),
            Statement::LISTEN { .. } => self.act(ActionName::Listen),
            Statement::UNLISTEN { .. } => self.act(ActionName::Reset),
            Statement::NOTIFY { .. } => self.act(ActionName::Notify),
            Statement::Load { .. } => self.act(ActionName::Load),

            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateView(view) => {
                self.create(view.temporary, &view.name);
                if view.materialized {
                    self.summary.written.insert(dotted(&view.name));
                }
            }
            Statement::CreateIndex(index) => {
                self.act(ActionName::Create);
                self.name(&index.table_name);
            }
            Statement::CreateSequence { temporary, name, .. } => self.create(*temporary, name),
            Statement::CreateTrigger(trigger) => {
                self.act(ActionName::Create);
                self.act(ActionName::CreateTrigger);
                self.name(&trigger.table_name);
                if let Some(referenced) = &trigger.referenced_table_name {
                    self.name(referenced);
                }
            }
            Statement::CreatePolicy(policy) => self.on(ActionName::Policy, &policy.table_name),
            Statement::AlterPolicy(policy) => self.on(ActionName::Policy, &policy.table_name),
            Statement::DropPolicy(policy) => self.on(ActionName::Policy, &policy.table_name),
            Statement::DropTrigger(trigger) => {
                self.act(ActionName::Drop);
                match &trigger.table_name {
                    Some(table) => self.name(table),
                    None => self.foreign(),
                }
            }
            Statement::CreateExtension(_) => {
                self.act(ActionName::Create);
                self.act(ActionName::CreateExtension);
            }
            Statement::CreateServer(_) => {
                self.act(ActionName::Create);
                self.act(ActionName::ForeignServer);
            }
            Statement::CreateOperator(_)
            | Statement::CreateOperatorFamily(_)
            | Statement::CreateOperatorClass(_)
            | Statement::CreateTextSearch(_)
            | Statement::CreateCollation(_)
            | Statement::CreateSchema { .. }
            | Statement::CreateDatabase { .. }
            | Statement::CreateDomain(_)
            | Statement::CreateType { .. } => self.act(ActionName::Create),
            Statement::CreateFunction(_) | Statement::CreateProcedure { .. } | Statement::AlterFunction(_) => {
                self.loose(Loose::FunctionBody);
            }

            Statement::AlterTable(alter) => self.alter_table(alter),
            Statement::AlterIndex { name, operation } => self.alter_index(name, operation),
            Statement::AlterSchema(alter) => self.alter_schema(alter),
            Statement::AlterType(alter) => self.alter_type(alter),
            Statement::AlterCollation(alter) => self.alter_collation(alter),
            Statement::AlterTextSearch(alter) => self.alter_text_search(alter),
            Statement::AlterOperator(_) => self.act(ActionName::Alter),
            Statement::AlterOperatorFamily(alter) => self.alter_operator_family(alter),
            Statement::AlterOperatorClass(alter) => self.alter_operator_class(alter),

            Statement::Drop { object_type, names, table, .. } => self.drop(*object_type, names, table.is_some()),
            Statement::DropFunction(_)
            | Statement::DropDomain(_)
            | Statement::DropProcedure { .. }
            | Statement::DropExtension(_)
            | Statement::DropOperator(_)
            | Statement::DropOperatorFamily(_)
            | Statement::DropOperatorClass(_) => self.act(ActionName::Drop),
            Statement::Comment { object_type, object_name, .. } => self.comment(*object_type, object_name),

            Statement::CreateRole(_) | Statement::CreateUser(_) | Statement::AlterUser(_) => {
                self.act(ActionName::Role);
            }
            Statement::AlterRole { operation, .. } => self.alter_role(operation),
            Statement::Grant(grant) => self.privileges(ActionName::Grant, grant.objects.as_ref()),
            Statement::Revoke(revoke) => self.privileges(ActionName::Revoke, revoke.objects.as_ref()),

            Statement::Vacuum(_) => self.loose(Loose::Vacuum),
            Statement::Analyze(_) => self.loose(Loose::Analyze),
            Statement::ShowFunctions { .. }
            | Statement::ShowStatus { .. }
            | Statement::ShowVariables { .. }
            | Statement::ShowCreate { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowCatalogs { .. }
            | Statement::ShowDatabases { .. }
            | Statement::ShowProcessList { .. }
            | Statement::ShowSchemas { .. }
            | Statement::ShowCharset(_)
            | Statement::ShowObjects(_)
            | Statement::ShowTables { .. }
            | Statement::ShowViews { .. }
            | Statement::ShowCollation { .. } => self.loose(Loose::Show),

            // What PostgreSQL has not: where its grammar read something, one of the two is wrong.
            Statement::Msck(_)
            | Statement::Install { .. }
            | Statement::Directory { .. }
            | Statement::Case(_)
            | Statement::If(_)
            | Statement::While(_)
            | Statement::Raise(_)
            | Statement::CopyIntoSnowflake { .. }
            | Statement::Open(_)
            | Statement::CreateVirtualTable { .. }
            | Statement::CreateSecret { .. }
            | Statement::CreateConnector(_)
            | Statement::AlterView { .. }
            | Statement::AlterConnector { .. }
            | Statement::AlterSession { .. }
            | Statement::AttachDatabase { .. }
            | Statement::AttachDuckDBDatabase { .. }
            | Statement::DetachDuckDBDatabase { .. }
            | Statement::DropSecret { .. }
            | Statement::DropConnector { .. }
            | Statement::Flush { .. }
            | Statement::Use(_)
            | Statement::CreateMacro { .. }
            | Statement::CreateStage { .. }
            | Statement::CreateFileFormat { .. }
            | Statement::CreateWarehouse(_)
            | Statement::Assert { .. }
            | Statement::Deny(_)
            | Statement::Kill { .. }
            | Statement::ExplainTable { .. }
            | Statement::Cache { .. }
            | Statement::UNCache { .. }
            | Statement::Pragma { .. }
            | Statement::LockTables { .. }
            | Statement::UnlockTables
            | Statement::Unload { .. }
            | Statement::OptimizeTable { .. }
            | Statement::LoadData { .. }
            | Statement::RenameTable(_)
            | Statement::List(_)
            | Statement::Put { .. }
            | Statement::Remove(_)
            | Statement::RaisError { .. }
            | Statement::Throw(_)
            | Statement::Print(_)
            | Statement::WaitFor(_)
            | Statement::Return(_)
            | Statement::ExportData(_) => self.foreign(),
        }
    }

    fn word(&mut self, word: &'static str) {
        self.summary.actions.insert(word);
    }

    pub(super) fn on(&mut self, action: ActionName, relation: &ObjectName) {
        self.act(action);
        self.name(relation);
    }

    fn insert(&mut self, insert: &Insert) {
        match &insert.table {
            TableObject::TableName(name) => self.write(ActionName::Insert, name),
            TableObject::TableFunction(_) | TableObject::TableQuery(_) => self.foreign(),
        }
        match &insert.on {
            None => {}
            Some(OnInsert::OnConflict(conflict)) => match conflict.action {
                OnConflictAction::DoNothing => {}
                OnConflictAction::DoUpdate(_) => self.act(ActionName::Update),
            },
            // MySQL's, and what a later release adds: the enum is open.
            Some(_) => self.foreign(),
        }
        let foreign = insert.or.is_some()
            || insert.ignore
            || insert.overwrite
            || !insert.assignments.is_empty()
            || insert.partitioned.is_some()
            || insert.replace_into
            || insert.output.is_some()
            || insert.multi_table_insert_type.is_some();
        if foreign {
            self.foreign();
        }
    }

    fn update(&mut self, update: &Update) {
        self.act(ActionName::Update);
        self.target(&update.table);
        if update.or.is_some() || update.output.is_some() || !update.order_by.is_empty() || update.limit.is_some() {
            self.foreign();
        }
    }

    fn delete(&mut self, delete: &Delete) {
        self.act(ActionName::Delete);
        let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
        match tables.as_slice() {
            [table] => self.target(table),
            _ => self.foreign(),
        }
        let foreign = !delete.tables.is_empty()
            || delete.output.is_some()
            || !delete.order_by.is_empty()
            || delete.limit.is_some();
        if foreign {
            self.foreign();
        }
    }

    fn target(&mut self, table: &TableWithJoins) {
        self.write_target(&table.relation);
        if !table.joins.is_empty() {
            self.foreign();
        }
    }

    fn merge(&mut self, merge: &Merge) {
        self.write_target(&merge.table);
        for clause in &merge.clauses {
            match &clause.action {
                MergeAction::Insert(_) => self.act(ActionName::Insert),
                MergeAction::Update(_) => self.act(ActionName::Update),
                MergeAction::Delete { .. } => self.act(ActionName::Delete),
                MergeAction::DoNothing { .. } => {}
            }
        }
    }

    fn copy(&mut self, source: &CopySource, to: bool, target: &CopyTarget) {
        if to {
            self.act(ActionName::CopyTo);
        }
        match source {
            CopySource::Table { table_name, .. } if to => {
                self.summary.read.insert(dotted(table_name));
            }
            CopySource::Table { table_name, .. } => {
                self.write(ActionName::Insert, table_name);
                self.act(ActionName::CopyFrom);
            }
            CopySource::Query(_) => {}
        }
        match target {
            CopyTarget::Stdin | CopyTarget::Stdout => {}
            CopyTarget::File { .. } => self.act(ActionName::CopyFile),
            CopyTarget::Program { .. } => self.act(ActionName::CopyProgram),
        }
    }

    fn set(&mut self, set: &Set) {
        match set {
            Set::SingleAssignment { variable, values, hivevar: false, .. } => {
                let default = matches!(values.as_slice(), [value] if is_default(value));
                self.setting(variable, if default { ActionName::Reset } else { ActionName::Set });
            }
            Set::SetTimeZone { value, .. } => {
                let back = is_default(value) || is_word(value, "local");
                self.act(if back { ActionName::Reset } else { ActionName::Set });
            }
            Set::SetNames { .. } => self.act(ActionName::Set),
            Set::SetNamesDefault {} => self.act(ActionName::Reset),
            Set::SetRole { .. } | Set::SetSessionAuthorization(_) => self.act(ActionName::SetRole),
            Set::SetTransaction { .. } => self.act(ActionName::TransactionMode),
            Set::SingleAssignment { hivevar: true, .. }
            | Set::ParenthesizedAssignments { .. }
            | Set::MultipleAssignments { .. }
            | Set::SetSessionParam(_) => self.foreign(),
        }
    }

    /// A setting by its name: two of them are roles.
    fn setting(&mut self, name: &ObjectName, action: ActionName) {
        let role = only(name).is_some_and(|name| matches!(folded(name).as_str(), "role" | "session_authorization"));
        self.act(if role { ActionName::SetRole } else { action });
    }

    fn alter_role(&mut self, operation: &AlterRoleOperation) {
        self.act(ActionName::Role);
        match operation {
            AlterRoleOperation::RenameRole { .. } | AlterRoleOperation::WithOptions { .. } => {}
            AlterRoleOperation::Set { config_name, config_value, .. } => {
                let default = matches!(config_value, SetConfigValue::Default);
                self.setting(config_name, if default { ActionName::Reset } else { ActionName::Set });
            }
            AlterRoleOperation::Reset { config_name: ResetConfig::ALL, .. } => self.act(ActionName::Reset),
            AlterRoleOperation::Reset { config_name: ResetConfig::ConfigName(name), .. } => {
                self.setting(name, ActionName::Reset);
            }
            // SQL Server's.
            AlterRoleOperation::AddMember { .. } | AlterRoleOperation::DropMember { .. } => self.foreign(),
        }
    }

    fn drop(&mut self, kind: ObjectType, names: &[ObjectName], on_table: bool) {
        match kind {
            ObjectType::Table
            | ObjectType::View
            | ObjectType::MaterializedView
            | ObjectType::Index
            | ObjectType::Sequence => {
                self.act(ActionName::Drop);
                names.iter().for_each(|name| self.name(name));
            }
            ObjectType::Schema | ObjectType::Database | ObjectType::Type | ObjectType::Collation => {
                self.act(ActionName::Drop);
            }
            ObjectType::Role | ObjectType::User => self.act(ActionName::Role),
            ObjectType::Stage | ObjectType::Stream | ObjectType::Warehouse => self.foreign(),
        }
        if on_table {
            self.foreign();
        }
    }

    fn comment(&mut self, kind: CommentObject, name: &ObjectName) {
        self.act(ActionName::Comment);
        match kind {
            CommentObject::Index
            | CommentObject::MaterializedView
            | CommentObject::Sequence
            | CommentObject::Table
            | CommentObject::View => self.name(name),
            // Without a table the server refuses it, not its grammar.
            CommentObject::Column => {
                self.summary.named.insert(without_last(name).unwrap_or_default());
            }
            CommentObject::Collation
            | CommentObject::Database
            | CommentObject::Domain
            | CommentObject::Extension
            | CommentObject::Function
            | CommentObject::Procedure
            | CommentObject::Role
            | CommentObject::Schema
            | CommentObject::Type => {}
            CommentObject::User => self.foreign(),
        }
    }

    fn privileges(&mut self, action: ActionName, objects: Option<&GrantObjects>) {
        self.act(action);
        match objects {
            Some(GrantObjects::Tables(names) | GrantObjects::Sequences(names)) => {
                names.iter().for_each(|name| self.name(name));
            }
            // None: roles.
            None
            | Some(
                GrantObjects::AllSequencesInSchema { .. }
                | GrantObjects::AllTablesInSchema { .. }
                | GrantObjects::AllFunctionsInSchema { .. }
                | GrantObjects::Databases(_)
                | GrantObjects::Schemas(_)
                | GrantObjects::Procedure { .. }
                | GrantObjects::Function { .. },
            ) => {}
            Some(
                GrantObjects::AllViewsInSchema { .. }
                | GrantObjects::AllMaterializedViewsInSchema { .. }
                | GrantObjects::AllExternalTablesInSchema { .. }
                | GrantObjects::FutureSchemasInDatabase { .. }
                | GrantObjects::FutureTablesInSchema { .. }
                | GrantObjects::FutureViewsInSchema { .. }
                | GrantObjects::FutureExternalTablesInSchema { .. }
                | GrantObjects::FutureMaterializedViewsInSchema { .. }
                | GrantObjects::FutureSequencesInSchema { .. }
                | GrantObjects::Views(_)
                | GrantObjects::Warehouses(_)
                | GrantObjects::Integrations(_)
                | GrantObjects::ResourceMonitors(_)
                | GrantObjects::Users(_)
                | GrantObjects::ComputePools(_)
                | GrantObjects::Connections(_)
                | GrantObjects::FailoverGroup(_)
                | GrantObjects::ReplicationGroup(_)
                | GrantObjects::ExternalVolumes(_),
            ) => self.foreign(),
        }
    }
}

/// ANALYZE of EXPLAIN's list of options, its last occurrence.
fn analyzes(options: &[UtilityOption]) -> Option<bool> {
    let last = options.iter().rev().find(|option| option.name.value.eq_ignore_ascii_case("analyze"))?;
    let off = |value: &Expr| {
        let text = value.to_string();
        matches!(text.trim_matches('\'').to_ascii_lowercase().as_str(), "off" | "false" | "0")
    };
    Some(!last.arg.as_ref().is_some_and(off))
}

fn is_default(value: &Expr) -> bool {
    is_word(value, "default")
}

fn is_word(value: &Expr, word: &str) -> bool {
    matches!(value, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case(word))
}
