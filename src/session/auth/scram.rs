//! SCRAM-SHA-256 (RFC 5802, RFC 7677) without IO: what both sides are made of. [`server`] is the proxy towards a client,
//! [`client`] the proxy towards the server.
//!
//! The two meet in the middle. A server keeps StoredKey = H(ClientKey) and ServerKey of a user, its *verifier*; with that it
//! checks a proof, which is ClientKey XOR HMAC(StoredKey, AuthMessage). So who checks a proof learns ClientKey, and can make
//! a proof for the next server, as long as that has the same verifier. The password itself is never known here.

pub mod client;
pub mod server;

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of a key and of a proof.
pub const KEY: usize = 32;

/// The iterations of PBKDF2 that PostgreSQL takes for a new password (`SCRAM_SHA_256_DEFAULT_ITERATIONS`).
pub const DEFAULT_ITERATIONS: u32 = 4096;

/// Random bytes of a nonce, before base64 (`SCRAM_RAW_NONCE_LEN`).
const RAW_NONCE: usize = 18;

/// The one type of channel binding that PostgreSQL knows (RFC 5929 §4).
const BINDING: &str = "tls-server-end-point";

/// The header of a client that binds its channel.
const BOUND_HEADER: &str = "p=tls-server-end-point,,";

/// Wiped when it goes.
pub type Key = Zeroizing<[u8; KEY]>;

/// What a server keeps of a user's password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the form of
/// `pg_authid.rolpassword`. It is a secret: who has it can let clients log in and, once, learn their key.
#[derive(Clone)]
pub struct Verifier {
    pub iterations: u32,
    /// In base64, as clients get it.
    pub salt: String,
    stored_key: Key,
    server_key: Key,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    /// The prefix by which the server tells a SCRAM verifier from an md5 hash.
    pub const PREFIX: &'static str = "SCRAM-SHA-256$";

    /// Reads the form of `pg_authid`; `None` where it is another (`parse_scram_secret` of the server).
    pub fn parse(text: &str) -> Option<Verifier> {
        let (parameters, keys) = text.strip_prefix(Verifier::PREFIX)?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let iterations = iterations.parse().ok().filter(|count| (1..=i32::MAX as u32).contains(count))?;
        if STANDARD.decode(salt).ok()?.is_empty() {
            return None;
        }
        let salt = salt.to_owned();
        Some(Verifier { iterations, salt, stored_key: key(stored.as_bytes())?, server_key: key(server.as_bytes())? })
    }
}

/// What a client's proof gave away: enough to log in as the same user where the same verifier is kept.
pub struct Keys {
    client_key: Key,
    verifier: Verifier,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// A new nonce, in base64.
pub fn nonce() -> String {
    STANDARD.encode(rand::random::<[u8; RAW_NONCE]>())
}

/// A key or proof in base64.
fn key(text: &[u8]) -> Option<Key> {
    let mut bytes = STANDARD.decode(text).ok()?;
    let key = <[u8; KEY]>::try_from(bytes.as_slice()).ok().map(Zeroizing::new);
    bytes.zeroize();
    key
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    // HMAC takes keys of every length: the other arm is never taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Key::default() };
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn hash(key: &Key) -> Key {
    Zeroizing::new(Sha256::digest(key.as_slice()).into())
}

fn xor(one: &Key, other: &Key) -> Key {
    let mut out = one.clone();
    out.iter_mut().zip(other.iter()).for_each(|(byte, other)| *byte ^= other);
    out
}

/// In a time that tells nothing of where they differ.
fn same(one: &Key, other: &Key) -> bool {
    one.ct_eq(other.as_slice()).into()
}

/// The bytes that a nonce may be made of (RFC 5802 §7, `printable`).
fn printable(nonce: &[u8]) -> bool {
    nonce.iter().all(|byte| (0x21..=0x7e).contains(byte) && *byte != b',')
}
