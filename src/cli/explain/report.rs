//! One statement's answer: what it does, what becomes of it, what speaks for an injection.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::coming::Coming;
use super::printable;
use super::why::{Remedy, Step, Why};
use crate::detect;
use crate::policy::{Identity, Judgement, Refusal, Sequel, SessionPolicy, Verdict};
use crate::sql::second_opinion::{Compared, Opinion, Summary};
use crate::sql::{self, Reading, Unparsed};

/// Everything that is told about one text. Serialises to the keys of the bulk form, but for `id`.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    parsed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// `allow` or `refuse`.
    verdict: &'static str,
    /// `refuse` where the session only observes what enforcing would refuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    would: Option<&'static str>,
    policy: Option<String>,
    rule: Option<String>,
    accesses: BTreeSet<Access>,
    relations_read: BTreeSet<String>,
    relations_written: BTreeSet<String>,
    functions: BTreeSet<String>,
    injection: Injection,
    /// The statement hash; null where the text could not be read.
    hash: Option<String>,
    /// With `--verbose` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_opinion: Option<SecondOpinion>,
    #[serde(skip)]
    refusal: Option<Refusal>,
}

/// An action on an object; the object is empty where the action has none.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Access {
    action: String,
    object: String,
}

#[derive(Debug, Default, Serialize)]
struct Injection {
    score: u32,
    signals: Vec<&'static str>,
    /// The part that was inserted into a statement of a list, without its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    inserted: Option<String>,
    /// That statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    into: Option<String>,
}

/// What two parsers make of a text, side by side.
#[derive(Debug, Serialize)]
struct SecondOpinion {
    /// `agrees`, `none` or `disagrees`.
    opinion: &'static str,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// A line for each statement, by PostgreSQL's grammar.
    postgresql: Vec<String>,
    /// Likewise, by the second parser.
    #[serde(skip_serializing_if = "Option::is_none")]
    second: Option<Vec<String>>,
}

impl SecondOpinion {
    fn of(compared: &Compared, opinion: &Opinion) -> SecondOpinion {
        let lines = |summaries: &[Summary]| summaries.iter().map(Summary::to_string).collect();
        SecondOpinion {
            opinion: opinion.as_str(),
            reason: compared.second.as_ref().err().map(ToString::to_string),
            postgresql: lines(&compared.postgresql),
            second: compared.second.as_ref().ok().map(|second| lines(second)),
        }
    }
}

/// Why a text can't be judged like others.
#[derive(Debug)]
pub(super) enum Undecodable {
    /// Bytes that are no UTF-8, from this offset.
    Utf8(usize),
    /// A NUL byte: no message of the protocol can carry it.
    Nul,
    /// A line of the bulk form that holds no text: why.
    Line(String),
}

impl Undecodable {
    fn reason(&self) -> String {
        match self {
            Undecodable::Utf8(at) => format!("invalid byte sequence for encoding \"UTF8\" at byte {at}"),
            Undecodable::Nul => "a statement can't contain a NUL byte".into(),
            Undecodable::Line(why) => why.clone(),
        }
    }
}

impl Answer {
    /// Reads and judges a text in this session, or in none, where no policy admits it. `verbose` keeps both readings.
    pub fn of(text: &str, session: Result<&SessionPolicy, &Refusal>, coming: &Coming, verbose: bool) -> Answer {
        if text.contains('\0') {
            return Answer::undecodable(&Undecodable::Nul, session);
        }
        if let Ok(session) = session
            && text.len() > session.statement_bytes()
        {
            let mut answer = Answer::judged(Ok(session.judge_too_long(text.len())));
            answer.parsed = false;
            return answer;
        }
        let analysis = match sql::analyse(text, Reading::default()) {
            Ok(analysis) => analysis,
            Err(why) => return Answer::unparsed(&why, session),
        };
        let signals = match session {
            Ok(session) => session.signals(text, &analysis),
            Err(_) => detect::signals(text, &analysis),
        };
        let moment = coming.moment(&analysis.facts, &signals);
        let compared = Compared::of(text, &analysis.facts);
        let opinion = compared.opinion();
        let judge =
            |session: &SessionPolicy| session.after_second_opinion(session.judge(&analysis.facts, moment), &opinion);
        let mut answer = Answer::judged(session.map(judge));
        answer.second_opinion = verbose.then(|| SecondOpinion::of(&compared, &opinion));
        answer.hash = analysis.facts.hash.map(|hash| hash.to_string());
        answer.injection.score = signals.score();
        answer.injection.signals = signals.signals.iter().map(|signal| signal.technique.as_str()).collect();
        answer.injection.signals.sort_unstable();
        if let Some(inserted) = signals.inserted {
            answer.injection.inserted = Some(inserted.part);
            answer.injection.into = inserted.into.map(Into::into);
        }
        for statement in analysis.facts.statements {
            let access = |a: &sql::Access| Access { action: a.action.to_string(), object: a.object.to_string() };
            answer.accesses.extend(statement.accesses.iter().map(access));
            answer.relations_read.extend(statement.relations_read);
            answer.relations_written.extend(statement.relations_written);
            answer.functions.extend(statement.functions);
        }
        answer
    }

    /// The answer to bytes that are no text.
    pub fn undecodable(why: &Undecodable, session: Result<&SessionPolicy, &Refusal>) -> Answer {
        let reason = why.reason();
        let mut answer = Answer::judged(session.map(|session| session.guard("22021", reason.clone())));
        answer.parsed = false;
        answer.error = Some(reason);
        answer
    }

    fn unparsed(why: &Unparsed, session: Result<&SessionPolicy, &Refusal>) -> Answer {
        let mut answer = Answer::judged(session.map(|session| session.judge_unparsed(why)));
        answer.parsed = false;
        answer.error = Some(why.to_string());
        answer
    }

    /// The verdict's part. A session that no policy admits refuses everything.
    fn judged(judgement: Result<Judgement, &Refusal>) -> Answer {
        let (verdict, would, refusal, answering) = match judgement {
            Err(refusal) => ("refuse", None, Some(refusal.clone()), None),
            Ok(Judgement { verdict: Verdict::Refuse(refusal), .. }) => ("refuse", None, Some(refusal), None),
            Ok(Judgement { verdict: Verdict::Allow(_), would: Some(refusal), .. }) => {
                ("allow", Some("refuse"), Some(refusal), None)
            }
            Ok(Judgement { verdict: Verdict::Allow(_), would: None, policy, .. }) => {
                ("allow", None, None, Some(policy))
            }
        };
        let policy = refusal.as_ref().map(|refusal| refusal.policy.to_string());
        Answer {
            parsed: true,
            error: None,
            verdict,
            would,
            policy: policy.or(answering.map(|policy| policy.to_string())),
            rule: refusal.as_ref().map(|refusal| refusal.rule.label().to_owned()),
            accesses: BTreeSet::new(),
            relations_read: BTreeSet::new(),
            relations_written: BTreeSet::new(),
            functions: BTreeSet::new(),
            injection: Injection::default(),
            hash: None,
            second_opinion: None,
            refusal,
        }
    }

    /// Why it is refused, or would be.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// The text would reach the server.
    pub fn allowed(&self) -> bool {
        self.verdict == "allow"
    }
}

/// What was asked.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub sql: &'a str,
    pub identity: &'a Identity,
    pub coming: &'a Coming,
    /// The time that was given, if any was.
    pub at: Option<jiff::Timestamp>,
}

/// What becomes of the session by a refusal, besides the statement's failing.
fn sequel(refusal: &Refusal) -> Option<String> {
    match refusal.sequel {
        Sequel::Fails => None,
        Sequel::Terminates => Some("the session ends with this error (outcome: terminate)".to_owned()),
        Sequel::Delays(delay) => {
            let delay = jiff::SignedDuration::try_from(Duration::from(delay)).unwrap_or_default();
            Some(format!("it is told after {delay:#} (delay); at once inside a transaction block"))
        }
    }
}

/// The answer as one JSON object: the keys of the bulk form, and what explains it.
pub(super) fn json(asked: &Asked<'_>, answer: &Answer, why: &Why) -> String {
    #[derive(Serialize)]
    struct Session<'a> {
        user: &'a str,
        database: &'a str,
        address: String,
        tls: bool,
        protocol: &'static str,
        at: Option<String>,
        application_name: &'a str,
    }
    #[derive(Serialize)]
    struct Explained<'a> {
        statement: &'a str,
        session: Session<'a>,
        #[serde(flatten)]
        answer: &'a Answer,
        place: Option<String>,
        reason: Option<&'a str>,
        hint: Option<&'a str>,
        sqlstate: Option<&'a str>,
        /// `refuse` or `terminate`.
        outcome: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        delay_ms: Option<u128>,
        #[serde(flatten)]
        why: &'a Why,
    }
    let Asked { sql, identity, coming, at } = asked;
    let Identity { user, database, address, tls, replication: _, arrival: _ } = identity;
    let refusal = answer.refusal.as_ref();
    let sequel = refusal.map(|refusal| match refusal.sequel {
        Sequel::Fails => ("refuse", None),
        Sequel::Terminates => ("terminate", None),
        Sequel::Delays(delay) => ("refuse", Some(Duration::from(delay).as_millis())),
    });
    let explained = Explained {
        statement: sql,
        session: Session {
            user,
            database,
            address: address.to_string(),
            tls: *tls,
            protocol: why.protocol.unwrap_or(coming.protocol).as_str(),
            at: at.map(|at| at.to_string()),
            application_name: &coming.application_name,
        },
        answer,
        place: refusal.map(|refusal| refusal.rule.place()).filter(|place| !place.is_empty()),
        reason: refusal.map(|refusal| refusal.reason.as_str()),
        hint: refusal.and_then(|refusal| refusal.hint.as_deref()),
        sqlstate: refusal.map(|refusal| refusal.sqlstate),
        outcome: sequel.map(|(outcome, _)| outcome),
        delay_ms: sequel.and_then(|(_, delay)| delay),
        why,
    };
    // These types have nothing that JSON can't hold.
    serde_json::to_string_pretty(&explained).unwrap_or_default() + "\n"
}

/// The answer for a reader.
pub(super) fn text(asked: &Asked<'_>, answer: &Answer, why: &Why) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String can't fail.
        let _ = writeln!(out, "{name:<12}{}", printable(value));
    };
    let Asked { sql, identity, coming, at } = asked;
    line("statement", sql.trim());
    let Identity { user, database, address: _, tls, replication: _, arrival } = identity;
    let origin = identity.origin();
    let mut session =
        format!("user {user}, database {database}, from {origin}, {}", if *tls { "TLS" } else { "no TLS" });
    if !arrival.listener.is_empty() {
        let _ = write!(session, ", listener {}", arrival.listener);
    }
    for name in arrival.certificate.iter().flat_map(|shown| shown.cn.iter().chain(&shown.san)) {
        let _ = write!(session, ", certificate of {name}");
    }
    if let Some(user) = &arrival.os_user {
        let _ = write!(session, ", operating system's user {user}");
    }
    let _ = write!(session, ", {} protocol", why.protocol.unwrap_or(coming.protocol).as_str());
    if let Some(at) = at {
        let _ = write!(session, ", at {at}");
    }
    if !coming.application_name.is_empty() {
        let _ = write!(session, ", application_name {}", coming.application_name);
    }
    line("session", &session);
    let verdict = match answer.would {
        Some(would) => format!("{}; enforcing would {would}", answer.verdict),
        None => answer.verdict.to_owned(),
    };
    line("verdict", &verdict);
    if let Some(error) = &answer.error {
        line("  unread", error);
    }
    if let Some(policy) = &answer.policy {
        line("  policy", policy);
    }
    if let Some(refusal) = &answer.refusal {
        let title = refusal.rule.title();
        match refusal.rule.file_and_line() {
            Some((file, at)) => line("  rule", &format!("{title} ({file}:{at})")),
            None => line("  rule", &title),
        }
        line("  reason", &refusal.reason);
        for (place, hint) in refusal.hint.iter().flat_map(|hint| hint.lines()).enumerate() {
            line(if place == 0 { "  hint" } else { "" }, hint);
        }
        line("  SQLSTATE", refusal.sqlstate);
        if let Some(sequel) = sequel(refusal) {
            line("  then", &sequel);
        }
    }
    for note in &why.notes {
        line("note", note);
    }
    let mut name = "does";
    for step in does(answer, &why.trace) {
        line(name, &step);
        name = "";
    }
    for (name, names) in
        [("reads", &answer.relations_read), ("writes", &answer.relations_written), ("calls", &answer.functions)]
    {
        if !names.is_empty() {
            line(name, &names.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
        }
    }
    if let Some(hash) = &answer.hash {
        line("hash", hash);
    }
    if answer.injection.score > 0 {
        line("injection", &format!("score {}: {}", answer.injection.score, answer.injection.signals.join(", ")));
        for sign in &why.signals {
            line("", &format!("{} ({}): {}", sign.technique, sign.weight, sign.meaning));
        }
        if let (Some(inserted), Some(into)) = (&answer.injection.inserted, &answer.injection.into) {
            let inserted = if inserted.is_empty() { "nothing, but its end is missing" } else { inserted };
            line("inserted", inserted);
            line("into", into);
        }
    }
    if let Some(second) = &answer.second_opinion {
        let why = second.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        line("2nd opinion", &format!("{}{why}", second.opinion));
        let readings = [("  grammar", Some(&second.postgresql)), ("  sqlparser", second.second.as_ref())];
        for (mut name, reading) in readings {
            for statement in reading.into_iter().flatten() {
                line(name, statement);
                name = "";
            }
        }
    }
    if let Some(remedy) = &why.remedy {
        out.push_str(&advice(remedy));
    }
    out
}

/// A line for each access: what it is, and what decided, one below the other. Without a trace: what it is.
fn does(answer: &Answer, trace: &[Step]) -> Vec<String> {
    if trace.is_empty() {
        let line = |access: &Access| format!("{} {}", access.action, access.object).trim_end().to_owned();
        return answer.accesses.iter().map(line).collect();
    }
    let several = trace.iter().any(|step| step.statement > 1);
    let what = |step: &Step| {
        let number = if several { format!("{}: ", step.statement) } else { String::new() };
        format!("{number}{} {}", step.action, step.object).trim_end().to_owned()
    };
    let width = trace.iter().map(|step| what(step).chars().count()).max().unwrap_or(0).min(48);
    trace.iter().map(|step| format!("{:<width$}  {}", what(step), decided(step))).collect()
}

fn decided(step: &Step) -> String {
    let rules = step.rules.iter().map(|place| format!("{} ({}:{})", place.rule, place.file, place.line));
    let rules = rules.collect::<Vec<_>>().join(", ");
    let word = match step.decision {
        "denied" => "denied by",
        "allowed" => "allowed by",
        "needs_no_rule" => "needs no rule:",
        "at_bind" => "judged at Bind:",
        "no_rule" => "refused:",
        _ => "guarded:",
    };
    let because = match (rules.is_empty(), step.why.is_empty()) {
        (true, _) => step.why.clone(),
        (false, true) => rules,
        (false, false) => format!("{rules}: {}", step.why),
    };
    format!("{word} {because}")
}

/// What would allow it, ready to paste.
fn advice(remedy: &Remedy) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    for sentence in &remedy.instead {
        let _ = writeln!(out, "\n{}", printable(sentence));
    }
    if remedy.rules.is_empty() {
        return out;
    }
    let also = if remedy.instead.is_empty() { "To allow it, add" } else { "Besides, it would need" };
    let _ = writeln!(out, "\n{also} under `allow:` of policy \"{}\" ({}):\n", remedy.policy, remedy.file);
    for rule in &remedy.rules {
        let _ = writeln!(out, "  {rule}");
    }
    let tried = match remedy.verified {
        true => "Tried: with this the statement is allowed.",
        false if remedy.instead.is_empty() => "Tried: this alone does not allow the statement.",
        false => "Tried: this alone does not allow the statement, for what is said above.",
    };
    let _ = writeln!(out, "\n{tried}");
    if let Some(careful) = &remedy.careful {
        let _ = writeln!(out, "Careful: {careful}.");
    }
    out
}
