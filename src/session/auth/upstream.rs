//! Logging in at the server, where the proxy does that itself: `password`, `scram`, `certificate`, and the connection of
//! `auth_query`. It answers what the server asks by the best that both have, and holds AuthenticationOk back: what becomes of
//! the session is the caller's affair.

use bytes::{BufMut, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use zeroize::{Zeroize, Zeroizing};

use crate::net::TlsInfo;
use crate::session::auth::password::ask;
use crate::session::auth::scram::client::{Begun, Binding, ClientError, Proven};
use crate::session::auth::scram::{Keys, nonce};
use crate::session::auth::{Client, Failed, Fatal, Frame, LoginEnd, Peer, Request, SCRAM, SCRAM_PLUS};
use crate::wire::{backend, frame, sqlstate};

/// With what the server is answered.
#[derive(Debug)]
pub enum Credential {
    /// The client's own password: it is asked for when a server first wants one, and kept for the next server.
    OfClient(Option<Zeroizing<Vec<u8>>>),
    /// What the client's SCRAM proof gave away.
    Keys(Keys),
    /// One that the proxy has.
    Password(Zeroizing<Vec<u8>>),
    /// Only what needs no answer: `trust`, or the proxy's certificate.
    Nothing,
}

/// The server, its startup packet sent.
#[derive(Debug)]
pub struct Upstream<'a> {
    pub server: &'a mut Peer,
    /// As the startup packet names it: md5 hashes it.
    pub user: &'a str,
    pub tls: Option<&'a TlsInfo>,
    /// The most iterations of PBKDF2 that the server may ask for.
    pub max_iterations: u32,
}

/// How far the login is.
enum Step {
    /// Nothing was asked yet.
    Start,
    /// SCRAM with a password waits for the server's next message.
    Password(Box<ScramSha256>),
    /// SCRAM with keys: the nonce and binding of our first message.
    Begun(Binding, String),
    Proven(Proven),
    /// Nothing more may be asked: an answer was sent, or the server proved that it knows the user.
    Answered,
}

impl Upstream<'_> {
    /// Logs in, and gives AuthenticationOk, which nobody has got yet. `first` is the server's first frame.
    ///
    /// # Errors
    /// [`LoginEnd`]. A server's error was relayed, where there is a client.
    pub async fn log_in(
        &mut self,
        mut client: Option<&mut Client<'_>>,
        credential: &mut Credential,
        first: Frame,
    ) -> Result<Frame, LoginEnd> {
        let mut step = Step::Start;
        let mut next = first;
        loop {
            match next.kind {
                backend::ERROR_RESPONSE => {
                    if let Some(client) = &mut client {
                        // Whether it arrives does not change what it is.
                        let _ = client.peer.send(&next.bytes).await;
                    }
                    return Err(LoginEnd::refused(next.body()));
                }
                b'N' => {
                    if let Some(client) = &mut client {
                        client.peer.send(&next.bytes).await.map_err(LoginEnd::Client)?;
                    }
                }
                b'R' => match (Request::parse(next.body()), step) {
                    // A server that stops half-way through SCRAM never proved that it knows the password.
                    (Some(Request::Ok), Step::Password(_) | Step::Begun(..) | Step::Proven(_)) => {
                        return Err(failed("the server ended SCRAM without its proof"));
                    }
                    (Some(Request::Ok), Step::Start | Step::Answered) => return Ok(next),
                    (Some(request), current) => {
                        step = self.answer(client.as_deref_mut(), credential, request, current).await?;
                    }
                    (None, _) => return Err(LoginEnd::unexpected_from_server(&next)),
                },
                // ParameterStatus and the like belong behind AuthenticationOk.
                _ => return Err(LoginEnd::unexpected_from_server(&next)),
            }
            next = self.server.frame().await.map_err(LoginEnd::Server)?;
        }
    }

    /// Answers one request.
    async fn answer(
        &mut self,
        client: Option<&mut Client<'_>>,
        credential: &mut Credential,
        request: Request<'_>,
        step: Step,
    ) -> Result<Step, LoginEnd> {
        match (request, step) {
            (Request::CleartextPassword, Step::Start) => {
                // With keys there is none to send, and encryption would not help.
                if self.tls.is_none() && !matches!(credential, Credential::Keys(_) | Credential::Nothing) {
                    return Err(LoginEnd::fatal(
                        sqlstate::INVALID_AUTHORIZATION,
                        "the server asks for the password in clear text, and the way to it is not encrypted",
                        Some(
                            "Set sslmode=verify-full upstream, or let the server ask for scram-sha-256 (pg_hba.conf).",
                        ),
                    ));
                }
                let password = self.password(client, credential, "the password in clear text").await?;
                // Room for the NUL: growing would leave a copy behind.
                let mut body = Zeroizing::new(Vec::with_capacity(password.len() + 1));
                body.extend_from_slice(password);
                body.push(0);
                self.send(&body).await?;
                Ok(Step::Answered)
            }
            (Request::Md5Password(salt), Step::Start) => {
                let password = self.password(client, credential, "an md5 hash of the password").await?;
                let mut hash = Zeroizing::new(md5_hash(self.user.as_bytes(), password, salt).into_bytes());
                hash.push(0);
                self.send(&hash).await?;
                Ok(Step::Answered)
            }
            (Request::Sasl(offered), Step::Start) => {
                let (mechanism, binding) = choose(self.tls, &offered)?;
                if let Credential::Keys(keys) = credential {
                    let nonce = nonce();
                    let message = Begun::new(keys, binding.clone(), nonce.clone()).message();
                    self.begin(mechanism, message.as_bytes()).await?;
                    return Ok(Step::Begun(binding, nonce));
                }
                let password = self.password(client, credential, "SCRAM").await?;
                let scram = ScramSha256::new(password, channel_binding(binding));
                self.begin(mechanism, scram.message()).await?;
                Ok(Step::Password(Box::new(scram)))
            }
            (Request::SaslContinue(message), Step::Password(mut scram)) => {
                check_iterations(message, self.max_iterations)?;
                // PBKDF2 takes milliseconds: off the reactor.
                let message = message.to_vec();
                let scram = tokio::task::spawn_blocking(move || scram.update(&message).map(|()| scram))
                    .await
                    .map_err(|error| failed(&error.to_string()))?
                    .map_err(|error| failed(&error.to_string()))?;
                self.send(scram.message()).await?;
                Ok(Step::Password(scram))
            }
            (Request::SaslContinue(message), Step::Begun(binding, nonce)) => {
                let Credential::Keys(keys) = credential else { return Err(out_of_turn()) };
                let proven = Begun::new(keys, binding, nonce).answer(message).map_err(|error| self.refuted(&error))?;
                self.send(proven.message().as_bytes()).await?;
                Ok(Step::Proven(proven))
            }
            (Request::SaslFinal(message), Step::Password(mut scram)) => {
                scram.finish(message).map_err(|error| failed(&error.to_string()))?;
                Ok(Step::Answered)
            }
            (Request::SaslFinal(message), Step::Proven(proven)) => {
                proven.finish(message).map_err(|error| self.refuted(&error))?;
                Ok(Step::Answered)
            }
            (Request::Gss | Request::GssContinue | Request::Sspi, _) => Err(LoginEnd::fatal(
                sqlstate::INVALID_AUTHORIZATION,
                "the server asks for GSSAPI or SSPI, which can't be answered with a password",
                Some("Let the server ask for scram-sha-256 (pg_hba.conf), or use `auth: passthrough`."),
            )),
            (
                Request::Ok
                | Request::CleartextPassword
                | Request::Md5Password(_)
                | Request::Sasl(_)
                | Request::SaslContinue(_)
                | Request::SaslFinal(_)
                | Request::Other,
                _,
            ) => Err(out_of_turn()),
        }
    }

    /// The password, asked for or known. `wanted`: what the server wants it for.
    async fn password<'c>(
        &self,
        client: Option<&mut Client<'_>>,
        credential: &'c mut Credential,
        wanted: &str,
    ) -> Result<&'c [u8], LoginEnd> {
        match credential {
            Credential::OfClient(known) => {
                let Some(client) = client else { return Err(out_of_turn()) };
                let password = match known {
                    Some(password) => password,
                    None => known.insert(ask(client.peer).await?),
                };
                if client.guess.is_none() {
                    client.guess = Some(client.attempt.guess().await?);
                }
                Ok(password)
            }
            Credential::Password(password) => Ok(password),
            Credential::Keys(_) => Err(Fatal::new(
                sqlstate::INVALID_AUTHORIZATION,
                format!("the server asks for {wanted}, and `auth: scram` can answer SCRAM only"),
            )
            .hint(
                "Let the server ask for scram-sha-256 (pg_hba.conf), and set the user's password again while \
                 password_encryption is scram-sha-256; or use `auth: password`.",
            )
            .into()),
            Credential::Nothing => Err(Fatal::new(
                sqlstate::INVALID_AUTHORIZATION,
                format!("the server asks for {wanted}, and the proxy has no password of this user"),
            )
            .hint("Name the user in `auth_file`, or let the server take the proxy's certificate (cert in pg_hba.conf).")
            .into()),
        }
    }

    /// SASLInitialResponse.
    async fn begin(&mut self, mechanism: &[u8], message: &[u8]) -> Result<(), LoginEnd> {
        let mut body = Zeroizing::new(Vec::with_capacity(mechanism.len() + 5 + message.len()));
        body.extend_from_slice(mechanism);
        body.push(0);
        body.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(message);
        self.send(&body).await
    }

    /// Sends a `p` frame.
    async fn send(&mut self, body: &[u8]) -> Result<(), LoginEnd> {
        let mut out = BytesMut::with_capacity(body.len() + frame::HEADER);
        out.put_u8(b'p');
        out.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
        out.put_slice(body);
        let sent = self.server.send(&out).await.map_err(LoginEnd::Server);
        out.as_mut().zeroize();
        sent
    }

    /// SCRAM with keys came to nothing.
    fn refuted(&self, error: &ClientError) -> LoginEnd {
        match error {
            // What the server would say to a client whose password is not its own any more.
            ClientError::OtherVerifier => Fatal::new(
                sqlstate::INVALID_PASSWORD,
                format!("password authentication failed for user \"{}\"", self.user),
            )
            .log("the server has another SCRAM verifier of this user than `auth_file` or `auth_query` gave: copy it again")
            .failed(Failed::Login)
            .into(),
            ClientError::Malformed | ClientError::Nonce | ClientError::Refused(_) | ClientError::NoProof => {
                failed(&error.to_string())
            }
        }
    }
}

/// The strongest mechanism of the offer (RFC 5802 §6 says what is told to the server where it is not PLUS).
fn choose(tls: Option<&TlsInfo>, offered: &[&[u8]]) -> Result<(&'static [u8], Binding), LoginEnd> {
    let plus = offered.contains(&SCRAM_PLUS);
    match tls {
        Some(tls) if plus => {
            if let Some(end_point) = &tls.server_end_point {
                return Ok((SCRAM_PLUS, Binding::EndPoint(end_point.clone())));
            }
        }
        // "y": the server would notice if somebody had taken PLUS out of its offer.
        Some(_) if offered.contains(&SCRAM) => return Ok((SCRAM, Binding::NotOffered)),
        Some(_) | None => {}
    }
    if offered.contains(&SCRAM) {
        return Ok((SCRAM, Binding::Unable));
    }
    Err(LoginEnd::fatal(
        sqlstate::INVALID_AUTHORIZATION,
        "the server offers no SASL mechanism that a password can answer",
        Some("Let the server ask for scram-sha-256 (pg_hba.conf), or use `auth: passthrough`."),
    ))
}

fn channel_binding(binding: Binding) -> ChannelBinding {
    match binding {
        Binding::Unable => ChannelBinding::unsupported(),
        Binding::NotOffered => ChannelBinding::unrequested(),
        Binding::EndPoint(end_point) => ChannelBinding::tls_server_end_point(end_point),
    }
}

/// Holds server-first-message against the cap, so that a server can't have us reckon for ever.
fn check_iterations(message: &[u8], most: u32) -> Result<(), LoginEnd> {
    let count = message.split(|byte| *byte == b',').find_map(|part| part.strip_prefix(b"i="));
    let count: Option<u64> =
        count.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|text| text.parse().ok());
    match count {
        Some(count) if count > u64::from(most) => {
            Err(failed(&format!("it asks for {count} iterations, `scram_max_iterations` is {most}")))
        }
        Some(_) => Ok(()),
        None => Err(failed("its message is malformed")),
    }
}

fn out_of_turn() -> LoginEnd {
    LoginEnd::fatal(sqlstate::PROTOCOL_VIOLATION, "the upstream server sent an unexpected authentication request", None)
}

fn failed(reason: &str) -> LoginEnd {
    LoginEnd::fatal(
        sqlstate::INVALID_AUTHORIZATION,
        format!("SCRAM with the upstream server failed: {reason}"),
        Some("Check that the upstream's URL leads to the right server, and who stands in between."),
    )
}
