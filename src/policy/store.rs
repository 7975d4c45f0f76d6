//! The policies in force, and what becomes of the sessions that are under way when others take their place (POLICY 11, 13).
//!
//! A session judges its next message by the new policies. It can go on only where they fit the session that the server has:
//! what was sent when it started can't be sent again. Where they don't, or don't admit it any more, the session is *closed*:
//! nothing more is allowed to it but to end its transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::policy::{Identity, PolicySet, Refusal, SessionPolicy, admit};

/// Names and values, as in a startup packet.
type Parameters = Vec<(String, String)>;

/// The policies in force, and how often they were replaced.
#[derive(Debug)]
pub struct Store {
    set: ArcSwap<PolicySet>,
    generation: AtomicU64,
}

impl Store {
    /// With these in force.
    pub fn new(set: PolicySet) -> Store {
        Store { set: ArcSwap::from_pointee(set), generation: AtomicU64::new(0) }
    }

    /// Those in force now.
    pub fn current(&self) -> Arc<PolicySet> {
        self.set.load_full()
    }

    /// Puts others in force, for new sessions and for the next message of those under way. Gives those that were.
    pub fn replace(&self, set: Arc<PolicySet>) -> Arc<PolicySet> {
        // In this order: who sees the new number finds the new set.
        let old = self.set.swap(set);
        self.generation.fetch_add(1, Ordering::Release);
        old
    }

    /// The policies that this identity is under, now and for as long as its session lives.
    ///
    /// # Errors
    /// No policy admits it (28000): the refusal to tell the client before anything goes upstream.
    pub fn admit(self: &Arc<Self>, identity: &Identity) -> Result<Admission, Refusal> {
        // In this order: a set that comes in between is asked once more.
        let generation = self.generation();
        let policy = self.set.load_full().admit(identity)?;
        let follows = Some(Follows { store: Arc::clone(self), identity: identity.clone() });
        Ok(Admission { policy, generation, follows, asked: Vec::new(), sent: None })
    }

    #[inline]
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// The admission of one session: the policies it is under, asked for again when others are in force.
#[derive(Debug)]
pub struct Admission {
    policy: SessionPolicy,
    generation: u64,
    follows: Option<Follows>,
    /// The client's startup parameters.
    asked: Parameters,
    /// What was sent to the server for them. `None` where nothing had to be, and what the session has set since isn't known.
    sent: Option<Parameters>,
}

#[derive(Debug)]
struct Follows {
    store: Arc<Store>,
    identity: Identity,
}

/// Under these policies whatever comes.
impl From<SessionPolicy> for Admission {
    fn from(policy: SessionPolicy) -> Admission {
        Admission { policy, generation: 0, follows: None, asked: Vec::new(), sent: None }
    }
}

impl Admission {
    /// The policies that the session is under.
    pub fn policy(&self) -> &SessionPolicy {
        &self.policy
    }

    /// The startup parameters to send, as [`SessionPolicy::startup`]; other policies will be held against them.
    ///
    /// # Errors
    /// A parameter that the policies refuse.
    pub fn startup(&mut self, parameters: &[(String, String)]) -> Result<Parameters, Refusal> {
        let sent = self.policy.startup(parameters)?;
        self.asked = parameters.to_vec();
        self.sent = self.policy.enforces().then(|| sent.clone());
        Ok(sent)
    }

    /// Whether other policies are in force than the session was last judged by.
    #[inline]
    pub fn is_stale(&self) -> bool {
        self.follows.as_ref().is_some_and(|follows| follows.store.generation() != self.generation)
    }

    /// Takes the policies that are in force now. A session that was closed stays so.
    pub fn renew(&mut self) {
        let Some(Follows { store, identity }) = &self.follows else { return };
        self.generation = store.generation();
        if self.policy.closed().is_some() {
            return;
        }
        let admitted = store.set.load_full().admit(identity);
        self.policy = match admitted.and_then(|policy| self.fits(policy)) {
            Ok(policy) => policy,
            Err(refusal) => self.policy.close(refusal),
        };
        if !self.policy.enforces() {
            // From here on nothing keeps the session from changing what was sent.
            self.sent = None;
        }
    }

    /// Whether the session that the server has is one that these policies may judge.
    fn fits(&self, policy: SessionPolicy) -> Result<SessionPolicy, Refusal> {
        if !policy.enforces() {
            return Ok(policy);
        }
        let differs = |reason: &str| policy.outgrown(reason.to_owned());
        let Some(sent) = &self.sent else {
            return Err(differs("it was only observed, so that nothing guards its settings"));
        };
        if *sent != policy.startup(&self.asked)? {
            return Err(differs("its search_path or its pinned settings are others than it started with"));
        }
        match admit::outgrown(&self.policy, &policy) {
            Some(reason) => Err(policy.outgrown(reason)),
            None => Ok(policy),
        }
    }
}
