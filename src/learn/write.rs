//! Policies that allow exactly what was seen, tried with it before anybody gets them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use crate::detect::Signals;
use crate::learn::gather::{Gathering, SUSPICIOUS, Seen, User};
use crate::learn::list::{Entry, List};
use crate::learn::record::one_line;
use crate::policy::{
    self, Arrival, Breadth, Glob, Identity, LIST_ENDING, Lack, Moment, NewRule, Parameters, SessionPolicy, Stands,
    Traced, is_reserved, may_be_learned, writes_catalog, yaml,
};
use crate::sql::{Facts, Group, Object};

/// How far a policy goes beyond what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The statements that were seen, by their hashes.
    Statement,
    /// What was done to each table, function, setting …, by whatever statement.
    Table,
    /// What was done to anything of a schema.
    Action,
}

/// What to learn.
#[derive(Debug, Clone)]
pub struct Options {
    pub by: By,
    /// One policy for the users that this glob means; without, one for each user.
    pub user: Option<String>,
    /// The policy's name; without a `user` glob: one policy of this name for all users.
    pub policy: Option<String>,
    /// The policies' `search_path`; none: unqualified names stay as they are.
    pub search_path: Vec<String>,
    /// Learn what one session alone sent, too.
    pub include_singletons: bool,
}

/// Everything that was learned.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    pub policies: Vec<LearnedPolicy>,
}

/// One policy, with its files' texts.
#[derive(Debug, Clone, Default)]
pub struct LearnedPolicy {
    /// Its name, and the beginning of its files' names.
    pub name: String,
    pub users: Vec<String>,
    /// `NAME.yaml`.
    pub policy: String,
    /// `NAME.learned.yaml`, where it is by statement.
    pub list: Option<String>,
    /// Statements in that list: those that need a rule.
    pub listed: usize,
    /// `NAME.review.learned.yaml`: what one session alone sent, or what never worked; allowed by nothing.
    pub review: Option<String>,
    /// Statements that it allows, and how often they ran.
    pub statements: usize,
    pub runs: u64,
    /// Statements that are set apart for review.
    pub set_apart: usize,
    /// Allowed, but what they set comes with Bind and is judged there.
    pub at_bind: Vec<Unlearned>,
    /// What is never learned, by reason.
    pub unlearned: Vec<Unlearned>,
}

/// Statements that were not learned for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlearned {
    pub why: String,
    pub statements: usize,
    /// Lines of the log.
    pub times: u64,
    /// One of the texts, without values.
    pub example: String,
}

/// Writes the policies that the gathered lines teach.
///
/// # Errors
/// The options can't be had: a name that no policy can have, a path that isn't one.
pub fn write(gathered: &Gathering, options: &Options) -> Result<Learned, String> {
    let glob = options.user.as_deref().map(Glob::new);
    let meant = |name: &String| glob.as_ref().is_none_or(|glob| glob.matches(name));
    let users: Vec<(&String, &User)> = gathered.users.iter().filter(|(name, _)| meant(name)).collect();
    let mut learned = Learned::default();
    if users.is_empty() {
        return Ok(learned);
    }
    if options.user.is_some() || options.policy.is_some() {
        let names = options
            .user
            .as_ref()
            .map_or_else(|| users.iter().map(|(name, _)| (*name).clone()).collect(), |user| vec![user.clone()]);
        let name = options.policy.clone().unwrap_or_else(|| label(names.first().map_or("", String::as_str)));
        let someone = users.first().map_or("", |(name, _)| name.as_str());
        let all = User::merged(users.iter().map(|(_, user)| *user));
        learned.policies.push(Draft { name, users: names, someone, user: &all, options }.write()?);
        return Ok(learned);
    }
    let mut taken = BTreeSet::new();
    for (user, seen) in users {
        let stem = label(user);
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let Some(name) = std::iter::once(stem.clone()).chain(numbered).find(|name| taken.insert(name.clone())) else {
            continue;
        };
        learned.policies.push(Draft { name, users: vec![user.clone()], someone: user, user: seen, options }.write()?);
    }
    Ok(learned)
}

/// A name for a policy, made of a user's or a pattern.
fn label(user: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = user.chars().map(plain).take(56).collect();
    let name = name.trim_matches(['_', '.']).to_owned();
    match name.is_empty() || is_reserved(&name) {
        true => format!("user-{name}").trim_end_matches('-').to_owned(),
        false => name,
    }
}

/// Whether a list may hold a statement of such Facts, whatever the policies say.
///
/// # Errors
/// Why not.
pub fn may_be_listed(facts: &Facts) -> Result<(), String> {
    if facts.hash.is_none() {
        return Err(NO_HASH.to_owned());
    }
    let skeleton = "policy: skeleton\napplies_to: {users: [\"*\"]}\n".to_owned();
    let set = Arc::new(policy::load_texts(&[("skeleton.yaml".to_owned(), skeleton)])?);
    let identity = identity("anyone", "any", IpAddr::from([127, 0, 0, 1]));
    let session = set.admit(&identity).map_err(|refusal| refusal.reason)?;
    let trace = session.trace(facts, &moment(true));
    trace.iter().find_map(|traced| never(facts, traced)).map_or(Ok(()), Err)
}

const NO_HASH: &str = "no hash: the text is long, or holds a password";

/// Why nothing may learn an access.
fn never(facts: &Facts, traced: &Traced) -> Option<String> {
    let Stands::Missing { lack, reason, .. } = &traced.stands else { return None };
    let access = &traced.access;
    let group = access.action.name.group();
    match lack {
        _ if writes_catalog(access) => Some("a table of the server's own is written".to_owned()),
        Lack::Rule if may_be_learned(facts, access) => None,
        Lack::Rule if matches!(access.object, Object::Function { .. }) && group == Group::Call => {
            Some(format!("a text written into the statement, given to a function of a user: {}", access.object))
        }
        _ if matches!(access.object, Object::Unknown(_)) => Some(reason.clone()),
        Lack::Pinned | Lack::Nameless | Lack::Temporary => Some(reason.clone()),
        Lack::Rule | Lack::Guarded => Some(match (group, &access.object) {
            (Group::Session, Object::Setting { name: crate::sql::Operand::Constant(name), .. }) => {
                format!("guarded setting: {name}")
            }
            (Group::Session, _) => format!("another role: {}", access.action),
            (
                Group::Read
                | Group::Write
                | Group::Lock
                | Group::Call
                | Group::Ddl
                | Group::Dcl
                | Group::Transaction
                | Group::Maintenance
                | Group::Code
                | Group::File
                | Group::Network
                | Group::Admin
                | Group::Unknown,
                _,
            ) => format!("{}: {}", group.as_str(), access.action),
        }),
    }
}

fn identity(user: &str, database: &str, address: IpAddr) -> Identity {
    Identity {
        user: user.to_owned(),
        database: database.to_owned(),
        address,
        tls: true,
        replication: false,
        arrival: Arrival::default(),
    }
}

/// Nothing that is learned depends on the time.
fn moment(extended: bool) -> Moment<'static> {
    Moment { signals: Signals::NONE, ..Moment::now(extended, Parameters::Later) }
}

/// One policy in the making.
struct Draft<'a> {
    name: String,
    /// `applies_to`.
    users: Vec<String>,
    /// A user who is among them.
    someone: &'a str,
    user: &'a User,
    options: &'a Options,
}

/// What becomes of the statements.
#[derive(Default)]
struct Sorted<'a> {
    /// With what a rule must say for them.
    learned: Vec<(&'a Seen, Vec<Traced>)>,
    apart: Vec<(&'a Seen, &'static str)>,
    unlearned: BTreeMap<String, (usize, u64, String)>,
    at_bind: BTreeMap<String, (usize, u64, String)>,
}

impl<'a> Sorted<'a> {
    fn leave(&mut self, why: String, seen: &Seen) {
        note(&mut self.unlearned, why, seen);
    }
}

fn note(map: &mut BTreeMap<String, (usize, u64, String)>, why: String, seen: &Seen) {
    let entry = map.entry(one_line(&why)).or_default();
    entry.0 += 1;
    entry.1 += seen.passed + seen.refused;
    // The same one whatever the order of the lines.
    if entry.2.is_empty() || *seen.text < *entry.2 {
        entry.2 = seen.text.to_string();
    }
}

fn told(map: BTreeMap<String, (usize, u64, String)>) -> Vec<Unlearned> {
    map.into_iter().map(|(why, (statements, times, example))| Unlearned { why, statements, times, example }).collect()
}

const ONE_SESSION: &str = "one session alone sent it";
const NEVER_WORKED: &str = "it always failed (SQLSTATE class 42)";

impl<'a> Draft<'a> {
    fn write(&self) -> Result<LearnedPolicy, String> {
        let skeleton = self.session(&[(self.file(), self.render(&[], None, &[]))])?;
        let mut sorted = self.sort(&skeleton);
        // What the policy refuses all the same is taken out, and the rest written again.
        loop {
            let rules = match self.options.by {
                By::Statement => Vec::new(),
                By::Table => self.rules(&skeleton, &mut sorted, Breadth::Objects),
                By::Action => self.rules(&skeleton, &mut sorted, Breadth::Schemas),
            };
            let list = (self.options.by == By::Statement).then(|| self.list(&sorted));
            let mut files = vec![(self.file(), self.render(&rules, list.as_ref(), &[]))];
            if let Some(list) = &list {
                files.push((format!("{}{LIST_ENDING}", self.name), list.render()));
            }
            let session = self.session(&files)?;
            let (kept, refused): (Vec<_>, Vec<_>) = std::mem::take(&mut sorted.learned)
                .into_iter()
                .partition(|(seen, _)| refusal(&session, seen).is_none());
            sorted.learned = kept;
            for (seen, _) in &refused {
                sorted.leave(refusal(&session, seen).unwrap_or_default(), seen);
            }
            if refused.is_empty() {
                return Ok(self.finish(sorted, &rules, list));
            }
        }
    }

    /// Which statements are learned, set apart or left.
    fn sort(&self, skeleton: &SessionPolicy) -> Sorted<'a> {
        let mut sorted = Sorted::default();
        for seen in &self.user.statements {
            let Some(known) = &seen.known else {
                sorted.leave("not read".to_owned(), seen);
                continue;
            };
            let trace = skeleton.trace(&known.facts, &moment(seen.extended));
            if let Some(why) = trace.iter().find_map(|traced| never(&known.facts, traced)) {
                sorted.leave(why, seen);
                continue;
            }
            if let Some(against) = &seen.against {
                sorted.leave(format!("refused, or would be, by {against}"), seen);
                continue;
            }
            if seen.passed == 0 {
                sorted.leave(format!("refused by {}", seen.refused_by.as_deref().unwrap_or("?")), seen);
                continue;
            }
            if seen.score >= SUSPICIOUS {
                sorted.leave("signs of an injection".to_owned(), seen);
                continue;
            }
            let missing: Vec<Traced> =
                trace.iter().filter(|traced| matches!(traced.stands, Stands::Missing { .. })).cloned().collect();
            if self.options.by == By::Statement && !missing.is_empty() && known.facts.hash.is_none() {
                sorted.leave(NO_HASH.to_owned(), seen);
                continue;
            }
            let apart = match (seen.worked, seen.sessions.len() < 2 && !self.options.include_singletons) {
                (false, _) => Some(NEVER_WORKED),
                (true, true) => Some(ONE_SESSION),
                (true, false) => None,
            };
            // What needs no rule is allowed whoever sent it.
            if let Some(why) = apart.filter(|_| !missing.is_empty()) {
                sorted.apart.push((seen, why));
                continue;
            }
            if trace.iter().any(|traced| traced.stands == Stands::AtBind) {
                note(&mut sorted.at_bind, "what it sets comes with Bind".to_owned(), seen);
            }
            sorted.learned.push((seen, missing));
        }
        sorted
    }

    /// The rules for everything that is missing; what no rule helps is left.
    fn rules(&self, skeleton: &SessionPolicy, sorted: &mut Sorted<'a>, breadth: Breadth) -> Vec<NewRule> {
        let mut helped = Vec::new();
        for (seen, missing) in std::mem::take(&mut sorted.learned) {
            match skeleton.rules_for(&missing, &moment(seen.extended), breadth) {
                Ok(_) => helped.push((seen, missing)),
                Err(instead) => sorted.leave(instead.into_iter().next().unwrap_or_default(), seen),
            }
        }
        sorted.learned = helped;
        let all = sorted.learned.iter().flat_map(|(_, missing)| missing);
        skeleton.rules_for(all, &moment(true), breadth).unwrap_or_default()
    }

    /// The list of the statements that need a rule.
    fn list(&self, sorted: &Sorted<'_>) -> List {
        let head = [
            format!("Statements of policy \"{}\", written by `portcullis learn`: one a line, by their texts without values.", self.name),
            "The policy allows these and no others. Take a line out to refuse its statement; docs/learning.md has more.".to_owned(),
        ];
        let mut list = List::new(head);
        let learned = sorted.learned.iter().filter(|(_, missing)| !missing.is_empty()).map(|(seen, _)| *seen);
        list.extend(entries(learned.map(|seen| (seen, None))));
        list
    }

    fn session(&self, files: &[(String, String)]) -> Result<SessionPolicy, String> {
        let set = Arc::new(policy::load_texts(files)?);
        let database = self.user.databases.first().map_or("", String::as_str);
        let address = self.user.address.unwrap_or(IpAddr::from([127, 0, 0, 1]));
        set.admit(&identity(self.someone, database, address)).map_err(|refusal| refusal.reason)
    }

    fn file(&self) -> String {
        format!("{}.yaml", self.name)
    }

    fn finish(&self, sorted: Sorted<'a>, rules: &[NewRule], list: Option<List>) -> LearnedPolicy {
        let review = (!sorted.apart.is_empty()).then(|| {
            let head = [
                format!("For review: statements that policy \"{}\" does not allow.", self.name),
                "One session alone sent them, or they always failed. No rule names this list; move a line to"
                    .to_owned(),
                match self.options.by {
                    By::Statement => format!("{}{LIST_ENDING} to allow its statement.", self.name),
                    By::Table | By::Action => {
                        "a list of an own rule, or write a rule, to allow its statement.".to_owned()
                    }
                },
            ];
            let mut list = List::new(head);
            list.extend(entries(sorted.apart.iter().map(|(seen, why)| (*seen, Some(*why)))));
            list.render()
        });
        let statements = sorted.learned.len();
        let runs = sorted.learned.iter().map(|(seen, _)| seen.runs).sum();
        let set_apart = sorted.apart.len();
        let unlearned = told(sorted.unlearned);
        LearnedPolicy {
            name: self.name.clone(),
            users: self.users.clone(),
            policy: self.render(rules, list.as_ref(), &unlearned),
            listed: list.as_ref().map_or(0, List::len),
            list: list.map(|list| list.render()),
            review,
            statements,
            runs,
            set_apart,
            at_bind: told(sorted.at_bind),
            unlearned,
        }
    }

    /// The policy's file.
    fn render(&self, rules: &[NewRule], list: Option<&List>, unlearned: &[Unlearned]) -> String {
        let mut out = String::new();
        // Writing to a `String` does not fail.
        let _ = writeln!(
            out,
            "# Learned by `portcullis learn` from recorded traffic. Review it like code: docs/learning.md."
        );
        let _ = writeln!(out, "policy: {}", yaml(&self.name));
        let flow =
            |words: &mut dyn Iterator<Item = &String>| words.map(|word| yaml(word)).collect::<Vec<_>>().join(", ");
        let users = flow(&mut self.users.iter());
        let databases = flow(&mut self.user.databases.iter());
        let _ = match databases.is_empty() {
            true => writeln!(out, "applies_to: {{users: [{users}]}}"),
            false => writeln!(out, "applies_to: {{users: [{users}], databases: [{databases}]}}"),
        };
        if !self.options.search_path.is_empty() {
            let path = flow(&mut self.options.search_path.iter());
            let _ = writeln!(out, "search_path: [{path}]");
        }
        match list {
            Some(_) => {
                let file = yaml(&format!("{}{LIST_ENDING}", self.name));
                let _ = writeln!(out, "allow:\n  - {{rule: learned, statements: {file}}}");
            }
            None if rules.is_empty() => {}
            None => {
                let _ = writeln!(out, "allow:");
                let mut taken = BTreeSet::new();
                for rule in rules {
                    let stem = rule.suggested_name();
                    let mut numbered = (2..).map(|number| format!("{stem}-{number}"));
                    let mut name = stem.clone();
                    while !taken.insert(name.clone()) {
                        name = numbered.next().unwrap_or_default();
                    }
                    out.push_str(&rule.block(&name));
                }
            }
        }
        if !unlearned.is_empty() {
            let _ = writeln!(out, "# Not learned:");
        }
        for Unlearned { why, statements, times, example } in unlearned {
            let _ = writeln!(out, "#   {statements} statements, {times} times: {why}\n#     {example}");
        }
        out
    }
}

/// Why a statement is refused in a session.
fn refusal(session: &SessionPolicy, seen: &Seen) -> Option<String> {
    let facts = &seen.known.as_ref()?.facts;
    let ways = [(seen.extended, true), (seen.simple, false)];
    ways.iter().filter(|(seen, _)| *seen).find_map(|(_, extended)| {
        let judgement = session.judge(facts, moment(*extended));
        judgement.refusal().map(|refusal| format!("refused all the same: {}", refusal.reason))
    })
}

/// Entries of a list, one for each hash. What has none can't be an entry.
fn entries<'a>(statements: impl Iterator<Item = (&'a Seen, Option<&'static str>)>) -> Vec<Entry> {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for (seen, why) in statements {
        let Some(hash) = seen.known.as_ref().and_then(|known| known.facts.hash) else { continue };
        let new = Entry {
            hash: hash.to_string(),
            count: 0,
            first_seen: seen.first,
            last_seen: seen.last,
            sessions: why.map(|_| 0),
            text: seen.text.to_string(),
            more: why.map(|why| ("why".to_owned(), why.into())).into_iter().collect(),
        };
        let entry = entries.entry(new.hash.clone()).or_insert(new);
        entry.count += seen.runs;
        entry.first_seen = entry.first_seen.into_iter().chain(seen.first).min();
        entry.last_seen = entry.last_seen.max(seen.last);
        entry.sessions = entry.sessions.map(|sessions| sessions + seen.sessions.len());
        if *seen.text < *entry.text {
            entry.text = seen.text.to_string();
        }
    }
    entries.into_values().collect()
}
