//! COPY, EXPLAIN, PREPARE and cursors, transactions, LOCK, maintenance, LISTEN …: statements that are neither queries
//! nor DDL.

use pg_query::protobuf::{self as pb, DiscardMode, ReindexObjectType, TransactionStmtKind};
use pg_query::{LockMode, Node, NodeEnum};

use super::Walker;
use super::emit::Slot;
use super::names::{inner, range};
use super::query::strings;
use super::settings::last_boolean;
use crate::sql::{ActionName, Name, NameUse, Object};

/// `CURSOR_OPT_HOLD` of parsenodes.h.
const CURSOR_OPT_HOLD: i32 = 0x0020;

impl<'a> Walker<'a> {
    pub(super) fn copy(&mut self, copy: &'a pb::CopyStmt) {
        let pb::CopyStmt { relation, query, attlist, is_from, is_program, filename, options, where_clause } = copy;
        if *is_program {
            self.other(ActionName::CopyProgram, "program", Name::bare(filename));
        } else if !filename.is_empty() {
            self.other(ActionName::CopyFile, "file", Name::bare(filename));
        }
        let mut slots: Vec<Slot> = Vec::new();
        if let Some(relation) = relation {
            let name = range(relation);
            let actions = if *is_from {
                self.relation_written(&name);
                [ActionName::Insert, ActionName::CopyFrom]
            } else {
                self.relation_read(&name);
                [ActionName::Select, ActionName::CopyTo]
            };
            for action in actions {
                let slot = self.relation(action, name.clone());
                if attlist.is_empty() {
                    self.all_columns(slot);
                }
                strings(attlist).for_each(|column| self.name_column(slot, column));
                self.set_where_missing(slot, action == ActionName::Select);
                self.set_limit_missing(slot, action == ActionName::Select);
                slots.push(slot);
            }
            self.about(&relation.relname, slots, |walker| {
                walker.boxed(where_clause);
                walker.nodes(options);
            });
        } else {
            let before = self.statement.accesses.len();
            self.boxed(query);
            self.copy_out_from(before);
            self.nodes(options);
        }
    }

    /// COPY (q) TO: `copy_to` on each relation that the query reads.
    fn copy_out_from(&mut self, before: usize) {
        let read = self.statement.accesses.iter().skip(before).filter(|a| a.action.name == ActionName::Select);
        let copied: Vec<_> = read.cloned().collect();
        for mut access in copied {
            access.action = ActionName::CopyTo.into();
            access.where_missing = false;
            access.limit_missing = false;
            self.statement.accesses.push(access);
        }
    }

    pub(super) fn explain(&mut self, explain: &'a pb::ExplainStmt) {
        let runs = last_boolean(&explain.options, "analyze").unwrap_or(false);
        let before = self.explain;
        self.explain = before || !runs;
        self.boxed(&explain.query);
        self.explain = before;
        self.nodes(&explain.options);
    }

    pub(super) fn prepare(&mut self, prepare: &'a pb::PrepareStmt) {
        self.statement.names.push(NameUse::Prepare(prepare.name.as_str().into()));
        self.nodes(&prepare.argtypes);
        self.boxed(&prepare.query);
    }

    pub(super) fn execute(&mut self, execute: &'a pb::ExecuteStmt) {
        self.statement.names.push(NameUse::Execute(execute.name.as_str().into()));
        self.nodes(&execute.params);
    }

    pub(super) fn deallocate(&mut self, deallocate: &pb::DeallocateStmt) {
        let name = (!deallocate.isall).then(|| deallocate.name.as_str().into());
        self.statement.names.push(NameUse::Deallocate(name));
    }

    pub(super) fn declare(&mut self, declare: &'a pb::DeclareCursorStmt) {
        if !self.explain {
            let hold = declare.options & CURSOR_OPT_HOLD != 0;
            self.statement.names.push(NameUse::Declare { cursor: declare.portalname.as_str().into(), hold });
        }
        self.boxed(&declare.query);
    }

    pub(super) fn fetch(&mut self, fetch: &pb::FetchStmt) {
        self.statement.names.push(NameUse::Fetch(fetch.portalname.as_str().into()));
    }

    pub(super) fn close(&mut self, close: &pb::ClosePortalStmt) {
        let name = (!close.portalname.is_empty()).then(|| close.portalname.as_str().into());
        self.statement.names.push(NameUse::CloseCursor(name));
    }

    pub(super) fn discard(&mut self, discard: &pb::DiscardStmt) {
        self.push(ActionName::Discard, Object::None);
        match DiscardMode::try_from(discard.target) {
            Ok(DiscardMode::DiscardAll) => {
                self.statement.names.push(NameUse::CloseCursor(None));
                self.statement.names.push(NameUse::Deallocate(None));
            }
            Ok(DiscardMode::DiscardPlans | DiscardMode::DiscardSequences | DiscardMode::DiscardTemp) => {}
            Ok(DiscardMode::Undefined) | Err(_) => self.unknown("a form of DISCARD"),
        }
    }

    pub(super) fn transaction(&mut self, transaction: &'a pb::TransactionStmt) {
        let action = match TransactionStmtKind::try_from(transaction.kind) {
            Ok(TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart) => ActionName::Begin,
            Ok(TransactionStmtKind::TransStmtCommit) => ActionName::Commit,
            Ok(TransactionStmtKind::TransStmtRollback) => ActionName::Rollback,
            Ok(
                TransactionStmtKind::TransStmtSavepoint
                | TransactionStmtKind::TransStmtRelease
                | TransactionStmtKind::TransStmtRollbackTo,
            ) => ActionName::Savepoint,
            Ok(
                TransactionStmtKind::TransStmtPrepare
                | TransactionStmtKind::TransStmtCommitPrepared
                | TransactionStmtKind::TransStmtRollbackPrepared,
            ) => ActionName::TwoPhase,
            Ok(TransactionStmtKind::Undefined) | Err(_) => return self.unknown("a kind of transaction control"),
        };
        self.push(action, Object::None);
        self.modes(&transaction.options, false);
    }

    pub(super) fn constraints_set(&mut self) {
        self.push(ActionName::TransactionMode, Object::None);
    }

    pub(super) fn lock_table(&mut self, lock: &'a pb::LockStmt) {
        let action =
            if lock.mode == LockMode::AccessShareLock as i32 { ActionName::Select } else { ActionName::LockTable };
        self.each_relation(action, &lock.relations);
    }

    pub(super) fn truncate(&mut self, truncate: &'a pb::TruncateStmt) {
        for relation in self.each_relation(ActionName::Truncate, &truncate.relations) {
            self.statement.relations_written.insert(relation);
        }
        // Every table with a foreign key to them is emptied, too, and only the server knows which those are.
        if truncate.behavior == pb::DropBehavior::DropCascade as i32 {
            self.push(ActionName::Truncate, Object::None);
        }
    }

    /// One access for each relation of a list; their names.
    fn each_relation(&mut self, action: ActionName, relations: &'a [Node]) -> Vec<String> {
        let mut names = Vec::new();
        for relation in relations.iter().filter_map(inner) {
            match relation {
                NodeEnum::RangeVar(relation) => {
                    let name = range(relation);
                    names.push(name.to_string());
                    self.relation(action, name);
                }
                other => self.node(other.to_ref()),
            }
        }
        names
    }

    pub(super) fn vacuum(&mut self, vacuum: &'a pb::VacuumStmt) {
        let analyzes = last_boolean(&vacuum.options, "analyze").unwrap_or(false);
        let actions: &[ActionName] = match (vacuum.is_vacuumcmd, analyzes) {
            (true, true) => &[ActionName::Vacuum, ActionName::Analyze],
            (true, false) => &[ActionName::Vacuum],
            (false, _) => &[ActionName::Analyze],
        };
        for action in actions {
            if vacuum.rels.is_empty() {
                self.push(*action, Object::None);
            }
            for relation in vacuum.rels.iter().filter_map(inner) {
                match relation {
                    NodeEnum::VacuumRelation(pb::VacuumRelation { relation: Some(relation), oid: _, va_cols }) => {
                        let slot = self.relation(*action, range(relation));
                        strings(va_cols).for_each(|column| self.name_column(slot, column));
                    }
                    _ => self.unknown("what VACUUM or ANALYZE works on"),
                }
            }
        }
        self.nodes(&vacuum.options);
    }

    pub(super) fn cluster(&mut self, cluster: &'a pb::ClusterStmt) {
        self.maybe_relation(ActionName::Cluster, &cluster.relation);
        self.nodes(&cluster.params);
    }

    pub(super) fn refresh(&mut self, refresh: &'a pb::RefreshMatViewStmt) {
        let action = if self.explain { ActionName::Select } else { ActionName::Refresh };
        self.maybe_relation(action, &refresh.relation);
    }

    fn maybe_relation(&mut self, action: ActionName, relation: &Option<pb::RangeVar>) {
        match relation {
            Some(relation) => self.relation(action, range(relation)),
            None => self.push(action, Object::None),
        };
    }

    pub(super) fn reindex(&mut self, reindex: &'a pb::ReindexStmt) {
        let name = || Name::bare(&reindex.name);
        match ReindexObjectType::try_from(reindex.kind) {
            Ok(ReindexObjectType::ReindexObjectIndex | ReindexObjectType::ReindexObjectTable) => {
                self.maybe_relation(ActionName::Reindex, &reindex.relation);
            }
            Ok(ReindexObjectType::ReindexObjectSchema) => {
                self.other(ActionName::Reindex, "schema", name());
            }
            Ok(ReindexObjectType::ReindexObjectSystem | ReindexObjectType::ReindexObjectDatabase) => {
                self.other(ActionName::Reindex, "database", name());
            }
            Ok(ReindexObjectType::Undefined) | Err(_) => self.unknown("what REINDEX works on"),
        }
        self.nodes(&reindex.params);
    }

    pub(super) fn listen(&mut self, listen: &pb::ListenStmt) {
        self.other(ActionName::Listen, "channel", Name::bare(&listen.conditionname));
    }

    pub(super) fn unlisten(&mut self, unlisten: &pb::UnlistenStmt) {
        let all = unlisten.conditionname.is_empty();
        let channel = if all { "*" } else { unlisten.conditionname.as_str() };
        self.other(ActionName::Reset, "channel", Name::bare(channel));
    }

    pub(super) fn notify(&mut self, notify: &pb::NotifyStmt) {
        self.other(ActionName::Notify, "channel", Name::bare(&notify.conditionname));
    }

    pub(super) fn load(&mut self, load: &pb::LoadStmt) {
        self.other(ActionName::Load, "library", Name::bare(&load.filename));
    }
}
