//! SELECT, INSERT, UPDATE, DELETE, MERGE and what stands in FROM.

use pg_query::protobuf as pb;
use pg_query::protobuf::{CmdType, MergeMatchKind, OnConflictAction};
use pg_query::{Node, NodeEnum, NodeRef};

use super::Walker;
use super::emit::Slot;
use super::names::{boxed, dotted, inner, last, range, string};
use super::restriction::{Target, restricts};
use super::scope::{Frame, Item, Lock};
use crate::sql::{ActionName, Name, Object, Operand, SettingValue};

impl<'a> Walker<'a> {
    pub(super) fn nodes(&mut self, nodes: &'a [Node]) {
        for node in nodes {
            if let Some(node) = &node.node {
                self.node(node.to_ref());
            }
        }
    }

    pub(super) fn boxed(&mut self, node: &'a Option<Box<Node>>) {
        if let Some(node) = boxed(node) {
            self.node(node.to_ref());
        }
    }

    pub(super) fn select(&mut self, select: &'a pb::SelectStmt) {
        let ctes = self.with_clause(&select.with_clause);
        if let Some(into) = &select.into_clause {
            self.created_by_query(into, "table");
        }
        let inherits_lock = self.frames.last().is_some_and(|f| f.locks_sub_select);
        let frame = Frame {
            items: Vec::with_capacity(select.from_clause.len()),
            select: Some(select),
            lock: if inherits_lock { Lock::All } else { lock(&select.locking_clause) },
            where_missing: !restricts(boxed(&select.where_clause), &Target::of_select(&select.from_clause)),
            limit_missing: !limits(boxed(&select.limit_count))
                || select.limit_option == pb::LimitOption::WithTies as i32,
            ..Frame::default()
        };
        self.frames.push(frame);
        self.select_parts(select);
        self.frames.pop();
        self.ctes.truncate(ctes);
    }

    fn select_parts(&mut self, select: &'a pb::SelectStmt) {
        let pb::SelectStmt {
            distinct_clause,
            into_clause: _,
            target_list,
            from_clause,
            where_clause,
            group_clause,
            group_distinct: _,
            having_clause,
            window_clause,
            values_lists,
            sort_clause,
            limit_offset,
            limit_count,
            limit_option: _,
            locking_clause: _,
            with_clause: _,
            op: _,
            all: _,
            larg,
            rarg,
        } = select;
        for arm in [larg, rarg].into_iter().flatten() {
            self.node(NodeRef::SelectStmt(arm));
        }
        self.joined(from_clause.len().saturating_sub(1));
        self.nodes(from_clause);
        self.nodes(target_list);
        self.boxed(where_clause);
        self.nodes(group_clause);
        self.boxed(having_clause);
        self.nodes(distinct_clause);
        self.nodes(window_clause);
        self.nodes(values_lists);
        self.nodes(sort_clause);
        self.boxed(limit_offset);
        self.boxed(limit_count);
    }

    /// A relation in FROM (or anywhere that nobody else has explained): read.
    pub(super) fn relation_in_from(&mut self, relation: &'a pb::RangeVar) {
        let alias = relation.alias.as_ref();
        let name = alias.map_or(relation.relname.as_str(), |a| &a.aliasname);
        let schema = if alias.is_some() { "" } else { relation.schemaname.as_str() };
        if relation.schemaname.is_empty() && self.is_cte(&relation.relname) {
            return self.add_item(name, "", Vec::new());
        }
        let full = range(relation);
        self.relation_read(&full);
        if self.frame_lock(name) {
            self.relation(ActionName::SelectForUpdate, full.clone());
        }
        let slot = self.relation(ActionName::Select, full);
        let (where_missing, limit_missing) =
            self.frames.last().map_or((false, false), |frame| (frame.where_missing, frame.limit_missing));
        self.set_where_missing(slot, where_missing);
        self.set_limit_missing(slot, limit_missing);
        if alias.is_some_and(|a| !a.colnames.is_empty()) {
            self.all_columns(slot);
        }
        self.add_item(name, schema, vec![slot]);
    }

    fn joined(&mut self, times: usize) {
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        self.statement.joins = self.statement.joins.saturating_add(times);
    }

    pub(super) fn join(&mut self, join: &'a pb::JoinExpr) {
        self.joined(1);
        let before = self.items();
        self.boxed(&join.larg);
        self.boxed(&join.rarg);
        if join.is_natural {
            for slot in self.slots_from(before) {
                self.all_columns(slot);
            }
        }
        self.columns_anywhere(&join.using_clause);
        self.partly(|walker| walker.boxed(&join.quals));
        if let Some(alias) = &join.join_using_alias {
            let slots = self.slots_from(before);
            self.alias_items(alias, slots);
        }
        if let Some(alias) = &join.alias {
            let slots = self.slots_from(before);
            self.hide_items(before);
            self.alias_items(alias, slots);
        }
    }

    pub(super) fn sub_select(&mut self, range: &'a pb::RangeSubselect) {
        let pb::RangeSubselect { lateral, subquery, alias } = range;
        let name = alias.as_ref().map_or("", |a| a.aliasname.as_str());
        // A lock on the sub-select reaches what it reads; one on other names does not.
        let reached = self.frame_lock(name);
        let before = self
            .frames
            .last_mut()
            .map(|f| (std::mem::replace(&mut f.hidden, !lateral), std::mem::replace(&mut f.locks_sub_select, reached)));
        self.boxed(subquery);
        if let (Some(frame), Some((hidden, locks))) = (self.frames.last_mut(), before) {
            frame.hidden = hidden;
            frame.locks_sub_select = locks;
        }
        self.add_item(name, "", Vec::new());
    }

    /// A function, XMLTABLE or JSON_TABLE in FROM: its columns are its own.
    pub(super) fn call_in_from(&mut self, node: NodeRef<'a>, alias: &'a Option<pb::Alias>) {
        self.rest(node);
        self.add_item(alias.as_ref().map_or("", |a| a.aliasname.as_str()), "", Vec::new());
    }

    pub(super) fn table_sample(&mut self, sample: &'a pb::RangeTableSample) {
        if !matches!(last(&sample.method), Some("system" | "bernoulli")) || sample.method.len() > 1 {
            self.user_code(dotted(&sample.method));
        }
        // The relation is a child, and is the one that stands in FROM.
        self.boxed(&sample.relation);
        self.partly(|walker| {
            walker.nodes(&sample.args);
            walker.boxed(&sample.repeatable);
        });
    }

    /// The target of a write: an item whose columns belong to these accesses.
    fn target(relation: &'a pb::RangeVar, slots: Vec<Slot>) -> Item<'a> {
        match &relation.alias {
            Some(alias) => Item { name: &alias.aliasname, schema: "", slots, hidden: false },
            None => Item { name: &relation.relname, schema: &relation.schemaname, slots, hidden: false },
        }
    }

    fn target_frame(item: Item<'a>) -> Frame<'a> {
        Frame { items: vec![item], ..Frame::default() }
    }

    pub(super) fn insert(&mut self, insert: &'a pb::InsertStmt) {
        let pb::InsertStmt {
            relation,
            cols,
            select_stmt,
            on_conflict_clause,
            returning_clause,
            with_clause,
            r#override: _,
        } = insert;
        let Some(relation) = relation else { return self.unknown("INSERT without a table") };
        let ctes = self.with_clause(with_clause);
        let name = range(relation);
        self.relation_written(&name);
        let slot = self.relation(ActionName::Insert, name.clone());
        if cols.is_empty() {
            self.all_columns(slot);
        }
        let mut slots = vec![slot];
        self.boxed(select_stmt);
        let conflict = on_conflict_clause.as_deref();
        if conflict.is_some_and(|c| c.action == OnConflictAction::OnconflictUpdate as i32) {
            slots.push(self.relation(ActionName::Update, name));
        }
        let mut frame = Self::target_frame(Self::target(relation, slots.clone()));
        if conflict.is_some() {
            frame.items.push(Item { name: "excluded", schema: "", slots: slots.clone(), hidden: false });
        }
        self.frames.push(frame);
        self.assignments(cols, &[slot]);
        if let Some(conflict) = conflict {
            self.assignments(&conflict.target_list, slots.get(1..).unwrap_or_default());
            if let Some(infer) = &conflict.infer {
                self.node(NodeRef::InferClause(infer));
            }
            self.boxed(&conflict.where_clause);
        }
        self.returning(returning_clause, relation, &slots);
        self.frames.pop();
        self.ctes.truncate(ctes);
    }

    /// `SET a = …`, or the column list of an INSERT: the names are the target's columns.
    fn assignments(&mut self, targets: &'a [Node], slots: &[Slot]) {
        for target in targets.iter().filter_map(inner) {
            match target {
                NodeEnum::ResTarget(target) => {
                    for slot in slots {
                        self.name_column(*slot, &target.name);
                    }
                    self.nodes(&target.indirection);
                    self.boxed(&target.val);
                }
                other => self.node(other.to_ref()),
            }
        }
    }

    /// RETURNING reads the rows that were written, as SELECT does (the server asks for the same privilege).
    fn returning(&mut self, clause: &'a Option<pb::ReturningClause>, relation: &pb::RangeVar, slots: &[Slot]) {
        let Some(pb::ReturningClause { options, exprs }) = clause else { return };
        let mut slots = slots.to_vec();
        slots.push(self.relation(ActionName::Select, range(relation)));
        if let Some(target) = self.frames.last_mut().and_then(|frame| frame.items.first_mut()) {
            target.slots.clone_from(&slots);
        }
        for name in ["old", "new"] {
            self.add_item(name, "", slots.clone());
        }
        for option in options.iter().filter_map(inner) {
            if let NodeEnum::ReturningOption(option) = option {
                self.add_item(&option.value, "", slots.clone());
            }
        }
        self.nodes(exprs);
    }

    pub(super) fn update(&mut self, update: &'a pb::UpdateStmt) {
        let pb::UpdateStmt { relation, target_list, where_clause, from_clause, returning_clause, with_clause } = update;
        let Some(relation) = relation else { return self.unknown("UPDATE without a table") };
        let ctes = self.with_clause(with_clause);
        let name = range(relation);
        self.relation_written(&name);
        // The view's rule calls set_config.
        if &*name.name == "pg_settings" && super::names::may_be_builtin(&name) && !self.explain {
            self.push(ActionName::Set, Object::Setting { name: Operand::Unknown, value: SettingValue::Unknown });
        }
        let slot = self.relation(ActionName::Update, name);
        let target = Target::of_write(relation);
        self.set_where_missing(slot, !restricts(boxed(where_clause), &target));
        let mut frame = Self::target_frame(Self::target(relation, vec![slot]));
        frame.where_missing = !restricts(boxed(where_clause), &Target::Any);
        frame.limit_missing = returning_clause.is_some();
        self.frames.push(frame);
        self.joined(from_clause.len());
        self.nodes(from_clause);
        self.assignments(target_list, &[slot]);
        self.boxed(where_clause);
        self.returning(returning_clause, relation, &[slot]);
        self.frames.pop();
        self.ctes.truncate(ctes);
    }

    pub(super) fn delete(&mut self, delete: &'a pb::DeleteStmt) {
        let pb::DeleteStmt { relation, using_clause, where_clause, returning_clause, with_clause } = delete;
        let Some(relation) = relation else { return self.unknown("DELETE without a table") };
        let ctes = self.with_clause(with_clause);
        let name = range(relation);
        self.relation_written(&name);
        let slot = self.relation(ActionName::Delete, name);
        self.set_where_missing(slot, !restricts(boxed(where_clause), &Target::of_write(relation)));
        let mut frame = Self::target_frame(Self::target(relation, vec![slot]));
        frame.where_missing = !restricts(boxed(where_clause), &Target::Any);
        frame.limit_missing = returning_clause.is_some();
        self.frames.push(frame);
        self.joined(using_clause.len());
        self.nodes(using_clause);
        self.boxed(where_clause);
        self.returning(returning_clause, relation, &[slot]);
        self.frames.pop();
        self.ctes.truncate(ctes);
    }

    pub(super) fn merge(&mut self, merge: &'a pb::MergeStmt) {
        let pb::MergeStmt {
            relation,
            source_relation,
            join_condition,
            merge_when_clauses,
            returning_clause,
            with_clause,
        } = merge;
        let Some(relation) = relation else { return self.unknown("MERGE without a table") };
        let ctes = self.with_clause(with_clause);
        let name = range(relation);
        self.relation_written(&name);
        // MERGE reads its target: the condition and the source are compared with it.
        let slot = self.relation(ActionName::Select, name.clone());
        let joined = restricts(boxed(join_condition), &Target::of_write(relation));
        self.set_where_missing(slot, !joined);
        let mut slots = vec![slot];
        for clause in merge_when_clauses.iter().filter_map(inner) {
            let NodeEnum::MergeWhenClause(clause) = clause else { continue };
            slots.extend(self.merge_action(clause, relation, &name, joined));
        }
        let mut frame = Self::target_frame(Self::target(relation, slots.clone()));
        frame.where_missing = !joined;
        frame.limit_missing = returning_clause.is_some();
        self.frames.push(frame);
        self.joined(1);
        self.boxed(source_relation);
        self.boxed(join_condition);
        for clause in merge_when_clauses.iter().filter_map(inner) {
            let NodeEnum::MergeWhenClause(clause) = clause else {
                self.node(clause.to_ref());
                continue;
            };
            self.boxed(&clause.condition);
            let written = slots.get(1..).unwrap_or_default().to_vec();
            self.assignments(&clause.target_list, &written);
            self.nodes(&clause.values);
        }
        self.returning(returning_clause, relation, &slots);
        self.frames.pop();
        self.ctes.truncate(ctes);
    }

    fn merge_action(
        &mut self,
        clause: &pb::MergeWhenClause,
        relation: &'a pb::RangeVar,
        name: &Name,
        joined: bool,
    ) -> Option<Slot> {
        let action = match CmdType::try_from(clause.command_type) {
            Ok(CmdType::CmdInsert) => ActionName::Insert,
            Ok(CmdType::CmdUpdate) => ActionName::Update,
            Ok(CmdType::CmdDelete) => ActionName::Delete,
            Ok(CmdType::CmdNothing) => return None,
            Ok(
                CmdType::Undefined | CmdType::CmdUnknown | CmdType::CmdSelect | CmdType::CmdMerge | CmdType::CmdUtility,
            )
            | Err(_) => {
                self.unknown("an action of MERGE");
                return None;
            }
        };
        let slot = self.relation(action, name.clone());
        if action == ActionName::Insert {
            if clause.target_list.is_empty() {
                self.all_columns(slot);
            }
        } else {
            // What has no match in the source is not restricted by the join.
            let by_join = joined && clause.match_kind != MergeMatchKind::MergeWhenNotMatchedBySource as i32;
            let own = restricts(boxed(&clause.condition), &Target::of_write(relation));
            self.set_where_missing(slot, !by_join && !own);
        }
        Some(slot)
    }

    /// SELECT INTO, CREATE TABLE AS, CREATE MATERIALIZED VIEW: the relation made.
    pub(super) fn created_by_query(&mut self, into: &'a pb::IntoClause, kind: &'static str) {
        if let Some(relation) = &into.rel {
            self.relation_written(&range(relation));
            let name = self.created(relation);
            if !self.explain {
                self.relation(super::emit::action(ActionName::Create, kind), name);
            }
        }
        self.nodes(&into.options);
    }

    /// CALL of a procedure. pg_catalog has none, so that a built-in's name is no excuse.
    pub(super) fn call(&mut self, call: &'a pb::CallStmt) {
        let Some(call) = &call.funccall else { return self.unknown("CALL of nothing") };
        let name = dotted(&call.funcname);
        self.statement.functions.insert(name.to_string());
        self.push(ActionName::Call, Object::Function { name, builtin: false });
        self.rest(NodeRef::FuncCall(call));
    }
}

fn lock<'a>(clauses: &'a [Node]) -> Lock<'a> {
    let mut names = Vec::new();
    for clause in clauses.iter().filter_map(inner) {
        let NodeEnum::LockingClause(clause) = clause else { return Lock::All };
        if clause.locked_rels.is_empty() {
            return Lock::All;
        }
        for relation in clause.locked_rels.iter().filter_map(inner) {
            match relation {
                NodeEnum::RangeVar(relation) => names.push(relation.relname.as_str()),
                _ => return Lock::All,
            }
        }
    }
    if names.is_empty() { Lock::None } else { Lock::Only(names) }
}

/// Whether LIMIT or FETCH FIRST bounds the rows; LIMIT ALL and LIMIT NULL don't, WITH TIES nobody knows.
fn limits(count: Option<&NodeEnum>) -> bool {
    match count {
        Some(NodeEnum::AConst(constant)) => !constant.isnull,
        Some(NodeEnum::ParamRef(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => limits(boxed(&cast.arg)),
        // What is computed may come to NULL.
        Some(_) | None => false,
    }
}

/// The strings of a list, for lists that hold only strings.
pub(super) fn strings(nodes: &[Node]) -> impl Iterator<Item = &str> {
    nodes.iter().filter_map(string)
}
