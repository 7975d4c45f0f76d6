//! The server's side of SCRAM, towards a client. Its model is the server's own, `src/backend/libpq/auth-scram.c`: what is
//! checked when, the words and the SQLSTATEs are those, so that a client can't tell the two apart.
//!
//! A user who can't log in (unknown, expired, without a verifier) goes the same way up to the same step: [`Secret::mock`].

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{BINDING, BOUND_HEADER, DEFAULT_ITERATIONS, Keys, Verifier, hash, hmac, key, printable, same, xor};
use crate::wire::sqlstate;

/// Bytes of a made-up salt (`SCRAM_DEFAULT_SALT_LEN`).
const MOCK_SALT: usize = 16;

/// The longest text that `sanitize_str` shows.
const SHOWN: usize = 30;

/// A message that ends the exchange at once, with the server's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Violation {
    pub sqlstate: &'static str,
    pub message: String,
    pub detail: Option<String>,
}

impl Violation {
    fn protocol(message: impl Into<String>) -> Violation {
        Violation { sqlstate: sqlstate::PROTOCOL_VIOLATION, message: message.into(), detail: None }
    }

    fn malformed(detail: impl Into<String>) -> Violation {
        Violation { detail: Some(detail.into()), ..Violation::protocol("malformed SCRAM message") }
    }

    fn unsupported(message: &str) -> Violation {
        Violation { sqlstate: sqlstate::FEATURE_NOT_SUPPORTED, ..Violation::protocol(message) }
    }
}

/// What a client's proof is held against.
#[derive(Clone)]
pub struct Secret {
    verifier: Verifier,
    /// Whatever the client proves, it fails.
    doomed: bool,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<Verifier> for Secret {
    fn from(verifier: Verifier) -> Secret {
        Secret { verifier, doomed: false }
    }
}

impl Secret {
    /// For a user who can't log in. The salt is made of the name and a secret of the process, so that who asks twice gets
    /// the same one, as of a user who is there (`scram_mock_salt` of the server).
    pub fn mock(user: &str, process: &[u8; 32]) -> Secret {
        let mut salt = [0; MOCK_SALT];
        // HMAC takes keys of every length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(process) {
            mac.update(user.as_bytes());
            salt.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(byte, random)| *byte = random);
        }
        let verifier = Verifier {
            iterations: DEFAULT_ITERATIONS,
            salt: STANDARD.encode(salt),
            stored_key: Zeroizing::default(),
            server_key: Zeroizing::default(),
        };
        Secret::doomed(verifier)
    }

    pub(super) fn doomed(verifier: Verifier) -> Secret {
        Secret { verifier, doomed: true }
    }
}

/// The exchange before its first message.
#[derive(Debug)]
pub struct Exchange {
    secret: Secret,
    /// `tls-server-end-point` of the certificate that the client sees; None where nothing can be bound.
    end_point: Option<Vec<u8>>,
}

/// The exchange between the server's first message and the client's proof.
#[derive(Debug)]
pub struct Challenged {
    secret: Secret,
    /// What the client must repeat in `c=`: the header, and the binding behind it.
    binding: Vec<u8>,
    bound: bool,
    first_bare: Vec<u8>,
    first: String,
    /// The client's and the server's nonce together.
    nonce: Vec<u8>,
}

/// What came of a proof.
#[derive(Debug)]
pub enum Proof {
    /// The client knows the password. `last` is the message that shows it that the server knows it, too.
    Good { keys: Keys, last: String },
    /// A wrong one, or that of a user who can't log in.
    Bad,
}

impl Exchange {
    pub fn new(secret: Secret, end_point: Option<Vec<u8>>) -> Exchange {
        Exchange { secret, end_point }
    }

    /// The mechanisms to offer, the strongest first.
    pub fn mechanisms(&self) -> &'static [&'static [u8]] {
        use crate::session::auth::{SCRAM, SCRAM_PLUS};
        if self.end_point.is_some() { &[SCRAM_PLUS, SCRAM] } else { &[SCRAM] }
    }

    /// Whether the client, by choosing this mechanism, binds its channel.
    ///
    /// # Errors
    /// It was not offered.
    pub fn select(&self, mechanism: &[u8]) -> Result<bool, Violation> {
        match self.mechanisms().contains(&mechanism) {
            true => Ok(mechanism == crate::session::auth::SCRAM_PLUS),
            false => Err(Violation::protocol("client selected an invalid SASL authentication mechanism")),
        }
    }

    /// Reads client-first-message and makes server-first-message (`Challenged::message`). `bound`: what `select` said;
    /// `nonce`: this side's.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn challenge(self, bound: bool, message: &[u8], nonce: &str) -> Result<Challenged, Violation> {
        let mut input = Input::new(message)?;
        let flag = input.peek();
        let mut binding = match flag {
            // n: it can't bind, or does not want to. y: it could, and believes that we can't (RFC 5802 §6).
            b'n' | b'y' => {
                if bound {
                    return Err(Violation::malformed(
                        "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
                    ));
                }
                if flag == b'y' && self.end_point.is_some() {
                    // Somebody in between took PLUS out of the offer.
                    return Err(Violation {
                        sqlstate: sqlstate::INVALID_AUTHORIZATION,
                        message: "SCRAM channel binding negotiation error".into(),
                        detail: Some(
                            "The client supports SCRAM channel binding but thinks the server does not.  However, this \
                             server does support channel binding."
                                .into(),
                        ),
                    });
                }
                input.skip();
                if input.peek() != b',' {
                    return Err(Violation::malformed(format!(
                        "Comma expected, but found character \"{}\".",
                        shown(input.peek())
                    )));
                }
                input.skip();
                vec![flag, b',', b',']
            }
            b'p' => {
                if !bound {
                    return Err(Violation::malformed(
                        "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel \
                         binding data.",
                    ));
                }
                let kind = input.attribute(b'p')?;
                if kind != BINDING.as_bytes() {
                    let kind = shown_text(kind);
                    return Err(Violation::protocol(format!("unsupported SCRAM channel-binding type \"{kind}\"")));
                }
                BOUND_HEADER.as_bytes().to_vec()
            }
            other => {
                return Err(Violation::malformed(format!("Unexpected channel-binding flag \"{}\".", shown(other))));
            }
        };
        if bound {
            binding.extend(self.end_point.unwrap_or_default());
        }
        match input.peek() {
            b',' => input.skip(),
            b'a' => {
                return Err(Violation::unsupported("client uses authorization identity, but it is not supported"));
            }
            other => {
                let other = shown(other);
                let detail = format!("Unexpected attribute \"{other}\" in client-first-message.");
                return Err(Violation::malformed(detail));
            }
        }
        let first_bare = input.rest.to_vec();
        if input.peek() == b'm' {
            return Err(Violation::unsupported("client requires an unsupported SCRAM extension"));
        }
        // The name in the message counts for nothing: that of the startup packet does.
        input.attribute(b'n')?;
        let theirs = input.attribute(b'r')?;
        if !printable(theirs) {
            return Err(Violation::protocol("non-printable characters in SCRAM nonce"));
        }
        let whole = [theirs, nonce.as_bytes()].concat();
        while !input.rest.is_empty() {
            input.any_attribute()?;
        }
        let Verifier { salt, iterations, .. } = &self.secret.verifier;
        let first = format!("r={},s={salt},i={iterations}", String::from_utf8_lossy(&whole));
        Ok(Challenged { secret: self.secret, binding, bound, first_bare, first, nonce: whole })
    }
}

impl Challenged {
    /// server-first-message.
    pub fn message(&self) -> &str {
        &self.first
    }

    /// Reads client-final-message and checks its proof.
    ///
    /// # Errors
    /// [`Violation`]; a wrong proof is none.
    pub fn check(self, message: &[u8]) -> Result<Proof, Violation> {
        let mut input = Input::new(message)?;
        let binding = input.attribute(b'c')?;
        if binding != STANDARD.encode(&self.binding).as_bytes() {
            return Err(match self.bound {
                true => Violation {
                    sqlstate: sqlstate::INVALID_AUTHORIZATION,
                    ..Violation::protocol("SCRAM channel binding check failed")
                },
                false => Violation::protocol("unexpected SCRAM channel-binding attribute in client-final-message"),
            });
        }
        let nonce = input.attribute(b'r')?;
        let (without_proof, value) = loop {
            // The comma before the attribute is no part of what is signed.
            let before = message.len() - input.rest.len();
            let (attribute, value) = input.any_attribute()?;
            if attribute == b'p' {
                break (message.get(..before.saturating_sub(1)).unwrap_or_default(), value);
            }
        };
        let Some(proof) = key(value) else {
            return Err(Violation::malformed("Malformed proof in client-final-message."));
        };
        if !input.rest.is_empty() {
            return Err(Violation::malformed("Garbage found at the end of client-final-message."));
        }
        if nonce != self.nonce {
            return Err(Violation {
                detail: Some("Nonce does not match.".into()),
                ..Violation::protocol("invalid SCRAM response")
            });
        }

        let Secret { verifier, doomed } = self.secret;
        let said: [&[u8]; 5] = [&self.first_bare, b",", self.first.as_bytes(), b",", without_proof];
        let client_key = xor(&proof, &hmac(verifier.stored_key.as_slice(), &said));
        let last = format!("v={}", STANDARD.encode(hmac(verifier.server_key.as_slice(), &said).as_slice()));
        if !same(&hash(&client_key), &verifier.stored_key) || doomed {
            return Ok(Proof::Bad);
        }
        Ok(Proof::Good { keys: Keys { client_key, verifier }, last })
    }
}

/// A message as the server's parser walks it.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn new(message: &'a [u8]) -> Result<Input<'a>, Violation> {
        if message.is_empty() {
            return Err(Violation::malformed("The message is empty."));
        }
        if message.contains(&0) {
            return Err(Violation::malformed("Message length does not match input length."));
        }
        Ok(Input { rest: message })
    }

    /// The next byte; 0 at the end.
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// `read_attr_value`: the value of this very attribute.
    fn attribute(&mut self, name: u8) -> Result<&'a [u8], Violation> {
        if self.peek() != name {
            let found = shown(self.peek());
            return Err(Violation::malformed(format!(
                "Expected attribute \"{}\" but found \"{found}\".",
                char::from(name)
            )));
        }
        self.value(name)
    }

    /// `read_any_attr`: the name and value of whatever comes.
    fn any_attribute(&mut self) -> Result<(u8, &'a [u8]), Violation> {
        let name = self.peek();
        if self.rest.is_empty() {
            return Err(Violation::malformed("Attribute expected, but found end of string."));
        }
        if !name.is_ascii_alphabetic() {
            let found = shown(name);
            return Err(Violation::malformed(format!("Attribute expected, but found invalid character \"{found}\".")));
        }
        Ok((name, self.value(name)?))
    }

    fn value(&mut self, name: u8) -> Result<&'a [u8], Violation> {
        self.skip();
        if self.peek() != b'=' {
            let name = char::from(name);
            return Err(Violation::malformed(format!("Expected character \"=\" for attribute \"{name}\".")));
        }
        self.skip();
        let end = self.rest.iter().position(|byte| *byte == b',');
        let (value, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len())).unwrap_or_default();
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(value)
    }
}

/// `sanitize_char`.
fn shown(byte: u8) -> String {
    match byte {
        0x21..=0x7e => format!("'{}'", char::from(byte)),
        _ => format!("0x{byte:02x}"),
    }
}

/// `sanitize_str`.
fn shown_text(text: &[u8]) -> String {
    let show = |byte: &u8| if (0x21..=0x7e).contains(byte) { char::from(*byte) } else { '?' };
    text.iter().take(SHOWN).map(show).collect()
}
