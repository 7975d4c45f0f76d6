//! Other policies, other certificates and other users in place of those in force, without a session lost over it (POLICY 13).
//!
//! One load runs at a time. What asks for another one meanwhile (a signal, a file that changes) gets one more afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::signal::unix::Signal;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::config::{Config, RootCert};
use crate::net::{Acceptor, Connector, Legs, TlsFileError};
use crate::policy::{Digest, Files, PolicySet};
use crate::server::told::{Load, Source, Told};
use crate::server::watched::{Quiet, Stamps};
use crate::session::Shared;
use crate::session::auth::directory::Directory;
use crate::session::auth::{Fit, fit};

/// A certificate that the server doesn't show yet is tried again this often.
const AGAIN: Duration = Duration::from_secs(5);
/// The server has this long to show its certificate while a load waits for it: other loads wait, too.
const ASKED: Duration = Duration::from_secs(2);
/// Policy files that change while they are read are read again at most so often.
const TRIES: usize = 5;
/// Between two such readings.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Puts other policies and certificates in force.
#[derive(Debug, Clone)]
pub struct Reload {
    shared: Arc<Shared>,
    told: Told,
    /// Held through a load, so that there is only one.
    state: Arc<Mutex<State>>,
}

/// What is known of the last load.
#[derive(Debug)]
struct State {
    /// The policy files that were read last, good or bad: they are not loaded again until they change. None where they changed
    /// while they were read.
    policies: Option<Digest>,
    /// The certificate files, likewise.
    certificates: [u8; 32],
    /// What is wrong with those.
    problems: Vec<String>,
    /// The files of users, likewise.
    users: [u8; 32],
    /// When to try the certificates again although they did not change.
    again: Option<Instant>,
}

/// What one reading of the certificate files gave, each leg for itself.
type ReadLegs = (Result<Option<Acceptor>, TlsFileError>, Result<Connector, TlsFileError>);

impl Reload {
    /// For a proxy that starts. `files` are the fingerprints of its files before they were read.
    pub(super) fn new(shared: Arc<Shared>, told: Told, files: Fingerprints) -> Reload {
        let set = shared.policies.current();
        told.tell(Source::Start, &Load::Policies { set: &set, diff: None, listeners: &listeners(&shared.config) });
        if has_certificates(&shared.config) {
            let client = shared.legs.load().acceptor.as_ref().map(Acceptor::fingerprint);
            told.tell(Source::Start, &Load::Tls { client: client.as_deref() });
        }
        let Fingerprints { certificates, users } = files;
        let state = State { policies: Some(set.digest()), certificates, problems: Vec::new(), users, again: None };
        Reload { shared, told, state: Arc::new(Mutex::new(state)) }
    }

    /// The policies in force now.
    pub fn current(&self) -> Arc<PolicySet> {
        self.shared.policies.current()
    }

    /// Reads everything at each SIGHUP, and what changed where the settings say `watch: on`. `loaded` is told each set that
    /// comes into force. Goes on for as long as signals may come.
    pub async fn follow(self, mut hangup: Signal, loaded: impl Fn(Arc<PolicySet>) + Send + 'static) {
        let mut eyes = Eyes::default();
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                signal = hangup.recv() => {
                    if signal.is_none() {
                        return;
                    }
                    tracing::info!(signal = "SIGHUP", "told to read policies and certificates again");
                    if self.read(Source::Sighup).await {
                        loaded(self.current());
                    }
                }
                () = tokio::time::sleep(pause) => {
                    if self.shared.config.watch && self.look(&mut eyes).await {
                        loaded(self.current());
                    }
                    self.again().await;
                    pause = if self.shared.config.watch { eyes.pause() } else { AGAIN };
                }
            }
        }
    }

    /// Reads policies and certificates again, as at the start. What has an error, or policies whose tests fail, leaves the old
    /// in force. True where a set of policies came into force.
    pub async fn read(&self, source: Source) -> bool {
        let mut state = self.state.lock().await;
        let (files, whole) = self.policy_files().await;
        let replaced = self.policies(&mut state, source, files, whole).await;
        if has_certificates(&self.shared.config) {
            self.certificates(&mut state, source).await;
        }
        if !self.shared.config.users.files().is_empty() {
            self.users(&mut state, source).await;
        }
        replaced
    }

    /// Puts these in force. For who has no files: a load from files that runs at the same time may come before or after.
    pub fn put(&self, policies: PolicySet, source: Source) {
        let set = Arc::new(policies);
        let old = self.shared.policies.replace(Arc::clone(&set));
        self.shared.cache.clear();
        let diff = set.differs_from(&old);
        let listeners = listeners(&self.shared.config);
        self.told.tell(source, &Load::Policies { set: &set, diff: Some(&diff), listeners: &listeners });
    }

    /// Looks at the files, and reads what changed once it is quiet. True where a set of policies came into force.
    async fn look(&self, eyes: &mut Eyes) -> bool {
        let config = Arc::clone(&self.shared.config);
        let stamps = off_the_worker(move || {
            let (certificates, users) = (Stamps::of(&config.tls_files()), Stamps::of(&config.users.files()));
            (Stamps::of_policies(&config.policies), certificates, users)
        });
        let Some((policies, certificates, users)) = stamps.await else { return false };
        let now = Instant::now();
        let users = eyes.users.look(now, users);
        let (policies, certificates) = (eyes.policies.look(now, policies), eyes.certificates.look(now, certificates));
        let mut replaced = false;
        if policies {
            let mut state = self.state.lock().await;
            let (files, whole) = self.policy_files().await;
            if Some(files.digest()) != state.policies {
                replaced = self.policies(&mut state, Source::Watch, files, whole).await;
            }
        }
        if certificates {
            let mut state = self.state.lock().await;
            let config = Arc::clone(&self.shared.config);
            let found = off_the_worker(move || Fingerprints::read(&config)).await;
            if found.is_some_and(|found| found.certificates != state.certificates) {
                self.certificates(&mut state, Source::Watch).await;
            }
        }
        if users {
            let mut state = self.state.lock().await;
            let config = Arc::clone(&self.shared.config);
            let found = off_the_worker(move || Fingerprints::read(&config)).await;
            if found.is_some_and(|found| found.users != state.users) {
                self.users(&mut state, Source::Watch).await;
            }
        }
        replaced
    }

    /// Tries a certificate again that the server did not show.
    async fn again(&self) {
        let mut state = self.state.lock().await;
        if state.again.is_some_and(|at| at <= Instant::now()) {
            self.certificates(&mut state, Source::Watch).await;
        }
    }

    /// The policy files, and whether they stood still while they were read: a set is never half old and half new.
    async fn policy_files(&self) -> (Files, bool) {
        let directory = self.shared.config.policies.clone();
        let read = off_the_worker({
            let directory = directory.clone();
            move || read_whole(&directory)
        });
        // A panic in there is a bug; that nothing could be read is the error to show.
        read.await.unwrap_or_else(|| (Files::read(&[directory]), false))
    }

    async fn policies(&self, state: &mut State, source: Source, files: Files, whole: bool) -> bool {
        let digest = files.digest();
        state.policies = whole.then_some(digest);
        let loaded = match whole {
            true => off_the_worker(move || files.load())
                .await
                .unwrap_or_else(|| Err("the policies can't be read".to_owned())),
            false => Err(
                "the policy files change while they are read: what they hold when they stand still comes into force \
                          with `watch: on`, or at the next SIGHUP"
                    .to_owned(),
            ),
        };
        match loaded {
            Ok(set) => {
                self.put(set, source);
                true
            }
            Err(errors) => {
                self.told.tell(source, &Load::PoliciesFailed { digest, errors: &errors });
                false
            }
        }
    }

    /// Reads the certificate files again. Each leg takes its new ones if they can be used: revocation lists of the server must
    /// not wait for a key of ours.
    async fn certificates(&self, state: &mut State, source: Source) {
        let config = Arc::clone(&self.shared.config);
        let read = off_the_worker(move || {
            // In this order: files that change in between are read once more.
            let found = Fingerprints::read(&config).certificates;
            let legs: ReadLegs = (Legs::acceptor(&config), Legs::connector(&config));
            (found, legs)
        });
        let Some((found, (acceptor, connector))) = read.await else { return };
        let now = self.shared.legs.load_full();
        let mut problems = Vec::new();
        let mut taken = |error: &TlsFileError| problems.push(error.to_string());
        let connector = connector.inspect_err(&mut taken).unwrap_or_else(|_| now.connector.clone());
        let acceptor = acceptor.inspect_err(&mut taken).unwrap_or_else(|_| now.acceptor.clone());
        let mut legs = Legs { acceptor, connector };
        let shown = |legs: &Legs| legs.acceptor.as_ref().map(|acceptor| acceptor.certificate().clone());
        // Another certificate for clients that the server does not show would break every login by `passthrough`. It waits.
        let unfit = match shown(&legs) != shown(&now) {
            true => self.unfit(&legs).await,
            false => None,
        };
        let again = unfit.is_some().then(|| Instant::now() + AGAIN);
        if let Some(unfit) = unfit {
            problems.push(format!("{unfit}. The new certificate waits, it is tried every {} seconds", AGAIN.as_secs()));
            legs.acceptor.clone_from(&now.acceptor);
        }
        let client = legs.acceptor.as_ref().map(Acceptor::fingerprint);
        self.shared.legs.store(Arc::new(legs));
        // What only goes on waiting is no news.
        let waits_still = again.is_some() && state.again.is_some() && source == Source::Watch;
        if !(waits_still && problems == state.problems && found == state.certificates) {
            let load = match problems.is_empty() {
                true => Load::Tls { client: client.as_deref() },
                false => Load::TlsFailed { problems: &problems },
            };
            self.told.tell(source, &load);
        }
        *state = State { policies: state.policies, certificates: found, problems, users: state.users, again };
    }

    /// Reads the files of users again. Both are good, or the older of both stay: a map is written for its users.
    async fn users(&self, state: &mut State, source: Source) {
        let config = Arc::clone(&self.shared.config);
        let read = off_the_worker(move || {
            // In this order: files that change in between are read once more.
            let found = Fingerprints::read(&config).users;
            (found, Directory::read(&config))
        });
        let Some((found, read)) = read.await else { return };
        state.users = found;
        match read {
            Ok(read) => {
                self.shared.directory.replace(read);
                self.told.tell(source, &Load::Users { count: self.shared.directory.len() });
            }
            Err(error) => self.told.tell(source, &Load::UsersFailed { problem: &error.to_string() }),
        }
    }

    /// Why clients could not log in with this certificate, or nobody knows whether they could.
    async fn unfit(&self, legs: &Legs) -> Option<String> {
        let unknown = |why: &str| {
            let needs =
                "`auth: passthrough` needs one certificate on both legs, and the server can't be asked for its own";
            Some(format!("{needs}: {why}"))
        };
        match tokio::time::timeout(ASKED, fit(&self.shared.config, legs)).await {
            Ok(Fit::Fits) => None,
            Ok(Fit::Different(different)) => Some(different.to_string()),
            Ok(Fit::Unreachable(error)) => unknown(&error.to_string()),
            Err(_) => unknown(&format!("{} did not answer within {ASKED:?}", legs.connector.target())),
        }
    }
}

/// What `follow` has seen.
#[derive(Debug, Default)]
struct Eyes {
    policies: Quiet<Stamps>,
    certificates: Quiet<Stamps>,
    users: Quiet<Stamps>,
}

impl Eyes {
    fn pause(&self) -> Duration {
        self.policies.pause().min(self.certificates.pause()).min(self.users.pause())
    }
}

/// Reading files may take long (a network's file system), compiling policies and running their tests does. None after a panic.
async fn off_the_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::error!(%error, "reading files failed: this is a bug of portcullis, please report it");
            None
        }
    }
}

/// Reads the directory until it is the same before and after; false where it never was.
fn read_whole(directory: &Path) -> (Files, bool) {
    let paths: [PathBuf; 1] = [directory.to_owned()];
    for _ in 1..TRIES {
        let before = Stamps::of_policies(directory);
        let files = Files::read(&paths);
        if before == Stamps::of_policies(directory) {
            return (files, true);
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    (Files::read(&paths), false)
}

/// What policies may call the listeners.
fn listeners(config: &Config) -> Vec<&str> {
    config.listeners.iter().map(|listener| &*listener.name).collect()
}

/// Whether there is anything to read again.
fn has_certificates(config: &Config) -> bool {
    !config.tls_files().is_empty() || config.upstream.root == Some(RootCert::System)
}

/// What the files held that are read again when they change. Of their bytes, secrets included: it stays in memory.
pub(super) struct Fingerprints {
    certificates: [u8; 32],
    users: [u8; 32],
}

impl Fingerprints {
    pub fn read(config: &Config) -> Fingerprints {
        Fingerprints { certificates: fingerprint(&config.tls_files()), users: fingerprint(&config.users.files()) }
    }
}

fn fingerprint(files: &[PathBuf]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for file in files {
        match std::fs::read(file).map(Zeroizing::new) {
            Ok(bytes) => hash.update(Sha256::digest(&*bytes)),
            Err(error) => hash.update(error.to_string()),
        }
    }
    hash.finalize().into()
}
