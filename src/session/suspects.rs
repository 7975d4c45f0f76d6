//! Which statement an error of the server's belongs to, for every session and nearly for nothing: no allocation once it has
//! grown, and of the answers only how many messages they complete.
//!
//! Messages up to a Sync are one batch, those of one statement in it (Parse, Bind, Execute) one entry. So a batch mostly has one,
//! and an error of it has one suspect. Where it has several, the number of messages that were completed before says which: each
//! message of the extended protocol is completed by one answer. A doubt that is left (a Sync within COPY FROM STDIN) blames the
//! wrong statement at worst, until everything is answered.

use std::collections::VecDeque;

use crate::detect::probing::Shape;
use crate::session::statements::Behind;
use crate::session::tell::Asked;

/// Entries that wait for their answers. With more of them nobody is blamed until everything is answered.
const ENTRIES: usize = 1024;

/// What is kept of a text for the log, in bytes: as much as it shows.
const TEXT: usize = 2 << 10;

/// Who may have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspect {
    /// Ours, which fails on purpose.
    Poison,
    Statement(Shape),
}

#[derive(Debug)]
struct Entry {
    suspect: Suspect,
    /// Messages of the extended protocol.
    messages: u32,
    /// ReadyForQuery comes behind it.
    last: bool,
}

/// The statements of one session that were sent and not answered.
#[derive(Debug, Default)]
pub struct Suspects {
    /// Mostly there is one.
    first: Option<Entry>,
    more: VecDeque<Entry>,
    /// Messages that were completed since the last ReadyForQuery.
    completed: u32,
    /// Too much was outstanding.
    lost: bool,
    /// The statement of the message at hand.
    shape: Option<Shape>,
    /// The beginning of the last text that nobody remembered, and its shape.
    text: Vec<u8>,
    text_of: Shape,
}

impl Suspects {
    /// The message at hand has a text that nobody remembered.
    pub fn met(&mut self, shape: Shape, text: &[u8]) {
        self.is_about(shape);
        self.text.clear();
        self.text.extend_from_slice(text.get(..TEXT).unwrap_or(text));
        self.text_of = shape;
    }

    /// The message at hand is about this statement.
    #[inline]
    pub fn is_about(&mut self, shape: Shape) {
        self.shape = Some(shape);
    }

    /// The statement that the message at hand is about.
    pub fn at_hand(&self) -> Shape {
        self.shape.unwrap_or_default()
    }

    /// The message at hand uses a name: most probably, what was made last stands behind it. Where that has no hash, it is what stands
    /// before in the batch.
    #[inline]
    pub fn uses(&mut self, behind: Option<&Behind>) {
        self.shape = behind.and_then(|behind| behind.facts().next()?.hash.as_ref()).map(Shape::of);
    }

    /// The beginning of the statement's text, if it was the last to be met.
    pub fn text(&self, shape: Shape) -> &[u8] {
        if shape.is_known() && shape == self.text_of { &self.text } else { b"" }
    }

    /// The message at hand was sent, or poison in its place.
    #[inline]
    pub fn sent(&mut self, asked: Asked, poison: bool) {
        let shape = self.shape.take();
        if self.lost {
            return;
        }
        let alone = asked.is_answered_by_ready_for_query();
        let suspect = match (poison, shape) {
            (true, _) => Some(Suspect::Poison),
            (false, Some(shape)) => Some(Suspect::Statement(shape)),
            // Close, and names that aren't there: they belong to what stands before them.
            (false, None) => None,
        };
        if let Some(back) = self.back_mut().filter(|back| !back.last && !alone)
            && suspect.is_none_or(|suspect| suspect == back.suspect)
        {
            back.messages = back.messages.saturating_add(1);
            return;
        }
        let suspect = suspect.unwrap_or(Suspect::Statement(Shape::UNKNOWN));
        self.push(Entry { suspect, messages: u32::from(!alone), last: alone });
    }

    /// A Sync was sent.
    #[inline]
    pub fn synced(&mut self) {
        if self.lost {
            return;
        }
        match self.back_mut() {
            Some(back) if !back.last => back.last = true,
            Some(_) | None => {
                self.push(Entry { suspect: Suspect::Statement(Shape::UNKNOWN), messages: 0, last: true });
            }
        }
    }

    fn back_mut(&mut self) -> Option<&mut Entry> {
        if self.more.is_empty() { self.first.as_mut() } else { self.more.back_mut() }
    }

    fn push(&mut self, entry: Entry) {
        if self.first.is_none() {
            self.first = Some(entry);
            return;
        }
        if self.more.len() >= ENTRIES {
            (self.first, self.more, self.lost) = (None, VecDeque::new(), true);
            return;
        }
        self.more.push_back(entry);
    }

    /// An answer that completes a message of the extended protocol. (Of a Query it means nothing.)
    #[inline]
    pub fn completed(&mut self) {
        self.completed = self.completed.saturating_add(1);
    }

    /// ReadyForQuery. `all`: nothing else is outstanding.
    #[inline]
    pub fn ready(&mut self, all: bool) {
        self.completed = 0;
        if all {
            self.first = None;
            self.more.clear();
            self.lost = false;
            return;
        }
        while let Some(entry) = self.first.take() {
            self.first = self.more.pop_front();
            if entry.last {
                return;
            }
        }
    }

    /// ErrorResponse: the statement that failed; none is our poison.
    pub fn failed(&self) -> Option<Shape> {
        let mut before = self.completed;
        for entry in self.first.iter().chain(&self.more) {
            if before < entry.messages || entry.last {
                return match entry.suspect {
                    Suspect::Poison => None,
                    Suspect::Statement(shape) => Some(shape),
                };
            }
            before -= entry.messages;
        }
        Some(Shape::UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::hash_of_unread;

    fn shape(text: &str) -> Shape {
        Shape::of(&hash_of_unread(text))
    }

    fn send(suspects: &mut Suspects, asked: Asked, text: &str) {
        suspects.is_about(shape(text));
        suspects.sent(asked, false);
    }

    fn run(suspects: &mut Suspects, text: &str) {
        send(suspects, Asked::Parse, text);
        send(suspects, Asked::Bind, text);
        suspects.sent(Asked::Describe, false);
        send(suspects, Asked::Execute, text);
    }

    #[test]
    fn queries_fail_in_their_order() {
        let mut suspects = Suspects::default();
        send(&mut suspects, Asked::Query, "a");
        send(&mut suspects, Asked::Query, "b");
        assert_eq!(suspects.failed(), Some(shape("a")));
        suspects.completed();
        suspects.ready(false);
        assert_eq!(suspects.failed(), Some(shape("b")));
        suspects.ready(true);
        assert_eq!(suspects.failed(), Some(Shape::UNKNOWN), "nobody is left");
    }

    #[test]
    fn a_batch_of_one_statement_is_one_entry() {
        let mut suspects = Suspects::default();
        run(&mut suspects, "a");
        suspects.synced();
        assert!(suspects.first.is_some() && suspects.more.is_empty());
        for _ in 0..4 {
            assert_eq!(suspects.failed(), Some(shape("a")));
            suspects.completed();
        }
        assert_eq!(suspects.failed(), Some(shape("a")), "at its end, where constraints fail that are deferred");
    }

    #[test]
    fn in_a_batch_of_several_the_answers_say_which() {
        let mut suspects = Suspects::default();
        for text in ["a", "b", "c"] {
            run(&mut suspects, text);
        }
        suspects.sent(Asked::Close, false);
        suspects.synced();
        send(&mut suspects, Asked::Query, "d");
        let mut blamed = Vec::new();
        for _ in 0..12 {
            blamed.push(suspects.failed().unwrap());
            suspects.completed();
        }
        let expected: Vec<_> = ["a", "b", "c"].into_iter().flat_map(|text| [shape(text); 4]).collect();
        assert_eq!(blamed, expected);
        assert_eq!(suspects.failed(), Some(shape("c")), "its Close, or the end");
        suspects.ready(false);
        assert_eq!(suspects.failed(), Some(shape("d")));
    }

    #[test]
    fn poison_is_nobodys_mistake() {
        let mut suspects = Suspects::default();
        run(&mut suspects, "a");
        suspects.is_about(shape("b"));
        suspects.sent(Asked::Parse, true);
        suspects.synced();
        for _ in 0..4 {
            suspects.completed();
        }
        assert_eq!(suspects.failed(), None);
        suspects.ready(true);
        suspects.is_about(shape("b"));
        suspects.sent(Asked::Query, true);
        assert_eq!(suspects.failed(), None);
    }

    #[test]
    fn a_sync_alone_and_what_has_no_shape() {
        let mut suspects = Suspects::default();
        suspects.synced();
        suspects.sent(Asked::Describe, false);
        suspects.synced();
        send(&mut suspects, Asked::Query, "a");
        assert_eq!(suspects.failed(), Some(Shape::UNKNOWN));
        suspects.ready(false);
        assert_eq!(suspects.failed(), Some(Shape::UNKNOWN));
        suspects.ready(false);
        assert_eq!(suspects.failed(), Some(shape("a")));
    }

    #[test]
    fn it_is_bounded_and_begins_anew_when_everything_is_answered() {
        let mut suspects = Suspects::default();
        for number in 0..3 * ENTRIES {
            send(&mut suspects, Asked::Query, &"(".repeat(number % 7));
        }
        assert!(suspects.more.len() <= ENTRIES);
        assert_eq!(suspects.failed(), Some(Shape::UNKNOWN));
        suspects.ready(true);
        send(&mut suspects, Asked::Query, "a");
        assert_eq!(suspects.failed(), Some(shape("a")));
    }

    #[test]
    fn the_text_that_was_read_last_is_at_hand() {
        let mut suspects = Suspects::default();
        suspects.met(shape("a"), b"a");
        assert_eq!(suspects.text(shape("a")), b"a");
        suspects.met(shape("b"), &[b'b'; 2 * TEXT]);
        assert_eq!((suspects.text(shape("a")), suspects.text(shape("b"))), (&b""[..], &[b'b'; TEXT][..]));
        suspects.met(Shape::UNKNOWN, b"c");
        assert_eq!(suspects.text(Shape::UNKNOWN), b"");
    }
}
