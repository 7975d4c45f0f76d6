//! A client of the wire protocol that says what it is told to, right or wrong, and keeps every byte of both directions.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use crate::attacks::frames;

/// How long an answer may take. Every attack is over in milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing must come until bytes that aren't frames are taken for all there is.
const PAUSE: Duration = Duration::from_millis(300);

/// One message of the server, or of whoever answers in its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub body: Vec<u8>,
}

impl Frame {
    /// A field of an ErrorResponse or NoticeResponse; empty where it has none.
    pub fn field(&self, code: u8) -> String {
        let mut fields = self.body.split(|byte| *byte == 0);
        let field = fields.find_map(|field| field.split_first().filter(|(kind, _)| **kind == code));
        field.map_or_else(String::new, |(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// The columns of a DataRow; NULL as empty.
    pub fn columns(&self) -> Vec<String> {
        let mut columns = Vec::new();
        let mut rest = self.body.get(2..).unwrap_or_default();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            let Some((value, after)) = after.split_at_checked(length) else { break };
            columns.push(String::from_utf8_lossy(value).into_owned());
            rest = after;
        }
        columns
    }

    /// Whether its body holds this text.
    pub fn holds(&self, text: &str) -> bool {
        self.body.windows(text.len().max(1)).any(|window| window == text.as_bytes())
    }
}

/// Why a session could not be had or went silent.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer in {PATIENCE:?}")]
    Silence,
    #[error("the login was refused: {sqlstate} {message}")]
    Refused { sqlstate: String, message: String },
    #[error("the server asks for a kind of login that a password can't answer (request {0})")]
    Login(i32),
    #[error("SCRAM: {0}")]
    Scram(io::Error),
    #[error("{sqlstate} {message} (in {sql})")]
    Sql { sql: String, sqlstate: String, message: String },
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Everything that was sent.
    pub sent: Vec<u8>,
    /// Every frame that came.
    pub came: Vec<Frame>,
    /// The other side has closed.
    pub closed: bool,
}

impl Client {
    /// Connects, and says nothing yet.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(address: SocketAddr) -> Result<Client, ClientError> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, sent: Vec::new(), came: Vec::new(), closed: false })
    }

    /// Connects and logs in with startup parameters and a password.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where whoever answers says no.
    pub fn login(
        address: SocketAddr,
        parameters: &[(&str, &str)],
        password: Option<&str>,
    ) -> Result<Client, ClientError> {
        let mut client = Client::connect(address)?;
        client.send(&frames::startup(0, parameters))?;
        let user = parameters.iter().find(|(name, _)| *name == "user").map_or("", |(_, user)| user);
        let secret = password.unwrap_or_default();
        let mut scram: Option<ScramSha256> = None;
        loop {
            let Some(frame) = client.read()? else {
                let message = "the connection was closed".to_owned();
                return Err(ClientError::Refused { sqlstate: String::new(), message });
            };
            match frame.kind {
                b'E' => {
                    return Err(ClientError::Refused { sqlstate: frame.field(b'C'), message: frame.field(b'M') });
                }
                b'Z' => return Ok(client),
                b'R' => {
                    let (request, rest) = match frame.body.split_first_chunk::<4>() {
                        Some((request, rest)) => (i32::from_be_bytes(*request), rest),
                        None => (-1, &[][..]),
                    };
                    match request {
                        0 => {}
                        3 => client.send(&frames::frame(b'p', &[secret.as_bytes(), b"\0"].concat()))?,
                        5 => {
                            let salt = rest.first_chunk::<4>().copied().unwrap_or_default();
                            let hash = md5_hash(user.as_bytes(), secret.as_bytes(), salt);
                            client.send(&frames::frame(b'p', &[hash.as_bytes(), b"\0"].concat()))?;
                        }
                        10 => {
                            let first = ScramSha256::new(secret.as_bytes(), ChannelBinding::unsupported());
                            let length = u32::try_from(first.message().len()).unwrap_or(0).to_be_bytes();
                            let body = [b"SCRAM-SHA-256\0", &length[..], first.message()].concat();
                            client.send(&frames::frame(b'p', &body))?;
                            scram = Some(first);
                        }
                        11 => {
                            let Some(scram) = &mut scram else { return Err(ClientError::Login(request)) };
                            scram.update(rest).map_err(ClientError::Scram)?;
                            let answer = scram.message().to_vec();
                            client.send(&frames::frame(b'p', &answer))?;
                        }
                        12 => {
                            let Some(scram) = &mut scram else { return Err(ClientError::Login(request)) };
                            scram.finish(rest).map_err(ClientError::Scram)?;
                        }
                        other => return Err(ClientError::Login(other)),
                    }
                }
                _ => {}
            }
        }
    }

    /// Sends bytes as they are. A side that has closed hears nothing, which is no error.
    ///
    /// # Errors
    /// The system's.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.sent.extend_from_slice(bytes);
        match self.stream.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) if is_end(error.kind()) => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next frame; none once the other side has closed.
    ///
    /// # Errors
    /// [`ClientError::Silence`].
    pub fn read(&mut self) -> Result<Option<Frame>, ClientError> {
        let mut header = [0; 5];
        if !self.fill(&mut header)? {
            return Ok(None);
        }
        let [kind, length @ ..] = header;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let mut body = vec![0; length.saturating_sub(4).min(1 << 26)];
        if !self.fill(&mut body)? {
            return Ok(None);
        }
        let frame = Frame { kind, body };
        self.came.push(frame.clone());
        Ok(Some(frame))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<bool, ClientError> {
        match self.stream.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if is_end(error.kind()) => {
                self.closed = true;
                Ok(false)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                // An answer that comes later would be taken for that of the next question.
                self.closed = true;
                Err(ClientError::Silence)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads so many ReadyForQuery, or to the end, or to where the server waits for COPY data.
    ///
    /// # Errors
    /// [`ClientError::Silence`].
    pub fn until_ready(&mut self, times: usize) -> Result<Vec<Frame>, ClientError> {
        let mut answers = Vec::new();
        let mut ready = 0;
        while ready < times {
            let Some(frame) = self.read()? else { break };
            ready += usize::from(frame.kind == b'Z');
            let waits = matches!(frame.kind, b'G' | b'W');
            answers.push(frame);
            if waits {
                break;
            }
        }
        Ok(answers)
    }

    /// Whatever comes until nothing comes for a moment, as one frame without type.
    ///
    /// # Errors
    /// The system's.
    pub fn raw(&mut self) -> Result<Frame, ClientError> {
        self.stream.set_read_timeout(Some(PAUSE))?;
        let mut body = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    self.closed = true;
                    break;
                }
                Ok(n) => body.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(error) if is_end(error.kind()) => {
                    self.closed = true;
                    break;
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.stream.set_read_timeout(Some(PATIENCE))?;
        let frame = Frame { kind: 0, body };
        self.came.push(frame.clone());
        Ok(frame)
    }

    /// Runs SQL by Query: the first column of the first row, empty where there is none.
    ///
    /// # Errors
    /// The server's.
    pub fn sql(&mut self, sql: &str) -> Result<String, ClientError> {
        self.send(&frames::query(sql))?;
        let answers = self.until_ready(1)?;
        if let Some(error) = answers.iter().find(|frame| frame.kind == b'E') {
            let (sqlstate, message) = (error.field(b'C'), error.field(b'M'));
            let sql = sql.chars().take(80).collect();
            return Err(ClientError::Sql { sql, sqlstate, message });
        }
        // No answer must not look like an empty one.
        if self.closed {
            return Err(ClientError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let row = answers.iter().find(|frame| frame.kind == b'D').map(Frame::columns);
        Ok(row.and_then(|row| row.into_iter().next()).unwrap_or_default())
    }
}

fn is_end(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}
