//! `auth: password`: the client's password, asked for inside TLS only, and with it a login at the server by the best that
//! the server offers: SCRAM-SHA-256 bound to its certificate, SCRAM-SHA-256, md5, or clear text inside TLS.

use bytes::{BufMut, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use zeroize::{Zeroize, Zeroizing};

use crate::session::auth::{Frame, Login, LoginEnd, Request, SCRAM, SCRAM_PLUS};
use crate::wire::{backend, frame, sqlstate};

/// AuthenticationCleartextPassword.
const ASK_FOR_PASSWORD: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];

/// How far the login at the server is.
enum Step {
    /// Nothing was asked yet.
    Start,
    /// SCRAM waits for the server's next message.
    Scram(Box<ScramSha256>),
    /// Nothing more may be asked: the password was sent, or the server proved that it knows it.
    Answered,
}

/// Logs in for the client until AuthenticationOk, which is relayed. `first` is the server's first frame.
///
/// # Errors
/// [`LoginEnd`].
pub async fn run(login: &mut Login<'_>, first: Frame) -> Result<(), LoginEnd> {
    let mut step = Step::Start;
    let mut next = first;
    loop {
        match next.kind {
            backend::ERROR_RESPONSE => {
                login.client.send(&next.bytes).await.map_err(LoginEnd::Client)?;
                return Err(LoginEnd::refused(next.body()));
            }
            b'N' => login.client.send(&next.bytes).await.map_err(LoginEnd::Client)?,
            b'R' => match (Request::parse(next.body()), step) {
                // A server that stops half-way through SCRAM never proved that it knows the password.
                (Some(Request::Ok), Step::Scram(_)) => {
                    return Err(upstream_scram("the server ended SCRAM without its proof"));
                }
                (Some(Request::Ok), Step::Start | Step::Answered) => {
                    return login.client.send(&next.bytes).await.map_err(LoginEnd::Client);
                }
                (Some(request), current) => step = answer(login, request, current).await?,
                (None, _) => return Err(LoginEnd::unexpected_from_server(&next)),
            },
            _ => return Err(LoginEnd::unexpected_from_server(&next)),
        }
        next = login.server.frame().await.map_err(LoginEnd::Server)?;
    }
}

/// Answers one request of the server.
async fn answer(login: &mut Login<'_>, request: Request<'_>, step: Step) -> Result<Step, LoginEnd> {
    match (request, step) {
        (Request::CleartextPassword, Step::Start) => {
            if login.server_tls.is_none() {
                return Err(LoginEnd::fatal(
                    sqlstate::INVALID_AUTHORIZATION,
                    "the server asks for the password in clear text, and the way to it is not encrypted",
                    Some("Set sslmode=verify-full upstream, or let the server ask for scram-sha-256 (pg_hba.conf)."),
                ));
            }
            let mut secret = ask(login).await?;
            secret.push(0);
            send(login, &secret).await?;
            Ok(Step::Answered)
        }
        (Request::Md5Password(salt), Step::Start) => {
            let secret = ask(login).await?;
            let mut hash = Zeroizing::new(md5_hash(login.user.as_bytes(), &secret, salt).into_bytes());
            hash.push(0);
            send(login, &hash).await?;
            Ok(Step::Answered)
        }
        (Request::Sasl(offered), Step::Start) => {
            let (mechanism, binding) = choose(login, &offered)?;
            let secret = ask(login).await?;
            let scram = ScramSha256::new(&secret, binding);
            let mut body = Zeroizing::new(mechanism.to_vec());
            body.push(0);
            body.extend(u32::try_from(scram.message().len()).unwrap_or(u32::MAX).to_be_bytes());
            body.extend(scram.message());
            send(login, &body).await?;
            Ok(Step::Scram(Box::new(scram)))
        }
        (Request::SaslContinue(message), Step::Scram(mut scram)) => {
            // PBKDF2 takes milliseconds: off the reactor. `postgres-protocol` caps the server's iteration count at
            // 100,000 (PostgreSQL's default is 4,096).
            let message = message.to_vec();
            let scram = tokio::task::spawn_blocking(move || scram.update(&message).map(|()| scram))
                .await
                .map_err(|error| upstream_scram(&error.to_string()))?
                .map_err(|error| upstream_scram(&error.to_string()))?;
            send(login, scram.message()).await?;
            Ok(Step::Scram(scram))
        }
        (Request::SaslFinal(message), Step::Scram(mut scram)) => {
            scram.finish(message).map_err(|error| upstream_scram(&error.to_string()))?;
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
        ) => Err(LoginEnd::fatal(
            sqlstate::PROTOCOL_VIOLATION,
            "the upstream server sent an unexpected authentication request",
            None,
        )),
    }
}

/// The strongest mechanism of the offer (RFC 5802 §6 says what is told to the server where it is not PLUS).
fn choose(login: &Login<'_>, offered: &[&[u8]]) -> Result<(&'static [u8], ChannelBinding), LoginEnd> {
    let plus = offered.contains(&SCRAM_PLUS);
    match login.server_tls {
        Some(tls) if plus => {
            if let Some(end_point) = &tls.server_end_point {
                return Ok((SCRAM_PLUS, ChannelBinding::tls_server_end_point(end_point.clone())));
            }
        }
        // "y": the server would notice if somebody had taken PLUS out of its offer.
        Some(_) if offered.contains(&SCRAM) => return Ok((SCRAM, ChannelBinding::unrequested())),
        Some(_) | None => {}
    }
    if offered.contains(&SCRAM) {
        return Ok((SCRAM, ChannelBinding::unsupported()));
    }
    Err(LoginEnd::fatal(
        sqlstate::INVALID_AUTHORIZATION,
        "the server offers no SASL mechanism that a password can answer",
        Some("Let the server ask for scram-sha-256 (pg_hba.conf), or use `auth: passthrough`."),
    ))
}

/// Asks the client. Its leg has TLS: `handshake` lets no other come here.
async fn ask(login: &mut Login<'_>) -> Result<Zeroizing<Vec<u8>>, LoginEnd> {
    login.client.send(&ASK_FOR_PASSWORD).await.map_err(LoginEnd::Client)?;
    let mut answer = login.client.frame().await.map_err(LoginEnd::Client)?;
    if answer.kind != b'p' {
        return Err(LoginEnd::unexpected_from_client(&answer));
    }
    let secret = match frame::cstring(answer.body()) {
        Some((secret, [])) => {
            // Room for the NUL: growing would leave a copy behind.
            let mut copy = Zeroizing::new(Vec::with_capacity(secret.len() + 1));
            copy.extend_from_slice(secret);
            Some(copy)
        }
        Some(_) | None => None,
    };
    answer.bytes.as_mut().zeroize();
    match secret {
        None => Err(LoginEnd::fatal(sqlstate::PROTOCOL_VIOLATION, "invalid password packet size", None)),
        Some(secret) if secret.is_empty() => Err(LoginEnd::fatal("28P01", "empty password returned by client", None)),
        Some(secret) => Ok(secret),
    }
}

/// Sends a `p` frame to the server.
async fn send(login: &mut Login<'_>, body: &[u8]) -> Result<(), LoginEnd> {
    let mut out = BytesMut::with_capacity(body.len() + frame::HEADER);
    out.put_u8(b'p');
    out.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
    out.put_slice(body);
    let sent = login.server.send(&out).await.map_err(LoginEnd::Server);
    out.as_mut().zeroize();
    sent
}

fn upstream_scram(reason: &str) -> LoginEnd {
    LoginEnd::fatal(
        sqlstate::INVALID_AUTHORIZATION,
        format!("SCRAM with the upstream server failed: {reason}"),
        Some("Check that the upstream's URL leads to the right server, and who stands in between."),
    )
}
