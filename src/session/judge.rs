//! From the bytes of a message to a verdict: decode, read, detect, look the names up, judge, tell.

mod blocks;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use crate::audit::Told;
use crate::blocks::{Stop, Watch};
use crate::detect::Signals;
use crate::detect::probing::Shape;
use crate::metrics::label::Remembered;
use crate::policy::{Judgement, Moment, Parameters, Refusal, SessionPolicy, UnknownName, Verdict};
use crate::session::cache::{Own, Texts, TooHeavy};
use crate::session::held::{Held, Said};
use crate::session::probing::Watch as Probes;
use crate::session::runs::Gives;
use crate::session::statements::{Behind, Names};
use crate::session::suspects::Suspects;
use crate::session::tell::{Asked, Teller};
use crate::sql::encoding::Encoding;
use crate::sql::second_opinion::Opinion;
use crate::sql::{self, Facts, NameUse, Object, Operand, Reading, Unparsed};
use crate::wire::frontend::{self, Value};
use crate::wire::sqlstate;

/// `FirstNormalObjectId` of `src/include/access/transam.h`: types below it are PostgreSQL's own.
const FIRST_NORMAL_OBJECT_ID: u32 = 16384;

/// How the session's bytes are to be read, followed by what the server reports.
#[derive(Debug, Clone, Copy)]
pub struct Lexing {
    pub client_encoding: Encoding,
    /// A change of client_encoding is under way: which one a text is in isn't certain.
    pub unsettled: bool,
    pub server_utf8: bool,
    /// Major version of the server, 0 while unknown.
    pub server_major: u32,
}

/// A judged message: the verdict, and what it will have done to names and settings once it is sent.
#[derive(Debug)]
pub struct Judged {
    pub judgement: Judgement,
    /// `None` where the text has no Facts (and passes all the same, observed), and where the session has no account to keep
    /// of what it does: its verdict was remembered.
    pub facts: Option<Arc<Facts>>,
    /// The text's signs of an injection.
    pub signals: Signals,
    /// The Facts for the names that it makes; `None` where it has none, or the session no room for them.
    pub held: Option<Arc<Held>>,
    /// What the audit log says of the text.
    pub said: Said,
    /// Its parameters have types that make other values of what is bound to it.
    pub recasts: bool,
    /// How many statements it holds, and whether they do nothing but end a transaction.
    pub statements: u32,
    pub only_ends: bool,
    /// Whose rows an Execute gives.
    pub gives: Vec<Gives>,
    /// The hashes of the statements of which it is one, where which isn't known.
    pub ambiguous: Vec<String>,
    /// A command of the replication protocol, whose stream is no result of a statement.
    pub is_command: bool,
    /// Why there are no Facts.
    pub unparsed: Option<Unparsed>,
    /// The refusal is what the server itself would say: its message.
    pub as_server: Option<String>,
}

impl Judged {
    /// What may stand behind the name that this makes; `None` where it was refused. `asks_source`: whether it may run depends on
    /// who runs it, too.
    pub fn behind(&self, asks_source: bool) -> Option<Behind> {
        let Judgement { verdict: Verdict::Allow(approved), at_bind, timed, .. } = &self.judgement else { return None };
        let behind = Behind::approved(approved, self.held.clone(), !at_bind && !timed && !asks_source);
        Some(behind.changing_encoding(self.facts.as_deref().is_some_and(changes_encoding)))
    }

    /// A verdict on something that has no text.
    pub fn plain(judgement: Judgement) -> Judged {
        Judged {
            judgement,
            facts: None,
            signals: Signals::default(),
            held: None,
            unparsed: None,
            as_server: None,
            said: Said::default(),
            recasts: false,
            statements: 1,
            only_ends: false,
            gives: Vec::new(),
            ambiguous: Vec::new(),
            is_command: false,
        }
    }
}

/// Everything that judging needs, borrowed from the engine.
#[derive(Debug)]
pub struct Judge<'a> {
    pub policy: &'a SessionPolicy,
    pub tell: &'a mut Teller,
    pub lexing: Lexing,
    pub texts: &'a mut Texts,
    pub statements: &'a Names,
    pub portals: &'a Names,
    pub blocks: &'a Watch,
    pub probing: Option<&'a Probes>,
    pub suspects: &'a mut Suspects,
    pub application_name: &'a str,
    pub replication: bool,
}

impl Judge<'_> {
    /// Judges the text of a Query or a Parse, and counts its statements.
    pub fn text(&mut self, raw: &[u8], asked: Asked) -> Judged {
        let extended = asked == Asked::Parse;
        match self.decode(raw) {
            Err(judgement) => {
                let judged = Judged::plain(*judgement);
                self.tell.statements(&judged.judgement, None);
                judged
            }
            Ok(text) if self.replication && !extended => match replication_command(&text) {
                Some(command) => {
                    let judgement = self.policy.judge_replication(&command.to_ascii_lowercase());
                    let judgement = self.after_blocks(judgement, self.blocks.user().map(Stop::Block));
                    self.tell.admin_statement(&judgement);
                    Judged { is_command: true, ..Judged::plain(judgement) }
                }
                None => self.sql(raw, &text, extended),
            },
            Ok(text) => self.sql(raw, &text, extended),
        }
    }

    /// Judges a FunctionCall message by the OID of its function, and counts it. Its arguments stream by unread.
    pub fn function_call(&mut self, oid: u32) -> Judged {
        let facts = Arc::new(sql::function_call(oid, self.lexing.server_major));
        let judgement = self.policy.judge(&facts, self.moment(false, Parameters::None, Signals::NONE));
        let judgement = self.after_blocks(judgement, self.blocks.user().map(Stop::Block));
        self.tell.statements(&judgement, Some(&facts));
        Judged { facts: Some(facts), ..Judged::plain(judgement) }
    }

    /// Judges a Parse: its text, and the types that it gives its parameters.
    pub fn parse(&mut self, parse: &frontend::Parse<'_>) -> Judged {
        let mut judged = self.text(parse.text, Asked::Parse);
        if matches!(judged.judgement.verdict, Verdict::Allow(_))
            && let Some(oid) = parse.types().find(|oid| *oid >= FIRST_NORMAL_OBJECT_ID)
        {
            let by_type = self.policy.judge_parameter_type(oid);
            self.tell.parameter_type(&by_type);
            match by_type.verdict {
                Verdict::Refuse(_) => judged.judgement = by_type,
                Verdict::Allow(_) => judged.judgement.would = judged.judgement.would.take().or(by_type.would),
            }
        }
        if let Some(held) = &judged.held {
            // Asked whether or not these policies care for the value: others may come while the name is there.
            judged.recasts = binds_other_than_text(held.facts(), parse);
        }
        if let Some(facts) = &judged.facts
            && judged.judgement.at_bind
            && binds_other_than_text(facts, parse)
        {
            // What is bound to it isn't the text that the server makes of it: blanks at its end, numbers for names.
            let unknown = self.policy.judge(facts, self.moment(true, Parameters::None, &judged.signals));
            match unknown.verdict {
                Verdict::Refuse(_) => judged.judgement = unknown,
                Verdict::Allow(_) => judged.judgement.would = judged.judgement.would.take().or(unknown.would),
            }
        }
        judged
    }

    /// Judges a Bind again, where what it binds has verdicts that depend on values or time.
    pub fn bind(&self, behind: &Behind, values: &[Value<'_>]) -> Judged {
        let texts: Vec<Option<Cow<'_, str>>> = values
            .iter()
            .map(|value| value.and_then(|(_, bytes)| self.lexing.client_encoding.decode(bytes).ok()))
            .collect();
        let known: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        self.again(behind, true, Parameters::Bound(&known), By::Message)
    }

    /// Judges the running of a portal or prepared statement again, where its verdict depends on the time.
    pub fn run(&self, behind: &Behind) -> Judged {
        self.again(behind, true, Parameters::Later, By::Message)
    }

    /// Judges a name that this session never made.
    pub fn unknown(&self, name: UnknownName<'_>) -> Judged {
        let as_server = match name {
            UnknownName::PreparedStatement(name) => format!("prepared statement \"{name}\" does not exist"),
            UnknownName::Portal(name) => format!("portal \"{name}\" does not exist"),
            UnknownName::Cursor(name) => format!("cursor \"{name}\" does not exist"),
        };
        Judged { as_server: Some(as_server), ..Judged::plain(self.policy.judge_unknown_name(name)) }
    }

    /// A protocol-level name as text.
    ///
    /// # Errors
    /// The verdict where it does not convert.
    pub fn name<'n>(&self, raw: &'n [u8]) -> Result<Cow<'n, str>, Box<Judgement>> {
        self.decode(raw)
    }

    fn decode<'t>(&self, raw: &'t [u8]) -> Result<Cow<'t, str>, Box<Judgement>> {
        if raw.is_ascii() {
            // ASCII is the same in every encoding that the guard lets a session have.
            if let Ok(text) = str::from_utf8(raw) {
                return Ok(text.into());
            }
        }
        if self.lexing.unsettled && self.policy.enforces() {
            let reason = "text beyond ASCII while client_encoding is being changed".to_owned();
            return Err(Box::new(self.policy.guard(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, reason)));
        }
        self.lexing.client_encoding.decode(raw).map_err(|_| {
            let reason = format!("bytes that are no text in client_encoding {}", self.lexing.client_encoding.name());
            Box::new(self.policy.guard(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, reason))
        })
    }

    fn sql(&mut self, raw: &[u8], text: &str, extended: bool) -> Judged {
        let known = self.texts.find(raw, &self.lexing, extended);
        if let Some(Own { known, held }) = known
            && let Some(judgement) = known.lasting.as_ref().and_then(|lasting| self.policy.recall(lasting))
            && self.blocks.text(&known.facts).is_none()
        {
            // Not timed: asking the clock would take a quarter of the time.
            self.tell.remembered(Remembered::Verdict);
            self.tell.statements(&judgement, Some(&known.facts));
            let attempt =
                self.tell.signals(&known.signals, &judgement, self.policy.observe_at()).then(|| Arc::clone(known));
            let (held, said, (statements, only_ends)) = (held.clone(), known.said.clone(), counted(&known.facts));
            self.suspects.is_about(known.facts.hash.as_ref().map_or(Shape::UNKNOWN, Shape::of));
            if let Some(known) = attempt {
                self.tell.attempt(&known.signals, &judgement, raw, self.texts);
            }
            return Judged { held, said, statements, only_ends, ..Judged::plain(judgement) };
        }
        let started = Instant::now();
        let judged = match known.map(|own| Arc::clone(&own.known)) {
            Some(known) => {
                self.tell.remembered(Remembered::Facts);
                self.suspects.is_about(known.facts.hash.as_ref().map_or(Shape::UNKNOWN, Shape::of));
                self.facts(raw, &known.facts, &known.signals, known.said.told.clone(), None, extended)
            }
            None => {
                self.tell.remembered(Remembered::Nothing);
                self.unmet(raw, text, extended)
            }
        };
        self.tell.judged(started.elapsed().as_secs_f64());
        judged
    }

    /// Reads and judges a text that nobody remembers.
    fn unmet(&mut self, raw: &[u8], text: &str, extended: bool) -> Judged {
        let reading = Reading { server_utf8: self.lexing.server_utf8, server_major: self.lexing.server_major };
        let read = || {
            let mut analysis = sql::analyse(text, reading)?;
            if self.blocks.any_statement() {
                sql::hash_however_long(text, &mut analysis);
            }
            let opinion = self.texts.second_opinion(text, &analysis);
            let signals = self.policy.signals(text, &analysis);
            Ok((Arc::new(analysis.facts), signals, opinion))
        };
        let read = match self.texts.reading(text, read) {
            Ok(read) => read,
            Err(TooHeavy { weight, limit }) => {
                let judgement = self.policy.judge_too_heavy(weight, limit);
                self.tell.statements(&judgement, None);
                return Judged::plain(judgement);
            }
        };
        match read {
            Err(unparsed) => {
                self.suspects.met(Shape::of(&sql::hash_of_unread(text)), raw);
                let told = self.tell.audits().then(|| Arc::new(Told::unread(text)));
                self.tell.unparsed();
                let judgement = self.policy.judge_unparsed(&unparsed);
                self.tell.statements(&judgement, None);
                let said = Said { told, rules: None };
                Judged { unparsed: Some(unparsed), said, ..Judged::plain(judgement) }
            }
            Ok((facts, mut signals, opinion)) => {
                // A long one has no hash.
                let hash = facts.hash.unwrap_or_else(|| sql::hash_of_unread(text));
                self.suspects.met(Shape::of(&hash), raw);
                // What has no values in its text has nothing that could have been injected among them.
                if facts.inline {
                    signals.beside_recent(text, self.texts.recent(), self.policy.observe_at());
                }
                self.tell.second_opinion(&opinion);
                let told = self.tell.audits().then(|| Arc::new(Told::of(text, &facts, &signals)));
                let judged = self.facts(raw, &facts, &signals, told, Some(&opinion), extended);
                let accountable =
                    facts.statements.iter().any(|statement| !statement.names.is_empty()) || changes_encoding(&facts);
                let lasting = if accountable { None } else { self.policy.lasting(&judged.judgement) };
                // What is remembered is judged by its Facts alone: a disagreement is heard each time. And who probes now does not
                // for ever.
                if !matches!(opinion, Opinion::Disagrees(_)) && judged.signals == signals {
                    self.texts.keep(raw, facts, signals, judged.said.clone(), lasting);
                }
                self.tell.cache_bytes(self.texts.bytes());
                judged
            }
        }
    }

    /// Judges what a text does, and tells of it. Without an opinion: the parsers didn't disagree when it was read.
    fn facts(
        &mut self,
        raw: &[u8],
        facts: &Arc<Facts>,
        signals: &Signals,
        told: Option<Arc<Told>>,
        opinion: Option<&Opinion>,
        extended: bool,
    ) -> Judged {
        let parameters = if extended { Parameters::Later } else { Parameters::None };
        let own = signals;
        let signals = &*self.at_the_moment(signals);
        let mut judged = Judged::plain(self.policy.judge(facts, self.moment(extended, parameters, signals)));
        if let Some(named) = self.names(facts, extended) {
            let touches_decoy = judged.judgement.refusal().is_some_and(Refusal::is_of_decoy);
            if named.judgement.refusal().is_some() && !touches_decoy {
                // Told as the server would, whatever else would be refused of the text. Nothing hides a decoy.
                judged = named;
            } else if judged.judgement.is_clear() {
                // What is only observed of a name decides nothing about the rest of the text.
                judged.judgement.would = named.judgement.would;
                judged.judgement.policy = named.judgement.policy;
            }
        }
        if let Some(opinion) = opinion {
            judged.judgement = self.policy.after_second_opinion(judged.judgement, opinion);
        }
        judged.judgement = self.after_blocks(judged.judgement, self.blocks.text(facts));
        self.tell.statements(&judged.judgement, Some(facts));
        if self.tell.signals(signals, &judged.judgement, self.policy.observe_at()) {
            self.tell.attempt(signals, &judged.judgement, raw, self.texts);
        }
        let said = Said { told, rules: judged.judgement.rules.clone() };
        let held = match judged.judgement.verdict {
            Verdict::Allow(_) => self.texts.hold(facts, own, &said),
            Verdict::Refuse(_) => None,
        };
        let (statements, only_ends) = counted(facts);
        let (facts, signals) = (Some(Arc::clone(facts)), signals.clone());
        Judged { facts, signals, held, said, statements, only_ends, ..judged }
    }

    /// The signs of a text, and that its user probes now: never kept with the text.
    fn at_the_moment<'s>(&self, signals: &'s Signals) -> Cow<'s, Signals> {
        let asked = self.probing.filter(|_| !signals.signals.is_empty());
        if asked.is_some_and(Probes::is_probing) {
            return Cow::Owned(signals.while_probing());
        }
        Cow::Borrowed(signals)
    }

    fn moment<'m>(&'m self, extended: bool, parameters: Parameters<'m>, signals: &'m Signals) -> Moment<'m> {
        Moment {
            traced: self.tell.audits(),
            signals,
            application_name: self.application_name,
            ..Moment::now(extended, parameters)
        }
    }

    /// The names that a text uses: the verdict where one isn't known or what stands behind it may no longer run. One that is
    /// refused goes before one that is only observed.
    fn names(&self, facts: &Facts, extended: bool) -> Option<Judged> {
        let mut observed = None;
        let mut made: Vec<(&NameUse, &str)> = Vec::new();
        for used in facts.statements.iter().flat_map(|statement| &statement.names) {
            let blocked = self.blocked_name(used);
            let judged = match used {
                _ if blocked.is_some() => blocked,
                NameUse::Prepare(name) => {
                    made.push((used, name));
                    None
                }
                NameUse::Declare { cursor, .. } => {
                    made.push((used, cursor));
                    None
                }
                NameUse::Execute(name) => {
                    let here = made.iter().any(|(by, n)| matches!(by, NameUse::Prepare(_)) && *n == name.as_ref());
                    match self.statements.get(name) {
                        None if here => None,
                        None => Some(self.unknown(UnknownName::PreparedStatement(name))),
                        // The values of an EXECUTE are expressions: what depends on them can't be known.
                        Some(behind) => self.behind(behind, extended, Parameters::None),
                    }
                }
                NameUse::Fetch(name) | NameUse::CloseCursor(Some(name)) => {
                    let here = made.iter().any(|(by, n)| matches!(by, NameUse::Declare { .. }) && *n == name.as_ref());
                    match self.portals.get(name) {
                        None if here => None,
                        None => Some(self.unknown(UnknownName::Cursor(name))),
                        Some(behind) => self.behind(behind, extended, Parameters::Later),
                    }
                }
                NameUse::Deallocate(_) | NameUse::CloseCursor(None) => None,
            };
            match judged {
                Some(judged) if judged.judgement.refusal().is_some() => return Some(judged),
                Some(judged) if judged.judgement.would.is_some() => observed = observed.or(Some(judged)),
                Some(_) | None => {}
            }
        }
        observed
    }

    fn behind(&self, behind: &Behind, extended: bool, parameters: Parameters<'_>) -> Option<Judged> {
        (!behind.is_settled()).then(|| self.again(behind, extended, parameters, By::Name))
    }

    /// Every statement that may stand behind the name must be allowed now.
    fn again(&self, behind: &Behind, extended: bool, parameters: Parameters<'_>, by: By) -> Judged {
        if behind.is_lost() {
            let reason = "what may stand behind this name can't be judged any more: close it or make it again";
            return Judged::plain(self.policy.guard(sqlstate::CONFIGURATION_LIMIT_EXCEEDED, reason.to_owned()));
        }
        let mut answer = None;
        for statement in behind.to_judge() {
            let parameters = match parameters {
                Parameters::Bound(_) if statement.recasts() => Parameters::None,
                Parameters::Bound(_) | Parameters::Later | Parameters::None => parameters,
            };
            let itself = Judged::plain(
                self.policy.judge(statement.facts(), self.moment(extended, parameters, statement.signals())),
            );
            let named = match by {
                _ if !statement.uses_names() => None,
                By::Message => self.names(statement.facts(), extended),
                // Nobody needs it, and it would have no end.
                By::Name => {
                    let reason = "a name behind which stands the use of another name".to_owned();
                    Some(Judged::plain(self.policy.guard(sqlstate::FEATURE_NOT_SUPPORTED, reason)))
                }
            };
            for judged in [Some(itself), named].into_iter().flatten() {
                if judged.judgement.refusal().is_some() {
                    return judged;
                }
                // Among those that pass, one of which there is something to tell.
                if answer.as_ref().is_none_or(|known: &Judged| known.judgement.is_clear()) {
                    answer = Some(judged);
                }
            }
        }
        answer.unwrap_or_else(|| {
            Judged::plain(self.policy.judge(&Facts::default(), self.moment(extended, parameters, Signals::NONE)))
        })
    }
}

/// Who runs what stands behind a name.
#[derive(Debug, Clone, Copy)]
enum By {
    /// Bind, Describe or Execute.
    Message,
    /// EXECUTE or FETCH, itself behind a name or not.
    Name,
}

/// Whether a value that the verdict depends on is bound as something else than text: any type but `text`, `varchar`, and
/// those that the server makes text of (none, `unknown`). The OIDs are those of `src/include/catalog/pg_type.dat`.
fn binds_other_than_text(facts: &Facts, parse: &frontend::Parse<'_>) -> bool {
    const TEXTS: [u32; 4] = [0, 25, 705, 1043];
    let types: Vec<u32> = parse.types().collect();
    let other = |operand: &Operand| match operand {
        Operand::Parameter(number) => {
            let place = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
            place.and_then(|place| types.get(place)).is_some_and(|oid| !TEXTS.contains(oid))
        }
        Operand::Constant(_) | Operand::Unknown => false,
    };
    settings(facts).any(|(name, value)| {
        other(name) || matches!(value, sql::SettingValue::List(operands) if operands.iter().any(other))
    })
}

/// The settings that a text changes.
fn settings(facts: &Facts) -> impl Iterator<Item = (&Operand, &sql::SettingValue)> {
    facts.statements.iter().flat_map(|statement| &statement.accesses).filter_map(|access| match &access.object {
        Object::Setting { name, value } => Some((name, value)),
        Object::None
        | Object::Relation(_)
        | Object::Function { .. }
        | Object::Role(_)
        | Object::AnyRole
        | Object::Cursor(_)
        | Object::Other { .. }
        | Object::Unknown(_) => None,
    })
}

/// The number of statements, and whether they do nothing but end a transaction.
pub fn counted(facts: &Facts) -> (u32, bool) {
    let ends = |access: &sql::Access| matches!(access.action.name, sql::ActionName::Commit | sql::ActionName::Rollback);
    let only_ends = !facts.statements.is_empty()
        && facts
            .statements
            .iter()
            .all(|statement| !statement.accesses.is_empty() && statement.accesses.iter().all(ends));
    let counted = facts.statements.iter().filter(|statement| !statement.default_set).count();
    (u32::try_from(counted).unwrap_or(u32::MAX), only_ends)
}

/// Whether what a text does depends on bound values.
pub fn takes_values(facts: &Facts) -> bool {
    let bound = |operand: &Operand| matches!(operand, Operand::Parameter(_));
    settings(facts).any(|(name, value)| {
        bound(name) || matches!(value, sql::SettingValue::List(operands) if operands.iter().any(bound))
    })
}

/// Whether a text may change client_encoding.
pub fn changes_encoding(facts: &Facts) -> bool {
    facts.statements.iter().flat_map(|statement| &statement.accesses).any(|access| match &access.object {
        Object::Setting { name: Operand::Constant(name), .. } => {
            name.eq_ignore_ascii_case("client_encoding") || name.eq_ignore_ascii_case("all")
        }
        Object::Setting { name: Operand::Parameter(_) | Operand::Unknown, .. } => true,
        Object::None => matches!(access.action.name, sql::ActionName::Reset | sql::ActionName::Discard),
        Object::Relation(_)
        | Object::Function { .. }
        | Object::Role(_)
        | Object::AnyRole
        | Object::Cursor(_)
        | Object::Other { .. }
        | Object::Unknown(_) => false,
    })
}

/// The replication command that a walsender would see in this text: its first word, if it is one of the grammar's
/// (`src/backend/replication/repl_scanner.l`). SHOW is SQL too and means the same there.
fn replication_command(text: &str) -> Option<&str> {
    const COMMANDS: [&str; 9] = [
        "IDENTIFY_SYSTEM",
        "READ_REPLICATION_SLOT",
        "BASE_BACKUP",
        "START_REPLICATION",
        "CREATE_REPLICATION_SLOT",
        "DROP_REPLICATION_SLOT",
        "ALTER_REPLICATION_SLOT",
        "TIMELINE_HISTORY",
        "UPLOAD_MANIFEST",
    ];
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0c', '\x0b']);
    let end = text.find(|c: char| !(c.is_ascii_alphabetic() || c == '_')).unwrap_or(text.len());
    let word = text.get(..end)?;
    COMMANDS.iter().any(|command| command.eq_ignore_ascii_case(word)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replication_command_is_the_first_word() {
        assert_eq!(replication_command(" \n start_replication SLOT x"), Some("start_replication"));
        assert_eq!(replication_command("BASE_BACKUP;"), Some("BASE_BACKUP"));
        assert_eq!(replication_command("SELECT 1"), None);
        assert_eq!(replication_command("BASE_BACKUPS"), None);
        assert_eq!(replication_command(""), None);
    }
}
