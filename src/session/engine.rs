//! The heart of a session, without IO: looks at the bytes of both directions in place and says how many may go out, what
//! is to be sent instead of a refused frame, and when the session ends.
//!
//! Only Query and Parse are gathered whole, the OID of a FunctionCall, and the names of Bind, Describe, Execute and Close;
//! every other frame streams through with a counter of bytes that remain. The way back is in [`answers`].

mod answers;
mod counting;
mod end;
mod outcome;
mod probing;
mod renew;
mod shut_out;
mod unread;
mod wording;

use std::sync::Arc;
use std::time::Duration;

use crate::blocks;
use crate::limits::Limits;
use crate::policy::{Admission, Approved, Judgement, SessionPolicy, UnknownName, Verdict};
use crate::session::cache::{Cache, Texts};
use crate::session::engine::counting::{Counters, binding};
use crate::session::judge::{Judge, Judged, Lexing, takes_values};
use crate::session::ledger::{Boundary, Ledger, Outstanding, Since};
use crate::session::probing::Watch as Probes;
use crate::session::quarantine::Watch;
use crate::session::refusal::Pending;
use crate::session::runs::{self, Message, RowLimit, Runs};
use crate::session::statements::{Behind, Names};
use crate::session::suspects::Suspects;
use crate::session::tell::{Asked, Teller};
use crate::sql::encoding::Encoding;
use crate::wire::frame::{HEADER, ImpossibleLength, cstring, header};
use crate::wire::frontend::{self, Frontend, Target};
use crate::wire::sqlstate;
pub use end::{End, Standing};

/// What a Query or Parse may hold besides its text: longer than this and the limit of the text together, it is refused unread.
const BESIDES: usize = 1 << 10;

/// The types that a Parse may hold behind its text: as many as there may be parameters.
const TYPES: usize = 4 * u16::MAX as usize;

/// Bytes in which the names of a Bind must end.
const BIND_NAMES: usize = 4096;

/// What to do with the bytes that were looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    /// So many from the start may go out as they are.
    pub pass: usize,
    pub then: Then,
}

/// What comes after the bytes that pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing can be said before so many bytes are there behind those that pass.
    More { need: usize },
    /// The inserted bytes go out, and so many behind those that pass are dropped, those that haven't arrived too.
    Replace { skip: usize },
    /// The session ends.
    End(End),
}

/// Bytes on their way to the server.
#[derive(Debug, Default)]
struct Run {
    pass: usize,
    /// Bytes of a frame that passes which haven't arrived yet.
    remaining: usize,
}

impl Run {
    fn extend(&mut self, bytes: usize, available: usize) {
        let here = bytes.min(available);
        self.pass += here;
        self.remaining = bytes - here;
    }
}

/// The frames that carry no statement, and no name to be judged.
#[derive(Debug, Clone, Copy)]
enum Unjudged {
    Copy,
    Flush,
    Sync,
    Terminate,
    Close,
    /// Of a type that doesn't exist, where only observed: the server ends the session over it.
    Misplaced,
    /// The server is skipping to Sync behind our poison.
    Skipped,
}

/// One frame of the client at its turn. It joins the run only as [`Unjudged`], with an [`Approved`], or with what an approval
/// left behind a name.
struct Turn<'a> {
    /// Bytes of the whole frame.
    frame: usize,
    /// What has arrived, from the frame's first byte on.
    rest: &'a [u8],
    run: &'a mut Run,
    insert: &'a mut Vec<u8>,
}

impl<'a> Turn<'a> {
    /// The body, once it is all there.
    fn body(&self) -> Result<&'a [u8], Frame> {
        self.rest.get(HEADER..self.frame).ok_or(Frame::More(self.frame))
    }

    fn unjudged(self, _kind: Unjudged) -> Frame {
        self.pass()
    }

    fn approved(self, _proof: Approved) -> Frame {
        self.pass()
    }

    fn behind(self, _made: &Behind) -> Frame {
        self.pass()
    }

    fn pass(self) -> Frame {
        self.run.extend(self.frame, self.rest.len());
        Frame::Passed
    }
}

/// What one frame comes to.
enum Frame {
    Passed,
    More(usize),
    Refused { skip: usize },
    End(End),
}

/// One session's state.
#[derive(Debug)]
pub struct Engine {
    admission: Admission,
    /// What the admission last said.
    policy: SessionPolicy,
    enforces: bool,
    /// Whether the session's user is shut out for a while.
    quarantine: Watch,
    /// What is blocked for now.
    blocks: blocks::Watch,
    /// Who probes for now, and whose mistake the server's next error is.
    probing: Option<Probes>,
    suspects: Suspects,
    /// The proxy's own `errors: terse`; a policy may say so too.
    terse: bool,
    replication: bool,
    tell: Teller,
    lexing: Lexing,
    /// The longest text, in bytes.
    statement_bytes: usize,
    /// Errors of the server's don't tell of rows.
    withholds_rows: bool,
    /// A rule asks by which protocol a statement comes.
    asks_source: bool,
    /// The most rows that a statement may give, and whether that is enforced.
    result_rows: RowLimit,
    counters: Counters,
    /// Whether the statements under way are followed to their ends.
    follows: bool,
    runs: Runs,
    /// How long what goes out next is to be held back.
    hold: Option<Duration>,
    texts: Texts,
    statements: Names,
    portals: Names,
    ledger: Ledger,
    pending: Pending,
    /// Behind a poisoned frame of the extended protocol: the server skips to Sync.
    doomed: bool,
    /// The server has said ReadyForQuery once: login is over.
    ready: bool,
    /// The last ReadyForQuery was outside of a transaction.
    idle: bool,
    /// Requests sent that a ReadyForQuery answers, those answered, the last that changes client_encoding, and the one after
    /// whose answer it is certain.
    requests: u64,
    answered: u64,
    /// Messages of the client.
    messages: u64,
    changed_at: u64,
    settles_at: u64,
    /// client_encoding was changed, and the transaction that did so may still take it back.
    revertible: bool,
    /// Messages of the extended protocol were sent since the last Sync.
    extended: bool,
    /// Executes among them.
    executed: bool,
    /// When the last request was sent that a ReadyForQuery answers.
    since: Since,
    /// The message of the extended protocol that is being judged, to be followed if it goes out.
    sending: Option<Message>,
    preparing: Option<runs::Run>,
    /// What the session calls itself, as the server last said.
    application_name: String,
    client_remaining: usize,
    server_remaining: usize,
    key: Option<(u32, Box<[u8]>)>,
}

impl Engine {
    /// For a session that has just authenticated.
    pub fn new(
        admission: impl Into<Admission>,
        tell: Teller,
        cache: Arc<Cache>,
        quarantine: Watch,
        blocks: blocks::Watch,
        replication: bool,
        terse: bool,
    ) -> Engine {
        let admission = admission.into();
        let policy = admission.policy().clone();
        Engine {
            admission,
            quarantine,
            blocks,
            probing: None,
            suspects: Suspects::default(),
            enforces: policy.enforces(),
            statement_bytes: policy.statement_bytes(),
            withholds_rows: policy.withholds_rows(),
            asks_source: policy.asks_source(),
            result_rows: policy.result_rows(),
            counters: Counters::default(),
            follows: tell.audits() || policy.result_rows().is_some(),
            runs: Runs::default(),
            hold: None,
            texts: Texts::new(cache, policy.class()),
            policy,
            terse,
            replication,
            tell,
            lexing: Lexing { client_encoding: Encoding::Utf8, unsettled: true, server_utf8: true, server_major: 0 },
            statements: Names::default(),
            portals: Names::default(),
            ledger: Ledger::default(),
            pending: Pending::default(),
            doomed: false,
            ready: false,
            idle: false,
            requests: 0,
            answered: 0,
            messages: 0,
            changed_at: 0,
            settles_at: 0,
            revertible: false,
            extended: false,
            executed: false,
            since: Since::default(),
            sending: None,
            preparing: None,
            application_name: String::new(),
            client_remaining: 0,
            server_remaining: 0,
            key: None,
        }
    }

    /// Process id and secret key, once the server has sent them; taken once.
    pub fn take_key(&mut self) -> Option<(u32, Box<[u8]>)> {
        self.key.take()
    }

    /// The same, with what is counted over time.
    pub fn counting(mut self, limits: Arc<Limits>, user: &str) -> Engine {
        self.counters = Counters::new(limits, user, &self.policy);
        self
    }

    /// How long what goes out next to the server is to be held back; taken once.
    #[inline]
    pub fn take_hold(&mut self) -> Option<Duration> {
        self.hold.take()
    }

    /// What the session does.
    pub fn standing(&self) -> Standing {
        // In the middle of a message as well: the server waits for the rest of it as for the whole.
        let waits = self.ready && self.requests == self.answered && !self.extended;
        match (waits, self.idle) {
            (false, _) => Standing::Busy,
            (true, true) => Standing::Idle,
            (true, false) => Standing::IdleInTransaction,
        }
    }

    /// Grows with each message of the client, once it is whole or on its way, and with each answer that ends.
    pub fn progress(&self) -> u64 {
        self.messages + self.answered
    }

    /// Whether the bytes to the client are between two frames: only there can a farewell be inserted.
    pub fn between_answers(&self) -> bool {
        self.server_remaining == 0
    }

    /// Looks at bytes from the client. `insert` gets what goes out after those that pass.
    pub fn client(&mut self, bytes: &[u8], insert: &mut Vec<u8>) -> Look {
        let mut run = Run::default();
        run.extend(self.client_remaining, bytes.len());
        let then = loop {
            if run.remaining > 0 {
                break Then::More { need: 1 };
            }
            let rest = bytes.get(run.pass..).unwrap_or_default();
            match self.frame(rest, &mut run, insert) {
                Frame::Passed => self.messages += 1,
                Frame::More(need) => break Then::More { need },
                Frame::Refused { skip } => {
                    self.messages += 1;
                    break Then::Replace { skip };
                }
                Frame::End(end) => break Then::End(end),
            }
        };
        self.client_remaining = run.remaining;
        Look { pass: run.pass, then }
    }

    fn frame(&mut self, rest: &[u8], run: &mut Run, insert: &mut Vec<u8>) -> Frame {
        let head = match header(rest) {
            Ok(Some(head)) => head,
            Ok(None) => return Frame::More(HEADER),
            Err(impossible) => return self.impossible(impossible),
        };
        let turn = Turn { frame: head.frame(), rest, run, insert };
        let Some(kind) = Frontend::of(head.kind) else { return self.misplaced(turn, head.kind) };
        if head.body > kind.limit() {
            let length = i32::try_from(head.body + 4).unwrap_or(i32::MAX);
            return self.impossible(ImpossibleLength { kind: head.kind, length });
        }
        if let Some(end) = self.follow(kind) {
            return Frame::End(end);
        }
        let asked = match kind {
            Frontend::CopyData => return turn.unjudged(Unjudged::Copy),
            Frontend::CopyDone | Frontend::CopyFail => {
                self.ledger.sent(Outstanding::CopyEnd);
                return turn.unjudged(Unjudged::Copy);
            }
            Frontend::Flush => {
                self.extended = true;
                return turn.unjudged(Unjudged::Flush);
            }
            Frontend::Terminate => return turn.unjudged(Unjudged::Terminate),
            Frontend::Sync => return self.sync(turn),
            Frontend::Query => Asked::Query,
            Frontend::Parse => Asked::Parse,
            Frontend::FunctionCall => Asked::FunctionCall,
            Frontend::Bind => Asked::Bind,
            Frontend::Describe => Asked::Describe,
            Frontend::Execute => Asked::Execute,
            Frontend::Close => Asked::Close,
        };
        let judged = if let Some(judgement) = self.shut_out(asked) {
            Ok(self.unheard(asked, turn, judgement))
        } else {
            match asked {
                Asked::Query => self.query(turn),
                Asked::Parse => self.parse(turn),
                Asked::FunctionCall => self.function_call(turn),
                Asked::Bind => self.bind(turn),
                Asked::Describe => self.describe(turn),
                Asked::Execute => self.execute(turn),
                Asked::Close => self.close(turn),
            }
        };
        let judged = judged.unwrap_or_else(|frame| frame);
        match &judged {
            Frame::Passed => self.went(asked, false),
            Frame::Refused { .. } => self.went(asked, true),
            Frame::More(_) | Frame::End(_) => {}
        }
        if self.follows {
            self.follow_message(asked, &judged);
        }
        judged
    }

    /// A judged frame went out, or poison in its place.
    #[inline]
    fn went(&mut self, asked: Asked, poison: bool) {
        let alone = asked.is_answered_by_ready_for_query();
        self.suspects.sent(asked, poison);
        self.extended |= !alone;
        self.executed |= asked == Asked::Execute;
        if self.revertible {
            // It may end the transaction, or fail and so undo what the transaction did.
            self.lexing.unsettled = true;
            self.settles_at = self.requests + u64::from(!alone);
        }
    }

    // The frames that are judged. `Err` is a frame that comes to an end early: more of it is needed, or it was refused.

    fn query(&mut self, turn: Turn<'_>) -> Result<Frame, Frame> {
        if turn.frame > self.longest_frame() {
            return Ok(self.too_long(Asked::Query, turn, b""));
        }
        let Ok(text) = frontend::query(turn.body()?) else { return Ok(self.malformed(Asked::Query, turn)) };
        if text.len() > self.statement_bytes {
            return Ok(self.too_long(Asked::Query, turn, b""));
        }
        let judged = self.judge().text(text, Asked::Query);
        let judged = self.counted(judged);
        Ok(self.decide(Asked::Query, turn, judged, b"", text))
    }

    fn parse(&mut self, turn: Turn<'_>) -> Result<Frame, Frame> {
        if turn.frame > self.longest_frame() + TYPES {
            let name = name_of_parse(turn.rest);
            return Ok(self.too_long(Asked::Parse, turn, name));
        }
        let Ok(parse) = frontend::parse(turn.body()?) else { return Ok(self.malformed(Asked::Parse, turn)) };
        let frontend::Parse { name, text, .. } = parse;
        if text.len() > self.statement_bytes {
            return Ok(self.too_long(Asked::Parse, turn, name));
        }
        let mut judged = self.judge().parse(&parse);
        let recasts = judged.recasts;
        if let Some(behind) = judged.behind(self.asks_source).map(|behind| behind.by_message(recasts)) {
            // The name is known from now on: drivers send Bind and Execute right behind.
            match self.judge().name(name) {
                Ok(name) if self.statements.made(&name, &behind).is_ok() => {
                    if self.follows {
                        self.sending = Some(self.parsing(&name, &behind));
                    }
                }
                Ok(_) => judged.judgement = too_many_names(&self.policy),
                Err(refused) => judged.judgement = *refused,
            }
        }
        Ok(self.decide(Asked::Parse, turn, judged, name, text))
    }

    fn function_call(&mut self, turn: Turn<'_>) -> Result<Frame, Frame> {
        // Only the OID is looked at, but nothing of the frame goes out before it is. Behind it are the arguments, which may be
        // long (lowrite): they stream. The server runs nothing of a body whose parts don't fill it exactly.
        let need = turn.frame.min(HEADER + 4);
        let body = turn.rest.get(HEADER..need).ok_or(Frame::More(need))?;
        let Ok(oid) = frontend::function_call(body) else { return Ok(self.malformed(Asked::FunctionCall, turn)) };
        let judged = self.judge().function_call(oid);
        let judged = self.counted(judged);
        Ok(self.decide(Asked::FunctionCall, turn, judged, b"", b""))
    }

    fn bind(&mut self, turn: Turn<'_>) -> Result<Frame, Frame> {
        let here = turn.rest.get(HEADER..turn.frame.min(turn.rest.len())).unwrap_or_default();
        let Some((portal, statement, values)) = frontend::bind_names(here) else {
            if turn.rest.len() >= turn.frame || here.len() > BIND_NAMES {
                return Ok(self.malformed(Asked::Bind, turn));
            }
            return Err(Frame::More(turn.rest.len() + 1));
        };
        let (portal, statement) = match (self.judge().name(portal), self.judge().name(statement)) {
            (Ok(portal), Ok(statement)) => (portal, statement),
            (Err(judgement), _) | (_, Err(judgement)) => return Ok(self.verdict(Asked::Bind, turn, *judgement)),
        };
        if let Some(blocked) = self.blocked(Asked::Bind, Target::Statement(b""), &statement) {
            return Ok(self.verdict(Asked::Bind, turn, blocked));
        }
        let Some(behind) = self.statements.get(&statement) else {
            if self.doomed {
                return Ok(turn.unjudged(Unjudged::Skipped));
            }
            let judged = self.judge().unknown(UnknownName::PreparedStatement(&statement));
            return Ok(self.decide(Asked::Bind, turn, judged, b"", b""));
        };
        self.suspects.uses(Some(behind));
        if behind.is_settled() {
            // The common case: nothing to ask again, nothing to allocate. Where something is blocked the portal must not hold more
            // than it has to.
            let narrow =
                if self.blocks.any() || self.watches_runs() { self.statements.found(&statement) } else { None };
            let behind = narrow.as_ref().unwrap_or(behind);
            if self.portals.made(&portal, behind).is_err() {
                let judgement = too_many_names(&self.policy);
                return Ok(self.verdict(Asked::Bind, turn, judgement));
            }
            if self.follows {
                self.sending = Some(binding(&self.portals, &portal, behind));
            }
            return Ok(turn.behind(behind));
        }
        let behind = self.statements.found(&statement).unwrap_or_else(|| behind.clone());
        let mut judged = if behind.to_judge().any(|statement| takes_values(statement.facts())) {
            if turn.frame > self.longest_frame() {
                return Ok(self.too_long(Asked::Bind, turn, b""));
            }
            turn.body()?;
            let Ok(values) = frontend::bind_values(values) else { return Ok(self.malformed(Asked::Bind, turn)) };
            self.judge().bind(&behind, &values)
        } else {
            // Nobody asks for the values: they stream by unread, however long they are.
            self.judge().run(&behind)
        };
        if matches!(judged.judgement.verdict, Verdict::Allow(_)) {
            if self.portals.made(&portal, &behind).is_err() {
                judged = Judged::plain(too_many_names(&self.policy));
            } else if self.follows {
                self.sending = Some(binding(&self.portals, &portal, &behind));
            }
        }
        Ok(self.decide(Asked::Bind, turn, judged, b"", b""))
    }

    fn describe(&mut self, turn: Turn<'_>) -> Result<Frame, Frame> {
        match frontend::target(turn.body()?) {
            Ok(target) => {
                self.sending = self.follows.then_some(Message::Describe);
                Ok(self.named(Asked::Describe, turn, target))
            }
            Err(_) => Ok(self.malformed(Asked::Describe, turn)),
        }
    }

    fn execute(&mut self, turn: Turn<'_>) -> Result<Frame, Frame> {
        match frontend::execute(turn.body()?) {
            Ok(portal) => Ok(self.named(Asked::Execute, turn, Target::Portal(portal))),
            Err(_) => Ok(self.malformed(Asked::Execute, turn)),
        }
    }

    /// What stands behind the name must be allowed still.
    fn named(&mut self, asked: Asked, turn: Turn<'_>, target: Target<'_>) -> Frame {
        let (Target::Statement(raw) | Target::Portal(raw)) = target;
        let name = match self.judge().name(raw) {
            Ok(name) => name,
            Err(judgement) => return self.verdict(asked, turn, *judgement),
        };
        if let Some(blocked) = self.blocked(asked, target, &name) {
            return self.verdict(asked, turn, blocked);
        }
        let (behind, unknown) = match target {
            Target::Statement(_) => (self.statements.get(&name), UnknownName::PreparedStatement(&name)),
            Target::Portal(_) => (self.portals.get(&name), UnknownName::Portal(&name)),
        };
        self.suspects.uses(behind);
        let runs_change = asked == Asked::Execute && behind.is_some_and(Behind::changes_encoding);
        let judged = match behind {
            Some(behind) if behind.is_settled() => {
                if asked == Asked::Execute && self.watches_runs() {
                    let behind = self.portals.found(&name).unwrap_or_else(|| behind.clone());
                    if let Some(over) = self.over(&name, &behind) {
                        return self.decide(asked, turn, over, b"", b"");
                    }
                    self.executes(&name, &behind);
                    return self.passed(turn, &behind);
                }
                let passed = turn.behind(behind);
                if runs_change {
                    self.unsettle();
                }
                return passed;
            }
            Some(behind) => {
                let found = match target {
                    Target::Statement(_) => self.statements.found(&name),
                    Target::Portal(_) => self.portals.found(&name),
                };
                let behind = found.unwrap_or_else(|| behind.clone());
                let judged = self.judge().run(&behind);
                if runs_change {
                    self.unsettle();
                }
                if asked == Asked::Execute {
                    let judged = self.counted(counting::running(&name, &behind, judged));
                    return self.decide(asked, turn, judged, b"", b"");
                }
                judged
            }
            None if self.doomed => return turn.unjudged(Unjudged::Skipped),
            None => self.judge().unknown(unknown),
        };
        self.decide(asked, turn, judged, b"", b"")
    }

    /// Closing a name that isn't there is no error, and closing one that is harms nobody but the client itself.
    fn close(&mut self, turn: Turn<'_>) -> Result<Frame, Frame> {
        let Ok(target) = frontend::target(turn.body()?) else { return Ok(self.malformed(Asked::Close, turn)) };
        let (Target::Statement(raw) | Target::Portal(raw)) = target;
        let name = match self.judge().name(raw) {
            Ok(name) => name,
            Err(judgement) => return Ok(self.verdict(Asked::Close, turn, *judgement)),
        };
        if self.follows {
            self.sending = Some(match target {
                Target::Statement(_) => Message::CloseStatement,
                Target::Portal(_) => Message::ClosePortal(name.as_ref().into()),
            });
        }
        self.ledger.sent(match target {
            Target::Statement(_) => Outstanding::CloseStatement(name.as_ref().into(), self.statements.now()),
            Target::Portal(_) => Outstanding::ClosePortal(name.as_ref().into(), self.portals.now()),
        });
        Ok(turn.unjudged(Unjudged::Close))
    }

    fn verdict(&mut self, asked: Asked, turn: Turn<'_>, judgement: Judgement) -> Frame {
        self.decide(asked, turn, Judged::plain(judgement), b"", b"")
    }

    fn boundary(&mut self, sync: bool) {
        self.requests += 1;
        self.ledger.sent(Outstanding::Boundary(Boundary {
            statements: self.statements.now(),
            portals: self.portals.now(),
            sync,
            skippable: !sync && self.extended,
            since: self.since,
        }));
        self.since = Since { statements: self.statements.now(), portals: self.portals.now() };
    }

    fn judge(&mut self) -> Judge<'_> {
        Judge {
            policy: &self.policy,
            tell: &mut self.tell,
            lexing: self.lexing,
            texts: &mut self.texts,
            statements: &self.statements,
            portals: &self.portals,
            blocks: &self.blocks,
            probing: self.probing.as_ref(),
            suspects: &mut self.suspects,
            application_name: &self.application_name,
            replication: self.replication,
        }
    }
}

/// The name that a Parse begins with, which its poison keeps; a name of ours where it isn't all there yet.
fn name_of_parse(frame: &[u8]) -> &[u8] {
    frame.get(HEADER..).and_then(cstring).map_or(&b"portcullis_long"[..], |(name, _)| name)
}

fn too_many_names(policy: &SessionPolicy) -> Judgement {
    policy.guard(
        sqlstate::CONFIGURATION_LIMIT_EXCEEDED,
        "too many prepared statements or portals in this session".to_owned(),
    )
}

#[cfg(test)]
pub(in crate::session) mod tests;
