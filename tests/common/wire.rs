//! A raw protocol client: sends bytes, reads frames. Nothing of the firewall's own code is in it, so that a mistake
//! there can't hide here.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// One message of the server (or of whoever answers in its name).
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub body: Vec<u8>,
}

impl Frame {
    /// A field of an ErrorResponse or NoticeResponse; empty where it has none.
    pub fn field(&self, code: char) -> String {
        self.body
            .split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&(code as u8)))
            .map(|field| String::from_utf8_lossy(field.get(1..).unwrap_or_default()).into_owned())
            .unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The columns of a DataRow as text, NULL as `None`.
    pub fn row(&self) -> Vec<Option<String>> {
        assert_eq!(self.kind, b'D');
        let mut rest = &self.body[2..];
        let mut columns = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = i32::from_be_bytes(*length);
            let (value, after) = after.split_at(usize::try_from(length).unwrap_or(0));
            columns.push((length >= 0).then(|| String::from_utf8_lossy(value).into_owned()));
            rest = after;
        }
        columns
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind as char, self.body.escape_ascii())
    }
}

/// A frame of the client: type byte, length, body.
pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// Query.
pub fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &[sql.as_bytes(), &[0]].concat())
}

/// Parse without parameter types.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    frame(b'P', &[name.as_bytes(), &[0], sql.as_bytes(), &[0, 0, 0]].concat())
}

/// Bind to a portal, with values as text.
pub fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), &[0], statement.as_bytes(), &[0, 0, 0]].concat();
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}

/// Describe of a portal (`P`) or statement (`S`).
pub fn describe(what: u8, name: &str) -> Vec<u8> {
    frame(b'D', &[&[what], name.as_bytes(), &[0]].concat())
}

/// Execute of a portal, all rows.
pub fn execute(portal: &str) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), &[0, 0, 0, 0, 0]].concat())
}

/// Sync.
pub fn sync() -> Vec<u8> {
    frame(b'S', &[])
}

/// FunctionCall of a function without arguments, by OID.
pub fn function_call(oid: u32) -> Vec<u8> {
    frame(b'F', &[&oid.to_be_bytes()[..], &[0, 0, 0, 0, 0, 0]].concat())
}

/// A startup packet of protocol 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    startup_of(0, parameters)
}

/// A startup packet of protocol 3 with this minor version.
pub fn startup_of(minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = (0x0003_0000_u32 | u32::from(minor)).to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend([name.as_bytes(), &[0], value.as_bytes(), &[0]].concat());
    }
    body.push(0);
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], &body].concat()
}

/// SSLRequest.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A plain connection.
pub struct Client {
    stream: TcpStream,
    /// BackendKeyData's body, once logged in.
    pub key: Vec<u8>,
    /// Every ParameterStatus of the login.
    pub parameters: Vec<(String, String)>,
}

impl Client {
    /// Connects to a port of 127.0.0.1; reads give up after ten seconds.
    pub fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, key: Vec::new(), parameters: Vec::new() }
    }

    /// Connects and logs in; panics where the login fails.
    pub fn login(port: u16, parameters: &[(&str, &str)]) -> Client {
        let mut client = Client::connect(port);
        let answer = client.try_login(parameters);
        assert_eq!(answer.last().map(|frame| frame.kind), Some(b'Z'), "{answer:?}");
        client
    }

    /// Sends a startup packet and reads to the first ReadyForQuery, ErrorResponse or end.
    pub fn try_login(&mut self, parameters: &[(&str, &str)]) -> Vec<Frame> {
        self.send(&startup(parameters));
        self.login_answer()
    }

    /// Reads what answers a startup packet, with the patience that a thousand of them need; panics where the login failed.
    #[allow(dead_code, reason = "not every test has so many")]
    pub fn logged_in(&mut self) {
        self.stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let answer = self.login_answer();
        assert_eq!(answer.last().map(|frame| frame.kind), Some(b'Z'), "{answer:?}");
    }

    /// Reads to the first ReadyForQuery, ErrorResponse or end.
    pub fn login_answer(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.read() {
            match frame.kind {
                b'K' => self.key.clone_from(&frame.body),
                b'S' => {
                    let mut parts = frame.body.split(|byte| *byte == 0);
                    let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
                    self.parameters.push((part(), part()));
                }
                _ => {}
            }
            let last = matches!(frame.kind, b'Z' | b'E');
            frames.push(frame);
            if last {
                break;
            }
        }
        frames
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends bytes; false where the other side is gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The connection alone.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Goes with a reset.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Closes our direction only.
    pub fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next frame; none at the end of the stream. Panics after ten silent seconds.
    pub fn read(&mut self) -> Option<Frame> {
        let mut header = [0; 5];
        if let Err(error) = self.stream.read_exact(&mut header) {
            let timeout = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            assert!(!timeout, "no answer in ten seconds");
            return None;
        }
        let [kind, a, b, c, d] = header;
        let mut body = vec![0; usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap() - 4];
        self.stream.read_exact(&mut body).ok()?;
        Some(Frame { kind, body })
    }

    /// Everything up to and with the next ReadyForQuery (or the end of the stream).
    pub fn until_ready(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.read() {
            let last = frame.kind == b'Z';
            frames.push(frame);
            if last {
                break;
            }
        }
        frames
    }

    /// Sends bytes and reads to the next ReadyForQuery.
    pub fn ask(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.send(bytes);
        self.until_ready()
    }

    /// The first column of the first row of a simple query; panics on an error.
    #[track_caller]
    pub fn value(&mut self, sql: &str) -> String {
        let frames = self.ask(&query(sql));
        let row = frames.iter().find(|frame| frame.kind == b'D').unwrap_or_else(|| panic!("{sql}: {frames:?}"));
        row.row().into_iter().next().flatten().unwrap_or_default()
    }

    /// The bytes up to the end of the stream, as they come.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    /// One byte: the answer to SSLRequest.
    pub fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).ok().map(|()| byte[0])
    }
}

/// The ErrorResponse among these frames.
#[track_caller]
pub fn error(frames: &[Frame]) -> &Frame {
    frames.iter().find(|frame| frame.kind == b'E').unwrap_or_else(|| panic!("no error in {frames:?}"))
}

/// The transaction status of the last ReadyForQuery: `I`, `T` or `E`.
#[track_caller]
pub fn status(frames: &[Frame]) -> char {
    let ready = frames.last().filter(|frame| frame.kind == b'Z').unwrap_or_else(|| panic!("not ready: {frames:?}"));
    ready.body[0] as char
}
