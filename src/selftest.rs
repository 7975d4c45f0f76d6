//! Plays the catalogue of attacks against policies: by judging alone (`offline`), or with real bytes through a real session
//! in front of a real server (`live`), looking afterwards at what has changed there.

pub mod client;
mod live;
mod offline;
mod play;
mod stage;
mod subject;

use std::sync::Arc;

use crate::attacks::{Attack, Fence, Way};

pub use live::{Live, LiveError, Played, Server, own_subject};
pub use offline::judge;
pub use play::{Protocol, Transcript};
pub use subject::{Subject, allows, subjects};

/// What became of one attack, tried in one way under one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The firewall refused it, and nothing happened.
    Stopped,
    /// Nothing happened, and the firewall refused nothing: the settings that it gives the session made it harmless.
    Harmless,
    /// It worked, or nobody was in its way: the sentence says what was seen.
    Open(String),
    /// The policy lets the same deed pass where it is said openly: this one.
    Permitted(&'static str),
    /// Whoever runs the self-test has accepted that it passes.
    Accepted(String),
    /// It does no harm on this server even where nothing is in its way: the sentence says why.
    NotHere(String),
    /// Only a server can tell.
    NeedsServer,
    /// It could not be played: the sentence says why.
    Failed(String),
}

/// One attack under one policy, tried in one way.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The name of the policy; `catalogue` for one of the catalogue's own.
    pub policy: Arc<str>,
    pub attack: &'static Attack,
    pub way: &'static Way,
    /// How statements were sent; none where nothing was.
    pub protocol: Option<Protocol>,
    pub outcome: Outcome,
}

/// The name that stands in results for the policies that the catalogue brings along.
pub const OWN_POLICY: &str = "catalogue";

/// Whether this way is to be tried under policies of the user's.
fn aims_at_users_policies(way: &Way) -> bool {
    match way.fence {
        Fence::Always | Fence::Deed(_) => true,
        Fence::Own(_) => false,
    }
}
