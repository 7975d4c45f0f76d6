//! Plays the catalogue of attacks against policies: by judging alone (`offline`), or with real bytes through a real session
//! in front of a real server (`live`), looking afterwards at what has changed there.

pub mod client;
mod live;
mod offline;
mod play;
mod stage;
mod subject;

use std::collections::HashMap;
use std::sync::Arc;

use crate::attacks::{self, Attack, Fence, Way};
use crate::metrics::Metrics;
use crate::policy::{self, PolicySet};

use live::Controls;
pub use live::{Live, LiveError, Played, Server};
pub use play::{Protocol, Transcript};
pub use subject::{Subject, allows, own_subject, subjects};

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
    /// The name of the policy; [`OWN_POLICY`] for one of the catalogue's own.
    pub policy: Arc<str>,
    pub attack: &'static Attack,
    pub way: &'static Way,
    /// How its statements were sent.
    pub protocol: Protocol,
    pub outcome: Outcome,
}

/// The name that stands in results for the policies that the catalogue brings along.
pub const OWN_POLICY: &str = "catalogue";

/// What is to be tried at a subject: its policy's ways, or those that bring their own.
fn ways(subject: &Subject, wanted: &[&str]) -> impl Iterator<Item = (&'static Attack, &'static Way)> {
    let own = *subject.policy == *OWN_POLICY;
    attacks::all()
        .filter(|attack| wanted.is_empty() || wanted.contains(&attack.code))
        .flat_map(|attack| attack.ways().iter().map(move |way| (attack, way)))
        .filter(move |(_, way)| matches!(way.fence, Fence::Own(_)) == own)
}

/// Judges the catalogue, or the attacks with the wanted codes where there are any, against a set of policies, and the catalogue's own policies by the way. Needs a stack for the
/// deepest statement ([`crate::sql::STACK`]).
///
/// # Errors
/// A policy of the catalogue's own is not one any more.
pub fn offline(set: &Arc<PolicySet>, metrics: &Arc<Metrics>, wanted: &[&str]) -> Result<Vec<Tried>, String> {
    let mut results = Vec::new();
    let mut own: HashMap<&'static str, Arc<PolicySet>> = HashMap::new();
    let enforcing = subjects(set).into_iter().filter(|subject| subject.enforces);
    for subject in enforcing.chain([own_subject()]) {
        for (attack, way) in ways(&subject, wanted) {
            let set = match way.fence {
                Fence::Always | Fence::Deed(_) => set,
                Fence::Own(yaml) => {
                    if !own.contains_key(yaml) {
                        own.insert(yaml, Arc::new(policy::load_text("catalogue.yaml", yaml)?));
                    }
                    own.get(yaml).unwrap_or(set)
                }
            };
            for protocol in Protocol::of(way) {
                let outcome = offline::judge(way, *protocol, set, &subject, metrics);
                results.push(Tried { policy: subject.policy.clone(), attack, way, protocol: *protocol, outcome });
            }
        }
    }
    Ok(results)
}

/// Plays the catalogue, or the attacks with the wanted codes where there are any, in front of a scratch server; `load` reads the policies, `told` hears of each attack as it begins.
///
/// # Errors
/// The server can't be used, or a firewall not be started.
pub fn live(
    server: &Server,
    wanted: &[&str],
    load: impl Fn() -> Result<PolicySet, String>,
    mut told: impl FnMut(&Subject, &Attack),
) -> Result<Vec<Tried>, LiveError> {
    let set = Arc::new(load().map_err(LiveError::Policies)?);
    let mut results = Vec::new();
    let mut controls = Controls::default();
    let enforcing = subjects(&set).into_iter().filter(|subject| subject.enforces);
    for subject in enforcing.chain([own_subject()]) {
        let mut live = Live::open(server, &subject, &load)?;
        for (attack, way) in ways(&subject, wanted) {
            told(&subject, attack);
            for (protocol, outcome) in live.attack(way, &mut controls) {
                results.push(Tried { policy: subject.policy.clone(), attack, way, protocol, outcome });
            }
        }
    }
    Ok(results)
}

/// The codes of the attacks that each policy leaves open, for every policy that was tried.
pub fn open(results: &[Tried]) -> Vec<(Arc<str>, Vec<&'static str>)> {
    let mut policies: Vec<(Arc<str>, Vec<&'static str>)> = Vec::new();
    for tried in results {
        let at = policies.iter().position(|(policy, _)| *policy == tried.policy).unwrap_or(policies.len());
        if at == policies.len() {
            policies.push((tried.policy.clone(), Vec::new()));
        }
        let Some((_, codes)) = policies.get_mut(at) else { continue };
        if matches!(tried.outcome, Outcome::Open(_)) && codes.last() != Some(&tried.attack.code) {
            codes.push(tried.attack.code);
        }
    }
    policies
}
