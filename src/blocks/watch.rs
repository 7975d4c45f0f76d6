//! One session's look at the blocks: a read of one counter before each message, and a table of its own while there are any.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use crate::blocks::{Block, Blocks, InForce};
use crate::sql::{Facts, StatementHash};

/// What a session knows of the blocks.
#[derive(Debug)]
pub struct Watch {
    blocks: Arc<Blocks>,
    user: Box<str>,
    /// The changes when it last looked.
    seen: u64,
    /// The table, where it holds any block of a statement.
    statements: Option<Arc<InForce>>,
    /// The block of its user.
    user_block: Option<Arc<Block>>,
}

/// What keeps a text, or what stands behind a name, from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop<'w> {
    /// This block.
    Block(&'w Block),
    /// Statements are blocked, and whether this is one of them can't be told.
    Unknowable,
}

impl Stop<'_> {
    /// Why, for the client.
    pub fn sentence(&self) -> String {
        match self {
            Stop::Block(block) => block.sentence(),
            Stop::Unknowable => {
                "statements are blocked, and whether this is one of them can't be told: close its name, \
                                 or make it again"
                    .to_owned()
            }
        }
    }
}

impl Watch {
    /// For a session of this user.
    pub fn new(blocks: Arc<Blocks>, user: &str) -> Watch {
        Watch { blocks, user: user.into(), seen: 0, statements: None, user_block: None }
    }

    /// Takes notice of what has changed. To be called before each message; what is asked below is answered from what was seen.
    #[inline]
    pub fn look(&mut self) {
        // Acquire, which costs a load no more than its order: the table behind the number must be the new one.
        let changes = self.blocks.changes.load(Ordering::Acquire);
        if changes != self.seen {
            self.renew(changes);
        }
    }

    #[cold]
    fn renew(&mut self, changes: u64) {
        self.seen = changes;
        let table = self.blocks.in_force.load_full();
        self.user_block = table.users.get(&self.user).cloned();
        self.statements = Some(table).filter(|table| !table.hashes.is_empty());
    }

    /// The block of the session's user.
    #[inline]
    pub fn user(&self) -> Option<&Block> {
        let block = self.user_block.as_deref()?;
        block.holds(Timestamp::now()).then_some(block)
    }

    /// Whether there is any block that the session has to do with.
    #[inline]
    pub fn any(&self) -> bool {
        self.statements.is_some() || self.user_block.is_some()
    }

    /// Whether any statement is blocked.
    #[inline]
    pub fn any_statement(&self) -> bool {
        self.table().is_some()
    }

    /// What keeps a text that does this from running, or its user.
    #[inline]
    pub fn text(&self, facts: &Facts) -> Option<Stop<'_>> {
        if let Some(block) = self.user() {
            return Some(Stop::Block(block));
        }
        let table = self.statements.as_deref()?;
        Watch::of_hashes(table, facts.hash.as_ref(), facts.hashes())
    }

    /// What keeps those statements from running that may stand behind a name; `hidden` where there may be others.
    #[inline]
    pub fn behind<'f>(&self, facts: impl Iterator<Item = &'f Facts>, hidden: bool) -> Option<Stop<'_>> {
        if let Some(block) = self.user() {
            return Some(Stop::Block(block));
        }
        self.table()?;
        let mut unknowable = hidden.then_some(Stop::Unknowable);
        for facts in facts {
            match self.text(facts) {
                Some(Stop::Unknowable) => unknowable = Some(Stop::Unknowable),
                Some(stop @ Stop::Block(_)) => return Some(stop),
                None => {}
            }
        }
        unknowable
    }

    fn of_hashes<'w, 'h>(
        table: &'w InForce,
        whole: Option<&StatementHash>,
        mut hashes: impl Iterator<Item = &'h StatementHash>,
    ) -> Option<Stop<'w>> {
        let now = Timestamp::now();
        let block = hashes.find_map(|hash| table.hashes.get(hash).filter(|block| block.holds(now)));
        match block {
            Some(block) => Some(Stop::Block(block)),
            None if whole.is_none() && table.hashes_until.is_some_and(|until| now < until) => Some(Stop::Unknowable),
            None => None,
        }
    }

    fn table(&self) -> Option<&InForce> {
        let table = self.statements.as_deref()?;
        let now = Timestamp::now();
        table.hashes_until.is_some_and(|until| now < until).then_some(table)
    }
}
