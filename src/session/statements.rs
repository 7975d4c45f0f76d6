//! Names of prepared statements and portals, each with what may stand behind it (DESIGN §4, Names).
//!
//! Every statement that reached the server was approved. A name says that this session made it, and holds the Facts of the
//! statements that may stand behind it: those whose verdict depends on more than the session (bound values, the time, other
//! names) are judged again whenever the name is used, the others when other policies are in force. A name that was made is
//! forgotten only when the server has acknowledged its end, so a wrong guess can cost a refusal, never open a bypass.

use std::collections::HashMap;
use std::sync::Arc;

use crate::detect::Signals;
use crate::policy::Approved;
use crate::session::held::{Held, Said};
use crate::session::judge::takes_values;
use crate::sql::{Facts, NameUse};

/// `NAMEDATALEN - 1`: the server compares only so many bytes of a name.
const NAME_BYTES: usize = 63;

/// Characters that surely fit into them, in any encoding of a server.
const NAME_CHARACTERS: usize = NAME_BYTES / 4;

/// Statements behind one name; beyond it the name is refused, where one of those that are not kept would have to be judged
/// again, until it is closed or made again.
const BEHIND_ONE_NAME: usize = 8;

/// Names of one kind in one session.
const NAMES: usize = 65_536;

/// A statement that may stand behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    held: Arc<Held>,
    /// The allow rules that it needs since other policies are in force.
    rules: Option<Arc<str>>,
    /// Allowed by the policies in force, whatever is bound and whenever it runs.
    settled: bool,
    /// Made by a message: running it uses the names that its text uses.
    uses_names: bool,
    /// What is bound to it may be another value than the text that comes with Bind.
    recast: bool,
    /// When it was last made.
    at: Stamp,
}

impl Statement {
    /// What it does.
    #[inline]
    pub fn facts(&self) -> &Facts {
        self.held.facts()
    }

    /// What the audit log says of it.
    pub fn said(&self) -> Said {
        let rules = self.rules.clone().or_else(|| self.held.said().rules.clone());
        Said { rules, ..self.held.said().clone() }
    }

    /// Its signs of an injection.
    pub fn signals(&self) -> &Signals {
        self.held.signals()
    }

    /// Whether running it runs what stands behind other names.
    pub fn uses_names(&self) -> bool {
        self.uses_names
    }

    /// Whether what is bound to it may be another value than the text that comes with Bind: by its type, or since nobody knows
    /// the types that PREPARE gave.
    pub fn recasts(&self) -> bool {
        self.recast
    }

    fn is_the_same(&self, other: &Statement) -> bool {
        self.uses_names == other.uses_names
            && self.recast == other.recast
            && (Arc::ptr_eq(&self.held, &other.held) || self.held == other.held)
    }
}

/// What other policies make of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Allowed, whatever is bound and whenever it runs.
    Settled,
    /// To be judged whenever it is used.
    Asked,
    /// It can't be judged: what was bound is gone.
    Lost,
}

/// The same, with the allow rules that it needs for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub again: Again,
    pub rules: Option<Arc<str>>,
}

impl From<Again> for Judged {
    fn from(again: Again) -> Judged {
        Judged { again, rules: None }
    }
}

/// What may stand behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// What was made last, apart so that the commonest case needs no allocation.
    newest: Option<Statement>,
    older: Vec<Statement>,
    /// There was one that can't be judged, though it should be: when it came here from another name, or zero for older ones of
    /// its own.
    lost: Option<Stamp>,
    /// Likewise of those that needn't be judged as long as the same policies are in force.
    forgotten: Option<Stamp>,
    /// Running it may change client_encoding.
    encoding: bool,
    /// A cursor declared WITH HOLD outlives its transaction.
    hold: bool,
    /// Last made by a message of the extended protocol, behind whose failure the server skips to Sync.
    by_message: bool,
    /// When it was last made, by [`Names::now`].
    made: Stamp,
    /// Until when the server has said what became of it, and what it has by then, where that is known.
    answered: Stamp,
    has: Option<Arc<Held>>,
    /// What was made last, where that was several of which one was certain.
    last: Option<Arc<Held>>,
    /// When it was last made by what no answer tells of.
    untold: Stamp,
}

/// A moment in the order of a session's requests. The end of a name takes away only what was made before it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// Before everything.
    pub const ZERO: Stamp = Stamp(0);
}

impl Behind {
    /// A statement that was allowed by the policies in force, whatever is bound and whenever it runs if it is `settled`. Without
    /// Facts it can't be judged again.
    pub fn approved(_proof: &Approved, held: Option<Arc<Held>>, settled: bool) -> Behind {
        let newest = held.map(|held| Statement {
            recast: takes_values(held.facts()),
            held,
            rules: None,
            settled,
            uses_names: false,
            at: Stamp::ZERO,
        });
        let missing = newest.is_none().then_some(Stamp::ZERO);
        let (forgotten, lost) = if settled { (missing, None) } else { (None, missing) };
        Behind { newest, forgotten, lost, ..Behind::nothing() }
    }

    fn nothing() -> Behind {
        Behind {
            newest: None,
            older: Vec::new(),
            lost: None,
            forgotten: None,
            encoding: false,
            hold: false,
            by_message: false,
            made: Stamp::ZERO,
            answered: Stamp::ZERO,
            has: None,
            last: None,
            untold: Stamp::ZERO,
        }
    }

    /// The same, outliving its transaction.
    pub fn held(self) -> Behind {
        Behind { hold: true, ..self }
    }

    /// Whether it outlives its transaction.
    pub fn is_held(&self) -> bool {
        self.hold
    }

    /// The same, made by Parse and not by SQL: what stands behind the name is the text itself, and its types are known.
    /// `recast`: they make other values of what is bound.
    pub fn by_message(mut self, recast: bool) -> Behind {
        if let Some(statement) = &mut self.newest {
            statement.recast = recast;
        }
        if let Some(statement) = self.newest.as_mut().filter(|statement| runs_names(statement.facts())) {
            // What stands behind those names may be another when it runs.
            statement.uses_names = true;
            statement.settled = false;
        }
        Behind { by_message: true, ..self }
    }

    /// The same, changing client_encoding when it runs.
    pub fn changing_encoding(self, encoding: bool) -> Behind {
        Behind { encoding, ..self }
    }

    /// Whether running it may change client_encoding.
    #[inline]
    pub fn changes_encoding(&self) -> bool {
        self.encoding
    }

    /// The statements to judge again, each of which must be allowed.
    #[inline]
    pub fn to_judge(&self) -> impl Iterator<Item = &Statement> {
        self.newest.iter().chain(&self.older).filter(|statement| !statement.settled)
    }

    /// What the statements do that are known to stand behind the name, settled ones too.
    pub fn facts(&self) -> impl Iterator<Item = &Facts> {
        self.newest.iter().chain(&self.older).map(Statement::facts)
    }

    /// Whether others may stand there that nobody knows.
    #[inline]
    pub fn may_hide(&self) -> bool {
        self.lost.is_some() || self.forgotten.is_some()
    }

    /// A statement may stand behind the name that should be judged again and can't be.
    #[inline]
    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// All that are known to stand behind the name, perhaps.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.newest.iter().chain(&self.older)
    }

    /// The statement that stands behind the name, where that is certain: there is no other one, or the server has said so.
    pub fn certain(&self) -> Option<&Statement> {
        if self.older.is_empty() && !self.may_hide() {
            return self.newest.as_ref();
        }
        let has = self.has.as_ref().filter(|_| self.answered == self.made)?;
        self.statements().find(|statement| statement.held == *has)
    }

    /// The same, to be told by the answer of a message that makes another name of it.
    pub fn certain_held(&self) -> Option<Arc<Held>> {
        self.certain().map(|statement| Arc::clone(&statement.held))
    }

    /// Nothing to ask again: the common case, which allocates nothing.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.lost.is_none() && self.to_judge().next().is_none()
    }

    fn widen(&mut self, other: &Behind, now: Stamp) {
        self.made = now;
        self.by_message = other.by_message;
        self.last = if other.older.is_empty() { None } else { other.certain_held() };
        if !other.by_message {
            (self.has, self.untold) = (None, now);
        }
        self.hold |= other.hold;
        self.encoding |= other.encoding;
        self.lost = other.lost.map(|_| now).or(self.lost);
        self.forgotten = other.forgotten.map(|_| now).or(self.forgotten);
        for statement in other.older.iter().chain(&other.newest) {
            self.add(statement, now);
        }
    }

    fn add(&mut self, statement: &Statement, now: Stamp) {
        if let Some(newest) = self.newest.as_mut().filter(|newest| newest.is_the_same(statement)) {
            newest.at = now;
            newest.settled = statement.settled;
            return;
        }
        self.older.retain(|older| !older.is_the_same(statement));
        let Some(previous) = self.newest.replace(Statement { at: now, ..statement.clone() }) else { return };
        self.older.push(previous);
        if self.older.len() == BEHIND_ONE_NAME {
            let least = self.older.iter().position(|older| older.settled).unwrap_or(0);
            let place = if self.older.remove(least).settled { &mut self.forgotten } else { &mut self.lost };
            *place = place.or(Some(Stamp::ZERO));
        }
    }

    /// Only what was made last stands behind the name.
    fn narrow(&mut self) {
        let made = self.made;
        self.newest.take_if(|newest| newest.at != made);
        self.older.retain(|older| older.at == made);
        self.lost = self.lost.filter(|at| *at == made);
        self.forgotten = self.forgotten.filter(|at| *at == made);
    }

    /// A copy of what was made last, of nothing else.
    fn narrowed(&self) -> Behind {
        let last = |statement: &&Statement| statement.at == self.made;
        Behind {
            newest: self.newest.as_ref().filter(last).cloned(),
            older: self.older.iter().filter(last).cloned().collect(),
            lost: self.lost.filter(|at| *at == self.made),
            forgotten: self.forgotten.filter(|at| *at == self.made),
            encoding: self.encoding,
            hold: self.hold,
            by_message: self.by_message,
            made: self.made,
            answered: self.made,
            has: self.last.clone(),
            last: self.last.clone(),
            untold: self.untold,
        }
    }

    fn judge_again(&mut self, judge: &mut impl FnMut(&Held) -> Judged) {
        let mut lost = self.lost.max(self.forgotten.take());
        let mut keep = |statement: &mut Statement| {
            let Judged { again, rules } = judge(&statement.held);
            statement.rules = rules;
            statement.settled = again == Again::Settled && !statement.uses_names;
            if again == Again::Lost {
                lost = lost.max(Some(statement.at));
            }
            again != Again::Lost
        };
        self.newest.take_if(|newest| !keep(newest));
        self.older.retain_mut(keep);
        self.lost = lost;
    }
}

/// Whether a text runs what stands behind a name.
fn runs_names(facts: &Facts) -> bool {
    facts.statements.iter().flat_map(|statement| &statement.names).any(|used| match used {
        NameUse::Execute(_) | NameUse::Fetch(_) => true,
        NameUse::Prepare(_) | NameUse::Declare { .. } | NameUse::Deallocate(_) | NameUse::CloseCursor(_) => false,
    })
}

/// The names of one kind: prepared statements, or portals and cursors.
#[derive(Debug, Default)]
pub struct Names {
    /// The unnamed one, apart so that the commonest case needs no map.
    unnamed: Option<Behind>,
    named: HashMap<Box<str>, Behind>,
    clock: u64,
    /// The last Sync that was sent.
    batch: Stamp,
}

/// There are too many names to remember another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl Names {
    /// What may stand behind a name that this session made.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&Behind> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(key(name)) }
    }

    /// What a message of the extended protocol finds behind the name now. Where the name was made since the last Sync by such a
    /// message, that is what was made last: if the server failed at it, or before it, it skips this message too.
    pub fn found(&self, name: &str) -> Option<Behind> {
        let behind = self.get(name)?;
        let last_only = behind.by_message && behind.made > self.batch;
        Some(if last_only { behind.narrowed() } else { behind.clone() })
    }

    /// A Sync was sent.
    #[inline]
    pub fn synced(&mut self) {
        self.batch = self.now();
    }

    /// Other policies are in force: they judge everything that may stand behind any of the names.
    pub fn judge_again(&mut self, mut judge: impl FnMut(&Held) -> Judged) {
        for behind in self.unnamed.iter_mut().chain(self.named.values_mut()) {
            behind.judge_again(&mut judge);
        }
    }

    /// Everything sent between these moments was done, without an error: an unnamed one that was made then has taken the place
    /// of those before. One that was made earlier may have been skipped.
    #[inline]
    pub fn done(&mut self, since: Stamp, sent: Stamp) {
        if let Some(unnamed) = self.unnamed.as_mut().filter(|unnamed| since < unnamed.made && unnamed.made <= sent) {
            unnamed.narrow();
        }
    }

    /// The server has answered the message that was to make the name at that moment: it has this one from now on, or still the
    /// one before. For the log: nothing is decided by it.
    pub fn answered(&mut self, name: &str, at: Stamp, made: bool, held: Option<Arc<Held>>) {
        let known = if name.is_empty() { self.unnamed.as_mut() } else { self.named.get_mut(key(name)) };
        let Some(known) = known else { return };
        known.answered = at;
        if made && at > known.untold {
            known.has = held;
        }
    }

    /// What became of the message that was to make the name at that moment nobody will know.
    pub fn unanswered(&mut self, name: &str, at: Stamp) {
        let known = if name.is_empty() { self.unnamed.as_mut() } else { self.named.get_mut(key(name)) };
        if let Some(known) = known {
            (known.has, known.untold) = (None, known.untold.max(at));
        }
    }

    /// The moment after everything made so far.
    #[inline]
    pub fn now(&self) -> Stamp {
        Stamp(self.clock)
    }

    /// A statement that was just approved may from now on stand behind the name, beside what stood there before.
    ///
    /// # Errors
    /// The session has too many names.
    #[inline]
    pub fn made(&mut self, name: &str, behind: &Behind) -> Result<(), TooMany> {
        self.clock += 1;
        let made = Stamp(self.clock);
        let known = if name.is_empty() {
            self.unnamed.get_or_insert_with(Behind::nothing)
        } else {
            let name = key(name);
            if !self.named.contains_key(name) {
                if self.named.len() >= NAMES {
                    return Err(TooMany);
                }
                self.named.insert(name.into(), Behind::nothing());
            }
            let Some(known) = self.named.get_mut(name) else { return Err(TooMany) };
            known
        };
        known.widen(behind, made);
        Ok(())
    }

    /// The server has acknowledged a request, sent at that moment, that ends the name.
    pub fn gone(&mut self, name: &str, sent: Stamp) {
        if is_cut(name) {
            // It may be another name than here.
            return;
        }
        if name.is_empty() {
            self.unnamed.take_if(|behind| behind.made <= sent);
        } else if self.named.get(key(name)).is_some_and(|behind| behind.made <= sent) {
            self.named.remove(key(name));
        }
    }

    /// Likewise for all names. The unnamed one stays: DEALLOCATE ALL doesn't touch it.
    pub fn all_gone(&mut self, sent: Stamp) {
        self.named.retain(|_, behind| behind.made > sent);
    }

    /// The transaction that the request sent at that moment was in is over: portals that are not held are gone.
    pub fn transaction_over(&mut self, sent: Stamp) {
        self.named.retain(|_, behind| behind.hold || behind.made > sent);
    }

    /// How many named ones there are.
    pub fn len(&self) -> usize {
        self.named.len()
    }

    /// No named ones.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

/// What of a name tells it from others. The server compares `NAMEDATALEN - 1` bytes of it in its own encoding, where a character
/// may have four bytes; in SQL it cuts between characters (`pg_mbcliplen`), in a message anywhere. Names that differ behind that
/// are one here: what stands behind either is judged for both.
pub fn key(name: &str) -> &str {
    let end = match name.bytes().position(|byte| !byte.is_ascii()) {
        None => NAME_BYTES,
        // It may not fit in, and then it is as if it weren't there.
        Some(first) if first > NAME_BYTES - 4 => first.min(NAME_BYTES),
        Some(_) => name.char_indices().nth(NAME_CHARACTERS).map_or(name.len(), |(end, _)| end),
    };
    name.get(..end).unwrap_or(name)
}

/// Whether it may be another name for the server than here.
pub fn is_cut(name: &str) -> bool {
    !name.is_ascii() && key(name).len() < name.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::held::Shelf;

    fn made_of(parameters: u32, settled: bool) -> Behind {
        let facts =
            Facts { statements: vec![crate::sql::Statement { parameters, ..Default::default() }], ..Facts::default() };
        let held =
            Shelf::default().hold(&Arc::new(facts), Signals::NONE, &crate::session::held::Said::default()).unwrap();
        Behind {
            newest: Some(Statement { held, rules: None, settled, uses_names: false, recast: false, at: Stamp::ZERO }),
            ..Behind::nothing()
        }
    }

    fn conditional(parameters: u32) -> Behind {
        made_of(parameters, false)
    }

    #[test]
    fn a_name_is_known_once_made_and_until_gone() {
        let mut names = Names::default();
        assert_eq!(names.get("s1"), None);
        names.made("s1", &Behind::nothing()).unwrap();
        assert!(names.get("s1").unwrap().is_settled());
        names.gone("s1", names.now());
        assert_eq!(names.get("s1"), None);
    }

    #[test]
    fn a_close_takes_away_only_what_was_made_before_it() {
        let mut names = Names::default();
        names.made("s1", &Behind::nothing()).unwrap();
        let closed = names.now();
        names.made("s1", &Behind::nothing()).unwrap();
        names.gone("s1", closed);
        names.all_gone(closed);
        names.transaction_over(closed);
        assert!(names.get("s1").is_some(), "the driver had made it again in the same pipeline");
    }

    #[test]
    fn making_a_name_again_widens_it() {
        let mut names = Names::default();
        names.made("s1", &conditional(1)).unwrap();
        names.made("s1", &Behind::nothing()).unwrap();
        names.made("s1", &conditional(1)).unwrap();
        assert_eq!(names.get("s1").unwrap().to_judge().count(), 1, "the earlier one may still stand there");
        names.made("s1", &conditional(2)).unwrap();
        assert_eq!(names.get("s1").unwrap().to_judge().count(), 2);
    }

    #[test]
    fn too_many_behind_one_name_is_an_overflow() {
        let mut names = Names::default();
        for n in 0..9 {
            names.made("", &conditional(n)).unwrap();
        }
        assert!(names.get("").unwrap().is_lost());
        assert!(!names.get("").unwrap().is_settled());
        names.gone("", names.now());
        assert_eq!(names.get(""), None);
    }

    #[test]
    fn names_compare_as_far_as_the_server_compares_them() {
        let mut names = Names::default();
        let long = "n".repeat(63);
        names.made(&format!("{long}a"), &conditional(1)).unwrap();
        assert!(!names.get(&format!("{long}b")).unwrap().is_settled());
        let umlauts = "ä".repeat(40);
        names.made(&umlauts, &Behind::nothing()).unwrap();
        assert!(names.get(&"ä".repeat(31)).is_some());
    }

    #[test]
    fn held_cursors_outlive_the_transaction() {
        let mut names = Names::default();
        names.made("a", &Behind::nothing()).unwrap();
        names.made("b", &Behind::nothing().held()).unwrap();
        names.transaction_over(names.now());
        assert!(names.get("a").is_none() && names.get("b").is_some());
    }

    #[test]
    fn names_are_bounded() {
        let mut names = Names::default();
        for n in 0..NAMES {
            names.made(&n.to_string(), &Behind::nothing()).unwrap();
        }
        assert_eq!(names.made("one more", &Behind::nothing()), Err(TooMany));
    }
    #[test]
    fn too_many_settled_ones_cost_nothing_until_they_are_judged_again() {
        let mut names = Names::default();
        names.made("s", &conditional(100)).unwrap();
        for n in 0..20 {
            names.made("s", &made_of(n, true)).unwrap();
        }
        assert_eq!(names.get("s").unwrap().to_judge().count(), 1, "the one to ask is kept before settled ones");
        assert!(!names.get("s").unwrap().is_lost());
        names.judge_again(|_| Again::Settled.into());
        assert!(names.get("s").unwrap().is_lost(), "some of them weren't judged");
        names.made("t", &made_of(1, true)).unwrap();
        names.judge_again(|_| Again::Settled.into());
        assert!(names.get("t").unwrap().is_settled());
    }

    #[test]
    fn other_policies_judge_everything_behind_a_name() {
        let mut names = Names::default();
        names.made("", &made_of(1, true)).unwrap();
        names.made("", &made_of(2, true)).unwrap();
        names.judge_again(|held| match held.facts().statements.first().unwrap().parameters {
            1 => Again::Asked.into(),
            _ => Again::Settled.into(),
        });
        assert_eq!(names.get("").unwrap().to_judge().count(), 1);
        names.judge_again(|_| Again::Lost.into());
        assert!(names.get("").unwrap().is_lost());
        names.made("", &made_of(3, true)).unwrap();
        names.done(Stamp::ZERO, names.now());
        assert!(names.get("").unwrap().is_settled(), "made again");
    }
}
