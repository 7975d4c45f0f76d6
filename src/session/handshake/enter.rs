//! The way in, once a policy said yes: the client proves who it is where the proxy checks that, then the server is reached and
//! logged in at. Who failed too often gets no further than here.

use std::time::Instant;

use crate::config::{Auth, TargetSessionAttrs};
use crate::limits::{Entry, Seat};
use crate::net::{Destination, Legs};
use crate::policy::{Identity, Limit, SessionPolicy};
use crate::session::Shared;
use crate::session::auth::{self, Check, Client, Login, LoginEnd, Peer};
use crate::session::handshake::reach::{Answered, Route};
use crate::session::handshake::{Step, Why, negotiate, observed, refused};
use crate::wire::startup::{NEWEST_MINOR, Startup};

/// A login that got through.
pub(super) struct Entered {
    pub server: Peer,
    pub destination: Destination,
    pub seat: Seat,
}

/// What the client asked for, and what becomes of it.
pub(super) struct Request<'a> {
    pub startup: &'a Startup,
    /// Options of the protocol that are not forwarded.
    pub removed: Vec<(String, String)>,
    /// The startup packet for the server.
    pub packet: &'a [u8],
    pub identity: &'a Identity,
    pub policy: &'a SessionPolicy,
    /// The client's leg is encrypted or never leaves the machine.
    pub private: bool,
    pub step: Step<'a>,
}

/// Lets a client in, or not; failures are counted.
pub(super) async fn enter(
    client: &mut Peer,
    request: Request<'_>,
    shared: &Shared,
    legs: &Legs,
) -> Result<Entered, Why> {
    let Identity { user, address, .. } = request.identity;
    let attempt = shared.throttle.of(user, *address);
    let mut client = Client::begin(client, &attempt, Instant::now()).map_err(LoginEnd::from)?;
    let entered = inside(&mut client, request, shared, legs).await;
    let end = match &entered {
        Err(Why::Login(end)) => Some(end),
        Ok(_) | Err(_) => None,
    };
    client.end(shared.config.auth, end, Instant::now());
    entered
}

async fn inside(client: &mut Client<'_>, request: Request<'_>, shared: &Shared, legs: &Legs) -> Result<Entered, Why> {
    let Request { startup, removed, packet, identity, policy, private, step } = request;
    let config = &shared.config;
    let check = Check {
        config,
        directory: &shared.directory,
        legs,
        user: &identity.user,
        tls: identity.tls,
        certificate: identity.arrival.certificate.as_deref(),
    };
    // Asked for once, however many servers are logged in at before one suits.
    let mut credential = step.within(check.run(client)).await??;

    // Where the proxy checks clients itself strangers use up nobody's logins and sessions.
    let Entry { seat, would } = shared.limits.login(policy, &identity.user).map_err(|refusal| {
        shared.metrics.limit_exceeded(refusal.rule.limit().map_or("", Limit::as_str));
        refused(refusal)
    })?;
    if let Some(would) = would {
        shared.metrics.limit_exceeded(would.rule.limit().map_or("", Limit::as_str));
        observed(&would, identity, shared);
    }

    let client_acceptor = if identity.tls { legs.acceptor.as_ref() } else { None };
    let mut route = Route::new(&legs.connector, packet);
    loop {
        let Answered { mut server, destination, tls, negotiation, first } = route.answer().await?;
        auth::same_certificates(config.auth, client_acceptor, tls.as_ref(), &legs.connector.name_of(&destination))?;

        // Where the proxy asked the client itself this comes late, and still among the messages of the authentication, where
        // the manual has it.
        let asked = startup.minor.min(NEWEST_MINOR);
        let mut negotiation = negotiate(negotiation, startup.minor, asked, removed.clone());
        // What another server than the chosen one negotiates is nothing to the client.
        if legs.connector.wanted() == TargetSessionAttrs::Any
            && let Some(negotiation) = negotiation.take()
        {
            client.peer.send(&negotiation.encode()).await.map_err(LoginEnd::Client)?;
        }
        let mut login = Login {
            client,
            server: &mut server,
            user: &identity.user,
            // `same_certificates` has seen to it that both are one.
            relay_channel_binding: identity.tls && tls.is_some() && config.auth == Auth::Passthrough,
            client_leg_is_private: private,
            server_tls: tls.as_ref(),
        };
        let outcome = step.within(auth::log_in(&mut login, config, credential.as_mut(), first)).await;
        if let Some(ok) = outcome?? {
            if !step.within(route.suits(&mut server, &destination)).await?? {
                continue;
            }
            if let Some(negotiation) = negotiation {
                client.peer.send(&negotiation.encode()).await.map_err(LoginEnd::Client)?;
            }
            client.peer.send(&ok.bytes).await.map_err(LoginEnd::Client)?;
        }
        return Ok(Entered { server, destination, seat });
    }
}
