//! Statements beside those that came before: what was inserted into one of them.
//!
//! An injection leaves the application's statement around it as it was, but for one place: where a value stood there is more
//! now, or the rest is cut off. The statement is laid beside known ones, part by part from both ends; what is left in the
//! middle is what was inserted. A parameter is no such place: what is bound never becomes SQL.

use std::collections::VecDeque;

use pg_query::protobuf::Token;

use crate::sql::skeleton::{Part, Skeleton};

/// How many neighbours are looked at on each side, in each order.
const NEIGHBOURS: usize = 48;

/// A statement of which fewer parts are known in front of a cut is any statement.
const LEAST: usize = 4;

/// How many statements of a session are remembered, and of how many parts: 16 KiB at most.
const MOST_RECENT: usize = 16;

/// Longer texts are laid beside none of them, in bytes: those that load rows would take too long.
const LONGEST_COMPARED: usize = 16 << 10;

const LONGEST_RECENT: usize = 128;

/// The longest inserted text that is told, in bytes.
const LONGEST_TOLD: usize = 512;

/// What was inserted into a known statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inserted {
    /// The inserted part, without values; empty where nothing but the rest of the statement is missing.
    pub part: String,
    /// The learned statement, without values. `None`: one that the same session sent before.
    pub into: Option<Box<str>>,
}

/// How an insertion looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// A further condition or value, as a new version of an application may write it.
    Weak,
    /// What asks another question (OR, UNION, a query, a function, several statements), or cuts the rest off.
    Strong,
}

/// Known statements, in the order of their parts from the front and from the back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shapes {
    known: Vec<Known>,
    /// Places in `known`, by their parts read backwards.
    backwards: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    parts: Box<[Part]>,
    text: Box<str>,
}

impl Shapes {
    /// Of texts without values.
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Shapes {
        let known = texts.into_iter().filter_map(|text| {
            // Where it is longer than what is told of a text, its end isn't known.
            let skeleton = (!text.ends_with('…')).then(|| Skeleton::of(text)).flatten()?;
            Some(Known { parts: skeleton.parts.into(), text: text.into() })
        });
        let mut known: Vec<Known> = known.collect();
        known.sort();
        known.dedup_by(|a, b| a.parts == b.parts);
        let mut backwards: Vec<u32> = (0..u32::try_from(known.len()).unwrap_or(0)).collect();
        let reversed = |place: &u32| known.get(*place as usize).map(|known| known.parts.iter().rev());
        backwards.sort_by(|a, b| match (reversed(a), reversed(b)) {
            (Some(a), Some(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        });
        Shapes { known, backwards }
    }

    /// What was inserted into the known statement that is nearest. `None`: it is one of them, or resembles none.
    pub(super) fn inserted(&self, text: &str) -> Option<(Strength, Inserted)> {
        let new = New::of(text)?;
        let best = self
            .near(&new)
            .filter_map(|known| {
                let (edit, strength) = new.against(&known.parts)?;
                Some((strength, edit.alike, edit.inserted, known))
            })
            .max_by_key(|(strength, alike, ..)| (*alike, *strength));
        let (strength, _, inserted, known) = best?;
        let mut part = new.skeleton.text(text, inserted);
        truncate(&mut part);
        Some((strength, Inserted { part, into: Some(known.text.clone()) }))
    }

    /// Known statements that begin or end like it. None where it is one of them.
    fn near(&self, new: &New) -> impl Iterator<Item = &Known> {
        let forwards = self.known.binary_search_by(|known| known.parts[..].cmp(&new.skeleton.parts));
        let (at, known) = match forwards {
            Ok(at) => (at, true),
            Err(at) => (at, false),
        };
        let around = |at: usize| at.saturating_sub(NEIGHBOURS)..at.saturating_add(NEIGHBOURS);
        let backwards = |parts: &[Part]| {
            self.backwards.partition_point(|place| {
                self.known.get(*place as usize).is_some_and(|known| known.parts.iter().rev().lt(parts.iter().rev()))
            })
        };
        let behind = [Some(&new.skeleton.parts), new.ghost.as_ref()];
        let behind = behind.into_iter().flatten().flat_map(move |parts| around(backwards(parts)));
        let behind = behind.filter_map(|place| self.backwards.get(place).map(|place| *place as usize));
        around(at).chain(behind).filter(move |_| !known).filter_map(|place| self.known.get(place))
    }
}

/// The statements that one session sent last, those that hold values: what nobody learned is compared with them.
#[derive(Debug, Default)]
pub struct Recent {
    /// The newest last.
    shapes: VecDeque<Box<[Part]>>,
}

impl Recent {
    /// What was inserted into one of them; if `keep` says so, the text is one of them from now on.
    pub(super) fn inserted(
        &mut self,
        text: &str,
        keep: impl FnOnce(Option<Strength>) -> bool,
    ) -> Option<(Strength, Inserted)> {
        let new = (text.len() <= LONGEST_COMPARED).then(|| New::of(text)).flatten()?;
        let parts = new.skeleton.parts.as_slice();
        // It comes again, with other values perhaps.
        if let Some(place) = self.shapes.iter().position(|shape| **shape == *parts) {
            if let Some(shape) = self.shapes.remove(place) {
                self.shapes.push_back(shape);
            }
            return None;
        }
        let best = self
            .shapes
            .iter()
            .filter_map(|known| new.against(known))
            .filter(|(edit, _)| edit.at_value)
            .max_by_key(|(edit, strength)| (edit.alike, *strength));
        let found = best.map(|(edit, strength)| {
            let mut part = new.skeleton.text(text, edit.inserted);
            truncate(&mut part);
            (strength, Inserted { part, into: None })
        });
        if parts.len() <= LONGEST_RECENT && keep(found.as_ref().map(|(strength, _)| *strength)) {
            if self.shapes.len() >= MOST_RECENT {
                self.shapes.pop_front();
            }
            self.shapes.push_back(parts.into());
        }
        found
    }
}

/// The statement that is compared.
struct New {
    skeleton: Skeleton,
    /// What its last comment holds, where the lexer reads it: the rest of the statement that was cut.
    ghost: Option<Vec<Part>>,
}

/// Where two statements differ.
struct Edit {
    /// How many parts are alike.
    alike: usize,
    /// The inserted parts.
    inserted: std::ops::Range<usize>,
    /// They stand where a value stood, or behind one.
    at_value: bool,
}

impl New {
    fn of(text: &str) -> Option<New> {
        let skeleton = Skeleton::of(text)?;
        let ghost = skeleton
            .comment
            .clone()
            .and_then(|comment| Some(Skeleton::of(text.get(comment)?.trim_start_matches('-'))?.parts));
        Some(New { skeleton, ghost })
    }

    /// What was inserted into a known statement to make this one; `None` where they differ otherwise.
    fn against(&self, known: &[Part]) -> Option<(Edit, Strength)> {
        let parts = self.skeleton.parts.as_slice();
        let front = alike(parts.iter(), known.iter());
        let rest = known.get(front..)?;
        let back = alike(parts.get(front..)?.iter().rev(), rest.iter().rev());
        let cut = match &self.ghost {
            Some(ghost) => alike(ghost.iter().rev(), rest.iter().rev()),
            None => 0,
        };
        // The rest of the known statement stands in the comment.
        let (mut back, ghostly) = if cut > back { (0, cut) } else { (back, 0) };
        let mut inserted = front..parts.len() - back;
        let behind_value =
            |place: usize| known.get(..place)?.iter().rev().find(|part| !part.is(")")).map(|part| *part == Part::Value);
        let mut front = front;
        let goes_on = known.len() == front + back + ghostly;
        if goes_on && back > 0 && behind_value(front) == Some(false) && known.get(front) == Some(&Part::Value) {
            // `f(?) =` in front of a value is `f(?) = ?` in its place.
            back -= 1;
            inserted.end += 1;
        } else if goes_on {
            // `AND c = ?` behind a value, or `c = ? AND` behind the AND that follows it: the same text.
            while behind_value(front) == Some(false)
                && front > LEAST
                && parts.get(front - 1) == parts.get(inserted.end - 1)
            {
                front -= 1;
                back += 1;
                inserted = front..inserted.end - 1;
            }
        }
        let behind_value = behind_value(front) == Some(true);
        let gap = known.get(front..known.len().checked_sub(back + ghostly)?)?;
        let new = parts.get(inserted.clone())?;
        let at_value = behind_value || gap == [Part::Value];
        let edit = Edit { alike: front + back + ghostly, inserted, at_value };
        let strength = |new: &[Part]| if is_strong(new) { Strength::Strong } else { Strength::Weak };
        let stacked = new.iter().any(|part| part.is(";"));
        // The rest is missing: cut off by a comment, or by the end of the statement.
        let missing = self.skeleton.comment.is_some() && ghostly == 0 || stacked && back == 0;
        match gap {
            [] if ghostly > 0 => Some((edit, Strength::Strong)),
            [] if behind_value && !new.is_empty() => Some((edit, strength(new))),
            [Part::Value] if holds_more(new) => {
                Some((edit, if ghostly > 0 { Strength::Strong } else { strength(new) }))
            }
            [Part::Name(_)] | [Part::Name(_), _, Part::Name(_)] if !is_name(new) => {
                let asks = ghostly > 0 || asks(new);
                let of_table =
                    front.checked_sub(1).and_then(|before| known.get(before)).is_some_and(|p| names_table(*p));
                // Of another table there is another statement.
                (asks || !of_table).then_some((edit, if asks { Strength::Strong } else { Strength::Weak }))
            }
            _ if missing && front >= LEAST && (behind_value || matches!(gap, [Part::Value | Part::Name(_), ..])) => {
                Some((edit, Strength::Strong))
            }
            _ => None,
        }
    }
}

/// Whether there is more than the value that stood there, or NULL, a truth value or a parameter.
fn holds_more(new: &[Part]) -> bool {
    !match new {
        [] | [Part::Value | Part::Parameter] => true,
        [word] => [Token::NullP, Token::TrueP, Token::FalseP, Token::Default].iter().any(|t| word.is_keyword(*t)),
        _ => false,
    }
}

/// Another column: `b`, `t.b`, with the order that it is sorted in.
fn is_name(new: &[Part]) -> bool {
    new.iter().all(|part| {
        matches!(part, Part::Name(_)) || part.is(".") || part.is_keyword(Token::Asc) || part.is_keyword(Token::Desc)
    })
}

/// Whether a table's name follows.
fn names_table(part: Part) -> bool {
    part.is_name("update")
        || [Token::Into, Token::From, Token::Join, Token::Table].iter().any(|word| part.is_keyword(*word))
}

/// Whether inserted parts ask for other rows than the statement did.
fn asks(new: &[Part]) -> bool {
    const WORDS: [Token; 5] = [Token::Or, Token::Union, Token::Intersect, Token::Except, Token::Select];
    new.iter().any(|part| WORDS.iter().any(|word| part.is_keyword(*word)) || part.is(";"))
}

/// Whether inserted parts do more than to add a condition or a value.
fn is_strong(new: &[Part]) -> bool {
    const WORDS: [Token; 3] = [Token::Case, Token::Cast, Token::Values];
    asks(new)
        || new.iter().any(|part| WORDS.iter().any(|word| part.is_keyword(*word)) || part.is("||"))
        || new.windows(2).any(|two| matches!(two, [Part::Name(_), open] if open.is("(")))
        || new.windows(3).any(|three| matches!(three, [Part::Value, Part::Sign(_), Part::Value]))
}

fn alike<'p>(a: impl Iterator<Item = &'p Part>, b: impl Iterator<Item = &'p Part>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

fn truncate(text: &mut String) {
    if text.len() > LONGEST_TOLD {
        let end = (0..=LONGEST_TOLD).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}
