//! Refusing by poison: the frame that makes the server fail in the refused one's place, and the wording of the error
//! that comes back (DESIGN §4).

use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};

use crate::policy::{Refusal, RuleRef};
use crate::wire::backend::{ERROR_RESPONSE, error_fields};
use crate::wire::{frame, reply};

/// The words in front of the reference, in the identifier that the server fails on.
const MARK: &str = "portcullis refused ";

/// Refusals whose error may still come back; older ones are forgotten (the server's own answer then stands).
const PENDING: usize = 64;

/// A refusal's reference, also its event id in log and DETAIL: 48 bits of time and 80 random ones in Crockford's
/// base 32 (a ULID), so that ids sort by time and can't be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference([u8; Reference::LENGTH]);

impl Reference {
    const LENGTH: usize = 26;
    const ALPHABET: &'static [u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// A new one at this time.
    pub fn new(now: jiff::Timestamp, random: u128) -> Reference {
        let milliseconds = u128::from(now.as_millisecond().max(0).cast_unsigned());
        let mut bits = (milliseconds << 80) | (random >> 48);
        let mut text = [b'0'; Reference::LENGTH];
        for digit in text.iter_mut().rev() {
            // The mask keeps the index below 32.
            *digit = Reference::ALPHABET.get((bits & 31) as usize).copied().unwrap_or(b'0');
            bits >>= 5;
        }
        Reference(text)
    }

    /// Its 26 letters and digits.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    fn poison(&self) -> String {
        format!("\"{MARK}{}\"", self.as_str())
    }

    /// The Query that takes the place of a refused Query or FunctionCall.
    pub fn query(&self) -> BytesMut {
        reply::query(&self.poison())
    }

    /// The Parse that takes the place of a refused Parse: the same name, so that an existing name keeps its old statement
    /// exactly as it would when the server refuses.
    pub fn parse(&self, name: &[u8]) -> BytesMut {
        match str::from_utf8(name) {
            Ok(name) if !name.contains('\0') => reply::parse(name, &self.poison()),
            // A name that isn't UTF-8: any name will do, the raw parse fails before it is stored.
            Ok(_) | Err(_) => self.parse_fresh(),
        }
    }

    /// The Parse that takes the place of a refused Bind, Describe or Execute.
    pub fn parse_fresh(&self) -> BytesMut {
        reply::parse(&format!("portcullis_{}", self.as_str()), &self.poison())
    }
}

/// What the client is told in place of the server's answer to the poison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    pub sqlstate: &'static str,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// 1-based character position, for syntax errors only.
    pub position: Option<usize>,
}

impl Wording {
    /// The words for a policy's refusal.
    pub fn of(refusal: &Refusal, reference: &Reference) -> Wording {
        let event = format!("event {}", reference.as_str());
        if refusal.terse {
            return Wording {
                sqlstate: refusal.sqlstate,
                message: "statement refused".to_owned(),
                detail: Some(event),
                hint: None,
                position: None,
            };
        }
        let detail = match &refusal.rule {
            RuleRef::Rule { name, file, line } => format!("rule \"{name}\" ({file}:{line}), {event}"),
            RuleRef::Default => format!("no rule allows it, {event}"),
            RuleRef::Guard
            | RuleRef::Require
            | RuleRef::Parse
            | RuleRef::Limit(_)
            | RuleRef::Disagreement
            | RuleRef::Quarantine
            | RuleRef::Injection
            | RuleRef::Block => format!("{}, {event}", refusal.rule.label()),
            // Who touched it shall not learn what it was.
            RuleRef::Decoy { .. } => event,
        };
        Wording {
            sqlstate: refusal.sqlstate,
            message: format!("statement refused by policy \"{}\": {}", refusal.policy, refusal.reason),
            detail: Some(detail),
            hint: refusal.hint.as_deref().map(str::to_owned),
            position: None,
        }
    }

    /// The words of the server itself, for what it would have answered anyway (syntax errors, names that aren't there).
    pub fn as_server(sqlstate: &'static str, message: String) -> Wording {
        Wording { sqlstate, message, detail: None, hint: None, position: None }
    }
}

/// The refusals that wait for the server's error.
#[derive(Debug, Default)]
pub struct Pending {
    waiting: VecDeque<(Reference, Wording)>,
}

impl Pending {
    /// Remembers what to say when the error with this reference comes back.
    pub fn push(&mut self, reference: Reference, wording: Wording) {
        if self.waiting.len() == PENDING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((reference, wording));
    }

    /// Whether any error can be ours: only then are ErrorResponses looked at.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Rewrites an ErrorResponse that carries one of our references into `out`; false where it carries none, and the
    /// server's frame stands. S and V are kept (they are translated), every field that we don't set is dropped.
    pub fn rewrite(&mut self, body: &[u8], encode: impl Fn(&str) -> Vec<u8>, out: &mut Vec<u8>) -> bool {
        let Some(index) = self.waiting.iter().position(|(reference, _)| carries(body, reference)) else { return false };
        let Some((_, wording)) = self.waiting.remove(index) else { return false };
        let mut fields = BytesMut::with_capacity(256);
        for (kind, value) in error_fields(body).filter(|(kind, _)| matches!(kind, b'S' | b'V')) {
            put(&mut fields, kind, value);
        }
        put(&mut fields, b'C', wording.sqlstate.as_bytes());
        put(&mut fields, b'M', &encode(&reply::printable(&wording.message)));
        for (kind, text) in [(b'D', &wording.detail), (b'H', &wording.hint)] {
            if let Some(text) = text {
                put(&mut fields, kind, &encode(&reply::printable(text)));
            }
        }
        if let Some(position) = wording.position {
            put(&mut fields, b'P', position.to_string().as_bytes());
        }
        fields.put_u8(0);
        let Ok(length) = i32::try_from(fields.len() + 4) else { return false };
        out.push(ERROR_RESPONSE);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&fields);
        true
    }
}

fn put(fields: &mut BytesMut, kind: u8, value: &[u8]) {
    fields.put_u8(kind);
    fields.extend(value.iter().copied().filter(|&b| b != 0));
    fields.put_u8(0);
}

/// Whether any field holds the mark followed by this reference.
fn carries(body: &[u8], reference: &Reference) -> bool {
    let needle = reference.as_str().as_bytes();
    error_fields(body).any(|(_, value)| {
        value.windows(MARK.len() + needle.len()).any(|window| {
            window.split_at_checked(MARK.len()).is_some_and(|(mark, id)| mark == MARK.as_bytes() && id == needle)
        })
    })
}

/// A whole frame's body, for a rewrite.
pub fn body(frame: &[u8]) -> &[u8] {
    frame.get(frame::HEADER..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::Sequel;

    fn reference(random: u128) -> Reference {
        Reference::new(jiff::Timestamp::from_millisecond(1_700_000_000_000).unwrap(), random)
    }

    fn refusal() -> Refusal {
        Refusal {
            policy: Arc::from("shop"),
            rule: RuleRef::Rule { name: Arc::from("unbounded-write"), file: Arc::from("policies/shop.yaml"), line: 31 },
            reason: "DELETE on public.orders has no WHERE".to_owned(),
            hint: Some(Arc::from("add a WHERE clause")),
            terse: false,
            sqlstate: "42501",
            sequel: Sequel::Fails,
            alert: None,
        }
    }

    #[test]
    fn a_reference_is_a_ulid_and_the_identifier_fits() {
        let reference = reference(u128::MAX);
        assert_eq!(reference.as_str().len(), 26);
        assert!(reference.as_str().starts_with("01HF7"), "{}", reference.as_str());
        assert!(MARK.len() + Reference::LENGTH <= 63);
        assert_ne!(reference, self::reference(1 << 100));
    }

    #[test]
    fn the_servers_error_is_reworded_and_its_position_dropped() {
        let reference = reference(7);
        let mut pending = Pending::default();
        pending.push(reference, Wording::of(&refusal(), &reference));
        let theirs =
            format!("SFEHLER\0VERROR\0C42601\0Msyntax error at or near {}\0P1\0Fscan.l\0\0", reference.poison());
        let mut out = Vec::new();
        assert!(pending.rewrite(theirs.as_bytes(), |s| s.as_bytes().to_vec(), &mut out));
        let fields: Vec<_> = error_fields(body(&out)).map(|(k, v)| (k as char, str::from_utf8(v).unwrap())).collect();
        let detail = format!("rule \"unbounded-write\" (policies/shop.yaml:31), event {}", reference.as_str());
        assert_eq!(
            fields,
            [
                ('S', "FEHLER"),
                ('V', "ERROR"),
                ('C', "42501"),
                ('M', "statement refused by policy \"shop\": DELETE on public.orders has no WHERE"),
                ('D', detail.as_str()),
                ('H', "add a WHERE clause"),
            ]
        );
        assert!(pending.is_empty());
    }

    #[test]
    fn another_error_is_left_alone() {
        let mut pending = Pending::default();
        pending.push(reference(7), Wording::of(&refusal(), &reference(7)));
        let theirs = format!("SERROR\0C42601\0Msyntax error at or near {}\0\0", reference(8 << 60).poison());
        assert!(!pending.rewrite(theirs.as_bytes(), |s| s.as_bytes().to_vec(), &mut Vec::new()));
        assert!(!pending.is_empty());
    }

    #[test]
    fn terse_leaves_only_the_event() {
        let wording = Wording::of(&Refusal { terse: true, ..refusal() }, &reference(7));
        assert_eq!(wording.message, "statement refused");
        assert_eq!((wording.hint, wording.detail), (None, Some(format!("event {}", reference(7).as_str()))));
    }

    #[test]
    fn old_refusals_are_forgotten() {
        let mut pending = Pending::default();
        for n in 0..100u128 {
            pending.push(reference(n << 48), Wording::of(&refusal(), &reference(n << 48)));
        }
        assert_eq!(pending.waiting.len(), PENDING);
    }
}
