//! `auth: passthrough`: the server asks, the client answers, the proxy relays and learns nothing. It changes one thing,
//! the offer of SCRAM-SHA-256-PLUS where it can't work, and withholds one, a password in the clear.

use crate::session::auth::{Frame, Login, LoginEnd, Request, SCRAM_PLUS, sasl_offer};
use crate::wire::{backend, sqlstate};

/// Whose word is awaited.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Server,
    /// Its answer can be a wrong one.
    Client,
    /// Its answer says nothing of a secret yet: the first message of SASL.
    Opening,
    /// GSSAPI says so itself.
    Either,
}

enum Said {
    Server(Frame),
    Client(Frame),
}

/// Relays until AuthenticationOk, which is relayed too. `first` is the server's first frame.
///
/// # Errors
/// [`LoginEnd`].
pub async fn run(login: &mut Login<'_, '_>, first: Frame) -> Result<(), LoginEnd> {
    let mut said = Said::Server(first);
    let mut turn = Turn::Server;
    let mut scram = false;
    loop {
        turn = match said {
            Said::Server(frame) => match from_server(login, &frame).await? {
                // It named its mechanism only: what comes begins SCRAM all the same.
                Some(Turn::Client) if scram && is_empty_continue(&frame) => Turn::Opening,
                Some(turn) => {
                    scram |= matches!(turn, Turn::Opening);
                    turn
                }
                None => return Ok(()),
            },
            Said::Client(frame) if frame.kind == b'p' => {
                if login.client.guess.is_none() && !matches!(turn, Turn::Opening) {
                    login.client.guess = Some(login.client.attempt.guess().await?);
                }
                login.server.send(&frame.bytes).await.map_err(LoginEnd::Server)?;
                Turn::Server
            }
            Said::Client(frame) => return Err(LoginEnd::unexpected_from_client(&frame, "password")),
        };
        said = match turn {
            // Not listening to the client here: what it sends ahead belongs to the session.
            Turn::Server => Said::Server(login.server.frame().await.map_err(LoginEnd::Server)?),
            Turn::Client | Turn::Opening | Turn::Either => tokio::select! {
                biased;
                frame = login.server.frame() => Said::Server(frame.map_err(LoginEnd::Server)?),
                frame = login.client.peer.frame() => Said::Client(frame.map_err(LoginEnd::Client)?),
            },
        };
    }
}

/// Relays one frame of the server; `None` after AuthenticationOk.
async fn from_server(login: &mut Login<'_, '_>, frame: &Frame) -> Result<Option<Turn>, LoginEnd> {
    let turn = match frame.kind {
        backend::ERROR_RESPONSE => {
            // Whether it arrives does not change what it is.
            let _ = login.client.peer.send(&frame.bytes).await;
            return Err(LoginEnd::refused(frame.body()));
        }
        b'N' => Some(Turn::Server),
        b'R' => match Request::parse(frame.body()) {
            Some(Request::Ok) => None,
            Some(Request::CleartextPassword) if !login.client_leg_is_private => {
                return Err(LoginEnd::fatal(
                    sqlstate::INVALID_AUTHORIZATION,
                    "the server asks for the password in clear text, and this connection is not encrypted",
                    Some("Connect with sslmode=require, or let the server ask for scram-sha-256 (pg_hba.conf)."),
                ));
            }
            Some(Request::Sasl(offered)) if !login.relay_channel_binding => {
                let rest: Vec<&[u8]> = offered.into_iter().filter(|mechanism| *mechanism != SCRAM_PLUS).collect();
                if rest.is_empty() {
                    return Err(LoginEnd::fatal(
                        sqlstate::INVALID_AUTHORIZATION,
                        "the server demands SCRAM with channel binding, which can't be relayed on this connection",
                        Some("See `auth` in the proxy's documentation: `auth: password` binds to the server itself."),
                    ));
                }
                login.client.peer.send(&sasl_offer(&rest)).await.map_err(LoginEnd::Client)?;
                return Ok(Some(opening(&rest)));
            }
            Some(Request::Sasl(offered)) => Some(opening(&offered)),
            Some(
                Request::CleartextPassword
                | Request::Md5Password(_)
                | Request::SaslContinue(_)
                | Request::Gss
                | Request::Sspi,
            ) => Some(Turn::Client),
            Some(Request::SaslFinal(_)) => Some(Turn::Server),
            Some(Request::GssContinue) => Some(Turn::Either),
            Some(Request::Other) | None => return Err(LoginEnd::unexpected_from_server(frame)),
        },
        _ => return Err(LoginEnd::unexpected_from_server(frame)),
    };
    login.client.peer.send(&frame.bytes).await.map_err(LoginEnd::Client)?;
    Ok(turn)
}

fn is_empty_continue(frame: &Frame) -> bool {
    matches!(Request::parse(frame.body()), Some(Request::SaslContinue(data)) if data.is_empty())
}

/// What the answer to an offer of mechanisms is. SCRAM begins without a word of the secret, others (OAUTHBEARER) with all of it.
fn opening(offered: &[&[u8]]) -> Turn {
    if offered.iter().all(|mechanism| mechanism.starts_with(b"SCRAM-")) { Turn::Opening } else { Turn::Client }
}
