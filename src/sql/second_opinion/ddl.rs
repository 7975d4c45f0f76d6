//! CREATE TABLE and ALTER, which name other relations.

use sqlparser::ast::{
    AlterCollation, AlterCollationOperation, AlterIndexOperation, AlterOperatorClass, AlterOperatorClassOperation,
    AlterOperatorFamily, AlterOperatorFamilyOperation, AlterSchema, AlterSchemaOperation, AlterTable,
    AlterTableOperation, AlterTextSearch, AlterTextSearchOperation, AlterType, AlterTypeOperation, ColumnDef,
    ColumnOption, CreateTable, CreateTableLikeKind, ObjectName, RenameTableNameKind, TableConstraint,
};

use super::Loose;
use super::names::{dotted, only, without_last};
use super::reading::SecondReading;
use crate::sql::ActionName;

impl SecondReading {
    pub(super) fn create_table(&mut self, create: &CreateTable) {
        self.create(create.temporary, &create.name);
        if create.query.is_some() {
            self.summary.written.insert(dotted(&create.name));
        }
        for parent in create.inherits.iter().flatten().chain(&create.partition_of) {
            self.on(ActionName::Alter, parent);
        }
        if let Some(CreateTableLikeKind::Parenthesized(like) | CreateTableLikeKind::Plain(like)) = &create.like {
            self.name(&like.name);
        }
        create.columns.iter().for_each(|column| self.column(column));
        create.constraints.iter().for_each(|constraint| self.constraint(constraint));
        let foreign = create.or_replace || create.clone.is_some() || create.version.is_some();
        if foreign {
            self.foreign();
        }
    }

    fn column(&mut self, column: &ColumnDef) {
        if column.name.quote_style.is_none() && column.name.value.eq_ignore_ascii_case("like") {
            self.loose(Loose::LikeColumn);
        }
        for option in &column.options {
            if let ColumnOption::ForeignKey(key) = &option.option {
                self.name(&key.foreign_table);
            }
        }
    }

    fn constraint(&mut self, constraint: &TableConstraint) {
        match constraint {
            TableConstraint::ForeignKey(key) => self.name(&key.foreign_table),
            TableConstraint::Unique(_)
            | TableConstraint::PrimaryKey(_)
            | TableConstraint::Check(_)
            | TableConstraint::PrimaryKeyUsingIndex(_)
            | TableConstraint::UniqueUsingIndex(_)
            | TableConstraint::Exclude(_) => {}
            // MySQL's.
            TableConstraint::Index(_) | TableConstraint::FulltextOrSpatial(_) => self.foreign(),
        }
    }

    pub(super) fn alter_table(&mut self, alter: &AlterTable) {
        self.name(&alter.name);
        for operation in &alter.operations {
            self.alter_table_operation(&alter.name, operation);
        }
        if alter.table_type.is_some() || alter.location.is_some() || alter.on_cluster.is_some() {
            self.foreign();
        }
    }

    fn alter_table_operation(&mut self, table: &ObjectName, operation: &AlterTableOperation) {
        match operation {
            AlterTableOperation::AddConstraint { constraint, .. } => {
                self.act(ActionName::Alter);
                self.constraint(constraint);
            }
            AlterTableOperation::AddColumn { column_def, .. } => {
                self.act(ActionName::Alter);
                self.column(column_def);
            }
            AlterTableOperation::DisableRowLevelSecurity
            | AlterTableOperation::EnableRowLevelSecurity
            | AlterTableOperation::ForceRowLevelSecurity
            | AlterTableOperation::NoForceRowLevelSecurity => {
                self.act(ActionName::Alter);
                self.act(ActionName::Policy);
            }
            AlterTableOperation::RenameColumn { .. } | AlterTableOperation::RenameConstraint { .. } => {
                self.act(ActionName::Rename);
            }
            AlterTableOperation::RenameTable {
                table_name: RenameTableNameKind::As(new) | RenameTableNameKind::To(new),
            } => {
                self.act(ActionName::Rename);
                self.renamed(table, new);
            }
            AlterTableOperation::DisableRule { .. }
            | AlterTableOperation::DisableTrigger { .. }
            | AlterTableOperation::DropConstraint { .. }
            | AlterTableOperation::DropColumn { .. }
            | AlterTableOperation::EnableAlwaysRule { .. }
            | AlterTableOperation::EnableAlwaysTrigger { .. }
            | AlterTableOperation::EnableReplicaRule { .. }
            | AlterTableOperation::EnableReplicaTrigger { .. }
            | AlterTableOperation::EnableRule { .. }
            | AlterTableOperation::EnableTrigger { .. }
            | AlterTableOperation::ReplicaIdentity { .. }
            | AlterTableOperation::AlterColumn { .. }
            | AlterTableOperation::SetLogged
            | AlterTableOperation::SetUnlogged
            | AlterTableOperation::OwnerTo { .. }
            | AlterTableOperation::ValidateConstraint { .. }
            | AlterTableOperation::SetOptionsParens { .. } => self.act(ActionName::Alter),
            AlterTableOperation::AddProjection { .. }
            | AlterTableOperation::DropProjection { .. }
            | AlterTableOperation::MaterializeProjection { .. }
            | AlterTableOperation::ClearProjection { .. }
            | AlterTableOperation::AttachPartition { .. }
            | AlterTableOperation::DetachPartition { .. }
            | AlterTableOperation::FreezePartition { .. }
            | AlterTableOperation::UnfreezePartition { .. }
            | AlterTableOperation::DropPrimaryKey { .. }
            | AlterTableOperation::DropForeignKey { .. }
            | AlterTableOperation::DropIndex { .. }
            | AlterTableOperation::RenamePartitions { .. }
            | AlterTableOperation::AddPartitions { .. }
            | AlterTableOperation::DropPartitions { .. }
            | AlterTableOperation::ChangeColumn { .. }
            | AlterTableOperation::ModifyColumn { .. }
            | AlterTableOperation::SwapWith { .. }
            | AlterTableOperation::SetTblProperties { .. }
            | AlterTableOperation::ClusterBy { .. }
            | AlterTableOperation::DropClusteringKey
            | AlterTableOperation::AlterSortKey { .. }
            | AlterTableOperation::SuspendRecluster
            | AlterTableOperation::ResumeRecluster
            | AlterTableOperation::Refresh { .. }
            | AlterTableOperation::Suspend
            | AlterTableOperation::Resume
            | AlterTableOperation::Algorithm { .. }
            | AlterTableOperation::Lock { .. }
            | AlterTableOperation::AutoIncrement { .. } => self.foreign(),
        }
    }

    /// The new name is in the schema of the old one.
    fn renamed(&mut self, old: &ObjectName, new: &ObjectName) {
        let name = match (without_last(old), only(new)) {
            (Some(schema), Some(_)) => format!("{schema}.{}", dotted(new)),
            _ => dotted(new),
        };
        self.summary.named.insert(name);
    }

    pub(super) fn alter_index(&mut self, name: &ObjectName, operation: &AlterIndexOperation) {
        let AlterIndexOperation::RenameIndex { index_name } = operation;
        self.on(ActionName::Rename, name);
        self.renamed(name, index_name);
    }

    pub(super) fn alter_schema(&mut self, alter: &AlterSchema) {
        for operation in &alter.operations {
            match operation {
                AlterSchemaOperation::Rename { .. } => self.act(ActionName::Rename),
                AlterSchemaOperation::OwnerTo { .. } => self.act(ActionName::Alter),
                AlterSchemaOperation::SetDefaultCollate { .. }
                | AlterSchemaOperation::AddReplica { .. }
                | AlterSchemaOperation::DropReplica { .. }
                | AlterSchemaOperation::SetOptionsParens { .. } => self.foreign(),
            }
        }
    }

    pub(super) fn alter_type(&mut self, alter: &AlterType) {
        self.act(match alter.operation {
            AlterTypeOperation::Rename(_) => ActionName::Rename,
            AlterTypeOperation::AddValue(_) | AlterTypeOperation::RenameValue(_) => ActionName::Alter,
        });
    }

    pub(super) fn alter_collation(&mut self, alter: &AlterCollation) {
        self.act(match alter.operation {
            AlterCollationOperation::RenameTo { .. } => ActionName::Rename,
            AlterCollationOperation::OwnerTo(_)
            | AlterCollationOperation::SetSchema { .. }
            | AlterCollationOperation::RefreshVersion => ActionName::Alter,
        });
    }

    pub(super) fn alter_text_search(&mut self, alter: &AlterTextSearch) {
        self.act(match alter.operation {
            AlterTextSearchOperation::RenameTo { .. } => ActionName::Rename,
            AlterTextSearchOperation::OwnerTo(_)
            | AlterTextSearchOperation::SetSchema { .. }
            | AlterTextSearchOperation::SetOptions { .. } => ActionName::Alter,
        });
    }

    pub(super) fn alter_operator_family(&mut self, alter: &AlterOperatorFamily) {
        self.act(match alter.operation {
            AlterOperatorFamilyOperation::RenameTo { .. } => ActionName::Rename,
            AlterOperatorFamilyOperation::Add { .. }
            | AlterOperatorFamilyOperation::Drop { .. }
            | AlterOperatorFamilyOperation::OwnerTo(_)
            | AlterOperatorFamilyOperation::SetSchema { .. } => ActionName::Alter,
        });
    }

    pub(super) fn alter_operator_class(&mut self, alter: &AlterOperatorClass) {
        self.act(match alter.operation {
            AlterOperatorClassOperation::RenameTo { .. } => ActionName::Rename,
            AlterOperatorClassOperation::OwnerTo(_) | AlterOperatorClassOperation::SetSchema { .. } => {
                ActionName::Alter
            }
        });
    }
}
