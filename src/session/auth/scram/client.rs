//! The client's side of SCRAM, towards the server, with keys in the place of a password. The server must prove that it has
//! the user's verifier before it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BOUND_HEADER, Keys, hash, hmac, key, printable, same, xor};

/// What is told to the server of channel binding (RFC 5802 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// `n`: this side can't bind: no TLS.
    Unable,
    /// `y`: it could, and the server did not offer it. A server that did notices that somebody is in between.
    NotOffered,
    /// To the server's certificate, by its `tls-server-end-point`.
    EndPoint(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Binding::Unable => "n,,",
            Binding::NotOffered => "y,,",
            Binding::EndPoint(_) => BOUND_HEADER,
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Binding::Unable | Binding::NotOffered => &[],
            Binding::EndPoint(hash) => hash,
        }
    }
}

/// Why the server is not believed, or can't be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    #[error("the server's message is malformed")]
    Malformed,
    #[error("the server's nonce does not begin with ours")]
    Nonce,
    /// The password was changed at the server, say.
    #[error("the server has another verifier of this user than the proxy")]
    OtherVerifier,
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("the server could not prove that it knows the user's verifier")]
    NoProof,
}

/// The exchange before the server's first message.
#[derive(Debug)]
pub struct Begun<'a> {
    keys: &'a Keys,
    binding: Binding,
    nonce: String,
}

/// The exchange after our proof: the server's is awaited.
pub struct Proven {
    /// client-final-message.
    message: String,
    /// What the server must answer.
    signature: super::Key,
}

impl std::fmt::Debug for Proven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proven(…)")
    }
}

impl Begun<'_> {
    pub fn new(keys: &Keys, binding: Binding, nonce: String) -> Begun<'_> {
        Begun { keys, binding, nonce }
    }

    /// client-first-message. The server takes the user's name from the startup packet.
    pub fn message(&self) -> String {
        format!("{}{}", self.binding.header(), self.bare())
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// Reads server-first-message and makes the proof.
    ///
    /// # Errors
    /// [`ClientError`]. Nothing that depends on the keys was sent by then.
    pub fn answer(self, first: &[u8]) -> Result<Proven, ClientError> {
        let first = std::str::from_utf8(first).map_err(|_| ClientError::Malformed)?;
        let rest = first.strip_prefix("r=").ok_or(ClientError::Malformed)?;
        let (nonce, rest) = rest.split_once(",s=").ok_or(ClientError::Malformed)?;
        let (salt, rest) = rest.split_once(",i=").ok_or(ClientError::Malformed)?;
        // Extensions that may be ignored come behind; one that may not (`m=`) would stand in front.
        let iterations = rest.split(',').next().unwrap_or_default();
        if !printable(nonce.as_bytes()) {
            return Err(ClientError::Malformed);
        }
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ClientError::Nonce);
        }
        let iterations: u32 = iterations.parse().map_err(|_| ClientError::Malformed)?;
        let Keys { client_key, verifier } = self.keys;
        let decoded = |salt: &str| STANDARD.decode(salt).map_err(|_| ClientError::Malformed);
        if iterations != verifier.iterations || decoded(salt)? != decoded(&verifier.salt)? {
            return Err(ClientError::OtherVerifier);
        }
        let binding = STANDARD.encode([self.binding.header().as_bytes(), self.binding.data()].concat());
        let without_proof = format!("c={binding},r={nonce}");
        let bare = self.bare();
        let said: [&[u8]; 5] = [bare.as_bytes(), b",", first.as_bytes(), b",", without_proof.as_bytes()];
        let proof = xor(client_key, &hmac(hash(client_key).as_slice(), &said));
        let message = format!("{without_proof},p={}", STANDARD.encode(proof.as_slice()));
        Ok(Proven { message, signature: hmac(verifier.server_key.as_slice(), &said) })
    }
}

impl Proven {
    /// client-final-message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Reads server-final-message.
    ///
    /// # Errors
    /// The server has not proven itself.
    pub fn finish(self, last: &[u8]) -> Result<(), ClientError> {
        let last = std::str::from_utf8(last).map_err(|_| ClientError::Malformed)?;
        let first = last.split(',').next().unwrap_or_default();
        if let Some(error) = first.strip_prefix("e=") {
            return Err(ClientError::Refused(error.chars().take(64).collect()));
        }
        let signature =
            first.strip_prefix("v=").and_then(|value| key(value.as_bytes())).ok_or(ClientError::Malformed)?;
        if same(&signature, &self.signature) { Ok(()) } else { Err(ClientError::NoProof) }
    }
}
