//! `auth: scram`: the proxy asks the client for SCRAM-SHA-256 as the server does (`CheckSASLAuth` of
//! `src/backend/libpq/auth-sasl.c`), before anything goes upstream.

use bytes::{BufMut, BytesMut};

use crate::session::auth::scram::server::{Challenged, Exchange, Proof, Violation};
use crate::session::auth::scram::{Keys, nonce};
use crate::session::auth::{Client, Failed, Fatal, Frame, LoginEnd, Peer, sasl_offer};
use crate::wire::{frame, sqlstate};

/// The longest SASL message, with its length word (`PG_MAX_SASL_MESSAGE_LENGTH`).
const MAX_MESSAGE: usize = 1024;

/// `SASLContinue` and `SASLFinal` among the Authentication… messages.
const CONTINUE: u32 = 11;
const FINAL: u32 = 12;

impl From<Violation> for LoginEnd {
    fn from(violation: Violation) -> LoginEnd {
        let Violation { sqlstate, message, detail } = violation;
        LoginEnd::Fatal(Box::new(Fatal { detail, ..Fatal::new(sqlstate, message) }))
    }
}

/// Has the client prove that it knows its password. `why_not`: for the log, where it can't be known.
///
/// # Errors
/// [`LoginEnd`]; a wrong password and a user who can't log in are one and the same for the client.
pub async fn run(
    client: &mut Client<'_>,
    exchange: Exchange,
    user: &str,
    why_not: Option<&'static str>,
) -> Result<Keys, LoginEnd> {
    let refused = |why: &'static str| {
        Fatal::new(sqlstate::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
            .log(why_not.unwrap_or(why))
            .failed(Failed::Guess)
            .into()
    };
    client.peer.send(&sasl_offer(exchange.mechanisms())).await.map_err(LoginEnd::Client)?;
    let first = match response(client.peer).await? {
        Some(first) => first,
        None => return Err(refused("the SASL message is too long")),
    };
    let (mechanism, message) = initial(first.body())?;
    let bound = exchange.select(mechanism)?;
    let challenged = match message {
        Some(message) => challenge(exchange, bound, message)?,
        None => {
            // The mechanism alone: the message follows.
            send(client.peer, CONTINUE, b"").await?;
            match response(client.peer).await? {
                Some(next) => challenge(exchange, bound, next.body())?,
                None => return Err(refused("the SASL message is too long")),
            }
        }
    };
    send(client.peer, CONTINUE, challenged.message().as_bytes()).await?;
    let Some(last) = response(client.peer).await? else {
        return Err(refused("the SASL message is too long"));
    };
    client.guess = Some(client.attempt.guess().await?);
    match challenged.check(last.body())? {
        Proof::Bad => Err(refused("the password does not match")),
        Proof::Good { keys, last } => {
            send(client.peer, FINAL, last.as_bytes()).await?;
            client.guess = None;
            Ok(keys)
        }
    }
}

fn challenge(exchange: Exchange, bound: bool, message: &[u8]) -> Result<Challenged, LoginEnd> {
    Ok(exchange.challenge(bound, message, &nonce())?)
}

/// The client's next message; `None` where it is too long, which is a failed login.
async fn response(client: &mut Peer) -> Result<Option<Frame>, LoginEnd> {
    let answer = client.frame().await.map_err(LoginEnd::Client)?;
    if answer.kind != b'p' {
        return Err(LoginEnd::unexpected_from_client(&answer, "SASL"));
    }
    Ok((answer.body().len() + 4 <= MAX_MESSAGE).then_some(answer))
}

/// Mechanism and message of a SASLInitialResponse.
fn initial(body: &[u8]) -> Result<(&[u8], Option<&[u8]>), LoginEnd> {
    let wrong = |message: &str| LoginEnd::from(Fatal::new(sqlstate::PROTOCOL_VIOLATION, message));
    let (mechanism, rest) = frame::cstring(body).ok_or_else(|| wrong("invalid string in message"))?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| wrong("insufficient data left in message"))?;
    let length = i32::from_be_bytes(*length);
    if length == -1 {
        return if rest.is_empty() { Ok((mechanism, None)) } else { Err(wrong("invalid message format")) };
    }
    let message = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    match message {
        Some((message, [])) => Ok((mechanism, Some(message))),
        Some(_) => Err(wrong("invalid message format")),
        None => Err(wrong("insufficient data left in message")),
    }
}

/// Sends an Authentication… message.
async fn send(client: &mut Peer, code: u32, message: &[u8]) -> Result<(), LoginEnd> {
    let mut out = BytesMut::with_capacity(message.len() + 9);
    out.put_u8(b'R');
    out.put_u32(u32::try_from(message.len() + 8).unwrap_or(u32::MAX));
    out.put_u32(code);
    out.put_slice(message);
    client.send(&out).await.map_err(LoginEnd::Client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_initial_response_is_read_whole() {
        let parts = |body: &[u8]| match initial(body) {
            Ok((mechanism, message)) => Ok((mechanism.to_vec(), message.map(<[u8]>::to_vec))),
            Err(LoginEnd::Fatal(fatal)) => Err(fatal.message),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(parts(b"M\0\0\0\0\x03abc"), Ok((b"M".to_vec(), Some(b"abc".to_vec()))));
        assert_eq!(parts(b"M\0\xff\xff\xff\xff"), Ok((b"M".to_vec(), None)));
        assert_eq!(parts(b"M\0\0\0\0\0"), Ok((b"M".to_vec(), Some(Vec::new()))));
        for (body, said) in [
            (&b"M"[..], "invalid string in message"),
            (b"M\0\0\0\0", "insufficient data left in message"),
            (b"M\0\0\0\0\x04abc", "insufficient data left in message"),
            (b"M\0\xff\xff\xff\xfeabc", "insufficient data left in message"),
            (b"M\0\0\0\0\x02abc", "invalid message format"),
            (b"M\0\xff\xff\xff\xffx", "invalid message format"),
        ] {
            assert_eq!(parts(body), Err(said.to_owned()), "{}", body.escape_ascii());
        }
    }
}
