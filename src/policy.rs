//! Facts and identity to a verdict: the policy language, its loader and its judge. No IO but reading the policy files.
//!
//! A file becomes text with places (`yaml`, `reader`), a document (`document`), a policy (`compile`, `rule`), and all of
//! them a set (`load`). A login takes the policies that match it (`admit`) to a bench that judges each text (`decide`).

mod admit;
mod baseline;
mod compile;
mod decide;
mod decoy;
pub mod diagnostic;
mod diff;
mod digest;
mod document;
mod glob;
mod hint;
mod hours;
mod identity;
mod limits;
mod listeners;
mod load;
mod lonely;
mod names;
mod quota;
mod reader;
mod rule;
mod rules;
mod sample;
pub mod schema;
mod settings;
mod startup;
mod statements;
mod store;
mod suggest;
pub mod test;
mod trace;
pub mod verdict;
mod when;
mod wording;
mod words;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::detect::{self, Signals};
pub use crate::policy::admit::NOT_ADMITTED;
use crate::policy::admit::{Class, Session};
use crate::policy::compile::Policy;
use crate::policy::decide::Outcome;
use crate::policy::diff::Outline;
use crate::policy::document::TestIdentity;
use crate::policy::limits::Limits;
use crate::policy::statements::StatementList;
use crate::sql::second_opinion::Opinion;
use crate::sql::{Access, Action, ActionName, Analysis, Facts, Name, Object, Unparsed};
pub use baseline::Free;
pub(crate) use compile::is_reserved;
pub use decide::Lack;
pub use diff::{Diff, PolicyDiff};
pub use digest::Digest;
pub(crate) use glob::Glob;
pub use identity::{Arrival, ClientCertificate, Identity};
pub use limits::Limit;
pub use listeners::UnknownListener;
pub use load::{Files, Loaded, check, policy_files, read};
pub use quota::{Period, Quotas, Rate};
pub use sample::SampleSession;
pub(crate) use statements::{ENDING as LIST_ENDING, may_be_learned, writes_catalog};
pub use store::{Admission, Store};
pub use suggest::{Breadth, NewRule, together};
pub use trace::{Denied, Hinge, Stands, Traced, Watching};
pub use verdict::{Alert, Approved, Judgement, Lasting, Noted, Refusal, RuleRef, Sequel, SessionClass, Verdict};
pub use when::Circumstance;
pub(crate) use wording::yaml;

/// From this score on the signs of an injection are an attempt, where no policy says otherwise.
const OBSERVE_AT: u32 = 3;

/// When and how a message is judged.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    pub now: jiff::Timestamp,
    pub extended: bool,
    pub parameters: Parameters<'a>,
    /// The text's signs of an injection.
    pub signals: &'a Signals,
    /// What the session calls itself at this moment.
    pub application_name: &'a str,
    /// Whether the allow rules that are needed are to be told.
    pub traced: bool,
}

impl<'a> Moment<'a> {
    /// This moment, of a text without signs of an injection, in a session without a name.
    pub fn now(extended: bool, parameters: Parameters<'a>) -> Moment<'a> {
        Moment {
            now: jiff::Timestamp::now(),
            extended,
            parameters,
            signals: Signals::NONE,
            application_name: "",
            traced: false,
        }
    }
}

/// What is known of the values of `$n` at this moment.
#[derive(Debug, Clone, Copy)]
pub enum Parameters<'a> {
    /// Parse: they come with Bind. What depends on them is allowed for now, with `Judgement::at_bind`.
    Later,
    /// A simple query has none.
    None,
    /// Bind: the values as text; `None` where the value is NULL or can't be known.
    Bound(&'a [Option<&'a str>]),
}

/// All policies of a directory, compiled. Immutable.
#[derive(Debug)]
pub struct PolicySet {
    pub(in crate::policy) policies: Vec<Policy>,
    /// The classes of the sessions that came so far, by the places of the policies that match them.
    classes: Mutex<HashMap<Vec<usize>, Arc<Class>>>,
    digest: Digest,
    outline: Outline,
}

impl PolicySet {
    pub(in crate::policy) fn new(policies: Vec<Policy>) -> PolicySet {
        PolicySet { policies, classes: Mutex::default(), digest: Digest::default(), outline: Outline::default() }
    }

    /// The same policies, with what is known of their files.
    pub(in crate::policy) fn made_of(self, digest: Digest, outline: Outline) -> PolicySet {
        PolicySet { digest, outline, ..self }
    }

    /// Which files the set was made of: the SHA-256 of their names and bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What this set says otherwise than an older one.
    pub fn differs_from(&self, older: &PolicySet) -> Diff {
        Diff::between(&older.outline, &self.outline)
    }

    /// The class of the sessions that these policies match, made when the first one comes.
    fn class(&self, matching: Vec<usize>, make: impl FnOnce() -> Class) -> Arc<Class> {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(classes.entry(matching).or_insert_with(|| Arc::new(make())))
    }

    /// The policies that this identity is under.
    ///
    /// # Errors
    /// No policy admits it (28000): the refusal to tell the client before anything goes upstream.
    pub fn admit(self: &Arc<Self>, identity: &Identity) -> Result<SessionPolicy, Refusal> {
        admit::admit(self, identity).map(|session| SessionPolicy { session: Arc::new(session) })
    }

    /// The same session as if its policies had these rules in `allow`, too: lines of a YAML list, as [`NewRule::yaml`] writes
    /// them. To try rules out; what it says is in force nowhere.
    ///
    /// # Errors
    /// The rules can't be read, or no policy admits the session.
    pub fn admit_with_rules(&self, identity: &Identity, rules: &[String]) -> Result<SessionPolicy, String> {
        let mut text = "policy: tried\napplies_to: {users: [\"*\"]}\n".to_owned();
        if !rules.is_empty() {
            text.push_str("allow:\n");
        }
        for rule in rules {
            text.push_str("  - ");
            text.push_str(rule);
            text.push('\n');
        }
        let also = load::single("the rules", text)?;
        let session = admit::admit_with(self, identity, Some(also)).map_err(|refusal| refusal.reason)?;
        Ok(SessionPolicy { session: Arc::new(session) })
    }

    /// The names of the policies, in the order of their files.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.policies.iter().map(|policy| &policy.name)
    }

    /// Name, mode and file of each policy.
    pub fn overview(&self) -> impl Iterator<Item = (&Arc<str>, &'static str, &Arc<str>)> {
        let mode = |policy: &Policy| if policy.enforce { "enforce" } else { "observe" };
        self.policies.iter().map(move |policy| (&policy.name, mode(policy), &policy.file))
    }

    /// The default test session (POLICY 14) of the first policy, or of the first that selects this user: first user,
    /// database and network, with TLS. `None`: no policy selects the user.
    pub fn test_identity(&self, user: Option<&str>) -> Option<Identity> {
        let selects = |policy: &&Policy| user.is_none_or(|user| policy.users.iter().any(|glob| glob.matches(user)));
        let policy = self.policies.iter().find(selects)?;
        Some(test::identity(policy, &TestIdentity { user: user.map(str::to_owned), ..TestIdentity::default() }))
    }

    /// The names of the rules of each policy, with the policy's name.
    pub fn rules(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.policies
            .iter()
            .flat_map(|policy| policy.allow.iter().chain(&policy.deny).map(|rule| (&policy.name, &rule.name)))
    }
}

/// The policies that one session is under. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SessionPolicy {
    session: Arc<Session>,
}

/// A name that the session uses without having made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownName<'a> {
    /// SQLSTATE 26000, `prepared statement "x" does not exist`.
    PreparedStatement(&'a str),
    /// SQLSTATE 34000, `portal "x" does not exist`; judged as access `cursor` on that name (POLICY 2a.2).
    Portal(&'a str),
    /// SQLSTATE 34000, `cursor "x" does not exist`, likewise.
    Cursor(&'a str),
}

impl SessionPolicy {
    /// True where at least one `enforce` policy matches: only then may any frame be changed.
    pub fn enforces(&self) -> bool {
        self.session.class.enforcing.is_some()
    }

    /// Why these policies, or their lack, allow the session nothing more but to end its transaction.
    pub fn closed(&self) -> Option<&Refusal> {
        self.session.closed.as_ref()
    }

    /// The same session closed, because it would not be admitted now.
    fn close(&self, refusal: Refusal) -> SessionPolicy {
        SessionPolicy { session: Arc::new(self.session.close(refusal)) }
    }

    /// The refusal of a session that started under policies which these differ from too far.
    fn outgrown(&self, reason: String) -> Refusal {
        Refusal { terse: self.terse(), ..Refusal::new(self.name().clone(), RuleRef::Guard, reason, "28000") }
    }

    /// The policy that answers for the session where no rule does: the first enforcing one, else the first.
    pub fn name(&self) -> &Arc<str> {
        &self.session.name
    }

    /// What verdicts of this session have in common with those of others.
    pub fn class(&self) -> SessionClass {
        SessionClass(Arc::clone(&self.session.class))
    }

    /// The verdict for as long as the class lives, where it is a plain permission that depends on nothing but the text and
    /// how it is read: not on bound values, not on the time, and nothing to tell about it.
    pub fn lasting(&self, judgement: &Judgement) -> Option<Lasting> {
        let Judgement {
            verdict: Verdict::Allow(_),
            would: None,
            policy: _,
            at_bind: false,
            timed: false,
            noted: None,
            rules: _,
        } = judgement
        else {
            return None;
        };
        Some(Lasting { class: self.class() })
    }

    /// The verdict of an earlier session of the same class on the same text; `None` for any other class's.
    #[inline]
    pub fn recall(&self, lasting: &Lasting) -> Option<Judgement> {
        Arc::ptr_eq(&lasting.class.0, &self.session.class).then(|| Judgement {
            verdict: Verdict::Allow(Approved(())),
            would: None,
            policy: Arc::clone(&self.session.name),
            at_bind: false,
            timed: false,
            noted: None,
            rules: None,
        })
    }

    /// `errors: terse` of any matching policy.
    pub fn terse(&self) -> bool {
        self.session.class.terse
    }

    /// Judges what a text does.
    pub fn judge(&self, facts: &Facts, moment: Moment<'_>) -> Judgement {
        let outcome = self.session.class.enforcing.as_ref().map(|bench| bench.judge(facts, &moment));
        self.judgement(outcome, |bench| bench.judge(facts, &moment))
    }

    /// Judges a text that has no Facts: refused where enforced, by `parse`.
    pub fn judge_unparsed(&self, why: &Unparsed) -> Judgement {
        let sqlstate = match why {
            Unparsed::Syntax { .. } => "42601",
            Unparsed::TooDeep => "54001",
            Unparsed::Internal(_) => "XX000",
        };
        self.fixed(RuleRef::Parse, sqlstate, why.to_string())
    }

    /// The verdict so far, after the second parser was heard: a text that it reads differently is refused where one of
    /// the policies that hold says so (`on_disagreement`).
    pub fn after_second_opinion(&self, mut judgement: Judgement, opinion: &Opinion) -> Judgement {
        let (Opinion::Disagrees(_), Verdict::Allow(_)) = (opinion, &judgement.verdict) else { return judgement };
        let refusing = |bench: &Option<decide::Bench>| {
            let bench = bench.as_ref().filter(|bench| bench.refuse_disagreement)?;
            let reason = wording::READ_DIFFERENTLY.to_owned();
            Some(Refusal {
                hint: Some(wording::READ_DIFFERENTLY_HINT.into()),
                terse: self.terse(),
                ..Refusal::new(bench.policy.clone(), RuleRef::Disagreement, reason, "42501")
            })
        };
        if let Some(refusal) = refusing(&self.session.class.enforcing) {
            judgement.policy = refusal.policy.clone();
            judgement.verdict = Verdict::Refuse(refusal);
            judgement.would = None;
        } else if judgement.would.is_none()
            && let Some(refusal) = refusing(&self.session.class.observing)
        {
            judgement.policy = refusal.policy.clone();
            judgement.would = Some(refusal);
        }
        judgement
    }

    /// Whether the server's errors must not tell of rows: a rule denies columns, and an error may name those that the
    /// statement did not.
    pub fn withholds_rows(&self) -> bool {
        self.session.class.enforcing.as_ref().is_some_and(|bench| bench.deny.iter().any(|rule| rule.denies_columns()))
    }

    /// Whether a rule asks by which protocol a statement comes (`source:`).
    pub fn asks_source(&self) -> bool {
        let class = &self.session.class;
        let mut benches = class.enforcing.iter().chain(&class.observing);
        benches.any(|bench| bench.allow.iter().chain(bench.deny.iter()).any(|rule| rule.when.source.is_some()))
    }

    /// The longest text that is read, in bytes: `statement_bytes` of the policies that hold (the observing ones, where no
    /// other does).
    pub fn statement_bytes(&self) -> usize {
        let class = &self.session.class;
        let bench = class.enforcing.as_ref().or(class.observing.as_ref());
        let bytes = bench.map_or(Limits::default(), |bench| bench.limits).statement_bytes;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// The verdict on a text longer than that.
    pub fn judge_too_long(&self, bytes: usize) -> Judgement {
        let limit = self.statement_bytes();
        self.judge_limit(
            Limit::StatementBytes,
            &format!("a message of {bytes} bytes, the limit of statement_bytes is {limit}"),
        )
    }

    /// The verdict on a text that can't be read within the proxy's own `analysis_bytes`.
    pub fn judge_too_heavy(&self, weight: u64, limit: u64) -> Judgement {
        let sentence = format!("reading it may take {weight} bytes of memory, the limit of analysis_bytes is {limit}");
        self.judge_limit(Limit::AnalysisBytes, &sentence)
    }

    /// What is counted over time, with the policy that says so and whether it enforces.
    pub fn quotas(&self) -> impl Iterator<Item = (&Arc<str>, bool, &Quotas)> {
        self.session.class.quotas.iter().map(|(policy, enforced, quotas)| (policy, *enforced, quotas))
    }

    /// The most rows that one statement may give the client, and whether more are refused or only told of.
    pub fn result_rows(&self) -> Option<(u64, bool)> {
        let class = &self.session.class;
        let of = |bench: &Option<decide::Bench>| bench.as_ref().and_then(|bench| bench.limits.result_rows);
        of(&class.enforcing).map(|rows| (rows, true)).or(of(&class.observing).map(|rows| (rows, false)))
    }

    /// From which score on the signs of an injection are an attempt: the lowest of the policies that hold, 3 where none says.
    pub fn observe_at(&self) -> u32 {
        let class = &self.session.class;
        let benches = class.enforcing.iter().chain(&class.observing);
        benches.filter_map(|bench| bench.observe_at).min().unwrap_or(OBSERVE_AT)
    }

    /// A text's signs of an injection, by itself and beside the statements that lists of these policies name.
    pub fn signals(&self, text: &str, analysis: &Analysis) -> Signals {
        let mut signals = detect::signals(text, analysis);
        let class = &self.session.class;
        let lists = || class.enforcing.iter().chain(&class.observing).flat_map(|bench| &bench.lists);
        let listed = |list: &Arc<StatementList>| analysis.facts.hash.is_some_and(|hash| list.contains(hash));
        if !lists().any(listed) {
            lists().for_each(|list| list.compare(text, &mut signals));
        }
        signals
    }

    /// The verdict on what was judged before.
    pub fn judge_nothing(&self) -> Judgement {
        self.judgement(None, |_| Outcome::default())
    }

    /// The refusal for something that was counted.
    pub fn over(&self, policy: &Arc<str>, limit: Limit, sentence: String) -> Refusal {
        let refusal = Refusal::new(Arc::clone(policy), RuleRef::Limit(limit), sentence, limit.sqlstate());
        Refusal { hint: Some(limit.hint()), terse: self.terse(), ..refusal }
    }

    /// The verdict on a message after something was counted that is too much.
    pub fn judge_over(&self, policy: &Arc<str>, enforced: bool, limit: Limit, sentence: String) -> Judgement {
        let refusal = self.over(policy, limit, sentence);
        let (verdict, would) = match enforced {
            true => (Verdict::Refuse(refusal), None),
            false => (Verdict::Allow(Approved(())), Some(refusal)),
        };
        Judgement { verdict, would, policy: Arc::clone(policy), at_bind: false, timed: false, noted: None, rules: None }
    }

    fn judge_limit(&self, limit: Limit, sentence: &str) -> Judgement {
        let refuse = |bench: &decide::Bench| Outcome {
            refusal: Some(bench.limit_refusal(limit, sentence.to_owned())),
            ..Outcome::default()
        };
        let class = &self.session.class;
        self.judgement(class.enforcing.as_ref().map(refuse), refuse)
    }

    /// Judges a type that a Parse gives a parameter by its OID and that isn't PostgreSQL's own: its input function runs, and
    /// the CHECKs of a domain. Which type it is can't be known, so it takes a rule with `call:type` that speaks of every object,
    /// or names the OID among its `objects`.
    pub fn judge_parameter_type(&self, oid: u32) -> Judgement {
        let name = Name::bare(&oid.to_string());
        let action = Action { name: ActionName::Call, kind: Some("type") };
        let mut judgement = self.judge_access(action, Object::Other { kind: "type oid", name });
        let told = match &mut judgement.verdict {
            Verdict::Refuse(refusal) => Some(refusal),
            Verdict::Allow(_) => judgement.would.as_mut(),
        };
        if let Some(refusal) = told
            && matches!(refusal.rule, RuleRef::Default)
        {
            let hint = "name the type in the text ($1::type) instead of sending its number, or have the DBA allow all types: \
                        {rule: types, actions: [\"call:type\"]}";
            refusal.hint = Some(hint.into());
        }
        judgement
    }

    /// Judges a replication command (action `replication`, object its first word, folded to lower case).
    pub fn judge_replication(&self, command: &str) -> Judgement {
        let name = Name::bare(&command.to_ascii_lowercase());
        self.judge_access(ActionName::Replication, Object::Other { kind: "replication command", name })
    }

    /// Judges the use of a name that this session never made.
    pub fn judge_unknown_name(&self, name: UnknownName<'_>) -> Judgement {
        let (cursor, missing) = match name {
            UnknownName::PreparedStatement(name) => {
                return self.fixed(RuleRef::Guard, "26000", format!("prepared statement \"{name}\" does not exist"));
            }
            UnknownName::Portal(name) => (name, format!("portal \"{name}\" does not exist")),
            UnknownName::Cursor(name) => (name, format!("cursor \"{name}\" does not exist")),
        };
        let mut judgement = self.judge_access(ActionName::Cursor, Object::Cursor(cursor.into()));
        let told = match &mut judgement.verdict {
            Verdict::Refuse(refusal) => Some(refusal),
            Verdict::Allow(_) => judgement.would.as_mut(),
        };
        if let Some(refusal) = told
            && refusal.rule == RuleRef::Default
        {
            refusal.sqlstate = "34000";
            refusal.reason = missing;
        }
        judgement
    }

    /// The verdict on something that no rule can allow (bytes that do not convert, a malformed body, a limit): refused by
    /// `guard` with this SQLSTATE where enforced, else passed with `would`.
    pub fn guard(&self, sqlstate: &'static str, reason: String) -> Judgement {
        self.fixed(RuleRef::Guard, sqlstate, reason)
    }

    /// The startup parameters to send: the client's in order and spelling, judged as `set <name>`, with the session's pins
    /// appended (DESIGN §5). `user`, `database` and `replication` are passed on as they are. Under observe: unchanged.
    ///
    /// # Errors
    /// A parameter that the policies refuse.
    pub fn startup(&self, parameters: &[(String, String)]) -> Result<Vec<(String, String)>, Refusal> {
        match &self.session.class.enforcing {
            Some(bench) => startup::parameters(bench, parameters),
            None => Ok(parameters.to_vec()),
        }
    }

    /// The refusal of a startup parameter that the observing policies would have given.
    pub fn startup_would(&self, parameters: &[(String, String)]) -> Option<Refusal> {
        let observing = self.session.class.observing.as_ref()?;
        startup::parameters(observing, parameters).err()
    }

    /// Whether a ParameterStatus shows a guarded or pinned setting at a value that the policies don't allow: the
    /// sentence to tell. `None` for everything else.
    pub fn alarm(&self, name: &str, value: &str) -> Option<String> {
        startup::alarm(&self.session, name, value)
    }

    fn judge_access(&self, action: impl Into<Action>, object: Object) -> Judgement {
        let access = Access::new(action, object);
        let moment = Moment::now(false, Parameters::None);
        let outcome = self.session.class.enforcing.as_ref().map(|bench| bench.judge_one(&access, &moment));
        self.judgement(outcome, |bench| bench.judge_one(&access, &moment))
    }

    /// The refusal of everything that a user who touched a decoy from this address wants, for a while.
    pub fn quarantined(&self, sqlstate: &'static str) -> Refusal {
        let reason = format!("user \"{}\" is quarantined at this address", self.session.user);
        Refusal {
            hint: Some("the DBA finds out why in the firewall's log".into()),
            terse: self.terse(),
            ..Refusal::new(self.name().clone(), RuleRef::Quarantine, reason, sqlstate)
        }
    }

    /// The verdict on whatever such a session sends.
    pub fn judge_quarantined(&self) -> Judgement {
        self.refused(self.quarantined("42501"))
    }

    /// The refusal of a statement, or of everything that a user wants, that an administrator has blocked for now: `reason` says so.
    pub fn blocked(&self, reason: String, sqlstate: &'static str) -> Refusal {
        Refusal {
            hint: Some("ask the firewall's administrators, who blocked it; `portcullis block --list` shows who, and when it ends".into()),
            terse: self.terse(),
            ..Refusal::new(self.name().clone(), RuleRef::Block, reason, sqlstate)
        }
    }

    /// The verdict on it.
    pub fn judge_blocked(&self, reason: String) -> Judgement {
        self.refused(self.blocked(reason, "42501"))
    }

    /// A refusal that no rule can lift.
    fn fixed(&self, rule: RuleRef, sqlstate: &'static str, reason: String) -> Judgement {
        let policy = self.name().clone();
        self.refused(Refusal { terse: self.terse(), ..Refusal::new(policy, rule, reason, sqlstate) })
    }

    /// Where it is enforced; else only told.
    fn refused(&self, refusal: Refusal) -> Judgement {
        let (verdict, would) = match self.enforces() {
            true => (Verdict::Refuse(refusal), None),
            false => (Verdict::Allow(Approved(())), Some(refusal)),
        };
        Judgement {
            verdict,
            would,
            policy: self.name().clone(),
            at_bind: false,
            timed: false,
            noted: None,
            rules: None,
        }
    }

    /// Enforcing policies decide; observing ones tell what they would have done.
    fn judgement(&self, enforced: Option<Outcome>, observe: impl Fn(&decide::Bench) -> Outcome) -> Judgement {
        let mut outcome = enforced.unwrap_or_default();
        if let Some(refusal) = outcome.refusal {
            let refusal = self.closed().cloned().unwrap_or(refusal);
            let policy = refusal.policy.clone();
            let verdict = Verdict::Refuse(refusal);
            return Judgement {
                verdict,
                would: None,
                policy,
                at_bind: outcome.at_bind,
                timed: outcome.timed,
                noted: None,
                rules: None,
            };
        }
        if let Some(bench) = &self.session.class.observing {
            let observed = observe(bench);
            outcome.would = match observed.refusal {
                // An alarm is told before everything else that is only observed.
                Some(refusal) if refusal.is_of_decoy() => Some(refusal),
                refusal => outcome.would.or(refusal).or(observed.would),
            };
            outcome.at_bind |= observed.at_bind;
            outcome.timed |= observed.timed;
        }
        let policy = outcome.would.as_ref().map_or_else(|| self.name().clone(), |would| would.policy.clone());
        Judgement {
            verdict: Verdict::Allow(Approved(())),
            would: outcome.would,
            policy,
            at_bind: outcome.at_bind,
            timed: outcome.timed,
            noted: outcome.noted,
            rules: outcome.rules.told(),
        }
    }
}

/// Loads all `*.yaml` and `*.yml` files of a directory and runs their tests.
///
/// # Errors
/// Every error of every file, rendered for a terminal.
pub fn load(directory: &Path) -> Result<PolicySet, String> {
    load::load(directory)
}

/// One text as a policy file of this name, with its tests run.
///
/// # Errors
/// As [`load`].
pub fn load_text(file: &str, yaml: &str) -> Result<PolicySet, String> {
    load::load_text(file, yaml)
}

/// Texts as policy files and lists of these names, without a look at any file system.
///
/// # Errors
/// As [`load`].
pub fn load_texts(files: &[(String, String)]) -> Result<PolicySet, String> {
    load::load_texts(files)
}
