//! What is known of texts that came before: their Facts, their signals, and the verdict where it can't change.
//!
//! An entry is found only by the whole text as it came, byte for byte, together with everything that its meaning and its
//! verdict depend on ([`Circumstances`]): a hash alone would be a bypass. There are two levels. A session remembers a few
//! texts by itself, without a lock; behind them stands one [`Cache`] for all sessions, bounded in bytes, whose locks are
//! split by hash and taken only for what the session hasn't met lately. Neither hash can be foreseen by a client.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use quick_cache::sync::{Cache as Shared, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use crate::detect::{Recent, Signals};
use crate::policy::{Lasting, SessionClass};
use crate::session::held::{Held, Said, Shelf};
use crate::session::judge::Lexing;
use crate::sql::encoding::Encoding;
use crate::sql::second_opinion::{self, Opinion};
use crate::sql::{self, Analysis, Facts, StatementHash};

/// The longest text that is remembered: longer ones seldom come twice, and push out many others.
const TEXT: usize = 32 << 10;

/// Statements that are remembered as read alike by both parsers; each takes some 50 bytes.
const AGREED: usize = 16_384;

/// Texts longer than this are read with other tasks moved off this worker thread, so that they stall nobody.
const LONG: usize = 1024;

/// What weighing a text takes for each of its bytes: the list of its tokens.
const WEIGHING: u64 = 16;

/// Texts that a session remembers by itself.
const OWN: usize = 32;

/// The heaviest entry that a session remembers by itself, in bytes (and one heavier, the last): with [`OWN`], the most that
/// a session keeps alive beyond the bound of all.
const OWN_BYTES: usize = 8 << 10;

/// What a statement and its Facts take, ordinarily, in bytes.
const ORDINARY: u64 = 1 << 10;

/// Everything besides the text that Facts or a lasting verdict depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Circumstances {
    pub class: SessionClass,
    pub encoding: Encoding,
    pub server_utf8: bool,
    pub server_major: u32,
    /// Parse, not Query: values may come later, and a rule may ask for it.
    pub extended: bool,
}

/// What is known of one text.
#[derive(Debug)]
pub struct Known {
    text: Box<[u8]>,
    circumstances: Circumstances,
    pub facts: Arc<Facts>,
    pub signals: Signals,
    pub said: Said,
    /// The permission, where it can't change and the session keeps no account of what the text does. Else the Facts are
    /// judged each time.
    pub lasting: Option<Lasting>,
    /// What the entry occupies, roughly.
    bytes: usize,
}

impl Known {
    fn is(&self, text: &[u8], circumstances: &Circumstances) -> bool {
        *self.text == *text && self.circumstances == *circumstances
    }
}

/// An entry under its own text: the key holds no copy.
#[derive(Debug, Clone)]
struct Key(Arc<Known>);

/// What is asked for.
struct Asked<'a> {
    text: &'a [u8],
    circumstances: &'a Circumstances,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked { text: &self.0.text, circumstances: &self.0.circumstances }.hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
        self.circumstances.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.0.is(&other.0.text, &other.0.circumstances)
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.0.is(self.text, self.circumstances)
    }
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Key, Arc<Known>> for Bytes {
    fn weight(&self, key: &Key, _: &Arc<Known>) -> u64 {
        key.0.bytes as u64
    }
}

/// The memory that reading long texts may take at once, in all sessions.
#[derive(Debug)]
struct Gate {
    total: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

impl Gate {
    fn new(bytes: u64) -> Gate {
        Gate { total: bytes, free: Mutex::new(bytes), freed: Condvar::new() }
    }

    /// Runs the work when there is room for it. Blocks the thread.
    fn pass<T>(&self, bytes: u64, work: impl FnOnce() -> T) -> Result<T, TooHeavy> {
        if bytes > self.total {
            return Err(TooHeavy { weight: bytes, limit: self.total });
        }
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free < bytes).unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        drop(free);
        let _leave = Leave { gate: self, bytes };
        Ok(work())
    }
}

/// A text takes more memory than there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooHeavy {
    /// What reading it may take, in bytes.
    pub weight: u64,
    /// `analysis_bytes`.
    pub limit: u64,
}

/// Gives the room back, however the work ended.
struct Leave<'a> {
    gate: &'a Gate,
    bytes: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        *self.gate.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.gate.freed.notify_all();
    }
}

/// What the sessions of a process share for reading texts: those that they have met lately, and room for long ones.
#[derive(Debug)]
pub struct Cache {
    shared: Shared<Key, Arc<Known>, Bytes, ahash::RandomState>,
    hasher: ahash::RandomState,
    off: bool,
    gate: Gate,
    /// Statements, whatever their values, of which the second parser has said the same.
    agreed: Shared<StatementHash, ()>,
}

impl Cache {
    /// Of at most so many bytes (with 0 nothing is remembered), and so many for reading long texts at once.
    pub fn new(bytes: u64, analysis_bytes: u64) -> Cache {
        let items = usize::try_from(bytes / ORDINARY).unwrap_or(usize::MAX);
        let hasher = ahash::RandomState::new();
        let shared = Shared::with(items, bytes, Bytes, hasher.clone(), DefaultLifecycle::default());
        Cache { shared, hasher, off: bytes == 0, gate: Gate::new(analysis_bytes), agreed: Shared::new(AGREED) }
    }

    /// Bytes that the entries occupy, roughly.
    pub fn bytes(&self) -> u64 {
        self.shared.weight()
    }

    /// Forgets all texts: other policies are in force, and nothing is found any more under the classes of the old ones.
    pub fn clear(&self) {
        self.shared.clear();
    }
}

/// The texts that one session has met lately, in front of those of all.
#[derive(Debug)]
pub struct Texts {
    cache: Arc<Cache>,
    /// By hash, and last of all a heavy one; empty until the first text is remembered.
    own: Vec<Option<Own>>,
    now: Circumstances,
    shelf: Shelf,
    recent: Recent,
}

/// A text that a session remembers by itself.
#[derive(Debug, Clone)]
pub struct Own {
    pub known: Arc<Known>,
    /// Its Facts, for the names that it makes.
    pub held: Option<Arc<Held>>,
}

impl Texts {
    /// For a session of this class. Nothing is known yet of how its texts are read: [`Texts::find`] is told each time.
    pub fn new(cache: Arc<Cache>, class: SessionClass) -> Texts {
        let now =
            Circumstances { class, encoding: Encoding::Utf8, server_utf8: true, server_major: 0, extended: false };
        Texts { cache, own: Vec::new(), now, shelf: Shelf::default(), recent: Recent::default() }
    }

    /// The session is of another class from now on: nothing that was remembered of the old one is found any more.
    pub fn renew(&mut self, class: SessionClass) {
        self.now.class = class;
        self.own.clear();
        self.recent = Recent::default();
    }

    /// The statements with values that this session sent last.
    pub fn recent(&mut self) -> &mut Recent {
        &mut self.recent
    }

    /// Holds Facts for a name of this session, where there is room.
    pub fn hold(&self, facts: &Arc<Facts>, signals: &Signals, said: &Said) -> Option<Arc<Held>> {
        self.shelf.hold(facts, signals, said)
    }

    /// What is known of a text that is to be read like this. Takes no lock where the session itself remembers it.
    #[inline]
    pub fn find(&mut self, text: &[u8], read: &Lexing, extended: bool) -> Option<&Own> {
        self.now.encoding = read.client_encoding;
        self.now.server_utf8 = read.server_utf8;
        self.now.server_major = read.server_major;
        self.now.extended = extended;
        if text.len() > TEXT {
            return None;
        }
        let mut slot = self.slot(text);
        let here = self.own.get(slot).and_then(Option::as_ref).is_some_and(|own| own.known.is(text, &self.now));
        if !here {
            let known = self.cache.shared.get(&Asked { text, circumstances: &self.now })?;
            if known.bytes > OWN_BYTES {
                slot = OWN;
            }
            self.remember(slot, known);
        }
        self.own.get(slot).and_then(Option::as_ref)
    }

    /// Remembers a text that was just read, as [`Texts::find`] was last told, for this session and all others.
    pub fn keep(&mut self, text: &[u8], facts: Arc<Facts>, signals: Signals, said: Said, lasting: Option<Lasting>) {
        if text.len() > TEXT || self.cache.off {
            return;
        }
        let told = said.told.as_ref().map_or(0, |told| told.bytes());
        let bytes = size_of::<Known>() + text.len() + facts.bytes() + size_of_val(signals.signals.as_slice()) + told;
        let circumstances = self.now.clone();
        let known = Arc::new(Known { text: text.into(), circumstances, facts, signals, said, lasting, bytes });
        self.cache.shared.insert(Key(Arc::clone(&known)), known);
    }

    /// Does the work on a text, which reads it: at once, or where it is long, aside and when there is room for it. Blocks the
    /// thread.
    ///
    /// # Errors
    /// There will never be room for it.
    pub fn reading<T>(&self, text: &str, work: impl FnOnce() -> T) -> Result<T, TooHeavy> {
        if text.len() <= LONG {
            return Ok(work());
        }
        let gate = &self.cache.gate;
        tokio::task::block_in_place(|| {
            // Weighing takes memory, too.
            let room = gate.total.min(text.len() as u64 * WEIGHING);
            let weight = gate.pass(room, || sql::weight(text))?;
            gate.pass(weight, work)
        })
    }

    /// The second opinion on a text that was just read. It is asked once for texts that differ in plain values only, where nothing
    /// in their spelling could make one parser cut them otherwise than the other.
    pub fn second_opinion(&self, text: &str, analysis: &Analysis) -> Opinion {
        let plain = !self.cache.off && second_opinion::is_plainly_spelled(text);
        let hash = analysis.facts.hash.filter(|_| plain);
        if hash.is_some_and(|hash| self.cache.agreed.get(&hash).is_some()) {
            return Opinion::Agrees;
        }
        let opinion = second_opinion::compare(text, &analysis.facts);
        if let (Some(hash), Opinion::Agrees) = (hash, &opinion) {
            self.cache.agreed.insert(hash, ());
        }
        opinion
    }

    /// Bytes that the entries of all sessions occupy, roughly.
    pub fn bytes(&self) -> u64 {
        self.cache.bytes()
    }

    fn slot(&self, text: &[u8]) -> usize {
        // The lowest bits: there are fewer slots than a usize counts.
        (self.cache.hasher.hash_one(text) % OWN as u64) as usize
    }

    fn remember(&mut self, slot: usize, known: Arc<Known>) {
        if self.own.is_empty() {
            self.own.resize(OWN + 1, None);
        }
        if let Some(place) = self.own.get_mut(slot) {
            let held = self.shelf.hold(&known.facts, &known.signals, &known.said);
            *place = Some(Own { known, held });
        }
    }
}

#[cfg(test)]
mod tests;
