//! `auth: password`: the client's password, asked for inside TLS or over a Unix socket only. `upstream` logs in with it by the
//! best that the server offers: SCRAM-SHA-256 bound to its certificate, SCRAM-SHA-256, md5, or clear text inside TLS.

use zeroize::{Zeroize, Zeroizing};

use crate::session::auth::{Failed, Fatal, LoginEnd, Peer};
use crate::wire::{frame, sqlstate};

/// AuthenticationCleartextPassword.
const ASK_FOR_PASSWORD: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];

/// Asks the client, as `recv_password_packet` of the server does. Its leg has TLS or is a Unix socket: `handshake` lets
/// no other come here.
pub(super) async fn ask(client: &mut Peer) -> Result<Zeroizing<Vec<u8>>, LoginEnd> {
    client.send(&ASK_FOR_PASSWORD).await.map_err(LoginEnd::Client)?;
    let mut answer = client.frame().await.map_err(LoginEnd::Client)?;
    if answer.kind != b'p' {
        return Err(LoginEnd::unexpected_from_client(&answer, "password"));
    }
    let secret = match frame::cstring(answer.body()) {
        Some((secret, [])) => Some(Zeroizing::new(secret.to_vec())),
        Some(_) | None => None,
    };
    answer.bytes.as_mut().zeroize();
    match secret {
        None => Err(Fatal::new(sqlstate::PROTOCOL_VIOLATION, "invalid password packet size").into()),
        Some(secret) if secret.is_empty() => {
            Err(Fatal::new(sqlstate::INVALID_PASSWORD, "empty password returned by client")
                .failed(Failed::Guess)
                .into())
        }
        Some(secret) => Ok(secret),
    }
}
