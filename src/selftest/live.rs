//! Plays ways in front of a scratch server: first past the firewall, to see that they do harm there, then through it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::attacks::{Fence, Harm, Step, Target, Way};
use crate::config::{Config, ConfigError, Place, RunArgs, SslMode, Upstream};
use crate::metrics::Metrics;
use crate::policy::{self, PolicySet};
use crate::selftest::Outcome;
use crate::selftest::client::ClientError;
use crate::selftest::play::{Protocol, Stagehand, Transcript, play};
use crate::selftest::stage::{Stage, StageError, Superuser};
use crate::selftest::subject::{Subject, allows};
use crate::server::{self, Phase, ServerError};
use crate::sql;

/// The scratch server.
#[derive(Debug, Clone)]
pub struct Server {
    /// As `portcullis run --upstream` takes it: no user, no password.
    pub upstream: String,
    /// A superuser and, where the server asks for one, the password.
    pub user: String,
    pub password: Option<String>,
}

impl Server {
    /// Where it is reached without TLS, if that is how: one host, over TCP.
    fn plain_address(&self) -> Result<Option<SocketAddr>, LiveError> {
        let upstream = Upstream::parse(&self.upstream)
            .map_err(|source| ConfigError::Upstream { origin: "--upstream".to_owned(), source })?;
        if upstream.sslmode != SslMode::Disable {
            return Ok(None);
        }
        let [host] = upstream.hosts.as_slice() else { return Ok(None) };
        let addresses = match &host.place {
            Place::Name(name) => (name.as_str(), host.port).to_socket_addrs(),
            Place::Address { address, .. } => return Ok(Some((*address, host.port).into())),
            Place::Unix(_) => return Ok(None),
        };
        Ok(addresses.map_err(|error| LiveError::Stage(ClientError::Io(error).into()))?.next())
    }
}

/// Why nothing could be played.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Policies(String),
    #[error("the firewall of the self-test did not start: {0}")]
    Firewall(#[from] ServerError),
    #[error("no threads for the firewall of the self-test: {0}")]
    Threads(std::io::Error),
    #[error("the scratch server: {0}")]
    Stage(#[from] StageError),
}

impl From<ClientError> for LiveError {
    fn from(error: ClientError) -> LiveError {
        LiveError::Stage(error.into())
    }
}

/// A firewall of our own, in this process.
#[derive(Debug)]
struct Firewall {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    handle: server::Reload,
    /// Ends it when dropped.
    _phase: watch::Sender<Phase>,
}

impl Firewall {
    fn start(runtime: &Runtime, server: &Server, policies: PolicySet) -> Result<Firewall, LiveError> {
        let anywhere = Some("127.0.0.1:0".to_owned());
        let args = RunArgs {
            listen: anywhere.clone(),
            admin: anywhere,
            upstream: Some(server.upstream.clone()),
            drain_timeout: Some("0s".to_owned()),
            ..RunArgs::default()
        };
        // Nothing but what is said here: the environment is that of another firewall.
        let mut config = Config::load(&args, &|_| None)?;
        config.policies = PathBuf::new();
        // Each attack is played by itself: one that touches a decoy must not stop the next ones.
        config.quarantine = std::time::Duration::ZERO;
        let metrics = Arc::new(server::metrics());
        let bound = runtime.block_on(server::Server::bind(config, policies, Arc::clone(&metrics)))?;
        let address = bound.address().map_err(LiveError::Threads)?;
        let handle = bound.reload();
        let (phase, told) = watch::channel(Phase::Running);
        runtime.spawn(bound.run(told));
        Ok(Firewall { address, metrics, handle, _phase: phase })
    }

    /// How often it refused, or raised an event, so far.
    fn refusals(&self) -> f64 {
        const COUNTERS: [&str; 3] =
            ["portcullis_refusals_total", "portcullis_security_events_total", "portcullis_limit_exceeded_total"];
        let text = self.metrics.encode(SystemTime::now()).unwrap_or_default();
        let samples = text.lines().filter(|line| COUNTERS.iter().any(|counter| line.starts_with(counter)));
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

/// Where a way is played.
#[derive(Debug, Clone, Copy)]
enum Door {
    /// At an address of whatever.
    At(SocketAddr),
    /// Behind the policies under test.
    UnderTest,
    /// Behind these, of the catalogue's own.
    Own(&'static str),
}

/// What one playing came to.
#[derive(Debug)]
pub struct Played {
    pub transcript: Transcript,
    /// What was seen that should not have been.
    pub harm: Option<String>,
    /// How often the firewall refused or raised an event over it.
    pub refusals: f64,
}

/// What the ways come to where nothing is in their way: why they do no harm there, for those that don't. That has nothing
/// to do with the policy under test, and is most of the work.
#[derive(Debug, Default)]
pub struct Controls(HashMap<*const Way, Option<String>>);

/// A self-test in front of a scratch server, for one subject.
#[derive(Debug)]
pub struct Live {
    /// First, so that what was made on the server is dropped while there is a way to it.
    stage: Stage,
    runtime: Runtime,
    server: Server,
    subject: Subject,
    set: Arc<PolicySet>,
    /// Where nothing is refused.
    open: SocketAddr,
    firewall: Firewall,
    /// The firewalls of the catalogue's own policies, by their text.
    own: HashMap<&'static str, Firewall>,
    major: u32,
    before: String,
}

/// Everything passes and is counted.
const WATCHED: &str = "policy: watched\napplies_to: {users: ['*'], replication: true}\nmode: observe\n";

impl Live {
    /// Starts a firewall with these policies (`load` makes the set, without what it requires of logins) in front of the
    /// server, and sets the stage for the subject.
    ///
    /// # Errors
    /// The server can't be used, or the firewall not be started.
    pub fn open(
        server: &Server,
        subject: &Subject,
        load: impl Fn() -> Result<PolicySet, String>,
    ) -> Result<Live, LiveError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_stack_size(sql::STACK)
            .enable_all()
            .build()
            .map_err(LiveError::Threads)?;
        let set = Arc::new(load().map_err(LiveError::Policies)?.waive_requirements());
        let policies = load().map_err(LiveError::Policies)?.waive_requirements();
        let firewall = Firewall::start(&runtime, server, policies)?;
        let mut own = HashMap::new();
        let open = match server.plain_address()? {
            Some(address) => address,
            // A firewall that only observes speaks TLS for us.
            None => {
                let watched = policy::load_text("watched.yaml", WATCHED).map_err(LiveError::Policies)?;
                let watched = Firewall::start(&runtime, server, watched)?;
                let address = watched.address;
                own.insert(WATCHED, watched);
                address
            }
        };
        let superuser = Superuser { address: open, user: server.user.clone(), password: server.password.clone() };
        let mut subject = subject.clone();
        let mut stage = Stage::open(&superuser, &mut subject.target)?;
        let major = stage.major()?;
        let before = stage.snapshot()?;
        Ok(Live { runtime, server: server.clone(), stage, subject, set, open, firewall, own, major, before })
    }

    /// Tries one way: past the firewall first, where it must do harm, unless that is known; then through it by each protocol.
    pub fn attack(&mut self, way: &'static Way, controls: &mut Controls) -> Vec<(Protocol, Outcome)> {
        let (first, last) = way.majors;
        let all = Protocol::of(way);
        let everywhere = |outcome: Outcome| all.iter().map(|protocol| (*protocol, outcome.clone())).collect();
        if !(first..=last).contains(&self.major) {
            return everywhere(Outcome::NotHere(format!("not on PostgreSQL {}", self.major)));
        }
        if let Fence::Deed(deed) = way.fence
            && let Ok(session) = self.set.admit(&self.subject.identity)
            && allows(&session, &self.subject.target.fill(deed))
        {
            return everywhere(Outcome::Permitted(deed));
        }
        let control = match controls.0.entry(way) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => match self.control(way) {
                Ok(idle) => unknown.insert(idle),
                Err(problem) => return everywhere(Outcome::Failed(problem)),
            },
        };
        if let Some(why) = control {
            return everywhere(Outcome::NotHere(why.clone()));
        }
        all.iter().map(|protocol| (*protocol, self.through(way, *protocol))).collect()
    }

    /// The major version of the server.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Plays a way where nothing is refused: why it does no harm even there, if so.
    fn control(&mut self, way: &'static Way) -> Result<Option<String>, String> {
        let protocol = Protocol::of(way).first().copied().unwrap_or(Protocol::Simple);
        let Played { harm, transcript, .. } = self.play(way, protocol, Door::At(self.open))?;
        if harm.is_some() {
            return Ok(None);
        }
        let said = transcript.first_error().map_or_else(String::new, |error| format!(": {error}"));
        Ok(Some(format!("it does nothing even without a firewall{said}")))
    }

    /// Plays a way at any address, without a verdict on it.
    ///
    /// # Errors
    /// It can't be played.
    pub fn play_at(&mut self, way: &'static Way, protocol: Protocol, address: SocketAddr) -> Result<Played, String> {
        self.play(way, protocol, Door::At(address))
    }

    /// Plays a way behind the policies that should stop it.
    pub fn through(&mut self, way: &'static Way, protocol: Protocol) -> Outcome {
        let door = match way.fence {
            Fence::Own(yaml) => Door::Own(yaml),
            Fence::Always | Fence::Deed(_) => Door::UnderTest,
        };
        match self.play(way, protocol, door) {
            Err(problem) => Outcome::Failed(problem),
            Ok(Played { harm: Some(harm), .. }) => Outcome::Open(harm),
            Ok(Played { refusals, .. }) if refusals > 0.0 => Outcome::Stopped,
            Ok(_) if !way.refused => Outcome::Harmless,
            Ok(Played { transcript, .. }) => {
                let said = transcript.first_error().unwrap_or_else(|| "no error".to_owned());
                Outcome::Open(format!("the firewall let it pass; the server said: {said}"))
            }
        }
    }

    /// Plays a way at a door. Afterwards the stage is as before.
    fn play(&mut self, way: &'static Way, protocol: Protocol, door: Door) -> Result<Played, String> {
        let Live { runtime, server, stage, subject, firewall, own, .. } = self;
        let (address, door) = match door {
            Door::At(address) => (address, None),
            Door::UnderTest => (firewall.address, Some(&*firewall)),
            Door::Own(yaml) => {
                let firewall = match own.entry(yaml) {
                    Entry::Occupied(started) => started.into_mut(),
                    Entry::Vacant(place) => {
                        let policies = policy::load_text("catalogue.yaml", yaml)?;
                        let started = Firewall::start(runtime, server, policies).map_err(|error| error.to_string())?;
                        place.insert(started)
                    }
                };
                (firewall.address, Some(&*firewall))
            }
        };
        let target = &subject.target;
        stage.sql(&target.fill(way.setup)).map_err(|error| format!("staging it: {error}"))?;
        let before = match way.setup {
            "" => self.before.clone(),
            _ => stage.snapshot().map_err(|error| error.to_string())?,
        };
        let counted = door.map_or(0.0, Firewall::refusals);
        let mut played = play(way, protocol, address, target, &mut Hand { stage, door });
        let refusals = door.map_or(0.0, Firewall::refusals) - counted;
        if let (Fence::Own(yaml), true) = (way.fence, way.steps.iter().any(|step| matches!(step, Step::Reload(_)))) {
            // The next way wants the policies as they are written.
            own.remove(yaml);
        }
        let harm = played.as_ref().map_or(None, |transcript| harm(way, transcript, stage, target, &before));
        // Its locks would be in the way of everything that follows; it was kept to be looked at.
        if let Ok(transcript) = &mut played {
            transcript.session = None;
        }
        if !way.undo.is_empty() {
            stage.sql(&target.fill(way.undo)).map_err(|error| format!("undoing it: {error}"))?;
        }
        self.restore(way, played.is_err())?;
        Ok(Played { transcript: played?, harm, refusals })
    }

    /// Makes the stage what it was.
    fn restore(&mut self, way: &Way, doubtful: bool) -> Result<(), String> {
        let told = |error: &dyn std::error::Error| error.to_string();
        let log = self.subject.target.fill("{schema}.log");
        let now = self.stage.snapshot().ok();
        if way.setup.is_empty() {
            match &now {
                Some(now) if *now == self.before && !doubtful => return Ok(()),
                // Most harm is a line in the log: cheaper to erase than to make everything anew.
                Some(now) if ["log", &log].contains(&differences(&self.before, now).as_str()) => {
                    let erased = self.stage.sql(&format!("DELETE FROM {log}")).and_then(|_| self.stage.snapshot());
                    if erased.is_ok_and(|now| now == self.before) {
                        return Ok(());
                    }
                }
                Some(_) | None => {}
            }
        }
        self.stage.reset().map_err(|error| told(&error))?;
        self.before = self.stage.snapshot().map_err(|error| told(&error))?;
        Ok(())
    }
}

/// What was seen that should not have been.
fn harm(way: &Way, transcript: &Transcript, stage: &mut Stage, target: &Target, before: &str) -> Option<String> {
    match way.harm {
        Harm::Changes => match stage.snapshot() {
            Ok(now) if now == before => None,
            Ok(now) => Some(format!("changed: {}", differences(before, &now))),
            Err(error) => Some(format!("the server can't even be looked at any more: {error}")),
        },
        Harm::Tells(text) => {
            let text = target.fill(text);
            transcript.holds(&text).then(|| format!("the answer holds {text:?}"))
        }
        Harm::Session(question, bad) => {
            let (question, bad) = (target.fill(question), target.fill(bad));
            (transcript.answer.as_deref() == Some(&bad)).then(|| format!("{question} answers {bad:?}"))
        }
        Harm::Server(question) => {
            let question = target.fill(question);
            match stage.sql(&question) {
                Ok(answer) => (answer == "t").then(|| format!("{question} answers true")),
                Err(error) => Some(format!("the server can't even be asked any more: {error}")),
            }
        }
        Harm::Runs => transcript.ran().then(|| "it runs".to_owned()),
    }
}

/// The names of what differs between two pictures.
fn differences(before: &str, now: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (before, now) = (lines(before), lines(now));
    let mut names: Vec<&str> =
        before.symmetric_difference(&now).filter_map(|line| line.rsplit_once(' ').map(|(name, _)| name)).collect();
    names.dedup();
    names.join(", ")
}

struct Hand<'a> {
    stage: &'a mut Stage,
    door: Option<&'a Firewall>,
}

impl Stagehand for Hand<'_> {
    fn sql(&mut self, sql: &str) -> Result<String, ClientError> {
        self.stage.sql(sql)
    }

    fn reload(&mut self, yaml: &str) -> Result<(), String> {
        match self.door {
            // Past the firewall there is nothing to reload.
            None => Ok(()),
            Some(firewall) => {
                firewall.handle.put(policy::load_text("reloaded.yaml", yaml)?, server::Source::Program);
                Ok(())
            }
        }
    }
}
