//! Tells every outcome once: to the metrics and to the log.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::audit::{self, Audit};
use crate::detect::probing::Burst;
use crate::detect::{Signals, Technique};
use crate::metrics::label::{Event, OpinionLabel, Remembered, VerdictLabel};
use crate::metrics::{Metrics, PolicyMetrics};
use crate::policy::{Alert, Identity, Judgement, Noted, Refusal, RuleRef, Verdict};
use crate::session::cache::Texts;
use crate::session::held::Said;
use crate::session::refusal::Reference;
use crate::session::runs::{Ended, Run};
use crate::sql::second_opinion::Opinion;
use crate::sql::{self, ActionName, Facts, Group, Object, Statement};
use crate::wire::sqlstate;

/// The longest refused text that is read once more for its hash; of a longer one only the beginning is told.
const HASHED: usize = 16 << 10;

/// Texts that one session has prepared and the audit log was told of; beyond it they are told of again.
const PREPARED: usize = 4096;

/// Kinds of observed refusals and disagreements that one session writes to the log.
const OBSERVED: usize = 256;

/// Where one session's outcomes go, with what every line says of it.
#[derive(Debug)]
pub struct Teller {
    metrics: Arc<Metrics>,
    /// Handles of the policies that have answered in this session, resolved once each.
    policies: Vec<(Arc<str>, Arc<PolicyMetrics>)>,
    user: Arc<str>,
    database: Arc<str>,
    address: String,
    /// Number of the session in this process.
    session: u64,
    /// Hashes of the observed refusals and disagreements that are in the log already.
    observed: HashSet<u64>,
    audit: Audit,
    /// What the audit log has been told of texts that were prepared, by the address of what is told.
    prepared: HashSet<u64>,
}

/// What was looked at, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Query,
    Parse,
    Bind,
    Describe,
    Execute,
    Close,
    FunctionCall,
}

impl Asked {
    /// Whether a ReadyForQuery of its own answers it; the others wait for Sync, and after an error the server skips to it.
    pub fn is_answered_by_ready_for_query(self) -> bool {
        match self {
            Asked::Query | Asked::FunctionCall => true,
            Asked::Parse | Asked::Bind | Asked::Describe | Asked::Execute | Asked::Close => false,
        }
    }

    /// The message's name in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Asked::Query => "Query",
            Asked::Parse => "Parse",
            Asked::Bind => "Bind",
            Asked::Describe => "Describe",
            Asked::Execute => "Execute",
            Asked::Close => "Close",
            Asked::FunctionCall => "FunctionCall",
        }
    }
}

impl Teller {
    /// For one session.
    pub fn new(metrics: Arc<Metrics>, identity: &Identity, session: u64) -> Teller {
        Teller {
            metrics,
            policies: Vec::new(),
            user: identity.user.as_str().into(),
            database: identity.database.as_str().into(),
            address: identity.address.to_string(),
            session,
            observed: HashSet::new(),
            audit: Audit::default(),
            prepared: HashSet::new(),
        }
    }

    /// The same, which tells the audit log, too.
    pub fn with_audit(self, audit: Audit) -> Teller {
        Teller { audit, ..self }
    }

    /// Whether there is an audit log.
    #[inline]
    pub fn audits(&self) -> bool {
        self.audit.is_on()
    }

    /// The time that judging one message took.
    pub fn judged(&self, seconds: f64) {
        self.metrics.judged(seconds);
    }

    /// What was remembered of a text.
    pub fn remembered(&self, what: Remembered) {
        self.metrics.remembered(what);
    }

    /// What all remembered texts occupy now.
    pub fn cache_bytes(&self, bytes: u64) {
        self.metrics.cache_bytes(bytes);
    }

    /// A text that the grammar doesn't read.
    pub fn unparsed(&self) {
        self.metrics.unparsed();
    }

    /// What the second parser made of a text. A disagreement is a bug of ours or an attack on a parser: the log gets each
    /// kind once a session, with both readings.
    pub fn second_opinion(&mut self, opinion: &Opinion) {
        self.metrics.second_opinion(match opinion {
            Opinion::Agrees => OpinionLabel::Agrees,
            Opinion::None(_) => OpinionLabel::None,
            Opinion::Disagrees(_) => OpinionLabel::Disagrees,
        });
        let Opinion::Disagrees(readings) = opinion else { return };
        self.metrics.event(Event::ParserDisagreement);
        let readings = readings.to_string();
        if self.is_new(&("disagreement", &readings)) {
            tracing::warn!(
                session = self.session,
                user = ?self.user,
                database = ?self.database,
                address = self.address,
                "two parsers read a statement differently: {}",
                readings.escape_debug()
            );
        }
    }

    /// Whether the log has nothing of this kind from this session yet, and room for it.
    fn is_new(&mut self, kind: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        kind.hash(&mut hasher);
        self.observed.len() < OBSERVED && self.observed.insert(hasher.finish())
    }

    /// The verdict on a Query or Parse: counts each of its statements once.
    pub fn statements(&mut self, judgement: &Judgement, facts: Option<&Facts>) {
        let verdict = label(judgement);
        let handles = self.handles(&judgement.policy);
        match facts.map(|facts| facts.statements.as_slice()) {
            // A text without Facts, or the empty statement: still one message that was judged.
            None => handles.statement(Group::Unknown as usize, verdict),
            Some([]) => handles.statement(Group::Read as usize, verdict),
            Some(statements) => {
                for statement in statements {
                    handles.statement(group(statement) as usize, verdict);
                }
            }
        }
    }

    /// A replication command.
    pub fn admin_statement(&mut self, judgement: &Judgement) {
        let verdict = label(judgement);
        self.handles(&judgement.policy).statement(Group::Admin as usize, verdict);
    }

    /// A type that a Parse gives a parameter by its OID.
    pub fn parameter_type(&mut self, judgement: &Judgement) {
        let verdict = label(judgement);
        self.handles(&judgement.policy).statement(Group::Call as usize, verdict);
    }

    /// Counts the signals of an injection where they make an attempt, with the verdict that the message got. True then: there
    /// is more to tell.
    pub fn signals(&self, signals: &Signals, judgement: &Judgement, observe_at: u32) -> bool {
        if signals.signals.is_empty() || signals.score() < observe_at {
            return false;
        }
        let verdict = label(judgement);
        for signal in &signals.signals {
            self.metrics.injection(signal.technique.as_str(), &judgement.policy, verdict);
        }
        true
    }

    /// An attempt at an injection; `texts` is asked for the room to read the text once more.
    pub fn attempt(&self, signals: &Signals, judgement: &Judgement, text: &[u8], texts: &Texts) {
        self.metrics.event(Event::SqlInjectionAttempt);
        let techniques: Vec<_> = signals.signals.iter().map(|signal| signal.technique.as_str()).collect();
        let told = Told::of(text, texts);
        let inserted = signals.inserted.as_deref();
        tracing::warn!(
            session = self.session,
            user = ?self.user,
            database = ?self.database,
            address = self.address,
            policy = %judgement.policy,
            verdict = label(judgement).as_str(),
            score = signals.score(),
            techniques = techniques.join(","),
            inserted = inserted.map(|inserted| inserted.part.as_str()),
            into = inserted.and_then(|inserted| inserted.into.as_deref()),
            hash = told.hash,
            statement = told.statement,
            "sql injection attempt"
        );
    }

    /// Many different statements failed as trying out an injection does: nothing is refused by that. `text` is the last one, where it
    /// is at hand; what the server said of it is not told, for it quotes values.
    pub fn probing(&self, burst: &Burst, policy: &Arc<str>, text: &[u8], texts: &Texts) {
        let technique = Technique::Probing.as_str();
        self.metrics.event(Event::SqlInjectionAttempt);
        self.metrics.injection(technique, policy, VerdictLabel::Allow);
        let told = Told::of(text, texts);
        let errors: Vec<String> =
            burst.errors.iter().map(|(sign, times)| format!("{}={times}", sign.as_str())).collect();
        tracing::warn!(
            session = self.session,
            user = ?self.user,
            database = ?self.database,
            address = self.address,
            policy = %policy,
            verdict = VerdictLabel::Allow.as_str(),
            techniques = technique,
            errors = errors.join(","),
            statements = burst.statements,
            hash = told.hash,
            statement = told.statement,
            "sql injection attempt: many statements are tried out"
        );
        self.audit.tell(audit::Event::Probing(audit::Probing {
            who: self.who(),
            policy: policy.to_string(),
            errors: burst.errors.iter().map(|(sign, times)| (sign.as_str().to_owned(), *times)).collect(),
            statements: burst.statements,
            hash: Some(told.hash).filter(|hash| !hash.is_empty()),
            statement: told.statement,
        }));
    }

    /// A message that was refused; `texts` is asked for the room to read the text once more.
    pub fn refused(&self, asked: Asked, refusal: &Refusal, reference: &Reference, text: &[u8], texts: &Texts) {
        self.metrics.refusal(&refusal.policy, refusal.rule.label());
        self.event_of(refusal);
        self.alert(&refusal.policy, refusal.rule.label(), refusal.alert, VerdictLabel::Refuse);
        self.line(asked, refusal, reference.as_str(), "refuse", &Told::of(text, texts));
    }

    /// A message that was refused, for the audit log.
    pub fn audit_refused(
        &self,
        asked: Asked,
        refusal: &Refusal,
        reference: &Reference,
        said: &Said,
        application_name: &str,
    ) {
        if !self.audit.is_on() {
            return;
        }
        let run = audit::Run {
            id: Some(reference.as_str().to_owned()),
            sqlstate: Some(refusal.sqlstate.to_owned()),
            ..self.run(asked, VerdictLabel::Refuse, &refusal.policy, Some(refusal), application_name)
        };
        self.audit.tell_run(jiff::Timestamp::now(), run, said.told.as_deref());
    }

    /// A text was prepared: the audit log gets each once a session, and whenever that failed.
    pub fn prepared(&mut self, run: &Run, ended: Ended, application_name: &str) {
        if ended == Ended::Answered && !self.is_new_text(run) {
            return;
        }
        self.ran(run, ended, application_name);
    }

    fn is_new_text(&mut self, run: &Run) -> bool {
        let Some(told) = run.told.as_deref().filter(|_| self.audit.is_on()) else { return false };
        let mut hasher = DefaultHasher::new();
        told.hash(&mut hasher);
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(hasher.finish())
    }

    /// A statement is over.
    pub fn ran(&self, run: &Run, ended: Ended, application_name: &str) {
        if run.refused || !self.audit.is_on() {
            return;
        }
        let verdict = if run.would.is_some() { VerdictLabel::WouldRefuse } else { VerdictLabel::Allow };
        let would = run.would.as_deref();
        let told = self.run(run.asked, verdict, &run.policy, would, application_name);
        let micros = run.begun.elapsed().as_micros();
        let told = audit::Run {
            rule: told.rule.or_else(|| run.rules.as_deref().map(str::to_owned)),
            rows: run.rows,
            // Whole microseconds are exact in it for centuries.
            #[allow(clippy::cast_precision_loss)]
            latency_ms: matches!(ended, Ended::Answered | Ended::Failed).then(|| micros as f64 / 1000.0),
            sqlstate: run.sqlstate.clone(),
            skipped: ended == Ended::Skipped,
            ambiguous: run.ambiguous.clone(),
            ..told
        };
        self.audit.tell_run(run.time, told, run.told.as_deref());
    }

    fn run(
        &self,
        asked: Asked,
        verdict: VerdictLabel,
        policy: &str,
        refusal: Option<&Refusal>,
        application_name: &str,
    ) -> audit::Run {
        audit::Run {
            who: self.who(),
            application_name: application_name.to_owned(),
            message: asked.as_str().to_owned(),
            verdict: verdict.as_str().to_owned(),
            policy: policy.to_owned(),
            rule: refusal.map(|refusal| refusal.rule.label().to_owned()),
            reason: refusal.map(|refusal| without_quotation(&refusal.reason).to_owned()),
            severity: refusal.and_then(|refusal| refusal.alert).map(|alert| alert.as_str().to_owned()),
            id: None,
            rows: None,
            latency_ms: None,
            sqlstate: None,
            skipped: false,
            ambiguous: Vec::new(),
            text: audit::Text::default(),
        }
    }

    /// The session, as the audit log names it.
    pub fn who(&self) -> audit::Who {
        audit::Who {
            session: self.session,
            user: self.user.to_string(),
            database: self.database.to_string(),
            address: self.address.clone(),
        }
    }

    /// A message that passed although enforcing would have refused it. All are counted; the log gets each kind once a
    /// session, since an observed application does the same all day.
    pub fn would_refuse(&mut self, asked: Asked, refusal: &Refusal, text: &[u8], texts: &Texts) {
        self.event_of(refusal);
        self.alert(&refusal.policy, refusal.rule.label(), refusal.alert, VerdictLabel::WouldRefuse);
        if self.is_new(&(refusal.policy.as_ref(), refusal.rule.label(), &refusal.reason)) {
            if let RuleRef::Decoy { decoy, .. } = &refusal.rule {
                self.decoy(decoy, "", None);
            }
            self.line(asked, refusal, "", "would_refuse", &Told::of(text, texts));
        }
    }

    /// A decoy was touched, and the user is shut out for this long. The line that tells of the statement has the same event id.
    pub fn decoy(&self, decoy: &str, event: &str, quarantine: Option<Duration>) {
        tracing::warn!(
            session = self.session,
            user = ?self.user,
            database = ?self.database,
            address = self.address,
            decoy = ?decoy,
            event,
            quarantine = ?quarantine.unwrap_or_default(),
            "decoy touched"
        );
    }

    /// The stream or a message broke the protocol.
    pub fn violation(&self, what: &str) {
        self.metrics.event(Event::ProtocolViolation);
        tracing::warn!(
            session = self.session,
            user = ?self.user,
            database = ?self.database,
            address = self.address,
            "protocol violation: {what}"
        );
    }

    /// The server reported a guarded setting at a value that the policies don't allow.
    pub fn alarm(&self, what: &str, ended: bool) {
        self.metrics.event(Event::GuardedSetting);
        tracing::warn!(
            session = self.session,
            user = ?self.user,
            database = ?self.database,
            address = self.address,
            ended,
            "guarded setting: {what}"
        );
    }

    /// The policies that are in force now don't admit the session any more.
    pub fn closed(&self, why: &Refusal) {
        self.metrics.refusal(&why.policy, why.rule.label());
        tracing::warn!(
            session = self.session,
            user = ?self.user,
            database = ?self.database,
            address = self.address,
            policy = %why.policy,
            rule = why.rule.label(),
            "session closed to further statements: {}",
            why.reason.escape_debug()
        );
    }

    /// A statement passed by a rule that has a severity.
    pub fn noted(&self, noted: &Noted) {
        self.alert(&noted.policy, &noted.rule, Some(noted.alert), VerdictLabel::Allow);
        tracing::warn!(
            session = self.session,
            user = ?self.user,
            database = ?self.database,
            address = self.address,
            policy = %noted.policy,
            rule = %noted.rule,
            severity = noted.alert.as_str(),
            "statement passed by a rule with a severity"
        );
    }

    fn alert(&self, policy: &str, rule: &str, alert: Option<Alert>, verdict: VerdictLabel) {
        if let Some(alert) = alert {
            self.metrics.alert(policy, rule, alert.as_str(), verdict);
        }
    }

    fn event_of(&self, refusal: &Refusal) {
        match &refusal.rule {
            RuleRef::Guard if refusal.sqlstate == sqlstate::PROTOCOL_VIOLATION => {
                self.metrics.event(Event::ProtocolViolation);
            }
            RuleRef::Guard => self.metrics.event(Event::GuardedSetting),
            RuleRef::Limit(limit) => self.metrics.limit_exceeded(limit.as_str()),
            RuleRef::Decoy { .. } => self.metrics.event(Event::DecoyTouched),
            RuleRef::Rule { .. }
            | RuleRef::Default
            | RuleRef::Require
            | RuleRef::Parse
            | RuleRef::Disagreement
            | RuleRef::Quarantine
            | RuleRef::Injection
            | RuleRef::Block => {}
        }
    }

    fn line(&self, asked: Asked, refusal: &Refusal, event: &str, verdict: &str, told: &Told) {
        tracing::warn!(
            session = self.session,
            user = ?self.user,
            database = ?self.database,
            address = self.address,
            message_type = asked.as_str(),
            policy = %refusal.policy,
            rule = refusal.rule.label(),
            place = refusal.rule.place(),
            sqlstate = refusal.sqlstate,
            verdict,
            severity = refusal.alert.map_or("", Alert::as_str),
            event,
            hash = told.hash,
            statement = told.statement,
            "statement {}: {}",
            if event.is_empty() { "would be refused" } else { "refused" },
            without_quotation(&refusal.reason).escape_debug()
        );
    }

    fn handles(&mut self, policy: &Arc<str>) -> &PolicyMetrics {
        let index = match self.policies.iter().position(|(known, _)| Arc::ptr_eq(known, policy) || known == policy) {
            Some(index) => index,
            None => {
                self.policies.push((Arc::clone(policy), self.metrics.policy(policy)));
                self.policies.len() - 1
            }
        };
        // The index was just found or made.
        #[allow(clippy::indexing_slicing)]
        &self.policies[index].1
    }
}

/// A session, as the audit log names it.
pub fn who(identity: &Identity, session: u64) -> audit::Who {
    audit::Who {
        session,
        user: identity.user.clone(),
        database: identity.database.clone(),
        address: identity.address.to_string(),
    }
}

/// What the log says of a text: never its values.
#[derive(Debug, Default)]
struct Told {
    /// Empty where the text is long, isn't read, or holds a password.
    hash: String,
    /// Empty where the message carries no text, or was not read.
    statement: String,
}

impl Told {
    /// The text is read once more: nobody needs the hash of what passes. That takes what judging it took, so a long one is
    /// read like one that is judged, and of one that gets no hash no more than the log can show.
    fn of(text: &[u8], texts: &Texts) -> Told {
        let hashed = text.len() <= HASHED;
        let text = String::from_utf8_lossy(text.get(..HASHED).unwrap_or(text));
        let read = || Told {
            hash: if hashed { hash_of(&text).map(|hash| hash.to_string()).unwrap_or_default() } else { String::new() },
            statement: sql::redacted(&text),
        };
        texts.reading(&text, read).unwrap_or_default()
    }
}

fn hash_of(text: &str) -> Option<sql::StatementHash> {
    if text.is_empty() {
        return None;
    }
    let facts = sql::analyse(text, sql::Reading::default()).ok()?.facts;
    facts.hash.filter(|_| !facts.secret)
}

/// Why, for the log: the parser's message quotes the text, and what it quotes may be somebody's data.
fn without_quotation(reason: &str) -> &str {
    reason.split(" at or near \"").next().unwrap_or_default()
}

/// The verdict as a label.
pub fn label(judgement: &Judgement) -> VerdictLabel {
    match (&judgement.verdict, &judgement.would) {
        (Verdict::Refuse(_), _) => VerdictLabel::Refuse,
        (Verdict::Allow(_), Some(_)) => VerdictLabel::WouldRefuse,
        (Verdict::Allow(_), None) => VerdictLabel::Allow,
    }
}

/// The group that a statement counts under: the weightiest of what it does, plain reading when it does nothing else.
pub fn group(statement: &Statement) -> Group {
    statement
        .accesses
        .iter()
        .filter(|access| {
            !(access.action.name == ActionName::Call && matches!(access.object, Object::Function { builtin: true, .. }))
        })
        .map(|access| access.action.name.group())
        .max_by_key(|group| weight(*group))
        .unwrap_or(Group::Read)
}

fn weight(group: Group) -> u8 {
    match group {
        Group::Read => 0,
        Group::Call => 1,
        Group::Transaction => 2,
        Group::Session => 3,
        Group::Lock => 4,
        Group::Write => 5,
        Group::Maintenance => 6,
        Group::Ddl => 7,
        Group::Dcl => 8,
        Group::Code => 9,
        Group::Admin => 10,
        Group::Network => 11,
        Group::File => 12,
        Group::Unknown => 13,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::cache::Cache;
    use crate::sql::second_opinion::{Disagreement, NoOpinion};

    #[test]
    fn second_opinions_are_counted_and_a_disagreement_is_an_event() {
        let metrics = Arc::new(Metrics::new(&["read"], &[]));
        let identity = Identity {
            user: "u".into(),
            database: "d".into(),
            address: "127.0.0.1".parse().unwrap(),
            tls: false,
            replication: false,
            arrival: crate::policy::Arrival::default(),
        };
        let mut tell = Teller::new(Arc::clone(&metrics), &identity, 1);
        let differs = Opinion::Disagrees(Disagreement { postgresql: Vec::new(), second: Vec::new() });
        for opinion in [&Opinion::Agrees, &Opinion::None(NoOpinion::TooLong), &differs, &differs] {
            tell.second_opinion(opinion);
        }
        let text = metrics.encode(std::time::SystemTime::now()).unwrap();
        for line in [
            "portcullis_second_opinion_total{opinion=\"agrees\"} 1",
            "portcullis_second_opinion_total{opinion=\"none\"} 1",
            "portcullis_second_opinion_total{opinion=\"disagrees\"} 2",
            "portcullis_security_events_total{event_type=\"parser_disagreement\"} 2",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in {text}");
        }
        // Both disagreements are one kind: the log has it once.
        assert_eq!(tell.observed.len(), 1);
    }

    fn texts(analysis_bytes: u64) -> Texts {
        let directory = tempfile::tempdir().unwrap();
        let policy = "policy: p\nmode: observe\napplies_to: {users: [u]}\n";
        std::fs::write(directory.path().join("p.yaml"), policy).unwrap();
        let set = Arc::new(crate::policy::load(directory.path()).unwrap());
        let identity = Identity {
            user: "u".into(),
            database: "d".into(),
            address: "127.0.0.1".parse().unwrap(),
            tls: false,
            replication: false,
            arrival: crate::policy::Arrival::default(),
        };
        Texts::new(Arc::new(Cache::new(0, analysis_bytes)), set.admit(&identity).unwrap().class())
    }

    #[test]
    fn a_refused_text_is_read_again_only_where_there_is_room_for_it() {
        let text = format!("TRUNCATE {}a", "a,".repeat(2_000));
        let told = Told::of(text.as_bytes(), &texts(512 << 20));
        assert!(told.hash.len() == 32 && told.statement.starts_with("TRUNCATE a,a"), "{told:?}");
        let told = Told::of(text.as_bytes(), &texts(1 << 20));
        assert!(told.hash.is_empty() && told.statement.is_empty(), "{told:?}");
        let told = Told::of(b"SELECT 1; ALTER ROLE ann PASSWORD 'hunter2'", &texts(512 << 20));
        assert!(told.hash.is_empty() && told.statement.ends_with("ALTER ROLE ann PASSWORD ?"), "{told:?}");
        let told = Told::of(b"TRUNCATE a", &texts(0));
        assert!(told.hash.len() == 32 && told.statement == "TRUNCATE a", "a short one always: {told:?}");
    }

    #[test]
    fn of_a_long_refused_text_only_the_beginning_is_read() {
        // To the end it couldn't be read: its last quote is missing.
        let text = format!("DELETE FROM t WHERE a = 'secret' AND b IN ({}'secret", "1, ".repeat(10_000));
        let told = Told::of(text.as_bytes(), &texts(512 << 20));
        assert!(
            told.hash.is_empty() && told.statement.starts_with("DELETE FROM t WHERE a = ? AND b IN (?, ?"),
            "{told:?}"
        );
        assert!(!told.statement.contains("secret"), "{told:?}");
        // Cut in the middle of a value, it ends in front of it.
        let text = format!("INSERT INTO t VALUES ('{}')", "secret ".repeat(10_000));
        assert_eq!(Told::of(text.as_bytes(), &texts(512 << 20)).statement, "INSERT INTO t VALUES (…");
    }
}
