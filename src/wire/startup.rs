//! The packets before a session: what a client's first bytes mean and how ours are written. They have no type byte,
//! so they are read here and not as frames. (PostgreSQL manual, "Message Formats"; `ProcessStartupPacket` in
//! `src/backend/tcop/backend_startup.c`.)

use bytes::{BufMut, Bytes, BytesMut};

/// `MAX_STARTUP_PACKET_LENGTH` of `libpq/pqcomm.h`, in bytes after the length word.
pub const MAX_STARTUP_PACKET_LENGTH: usize = 10_000;

/// `NAMEDATALEN - 1`: a longer name is cut by the server, so that it is a different name than the one judged.
const MAX_NAME_BYTES: usize = 63;

const SSL_REQUEST_CODE: u32 = (1234 << 16) | 5679;
const GSSENC_REQUEST_CODE: u32 = (1234 << 16) | 5680;
const CANCEL_REQUEST_CODE: u32 = (1234 << 16) | 5678;

/// The newest minor version of protocol 3 that is spoken here.
pub const NEWEST_MINOR: u16 = 2;

/// The whole SSLRequest.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstPacket {
    SslRequest,
    GssEncRequest,
    Cancel(CancelKey),
    Startup(Startup),
}

/// The key of a running session, as a CancelRequest carries it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The server process, or what the server calls so.
    pub pid: u32,
    /// 4 bytes in protocol 3.0, up to 256 in 3.2.
    pub key: Bytes,
}

impl std::fmt::Debug for CancelKey {
    /// The key is a secret: whoever knows it can cancel.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// A StartupMessage of protocol 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// As the client asked, whatever we speak.
    pub minor: u16,
    /// In order and spelling, duplicates kept.
    pub parameters: Vec<(String, String)>,
}

/// Who a startup packet says it is, normalised as the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub user: String,
    /// Empty for physical replication, which is connected to no database.
    pub database: String,
    /// `replication` is true or `database`.
    pub replication: bool,
}

/// What is wrong with a first packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// The server closes without an answer.
    #[error("invalid length of startup packet: {0} bytes")]
    Length(u32),
    #[error("invalid length of cancel key: {0} bytes")]
    CancelKeyLength(usize),
    #[error("bytes in the body of an encryption request")]
    RequestBody,
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{NEWEST_MINOR}")]
    Version { major: u16, minor: u16 },
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    #[error("invalid byte sequence for encoding \"UTF8\" in the startup packet")]
    NotUtf8,
    #[error("no PostgreSQL user name specified in startup packet")]
    NoUser,
    #[error("the startup packet names `{0}` more than once")]
    Twice(&'static str),
    #[error("the {0} name in the startup packet is longer than {MAX_NAME_BYTES} bytes")]
    NameTooLong(&'static str),
    #[error("invalid value for parameter \"replication\": \"{0}\"")]
    Replication(String),
}

impl StartupError {
    /// The SQLSTATE of the FATAL error to answer with; `None` where the server closes silently.
    pub fn sqlstate(&self) -> Option<&'static str> {
        match self {
            StartupError::Length(_) | StartupError::CancelKeyLength(_) | StartupError::RequestBody => None,
            StartupError::Version { .. } => Some("0A000"),
            StartupError::Layout => Some("08P01"),
            StartupError::NotUtf8 => Some("22021"),
            StartupError::NoUser | StartupError::Twice(_) | StartupError::NameTooLong(_) => Some("28000"),
            StartupError::Replication(_) => Some("22023"),
        }
    }

    /// What to do about it, where the message does not say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StartupError::Replication(_) => Some("Valid values are: \"false\", \"true\", \"database\"."),
            StartupError::NameTooLong(_) => Some("PostgreSQL cuts longer names: use the name as it is in the catalog."),
            StartupError::Length(_)
            | StartupError::CancelKeyLength(_)
            | StartupError::RequestBody
            | StartupError::Version { .. }
            | StartupError::Layout
            | StartupError::NotUtf8
            | StartupError::NoUser
            | StartupError::Twice(_) => None,
        }
    }
}

/// The number of bytes that follow the length word, if a server would read them.
///
/// # Errors
/// [`StartupError::Length`].
pub fn body_length(length_word: [u8; 4]) -> Result<usize, StartupError> {
    let length = u32::from_be_bytes(length_word);
    match usize::try_from(length).ok().and_then(|l| l.checked_sub(4)) {
        Some(body) if (4..=MAX_STARTUP_PACKET_LENGTH).contains(&body) => Ok(body),
        _ => Err(StartupError::Length(length)),
    }
}

/// Reads a first packet's bytes behind its length word.
///
/// # Errors
/// Everything that the server refuses too.
pub fn parse(body: &[u8]) -> Result<FirstPacket, StartupError> {
    let too_short = || StartupError::Length(u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX));
    let (code, rest) = body.split_first_chunk::<4>().ok_or_else(too_short)?;
    match u32::from_be_bytes(*code) {
        SSL_REQUEST_CODE if rest.is_empty() => Ok(FirstPacket::SslRequest),
        GSSENC_REQUEST_CODE if rest.is_empty() => Ok(FirstPacket::GssEncRequest),
        SSL_REQUEST_CODE | GSSENC_REQUEST_CODE => Err(StartupError::RequestBody),
        CANCEL_REQUEST_CODE => {
            let (pid, key) = rest.split_first_chunk::<4>().ok_or_else(too_short)?;
            if !(4..=256).contains(&key.len()) {
                return Err(StartupError::CancelKeyLength(key.len()));
            }
            Ok(FirstPacket::Cancel(CancelKey { pid: u32::from_be_bytes(*pid), key: Bytes::copy_from_slice(key) }))
        }
        version => {
            let [a, b, c, d] = version.to_be_bytes();
            let (major, minor) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            if major != 3 {
                return Err(StartupError::Version { major, minor });
            }
            Ok(FirstPacket::Startup(Startup { minor, parameters: parameters(rest)? }))
        }
    }
}

/// Pairs of NUL-terminated texts and one NUL.
fn parameters(mut rest: &[u8]) -> Result<Vec<(String, String)>, StartupError> {
    let mut out = Vec::new();
    loop {
        let name = text(&mut rest)?;
        if name.is_empty() {
            return if rest.is_empty() { Ok(out) } else { Err(StartupError::Layout) };
        }
        out.push((name, text(&mut rest)?));
    }
}

fn text(rest: &mut &[u8]) -> Result<String, StartupError> {
    let end = rest.iter().position(|byte| *byte == 0).ok_or(StartupError::Layout)?;
    let (text, tail) = rest.split_at_checked(end).ok_or(StartupError::Layout)?;
    *rest = tail.get(1..).unwrap_or_default();
    std::str::from_utf8(text).map(str::to_owned).map_err(|_| StartupError::NotUtf8)
}

impl Startup {
    /// Who wants to come in, as the server will read it.
    ///
    /// # Errors
    /// A missing, doubled or overlong name, or a `replication` that is neither a boolean nor `database`.
    pub fn claimed(&self) -> Result<Claimed, StartupError> {
        let user = self.single("user")?.filter(|user| !user.is_empty()).ok_or(StartupError::NoUser)?;
        let database = self.single("database")?.filter(|database| !database.is_empty()).unwrap_or(user);
        for (what, name) in [("user", user), ("database", database)] {
            if name.len() > MAX_NAME_BYTES {
                return Err(StartupError::NameTooLong(what));
            }
        }
        let (replication, physical) = match self.single("replication")? {
            None => (false, false),
            Some("database") => (true, false),
            Some(other) => match boolean(other) {
                Some(on) => (on, on),
                None => return Err(StartupError::Replication(other.to_owned())),
            },
        };
        let database = if physical { String::new() } else { database.to_owned() };
        Ok(Claimed { user: user.to_owned(), database, replication })
    }

    /// The value of a key that may stand there once. Key names compare exactly, as in the server.
    fn single(&self, key: &'static str) -> Result<Option<&str>, StartupError> {
        let mut values = self.parameters.iter().filter(|(name, _)| name == key);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(StartupError::Twice(key)),
            (first, None) => Ok(first.map(|(_, value)| value.as_str())),
        }
    }
}

/// `parse_bool` of `src/backend/utils/adt/bool.c`: unambiguous prefixes, without case.
fn boolean(text: &str) -> Option<bool> {
    let folded = text.to_ascii_lowercase();
    let prefix_of = |word: &str, least: usize| folded.len() >= least && word.starts_with(&folded);
    if prefix_of("true", 1) || prefix_of("yes", 1) || folded == "on" || folded == "1" {
        Some(true)
    } else if prefix_of("false", 1) || prefix_of("no", 1) || prefix_of("off", 2) || folded == "0" {
        Some(false)
    } else {
        None
    }
}

/// Writes a StartupMessage. A text never holds a NUL: it was read up to one, or comes from a policy's parser.
pub fn encode_startup<'a>(minor: u16, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> BytesMut {
    let mut out = BytesMut::with_capacity(256);
    out.put_u32(0);
    out.put_u16(3);
    out.put_u16(minor);
    for (name, value) in parameters {
        for text in [name, value] {
            out.put_slice(text.as_bytes());
            out.put_u8(0);
        }
    }
    out.put_u8(0);
    set_length(&mut out, 0);
    out
}

/// Writes a CancelRequest.
pub fn encode_cancel(cancel: &CancelKey) -> BytesMut {
    let mut out = BytesMut::with_capacity(12 + cancel.key.len());
    out.put_u32(0);
    out.put_u32(CANCEL_REQUEST_CODE);
    out.put_u32(cancel.pid);
    out.put_slice(&cancel.key);
    set_length(&mut out, 0);
    out
}

/// What a NegotiateProtocolVersion says: the newest protocol the sender speaks, and the options it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiation {
    /// The whole version number, major and minor (`3 << 16 | 2`).
    pub version: u32,
    pub unsupported: Vec<String>,
}

impl Negotiation {
    /// Reads the body of a `v` frame; `None` if it is malformed.
    pub fn parse(body: &[u8]) -> Option<Negotiation> {
        let (version, rest) = body.split_first_chunk::<4>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut unsupported = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            unsupported.push(text(&mut rest).ok()?);
        }
        rest.is_empty().then_some(Negotiation { version: u32::from_be_bytes(*version), unsupported })
    }

    /// Writes the whole `v` frame.
    pub fn encode(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(64);
        out.put_u8(b'v');
        out.put_u32(0);
        out.put_u32(self.version);
        out.put_u32(u32::try_from(self.unsupported.len()).unwrap_or(u32::MAX));
        for option in &self.unsupported {
            out.put_slice(option.as_bytes());
            out.put_u8(0);
        }
        set_length(&mut out, 1);
        out
    }
}

/// Fills in the length word at `at`: the number of bytes from there.
fn set_length(packet: &mut BytesMut, at: usize) {
    let length = u32::try_from(packet.len().saturating_sub(at)).unwrap_or(u32::MAX);
    if let Some(word) = packet.get_mut(at..at.saturating_add(4)) {
        word.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
