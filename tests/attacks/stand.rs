//! What every attack must stand: harm without a firewall, the same bytes when observed, nothing when enforced.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use portcullis::attacks::{self, Attack, Fence, Seen, Way};
use portcullis::policy::{self, PolicySet};
use portcullis::selftest::client::Frame;
use portcullis::selftest::{Live, Outcome, Played, Protocol, Server, Subject, own_subject, subjects};

use crate::common::{Cluster, Firewall, cluster, firewall};
use crate::recorder::Recorder;

/// Starter policies that enforce, from the one that permits the most.
const POLICIES: [&str; 4] = ["migrations", "application", "read-only", "ai-agent"];

/// The settings of the server that attacks need to do their harm.
const SETTINGS: [&str; 3] = ["wal_level=logical", "max_prepared_transactions=5", "max_replication_slots=5"];

/// Plays the attack of this test.
pub fn hold(test: &str) {
    let attack = attacks::all().find(|attack| attack.test_name() == test).expect("it is in the catalogue");
    match attack.seen {
        Seen::Wire(ways) => play(attack, ways),
        Seen::Build(tests) => tests.iter().for_each(|test| assert_exists(test)),
        Seen::Never { why, doctor } => documented(attack, why, doctor),
    }
}

fn play(attack: &Attack, ways: &'static [Way]) {
    let settings = SETTINGS.map(str::to_owned).to_vec();
    let cluster = Cluster::start(cluster::Options { settings, ..cluster::Options::bare() });
    let observed = Observed::start(&cluster);
    let mut problems = Vec::new();
    let mut groups: Vec<(Subject, Vec<&'static Way>)> = Vec::new();
    for way in ways {
        let subject = subject_of(way);
        match groups.iter_mut().find(|(known, _)| known.policy == subject.policy) {
            Some((_, ways)) => ways.push(way),
            None => groups.push((subject, vec![way])),
        }
    }
    for (subject, ways) in groups {
        let server = Server {
            upstream: format!("postgres://127.0.0.1:{}?sslmode=disable", cluster.port()),
            user: "postgres".to_owned(),
            password: None,
        };
        let mut live = Live::open(&server, &subject, load).unwrap_or_else(|error| panic!("{error}"));
        let direct = SocketAddr::from(([127, 0, 0, 1], cluster.port()));
        for (at, way) in ways.into_iter().enumerate() {
            let mut told = |problem: String| problems.push(format!("{} ({}): {problem}", attack.code, way.how));
            let (first, last) = way.majors;
            if !(first..=last).contains(&live.major()) {
                println!("SKIPPED: {} does no harm on PostgreSQL {}", way.how, live.major());
                continue;
            }
            for protocol in without_firewall(way, at) {
                let alone = match live.play_at(way, *protocol, direct) {
                    Ok(played) => played,
                    Err(error) => {
                        told(format!("{} without a firewall: {error}", protocol.as_str()));
                        continue;
                    }
                };
                let refused = alone.transcript.first_error();
                // What the extended protocol can't do at all is no attack by it.
                if alone.harm.is_none() && (*protocol == Protocol::Simple || !all_protocols()) {
                    told(format!("no harm without a firewall ({refused:?}): {:?}", alone.transcript.came));
                }
                if let Err(difference) = observed.same(&mut live, way, *protocol, &alone) {
                    told(format!("{} observed: {difference}", protocol.as_str()));
                }
            }
            for protocol in Protocol::of(way) {
                let outcome = live.through(way, *protocol);
                let held = match &outcome {
                    Outcome::Stopped => way.refused,
                    Outcome::Harmless => !way.refused,
                    Outcome::Open(_)
                    | Outcome::Permitted(_)
                    | Outcome::NotHere(_)
                    | Outcome::NeedsServer
                    | Outcome::Failed(_) => false,
                };
                if !held {
                    told(format!("{} under {}: {outcome:?}", protocol.as_str(), subject.policy));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The protocols by which a way is tried without a firewall and observed: by turns, for that is what takes the time; by all
/// of them where `PORTCULLIS_ATTACKS=all` asks for it. Behind the policies that should stop it, it is always tried by all.
fn without_firewall(way: &Way, at: usize) -> &'static [Protocol] {
    let all = Protocol::of(way);
    // Several steps by the extended protocol are not always what they are by the simple one.
    if all_protocols() || all.len() < 2 || way.steps.len() > 1 {
        return if all_protocols() { all } else { &all[..1] };
    }
    &all[at % 2..at % 2 + 1]
}

fn all_protocols() -> bool {
    std::env::var("PORTCULLIS_ATTACKS").is_ok_and(|value| value == "all")
}

/// The starter policies, as `portcullis run` loads them.
fn load() -> Result<PolicySet, String> {
    let text = |name: &&str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(format!("{name}.yaml"));
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    };
    let texts: Vec<String> = POLICIES.iter().map(text).collect::<Result<_, _>>()?;
    policy::load_text("policies.yaml", &texts.join("\n---\n"))
}

/// The most permissive starter policy that should stop it, or the catalogue's own.
fn subject_of(way: &Way) -> Subject {
    let set = Arc::new(load().unwrap().waive_requirements());
    let known = subjects(&set);
    let named = |name: &str| known.iter().find(|subject| *subject.policy == *name).unwrap().clone();
    let deed = match way.fence {
        Fence::Own(_) => return own_subject(),
        Fence::Always => return named(POLICIES[0]),
        Fence::Deed(deed) => deed,
    };
    let refuses = |subject: &Subject| {
        let session = set.admit(&subject.identity).unwrap();
        !portcullis::selftest::allows(&session, &subject.target.fill(deed))
    };
    POLICIES.map(named).into_iter().find(refuses).unwrap_or_else(|| panic!("every policy permits {deed}"))
}

/// An observing firewall with a recorder between it and the server.
struct Observed {
    firewall: Firewall,
    recorder: Recorder,
}

impl Observed {
    fn start(cluster: &Cluster) -> Observed {
        let recorder = Recorder::start(cluster.port());
        let options = firewall::Options {
            upstream: "sslmode=disable".to_owned(),
            ..firewall::Options::policy(
                "policy: watched\napplies_to: {users: ['*'], replication: true}\nmode: observe\n",
            )
        };
        Observed { firewall: Firewall::before(recorder.port(), options), recorder }
    }

    /// Whether a way goes through it byte by byte as it goes without a firewall, and is counted.
    fn same(&self, live: &mut Live, way: &'static Way, protocol: Protocol, alone: &Played) -> Result<(), String> {
        let (before, counted) = (self.recorder.connections(), self.counted());
        let address = SocketAddr::from(([127, 0, 0, 1], self.firewall.port()));
        let seen = live.play_at(way, protocol, address)?;
        if way.transport {
            return Ok(());
        }
        if seen.harm.is_some() != alone.harm.is_some() {
            return Err(format!("harm {:?} instead of {:?}", seen.harm, alone.harm));
        }
        let (here, there) = (masked(&seen.transcript.came), masked(&alone.transcript.came));
        if here != there {
            let at = here.iter().zip(&there).position(|(a, b)| a != b).unwrap_or(here.len().min(there.len()));
            return Err(format!("answer {at} differs: {:?} instead of {:?}", here.get(at), there.get(at)));
        }
        let sent = &seen.transcript.sent;
        if seen.transcript.refused.is_none() && !self.arrived(before, sent) {
            return Err(format!("the server got other bytes than {:?}", sent.escape_ascii().to_string()));
        }
        if way.refused && self.counted() <= counted {
            return Err("it is not counted".to_owned());
        }
        Ok(())
    }

    /// Whether the server got exactly these bytes over one connection; the last ones may still be on their way.
    fn arrived(&self, before: usize, sent: &[u8]) -> bool {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        loop {
            if self.recorder.since(before).iter().any(|bytes| bytes == sent) {
                return true;
            }
            if std::time::Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn counted(&self) -> f64 {
        self.firewall.metric("portcullis_statements_total", &[("verdict", "would_refuse")])
            + self.firewall.metric("portcullis_security_events_total", &[])
            + self.firewall.metric("portcullis_unparsed_total", &[])
            + self.firewall.metric("portcullis_limit_exceeded_total", &[])
    }
}

/// Frames without what differs from session to session: keys, process ids, nonces, OIDs, times. Runs of digits and the
/// results in which they stand are compared by their shape.
fn masked(frames: &[Frame]) -> Vec<String> {
    frames
        .iter()
        .map(|frame| match frame.kind {
            b'K' => "K".to_owned(),
            // From 18 on EXPLAIN ANALYZE tells what was in memory already.
            b'D' if frame.holds("Buffers: shared") => "D: buffers".to_owned(),
            _ => {
                let mut body = without_oids(frame);
                // The number of columns, and the length of this one: it tells how many digits the times have.
                if frame.kind == b'D' && frame.holds("(actual time=") {
                    body.drain(..6);
                }
                let text = body.escape_ascii().to_string();
                let mut shape = String::new();
                let mut digits = false;
                for c in text.chars() {
                    let digit = c.is_ascii_digit();
                    if !(digit && digits) {
                        shape.push(if digit { '#' } else { c });
                    }
                    digits = digit;
                }
                format!("{}:{shape}", frame.kind as char)
            }
        })
        .collect()
}

/// The body of a frame; of a RowDescription without the OIDs of tables and of types that aren't PostgreSQL's own.
#[allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
fn without_oids(frame: &Frame) -> Vec<u8> {
    let mut body = frame.body.clone();
    if frame.kind != b'T' {
        return body;
    }
    let mut at = 2;
    while let Some(end) = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) {
        // Behind the name: the OID of the table, the number of the column, the OID of its type, and 8 bytes more.
        let numbers = at + end + 1;
        body[numbers..numbers + 4].fill(0);
        let own = u32::from_be_bytes(body[numbers + 6..numbers + 10].try_into().unwrap()) < 16384;
        if !own {
            body[numbers + 6..numbers + 10].fill(0);
        }
        at = numbers + 18;
    }
    body
}

/// A named test of the project is there: `<file>::<test>`.
fn assert_exists(test: &str) {
    let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{test} names no test"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let name = name.rsplit("::").next().unwrap();
    assert!(text.contains(&format!("fn {name}(")), "{file} has no test {name}");
}

/// What nobody can see on the wire is said where people look for it.
fn documented(attack: &Attack, why: &str, doctor: &str) {
    let docs = include_str!("../../docs/known-attacks.md");
    for text in [attack.title, why, doctor] {
        assert!(docs.contains(text), "docs/known-attacks.md does not say: {text}");
    }
}
