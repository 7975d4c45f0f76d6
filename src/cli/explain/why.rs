//! Which rule decided each access, and the smallest rule that would allow what is refused, tried out.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::coming::{Coming, Protocol};
use super::notes::{self, Condition, SessionName};
use super::printable;
use crate::detect::{self, Signals};
use crate::policy::{
    Breadth, Identity, Judgement, Lack, Moment, NewRule, PolicySet, Refusal, RuleRef, SessionPolicy, Stands, Traced,
    Watching, together,
};
use crate::sql::second_opinion::{self, Opinion};
use crate::sql::{self, ActionName, Analysis, Group, Reading};

/// What explains a verdict.
#[derive(Debug, Default, Serialize)]
pub(super) struct Why {
    pub trace: Vec<Step>,
    pub signals: Vec<Sign>,
    /// The rules whose conditions on how and when it comes decide.
    pub conditions: Vec<Condition>,
    /// What the session must have made before.
    pub session_names: Vec<SessionName>,
    /// What the verdict was taken to depend on, as sentences.
    pub notes: Vec<String>,
    /// How it comes, where the text can be read.
    #[serde(skip)]
    pub protocol: Option<Protocol>,
    /// Where something is refused, or would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
}

/// What was thought of one access.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Step {
    /// The number of its statement, from 1.
    pub statement: usize,
    pub action: String,
    pub object: String,
    /// `denied`, `allowed`, `needs_no_rule`, `at_bind`, `no_rule`, `guarded`.
    pub decision: &'static str,
    /// The rules that decided.
    pub rules: Vec<Place>,
    pub why: String,
}

/// A rule and where it stands.
#[derive(Debug, Serialize, PartialEq, Eq, Clone)]
pub(super) struct Place {
    pub rule: String,
    pub file: String,
    pub line: u32,
}

/// A sign of an injection.
#[derive(Debug, Serialize)]
pub(super) struct Sign {
    pub technique: &'static str,
    pub weight: u8,
    pub meaning: &'static str,
}

/// What would allow it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Remedy {
    /// The policy whose `allow` lacks the rules.
    pub policy: String,
    pub file: String,
    /// Lines of `allow:`, each a rule: `- {rule: …}`.
    pub rules: Vec<String>,
    /// The statement was judged with these rules added, and passed.
    pub verified: bool,
    /// What no allow rule can lift, and what to change instead.
    pub instead: Vec<String>,
    /// Why to think twice before adding the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub careful: Option<String>,
}

impl Remedy {
    /// Of a refusal, with nothing to do yet.
    fn of(refusal: &Refusal, policies: &PolicySet) -> Remedy {
        let file = policies.overview().find(|(name, ..)| **name == refusal.policy).map(|(.., file)| file.to_string());
        Remedy { policy: refusal.policy.to_string(), file: file.unwrap_or_default(), ..Remedy::default() }
    }
}

impl Place {
    fn of(rule: &RuleRef) -> Option<Place> {
        rule.file_and_line().map(|(file, line)| Place { rule: rule.title().into_owned(), file: file.to_owned(), line })
    }
}

/// A text as it is judged.
struct Question<'a> {
    coming: &'a Coming,
    analysis: &'a Analysis,
    signals: &'a Signals,
    opinion: &'a Opinion,
}

impl Question<'_> {
    fn moment(&self) -> Moment<'_> {
        self.coming.moment(&self.analysis.facts, self.signals)
    }

    fn judge(&self, session: &SessionPolicy) -> Judgement {
        session.after_second_opinion(session.judge(&self.analysis.facts, self.moment()), self.opinion)
    }
}

impl Why {
    /// Of a text that comes so, and is refused so, in a session.
    pub fn of(
        text: &str,
        policies: &Arc<PolicySet>,
        identity: &Identity,
        session: Result<&SessionPolicy, &Refusal>,
        (coming, refusal): (&Coming, Option<&Refusal>),
    ) -> Why {
        let session = match session {
            Ok(session) => session,
            Err(refusal) => {
                let instead = vec![format!("the login is refused: {}", refusal.reason), ADMIT.to_owned()];
                return Why { remedy: Some(Remedy { instead, ..Remedy::default() }), ..Why::default() };
            }
        };
        let unread = || {
            let remedy = |refusal: &Refusal| {
                let instead = not_by_a_rule(refusal, policies).unwrap_or_else(|| refusal.reason.clone());
                Remedy { instead: vec![instead], ..Remedy::of(refusal, policies) }
            };
            Why { remedy: refusal.map(remedy), ..Why::default() }
        };
        if text.contains('\0') || text.len() > session.statement_bytes() {
            return unread();
        }
        let Ok(analysis) = sql::analyse(text, Reading::default()) else { return unread() };
        let signals = session.signals(text, &analysis);
        let opinion = second_opinion::compare(text, &analysis.facts);
        let question = Question { coming, analysis: &analysis, signals: &signals, opinion: &opinion };
        let facts = &analysis.facts;
        let trace = session.trace(&analysis.facts, &question.moment());
        let conditions = notes::conditions(&session.hinges(facts, &question.moment()), refusal.is_some());
        let session_names = notes::names(facts, session);
        let remedy = refusal.map(|refusal| remedy(&question, refusal, &trace, policies, identity, session));
        let sign = |s: &detect::Signal| Sign {
            technique: s.technique.as_str(),
            weight: s.weight,
            meaning: s.technique.explain(),
        };
        Why {
            trace: steps(&trace),
            signals: signals.signals.iter().map(sign).collect(),
            notes: notes::sentences(facts, coming, &conditions, &session_names),
            conditions,
            session_names,
            protocol: Some(if coming.extended(facts) { Protocol::Extended } else { Protocol::Simple }),
            remedy,
        }
    }
}

const ADMIT: &str = "give the user a policy whose `applies_to` and `require` this session meets";

fn steps(trace: &[Traced]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for Traced { statement, access, denied, stands } in trace {
        let (decision, rules, why) = match (denied, stands) {
            (Some(denied), _) if !denied.observe => {
                ("denied", Place::of(&denied.rule).into_iter().collect(), denied.reason.clone())
            }
            (_, Stands::Allowed(rules)) => {
                ("allowed", rules.iter().filter_map(Place::of).collect(), watched(denied.as_ref().map(|d| &d.rule)))
            }
            (_, Stands::Free(free)) => ("needs_no_rule", Vec::new(), free.as_str().to_owned()),
            (_, Stands::AtBind) => ("at_bind", Vec::new(), "depends on the value that comes with Bind".to_owned()),
            (_, Stands::Missing { lack, reason, observed }) => {
                let decision = match lack {
                    Lack::Rule => "no_rule",
                    Lack::Guarded | Lack::Pinned | Lack::Nameless | Lack::Temporary => "guarded",
                };
                let passes = if *observed { " (passes by unlisted: observe)" } else { "" };
                (decision, Vec::new(), format!("{reason}{passes}"))
            }
        };
        let object = printable(&access.object.to_string());
        let step = Step { statement: statement + 1, action: access.action.to_string(), object, decision, rules, why };
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

/// A deny rule in mode observe speaks about it, too.
fn watched(rule: Option<&RuleRef>) -> String {
    rule.map_or_else(String::new, |rule| format!("rule {} ({}) would deny it", rule.label(), rule.place()))
}

fn remedy(
    question: &Question<'_>,
    refusal: &Refusal,
    trace: &[Traced],
    policies: &Arc<PolicySet>,
    identity: &Identity,
    session: &SessionPolicy,
) -> Remedy {
    let mut instead = Vec::new();
    let mut add = |sentence: Option<String>| instead.extend(sentence.filter(|s| !s.is_empty()));
    add(not_by_a_rule(refusal, policies));
    for denied in trace.iter().filter_map(|traced| traced.denied.as_ref()).filter(|denied| !denied.observe) {
        add(deny_rule(&denied.rule, policies));
    }
    let mut seen = BTreeSet::new();
    instead.retain(|sentence| seen.insert(sentence.clone()));
    let mut remedy = Remedy { instead, careful: careful(trace), ..Remedy::of(refusal, policies) };
    match session.rules_for(trace, &question.moment(), Breadth::Objects) {
        Ok(rules) if rules.is_empty() => {}
        Ok(rules) => {
            let rules = together(rules);
            if rules
                .iter()
                .any(|rule| rule.selectors.is_empty() && rule.actions.iter().any(|action| action == "truncate"))
            {
                let every = "`truncate` without `tables` empties any table".to_owned();
                remedy.careful = Some(remedy.careful.map_or(every.clone(), |careful| format!("{careful}; {every}")));
            }
            let lines = named(&rules, policies);
            let passes = |session| question.judge(&session).is_clear();
            remedy.verified = policies.admit_with_rules(identity, &lines).is_ok_and(passes);
            remedy.rules = lines.iter().map(|line| format!("- {line}")).collect();
        }
        Err(helpless) => remedy.instead.extend(helpless),
    }
    remedy
}

/// The rules as lines, each with a name that no other has.
fn named(rules: &[NewRule], policies: &PolicySet) -> Vec<String> {
    let mut taken: BTreeSet<String> = policies.rules().map(|(_, rule)| rule.to_string()).collect();
    let mut lines = Vec::new();
    for rule in rules {
        let stem = rule.suggested_name();
        let mut name = stem.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        lines.push(rule.yaml(&name));
    }
    lines
}

/// What to change where the refusal is none of missing rules.
fn not_by_a_rule(refusal: &Refusal, policies: &PolicySet) -> Option<String> {
    Some(match &refusal.rule {
        RuleRef::Default | RuleRef::Guard => return None,
        RuleRef::Rule { .. } => return deny_rule(&refusal.rule, policies),
        RuleRef::Decoy { decoy, file, line } => format!(
            "decoy \"{decoy}\" ({file}:{line}) is touched, and no allow rule helps: take it out of `decoys` if the table has a use"
        ),
        RuleRef::Limit(limit) => format!(
            "no allow rule lifts a limit: raise {} of `limits`, in every policy that matches the session",
            limit.as_str()
        ),
        RuleRef::Injection => "no allow rule lifts `injection: {block_at}`: raise it in every policy that matches the \
                               session, or write the statement so that it does not look like an injection"
            .to_owned(),
        RuleRef::Disagreement => {
            "two parsers read it differently: write it in a plainer way, or set `on_disagreement: \
                                  observe` in every policy that matches the session"
                .to_owned()
        }
        RuleRef::Parse => format!("no rule allows what can't be read: correct the statement ({})", refusal.reason),
        RuleRef::Require | RuleRef::Quarantine | RuleRef::Block => refusal.reason.clone(),
    })
}

fn deny_rule(rule: &RuleRef, policies: &PolicySet) -> Option<String> {
    let watching = policies.watching(rule);
    let Place { rule, file, line } = Place::of(rule)?;
    let would = match watching {
        Some(Watching::Rule) => {
            return Some(format!(
                "deny rule \"{rule}\" ({file}:{line}) is in `mode: observe`: it only reports. Without that mode it would refuse the \
                 statement, and no allow rule would help"
            ));
        }
        Some(Watching::Policy) => "would refuse it if its policy enforced",
        Some(Watching::Enforces) | None => "refuses it",
    };
    Some(format!(
        "deny rule \"{rule}\" ({file}:{line}) {would}, and no allow rule helps: narrow that rule, set `mode: observe` on it, \
         or take it out"
    ))
}

/// What the missing accesses reach beyond the tables.
fn careful(trace: &[Traced]) -> Option<String> {
    let missing = trace.iter().filter(|traced| matches!(traced.stands, Stands::Missing { .. }));
    let groups: BTreeSet<&str> = missing
        .filter_map(|traced| match (traced.access.action.name, traced.access.action.name.group()) {
            (ActionName::SetRole, _) => Some("another role"),
            (_, Group::File) => Some("the server's files and programs"),
            (_, Group::Network) => Some("other machines"),
            (_, Group::Code) => Some("code that runs in the server"),
            (_, Group::Admin) => Some("the server's administration"),
            (_, Group::Dcl) => Some("rights of roles"),
            (
                _,
                Group::Read
                | Group::Write
                | Group::Lock
                | Group::Call
                | Group::Ddl
                | Group::Transaction
                | Group::Session
                | Group::Maintenance
                | Group::Unknown,
            ) => None,
        })
        .collect();
    let list = groups.into_iter().collect::<Vec<_>>().join(", ");
    (!list.is_empty()).then(|| format!("it reaches {list}: allow it to those only who can't do without"))
}
