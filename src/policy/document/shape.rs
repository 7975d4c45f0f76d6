//! What a key may hold, as data: the decoder reads by it which keys and words there are, and the JSON Schema is made of it.

use crate::policy::words::List;

/// A mapping: its keys, and what it is for.
pub(crate) struct Known {
    /// What the mapping is, for messages: "a policy".
    pub what: &'static str,
    /// Its name in the schema.
    pub name: &'static str,
    pub doc: &'static str,
    /// How it is written, for the help of a finding.
    pub example: &'static str,
    pub keys: &'static [Key],
    /// Exactly one of these keys stands in it; empty where nothing of the kind holds.
    pub one_of: &'static [&'static str],
}

impl Known {
    /// Whether it says nothing without a key, and looks as if it did: `when: {}`. Where a key is required its absence is told.
    pub fn needs_a_key(&self) -> bool {
        self.one_of.is_empty() && !self.keys.iter().any(|key| key.required)
    }

    /// The names of its keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

/// One key of a mapping.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    /// One sentence: what it says.
    pub doc: &'static str,
    pub required: bool,
    /// The list whose rules may have it; `None`: both, or it is no key of a rule.
    pub only: Option<List>,
}

/// A key that may be left out.
pub(crate) const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, doc, required: false, only: None }
}

impl Key {
    pub const fn required(mut self) -> Key {
        self.required = true;
        self
    }

    pub const fn only(mut self, list: List) -> Key {
        self.only = Some(list);
        self
    }
}

/// What a value looks like.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Any single value.
    Text,
    /// A single value, or nothing (NULL).
    Parameter,
    /// The name of a policy or rule.
    Label,
    /// A name with `*` and `?`.
    Glob,
    /// One of a few words.
    Words(&'static dyn WordList),
    /// A whole number from 1 on.
    Number,
    /// `64KiB`.
    Size,
    /// `2s`.
    Delay,
    /// `600/minute`.
    Rate,
    /// `">1"`.
    Over,
    /// `Mon-Fri 08:00-20:00 Europe/Paris`.
    Hours,
    /// RFC 3339.
    Timestamp,
    /// An IP address.
    Address,
    /// An address or a block of them.
    Network,
    /// A word of `actions`.
    Action,
    /// `table.column`.
    Column,
    /// `public.orders`.
    Pattern,
    /// `name`, `glob*` or `name=value`.
    Setting,
    /// A file's name that ends in `.learned.yaml`.
    StatementList,
    /// Names of settings, each with its value.
    Pins,
    /// A list with at least one entry.
    Some(&'static Shape),
    /// A list, or nothing.
    Any(&'static Shape),
    /// One, or a list of them.
    OneOrMore(&'static Shape),
    /// A mapping with known keys.
    Mapping(&'static Known),
    /// A list of rules.
    Rules(List, &'static Known),
}

/// One word that a key may hold.
#[derive(Debug)]
pub(crate) struct Word<T> {
    pub word: &'static str,
    pub value: T,
    /// What it says.
    pub doc: &'static str,
}

/// A word with its value and what it says.
pub(crate) const fn word<T: Copy>(word: &'static str, value: T, doc: &'static str) -> Word<T> {
    Word { word, value, doc }
}

/// The words of a key, whatever they mean.
pub(crate) trait WordList: Sync {
    /// Each word with what it says.
    fn list(&self) -> Vec<(&'static str, &'static str)>;
}

impl<T: Sync, const N: usize> WordList for [Word<T>; N] {
    fn list(&self) -> Vec<(&'static str, &'static str)> {
        self.iter().map(|word| (word.word, word.doc)).collect()
    }
}
