//! Judges a way without a server: the bytes go through a session's engine, and what it would refuse is noted.
//!
//! The server is assumed to do what it is told. What only the server's answers decide is left open ([`Outcome::NeedsServer`]).

use std::sync::Arc;
use std::time::Duration;

use crate::attacks::{Fence, Opening, Step, Way, frames};
use crate::blocks::{self, Blocks};
use crate::metrics::Metrics;
use crate::policy::{Identity, PolicySet, SessionPolicy};
use crate::selftest::subject::{Subject, allows};
use crate::selftest::{Outcome, Protocol};
use crate::session::cache::Cache;
use crate::session::engine::{Engine, Look, Then};
use crate::session::quarantine::{Quarantine, Watch};
use crate::session::tell::Teller;

/// Memory for the engine of one attack, in bytes.
const CACHE: u64 = 1 << 20;

/// As [`crate::config::Config::analysis_bytes`] is by default.
const ANALYSIS: u64 = 512 << 20;

/// Tries a way under a subject's policies. On a thread whose stack any statement fits in.
pub fn judge(
    way: &Way,
    protocol: Protocol,
    set: &Arc<PolicySet>,
    subject: &Subject,
    metrics: &Arc<Metrics>,
) -> Outcome {
    let Ok(mut session) = set.admit(&subject.identity) else {
        return Outcome::Failed("no policy admits the session of the attack".to_owned());
    };
    if let Fence::Deed(deed) = way.fence
        && allows(&session, &subject.target.fill(deed))
    {
        return Outcome::Permitted(deed);
    }
    if !way.refused {
        return Outcome::NeedsServer;
    }
    let Opening::Login(extra) = way.opening else { return Outcome::NeedsServer };
    let parameters: Vec<(String, String)> = [("user", &subject.target.role), ("database", &subject.target.database)]
        .into_iter()
        .filter(|(name, _)| !extra.iter().any(|(given, _)| given == name))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .chain(extra.iter().map(|(name, value)| ((*name).to_owned(), subject.target.fill(value))))
        .collect();
    let replication = extra.iter().any(|(name, _)| *name == "replication");
    if replication {
        match set.admit(&Identity { replication, ..subject.identity.clone() }) {
            Ok(admitted) => session = admitted,
            Err(_) => return Outcome::Stopped,
        }
    }
    match session.startup(&parameters) {
        Err(_) => return Outcome::Stopped,
        Ok(_) if way.steps.is_empty() => return Outcome::Open("its startup packet passes".to_owned()),
        Ok(_) => {}
    }
    played(way, protocol, session, replication, subject, metrics)
}

fn played(
    way: &Way,
    protocol: Protocol,
    session: SessionPolicy,
    replication: bool,
    subject: &Subject,
    metrics: &Arc<Metrics>,
) -> Outcome {
    let tell = Teller::new(Arc::clone(metrics), &subject.identity, 0);
    // Each attack is judged by itself: one that touches a decoy must not stop the next one.
    let watch = Watch::new(Arc::new(Quarantine::new(Duration::ZERO, Arc::clone(metrics))), &subject.identity);
    let blocks = blocks::Watch::new(Arc::new(Blocks::in_memory(Arc::clone(metrics))), &subject.identity.user);
    let cache = Arc::new(Cache::new(CACHE, ANALYSIS));
    let mut engine = Engine::new(session, tell, cache, watch, blocks, replication, false);
    for (name, value) in [("client_encoding", "UTF8"), ("server_encoding", "UTF8"), ("server_version", "18.0")] {
        server(&mut engine, &frames::frame(b'S', format!("{name}\0{value}\0").as_bytes()));
    }
    server(&mut engine, &frames::frame(b'Z', b"I"));
    let mut ready = 0;
    for step in way.steps {
        let Some((bytes, answers)) = step.bytes(protocol == Protocol::Extended, &subject.target) else {
            if matches!(step, Step::Elsewhere(_)) {
                continue;
            }
            return Outcome::NeedsServer;
        };
        if refuses(&mut engine, &bytes) {
            return Outcome::Stopped;
        }
        for _ in 0..answers {
            ready += 1;
            server(&mut engine, &frames::frame(b'Z', b"I"));
        }
    }
    Outcome::Open(format!("everything passes ({ready} requests)"))
}

/// Whether the engine refuses anything of these bytes.
fn refuses(engine: &mut Engine, bytes: &[u8]) -> bool {
    let Look { pass, then } = engine.client(bytes, &mut Vec::new());
    match then {
        // What is unfinished would never be sent.
        Then::More { .. } => pass < bytes.len(),
        Then::Replace { .. } | Then::End(_) => true,
    }
}

fn server(engine: &mut Engine, bytes: &[u8]) {
    engine.server(bytes, &mut Vec::new());
}
