//! What names mean: CTEs in sight, the relations of each query, and whose column a name may be (POLICY 3a, with only the
//! text to go by).

use pg_query::protobuf::{Alias, SelectStmt, WithClause};
use pg_query::{NodeEnum, NodeRef};

use super::emit::{Slot, name_column};
use super::names::{inner, string};
use super::{MAX_EFFORT, Walker};

/// What a column that is written down costs, in comparisons.
const WRITTEN_DOWN: u64 = 8;

/// One query (or statement with expressions) and what its names may refer to.
#[derive(Default)]
pub(super) struct Frame<'a> {
    pub items: Vec<Item<'a>>,
    pub select: Option<&'a SelectStmt>,
    pub lock: Lock<'a>,
    pub where_missing: bool,
    pub limit_missing: bool,
    /// A FROM item that can't see its siblings is being walked: a name means what it means further out.
    pub hidden: bool,
    /// Part of a FROM list that sees only some of its siblings is being walked (the condition of a join, the arguments of
    /// TABLESAMPLE): a name may mean what it means here, or further out.
    pub partly: bool,
    /// The sub-select of FROM that is being walked is reached by the query's locking clause.
    pub locks_sub_select: bool,
}

/// One thing of a FROM list, by the name that columns are qualified with.
pub(super) struct Item<'a> {
    pub name: &'a str,
    pub schema: &'a str,
    /// The accesses that its columns belong to; none for sub-selects, functions and CTEs.
    pub slots: Vec<Slot>,
    /// The alias of the join that it stands in hides its name.
    pub hidden: bool,
}

/// What a locking clause of the query reaches.
#[derive(Default)]
pub(super) enum Lock<'a> {
    #[default]
    None,
    All,
    Only(Vec<&'a str>),
}

impl Lock<'_> {
    pub fn reaches(&self, name: &str) -> bool {
        match self {
            Lock::None => false,
            Lock::All => true,
            Lock::Only(names) => names.contains(&name),
        }
    }
}

impl<'a> Walker<'a> {
    /// Walks something within a frame of its own.
    pub(super) fn in_frame(&mut self, frame: Frame<'a>, walk: impl FnOnce(&mut Self)) {
        self.frames.push(frame);
        walk(self);
        self.frames.pop();
    }

    /// Walks the expressions of a statement about one relation: its columns belong to that access.
    pub(super) fn about(&mut self, name: &'a str, slots: Vec<Slot>, walk: impl FnOnce(&mut Self)) {
        let items = vec![Item { name, schema: "", slots, hidden: false }];
        self.in_frame(Frame { items, ..Frame::default() }, walk);
    }

    pub(super) fn add_item(&mut self, name: &'a str, schema: &'a str, slots: Vec<Slot>) {
        if let Some(frame) = self.frames.last_mut() {
            frame.items.push(Item { name, schema, slots, hidden: false });
        }
    }

    pub(super) fn frame_lock(&self, name: &str) -> bool {
        self.frames.last().is_some_and(|f| f.lock.reaches(name))
    }

    /// Counts work; false when the statement has had its share.
    pub(super) fn affordable(&mut self, work: usize) -> bool {
        self.effort = self.effort.saturating_add(work as u64);
        self.effort <= MAX_EFFORT
    }

    /// Walks a WITH clause; its CTEs stay in sight until `self.ctes` is truncated to the length returned.
    pub(super) fn with_clause(&mut self, with: &'a Option<WithClause>) -> usize {
        let before = self.ctes.len();
        let Some(WithClause { ctes, recursive, location: _ }) = with else { return before };
        let all = || {
            ctes.iter().filter_map(|n| match inner(n) {
                Some(NodeEnum::CommonTableExpr(cte)) => Some(cte),
                _ => None,
            })
        };
        if *recursive {
            self.ctes.extend(all().map(|cte| cte.ctename.as_str()));
        }
        for cte in all() {
            // A CTE sees the queries around the statement only by LATERAL rules that do not exist for it, but the
            // queries further out it does see; listing more columns than needed only refuses more.
            self.rest(NodeRef::CommonTableExpr(cte));
            if !recursive {
                self.ctes.push(&cte.ctename);
            }
        }
        before
    }

    /// True where an unqualified relation name is a CTE in sight.
    pub(super) fn is_cte(&mut self, name: &str) -> bool {
        self.affordable(self.ctes.len()) && self.ctes.iter().rev().any(|cte| *cte == name)
    }

    /// A column named without a relation may belong to every relation in sight.
    pub(super) fn column_anywhere(&mut self, column: &str) {
        let innermost = self.frames.len().saturating_sub(1);
        for (index, frame) in self.frames.iter().enumerate() {
            if frame.hidden && index < innermost {
                continue;
            }
            self.effort += 1;
            for slot in frame.items.iter().flat_map(|item| &item.slots) {
                self.effort += WRITTEN_DOWN;
                if self.effort > MAX_EFFORT {
                    return;
                }
                name_column(&mut self.statement.accesses, *slot, column);
            }
        }
    }

    /// The accesses of the relation that a qualifier names, in the innermost query that has one in sight; where a query
    /// shows only some of what it has, in those further out as well. With a schema the server looks for the relation
    /// itself, past whatever else has the name, so that every query is asked.
    pub(super) fn qualified(&mut self, schema: &str, name: &str) -> Option<Vec<Slot>> {
        let mut slots: Option<Vec<Slot>> = None;
        let mut certain = false;
        for index in (0..self.frames.len()).rev() {
            let count = self.frames.get(index).map_or(0, |f| f.items.len());
            if !self.affordable(count + 1) {
                return None;
            }
            let Some(frame) = self.frames.get(index) else { continue };
            let found = frame.items.iter().filter(|item| {
                item.name == name && (schema.is_empty() || item.schema.is_empty() || item.schema == schema)
            });
            for item in found {
                slots.get_or_insert_default().extend(&item.slots);
                certain |= schema.is_empty() && !item.hidden && !frame.hidden && !frame.partly;
            }
            if certain {
                break;
            }
        }
        slots
    }

    /// Every column of every relation in sight: `f(x).row_to_json` and the like.
    pub(super) fn everything(&mut self) {
        for index in 0..self.frames.len() {
            self.star(index);
        }
    }

    /// `*`: every column of the innermost query's relations.
    pub(super) fn star_here(&mut self) {
        if let Some(index) = self.frames.len().checked_sub(1) {
            self.star(index);
        }
    }

    fn star(&mut self, index: usize) {
        let Some(frame) = self.frames.get(index) else { return };
        for slot in frame.items.iter().flat_map(|item| &item.slots) {
            self.effort += 1;
            if let Some(access) = self.statement.accesses.get_mut(*slot) {
                access.columns.all = true;
            }
        }
    }

    /// How many items the innermost query has so far.
    pub(super) fn items(&self) -> usize {
        self.frames.last().map_or(0, |f| f.items.len())
    }

    /// The accesses of the innermost query's items from `from` on.
    pub(super) fn slots_from(&self, from: usize) -> Vec<Slot> {
        self.frames
            .last()
            .map_or_else(Vec::new, |f| f.items.iter().skip(from).flat_map(|i| i.slots.iter().copied()).collect())
    }

    /// Hides the names of the innermost query's items from `from` on.
    pub(super) fn hide_items(&mut self, from: usize) {
        for item in self.frames.last_mut().into_iter().flat_map(|f| f.items.iter_mut().skip(from)) {
            item.hidden = true;
        }
    }

    /// An alias for several items (`(a JOIN b …) AS j`); a column list renames, so that any column may be meant.
    pub(super) fn alias_items(&mut self, alias: &'a Alias, slots: Vec<Slot>) {
        if !alias.colnames.is_empty() {
            for slot in &slots {
                self.all_columns(*slot);
            }
        }
        self.add_item(&alias.aliasname, "", slots);
    }

    /// `u.row_to_json`: the last name is a built-in that takes any row.
    pub(super) fn takes_any_row(name: &str) -> bool {
        crate::sql::functions::builtin(name).is_some_and(|b| b.any_row)
    }

    /// A reference to a column, a whole row or a star.
    pub(super) fn column_ref(&mut self, fields: &'a [pg_query::Node]) {
        let names: [Option<&str>; 4] = std::array::from_fn(|i| fields.get(i).and_then(string));
        let star = matches!(fields.last().and_then(inner), Some(NodeEnum::AStar(_)));
        // (schema, relation, column); a star has no column.
        let (schema, relation, column) = match (names, star) {
            ([_, _, _, _], true) if fields.len() == 1 => return self.star_here(),
            ([Some(column), None, ..], false) => {
                self.column_anywhere(column);
                // It may be the whole row of a relation of this name.
                if let Some(slots) = self.qualified("", column) {
                    slots.into_iter().for_each(|slot| self.all_columns(slot));
                }
                return;
            }
            ([Some(relation), None, ..], true) => ("", relation, None),
            ([Some(schema), Some(relation), None, _], true) => (schema, relation, None),
            ([Some(_), Some(schema), Some(relation), _], true) => (schema, relation, None),
            ([Some(relation), Some(column), None, _], false) => ("", relation, Some(column)),
            ([Some(schema), Some(relation), Some(column), None], false) => (schema, relation, Some(column)),
            ([Some(_), Some(schema), Some(relation), Some(column)], false) => (schema, relation, Some(column)),
            ([None, ..], _) => return,
        };
        if let Some(column) = column {
            self.attribute(column);
        }
        let Some(slots) = self.qualified(schema, relation) else {
            // Nothing in sight has this name; a column of a composite type is written with parentheses, so this fails
            // on the server, or the text's scope is a stored one (`new`, `old`).
            return;
        };
        let any_row = column.is_some_and(Self::takes_any_row);
        for slot in slots {
            match column {
                Some(column) if !any_row => self.name_column(slot, column),
                _ => self.all_columns(slot),
            }
        }
        if let Some(column) = column.filter(|_| any_row) {
            self.attribute_call(column);
        }
    }

    /// The relation and column names of JOIN … USING, keys and the like.
    pub(super) fn columns_anywhere(&mut self, columns: &'a [pg_query::Node]) {
        for column in columns.iter().filter_map(string) {
            self.column_anywhere(column);
        }
    }

    /// Walks what sees only some of the FROM items of its query.
    pub(super) fn partly(&mut self, walk: impl FnOnce(&mut Self)) {
        let before = self.frames.last_mut().map(|f| std::mem::replace(&mut f.partly, true));
        walk(self);
        if let (Some(frame), Some(before)) = (self.frames.last_mut(), before) {
            frame.partly = before;
        }
    }
}
