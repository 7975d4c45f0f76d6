//! Names of prepared statements and portals, each with what may stand behind it (DESIGN §4, Names).
//!
//! Every statement that reached the server was approved, so a name needs to say only two things: that this session made
//! it, and which of the statements that may stand behind it have a verdict that depends on more than the session (bound
//! values, the time) and is therefore asked for again. A name that was made is forgotten only when the server has
//! acknowledged its end, so a wrong guess can cost a refusal, never open a bypass.

use std::collections::HashMap;
use std::sync::Arc;

use crate::policy::Approved;
use crate::sql::Facts;

/// `NAMEDATALEN - 1`: the server compares only so many bytes of a name.
const NAME_BYTES: usize = 63;

/// Conditional statements behind one name; beyond it the name is refused until it is closed or made again.
const BEHIND_ONE_NAME: usize = 8;

/// Names of one kind in one session.
const NAMES: usize = 65_536;

/// A judged statement whose verdict must be asked for again.
#[derive(Debug, PartialEq, Eq)]
pub struct Conditional {
    pub facts: Arc<Facts>,
}

/// What may stand behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Each with when it was last made.
    conditional: Vec<(Stamp, Arc<Conditional>)>,
    /// There were more than are kept: when what stood behind another name as such came here, or zero for older ones of its own.
    overflow: Option<Stamp>,
    /// Running it may change client_encoding.
    encoding: bool,
    /// A cursor declared WITH HOLD outlives its transaction.
    hold: bool,
    /// Last made by a message of the extended protocol, behind whose failure the server skips to Sync.
    by_message: bool,
    /// When it was last made, by [`Names::now`].
    made: Stamp,
}

/// A moment in the order of a session's requests. The end of a name takes away only what was made before it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// Before everything.
    pub const ZERO: Stamp = Stamp(0);
}

impl Behind {
    /// A statement that was allowed, whatever is bound and whenever it runs.
    pub fn approved(_proof: &Approved) -> Behind {
        Behind::nothing()
    }

    fn nothing() -> Behind {
        Behind {
            conditional: Vec::new(),
            overflow: None,
            encoding: false,
            hold: false,
            by_message: false,
            made: Stamp::ZERO,
        }
    }

    /// The same, to be judged again whenever it is used.
    pub fn on_condition(self, statement: Conditional) -> Behind {
        Behind { conditional: vec![(Stamp::ZERO, Arc::new(statement))], ..self }
    }

    /// The same, outliving its transaction.
    pub fn held(self) -> Behind {
        Behind { hold: true, ..self }
    }

    /// The same, made by Parse or Bind and not by SQL.
    pub fn by_message(self) -> Behind {
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
    pub fn to_judge(&self) -> impl Iterator<Item = &Conditional> {
        self.conditional.iter().map(|(_, statement)| &**statement)
    }

    /// Too many different statements may stand behind the name.
    #[inline]
    pub fn overflowed(&self) -> bool {
        self.overflow.is_some()
    }

    /// Nothing to ask again: the common case, which allocates nothing.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.conditional.is_empty() && self.overflow.is_none()
    }

    fn widen(&mut self, other: &Behind, now: Stamp) {
        self.made = now;
        self.by_message = other.by_message;
        self.hold |= other.hold;
        self.encoding |= other.encoding;
        if other.overflowed() {
            self.overflow = Some(now);
        }
        for (_, statement) in &other.conditional {
            self.conditional.retain(|(_, known)| !Arc::ptr_eq(known, statement) && known != statement);
            if self.conditional.len() == BEHIND_ONE_NAME {
                self.overflow = self.overflow.or(Some(Stamp::ZERO));
                self.conditional.remove(0);
            }
            self.conditional.push((now, Arc::clone(statement)));
        }
    }

    /// Only what was made last stands behind the name.
    fn narrow(&mut self) {
        let made = self.made;
        self.conditional.retain(|(at, _)| *at == made);
        self.overflow = self.overflow.filter(|at| *at == made);
    }
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
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(truncated(name)) }
    }

    /// What a message of the extended protocol finds behind the name now. Where the name was made since the last Sync by such a
    /// message, that is what was made last: if the server failed at it, or before it, it skips this message too.
    pub fn found(&self, name: &str) -> Option<Behind> {
        let mut behind = self.get(name)?.clone();
        if behind.by_message && behind.made > self.batch {
            behind.narrow();
        }
        Some(behind)
    }

    /// A Sync was sent.
    #[inline]
    pub fn synced(&mut self) {
        self.batch = self.now();
    }

    /// Everything sent up to that moment was done, without an error: an older unnamed one is gone.
    #[inline]
    pub fn done(&mut self, sent: Stamp) {
        if let Some(unnamed) = self.unnamed.as_mut().filter(|unnamed| unnamed.made <= sent) {
            unnamed.narrow();
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
            let name = truncated(name);
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
        if name.len() > NAME_BYTES && !name.is_ascii() {
            // Where the server cuts it depends on its encoding and on who asks: it may be another name than here.
            return;
        }
        if name.is_empty() {
            self.unnamed.take_if(|behind| behind.made <= sent);
        } else if self.named.get(truncated(name)).is_some_and(|behind| behind.made <= sent) {
            self.named.remove(truncated(name));
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

    /// No named ones.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

/// The part of a name that the server compares, cut at a character as `pg_mbcliplen` does. In a message it cuts at a byte, so
/// that names which differ there are one here: what stands behind either is judged for both.
fn truncated(name: &str) -> &str {
    if name.len() <= NAME_BYTES {
        return name;
    }
    let end = (0..=NAME_BYTES).rev().find(|&i| name.is_char_boundary(i)).unwrap_or(0);
    name.get(..end).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Statement;

    fn conditional(parameters: u32) -> Behind {
        let facts = Facts { statements: vec![Statement { parameters, ..Statement::default() }] };
        Behind::nothing().on_condition(Conditional { facts: facts.into() })
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
        assert!(names.get("").unwrap().overflowed());
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
}
