//! The heart of a session, without IO: looks at the bytes of both directions in place and says how many may go out, what
//! is to be sent instead of a refused frame, and when the session ends.
//!
//! Only Query, Parse and FunctionCall are gathered whole, and the names of Bind, Describe, Execute and Close; every other
//! frame streams through with a counter of bytes that remain. The way back is in [`answers`].

mod answers;

use crate::policy::{Approved, Judgement, Refusal, RuleRef, SessionPolicy, UnknownName, Verdict};
use crate::session::judge::{self, Judge, Judged, Lexing};
use crate::session::ledger::{Ledger, Outstanding};
use crate::session::refusal::{Pending, Reference, Wording};
use crate::session::statements::{Behind, Names};
use crate::session::tell::{Asked, Teller};
use crate::sql::encoding::Encoding;
use crate::sql::{Facts, NameUse, Unparsed};
use crate::wire::frame::{HEADER, Header, ImpossibleLength, cstring, header};
use crate::wire::frontend::{self, Frontend, Target};
use crate::wire::reply::{self, Severity};
use crate::wire::sqlstate;

/// The longest statement that is read: POLICY's default of `statement_bytes`. Longer ones are refused unread.
pub const STATEMENT_BYTES: usize = 1 << 20;

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

/// Why the proxy ends a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The stream can't be followed any further: both sides are closed without a word, as the server does it.
    #[error("{0}")]
    ImpossibleLength(#[from] ImpossibleLength),
    /// The client is told so, and both sides are closed.
    #[error("{message}")]
    Fatal { sqlstate: &'static str, message: String, hint: Option<&'static str> },
}

impl End {
    /// The proxy itself is ending.
    pub fn shut_down() -> End {
        End::Fatal {
            sqlstate: sqlstate::ADMIN_SHUTDOWN,
            message: "terminating connection due to administrator command".to_owned(),
            hint: None,
        }
    }

    /// The ErrorResponse to send before closing, where there is one.
    pub fn farewell(&self) -> Option<bytes::BytesMut> {
        match self {
            End::ImpossibleLength(_) => None,
            End::Fatal { sqlstate, message, hint } => {
                Some(reply::error(Severity::Fatal, sqlstate, message, None, *hint))
            }
        }
    }
}

/// Bytes on their way to the server. Judged frames join only with an [`Approved`] or with what it left behind a name.
#[derive(Debug, Default)]
struct Run {
    pass: usize,
    /// Bytes of a frame that passes which haven't arrived yet.
    remaining: usize,
}

/// The frames that carry no statement and no name to be judged.
#[derive(Debug, Clone, Copy)]
enum Unjudged {
    Copy,
    Flush,
    Sync,
    Terminate,
    Close,
    /// The server is skipping to Sync behind our poison.
    Skipped,
}

impl Run {
    fn approved(&mut self, Approved { .. }: Approved, frame: usize, available: usize) {
        self.frame(frame, available);
    }

    fn behind(&mut self, _made: &Behind, frame: usize, available: usize) {
        self.frame(frame, available);
    }

    fn unjudged(&mut self, _kind: Unjudged, frame: usize, available: usize) {
        self.frame(frame, available);
    }

    fn frame(&mut self, frame: usize, available: usize) {
        let here = frame.min(available);
        self.pass += here;
        self.remaining = frame - here;
    }

    fn remainder(&mut self, available: usize) {
        let here = self.remaining.min(available);
        self.pass += here;
        self.remaining -= here;
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
    policy: SessionPolicy,
    enforces: bool,
    /// The proxy's own `errors: terse`; a policy may say so too.
    terse: bool,
    replication: bool,
    tell: Teller,
    lexing: Lexing,
    statements: Names,
    portals: Names,
    ledger: Ledger,
    pending: Pending,
    /// Behind a poisoned frame of the extended protocol: the server skips to Sync.
    doomed: bool,
    /// The server has said ReadyForQuery once: login is over.
    ready: bool,
    /// Requests sent that a ReadyForQuery answers, those answered, and the one after whose answer client_encoding is certain.
    requests: u64,
    answered: u64,
    settles_at: u64,
    client_remaining: usize,
    server_remaining: usize,
    key: Option<(u32, Box<[u8]>)>,
}

impl Engine {
    /// For a session that has just authenticated.
    pub fn new(policy: SessionPolicy, tell: Teller, replication: bool, terse: bool) -> Engine {
        Engine {
            enforces: policy.enforces(),
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
            requests: 0,
            answered: 0,
            settles_at: 0,
            client_remaining: 0,
            server_remaining: 0,
            key: None,
        }
    }

    /// Process id and secret key, once the server has sent them; taken once.
    pub fn take_key(&mut self) -> Option<(u32, Box<[u8]>)> {
        self.key.take()
    }

    /// Whether the bytes to the client are between two frames: only there can a farewell be inserted.
    pub fn between_answers(&self) -> bool {
        self.server_remaining == 0
    }

    /// Looks at bytes from the client. `insert` gets what goes out after those that pass.
    pub fn client(&mut self, bytes: &[u8], insert: &mut Vec<u8>) -> Look {
        let mut run = Run { pass: 0, remaining: self.client_remaining };
        run.remainder(bytes.len());
        let then = loop {
            if run.remaining > 0 {
                break Then::More { need: 1 };
            }
            let rest = bytes.get(run.pass..).unwrap_or_default();
            match self.client_frame(rest, &mut run, insert) {
                Frame::Passed => {}
                Frame::More(need) => break Then::More { need },
                Frame::Refused { skip } => break Then::Replace { skip },
                Frame::End(end) => break Then::End(end),
            }
        };
        self.client_remaining = run.remaining;
        Look { pass: run.pass, then }
    }

    fn client_frame(&mut self, rest: &[u8], run: &mut Run, insert: &mut Vec<u8>) -> Frame {
        let head = match header(rest) {
            Ok(Some(head)) => head,
            Ok(None) => return Frame::More(HEADER),
            Err(impossible) => return self.impossible(impossible),
        };
        let Some(kind) = Frontend::of(head.kind) else { return self.misplaced(head, rest, run) };
        if head.body > kind.limit() {
            let length = i32::try_from(head.body + 4).unwrap_or(i32::MAX);
            return self.impossible(ImpossibleLength { kind: head.kind, length });
        }
        let frame = head.frame();
        match kind {
            Frontend::CopyData | Frontend::CopyDone | Frontend::CopyFail => {
                run.unjudged(Unjudged::Copy, frame, rest.len());
                Frame::Passed
            }
            Frontend::Flush => {
                run.unjudged(Unjudged::Flush, frame, rest.len());
                Frame::Passed
            }
            Frontend::Terminate => {
                run.unjudged(Unjudged::Terminate, frame, rest.len());
                Frame::Passed
            }
            Frontend::Sync => {
                self.doomed = false;
                self.boundary();
                run.unjudged(Unjudged::Sync, frame, rest.len());
                Frame::Passed
            }
            Frontend::Query => self.text(Asked::Query, head, rest, run, insert),
            Frontend::Parse => self.text(Asked::Parse, head, rest, run, insert),
            Frontend::FunctionCall => self.function_call(head, rest, run, insert),
            Frontend::Bind => self.bind(head, rest, run, insert),
            Frontend::Describe | Frontend::Close | Frontend::Execute => {
                // These are at most 10,000 bytes long.
                if rest.len() < frame {
                    return Frame::More(frame);
                }
                self.named(kind, head, rest, run, insert)
            }
        }
    }

    /// Query and Parse.
    fn text(&mut self, asked: Asked, head: Header, rest: &[u8], run: &mut Run, insert: &mut Vec<u8>) -> Frame {
        let frame = head.frame();
        if head.body > STATEMENT_BYTES {
            let reason = format!("statement of {} bytes is longer than {STATEMENT_BYTES}", head.body);
            let judgement = self.policy.guard(sqlstate::PROGRAM_LIMIT_EXCEEDED, reason);
            self.tell.statements(&judgement, None);
            // A poisoned Parse keeps the refused one's name, which stands in front of the text.
            let name = rest.get(HEADER..).and_then(cstring).map_or(&b"portcullis_long"[..], |(name, _)| name);
            return self.decide(asked, Judged::plain(judgement), &Behind::settled(), name, frame, rest, run, insert);
        }
        let Some(body) = rest.get(HEADER..frame) else { return Frame::More(frame) };
        let (name, text) = match asked {
            Asked::Parse => match frontend::parse(body) {
                Ok(parse) => (parse.name, parse.text),
                Err(_) => return self.malformed(asked, frame, rest, run, insert),
            },
            Asked::Query | Asked::Bind | Asked::Describe | Asked::Execute | Asked::Close | Asked::FunctionCall => {
                match frontend::query(body) {
                    Ok(text) => (&b""[..], text),
                    Err(_) => return self.malformed(asked, frame, rest, run, insert),
                }
            }
        };
        let mut judged = self.judge().text(text, asked);
        let behind = judge::behind(&judged.judgement, judged.facts.as_ref());
        if asked == Asked::Parse && matches!(judged.judgement.verdict, Verdict::Allow(_)) {
            judged.judgement = self.make_statement(name, &behind, judged.judgement);
        }
        self.decide(asked, judged, &behind, name, frame, rest, run, insert)
    }

    /// The name of an approved Parse is known from now on; the judgement changes where it can't be.
    fn make_statement(&mut self, raw: &[u8], behind: &Behind, judgement: Judgement) -> Judgement {
        let name = match self.judge().name(raw) {
            Ok(name) => name,
            Err(refused) => return *refused,
        };
        match self.statements.made(&name, behind) {
            Ok(()) => judgement,
            Err(_) => too_many_names(&self.policy),
        }
    }

    fn function_call(&mut self, head: Header, rest: &[u8], run: &mut Run, insert: &mut Vec<u8>) -> Frame {
        // Only the OID is looked at, but nothing of the frame goes out before it is.
        let frame = head.frame();
        let need = frame.min(HEADER + 4);
        let Some(body) = rest.get(HEADER..need) else { return Frame::More(need) };
        let Ok(oid) = frontend::function_call(body) else {
            return self.malformed(Asked::FunctionCall, frame, rest, run, insert);
        };
        let judgement = self.policy.judge_fastpath(oid);
        self.tell.admin_statement(&judgement);
        self.decide(Asked::FunctionCall, Judged::plain(judgement), &Behind::settled(), b"", frame, rest, run, insert)
    }

    fn bind(&mut self, head: Header, rest: &[u8], run: &mut Run, insert: &mut Vec<u8>) -> Frame {
        let frame = head.frame();
        let here = rest.get(HEADER..frame.min(rest.len())).unwrap_or_default();
        let Some((portal, statement, values)) = frontend::bind_names(here) else {
            return if rest.len() >= frame || here.len() > BIND_NAMES {
                self.malformed(Asked::Bind, frame, rest, run, insert)
            } else {
                Frame::More(rest.len() + 1)
            };
        };
        let (portal, statement) = match (self.judge().name(portal), self.judge().name(statement)) {
            (Ok(portal), Ok(statement)) => (portal, statement),
            (Err(judgement), _) | (_, Err(judgement)) => {
                return self.decide(
                    Asked::Bind,
                    Judged::plain(*judgement),
                    &Behind::settled(),
                    b"",
                    frame,
                    rest,
                    run,
                    insert,
                );
            }
        };
        let Some(behind) = self.statements.get(&statement) else {
            if self.doomed {
                run.unjudged(Unjudged::Skipped, frame, rest.len());
                return Frame::Passed;
            }
            let judged = self.judge().unknown(UnknownName::PreparedStatement(&statement));
            return self.decide(Asked::Bind, judged, &Behind::settled(), b"", frame, rest, run, insert);
        };
        if behind.is_settled() {
            // The common case: nothing to ask again, nothing to allocate.
            if self.portals.made(&portal, behind).is_err() {
                let judged = Judged::plain(too_many_names(&self.policy));
                return self.decide(Asked::Bind, judged, &Behind::settled(), b"", frame, rest, run, insert);
            }
            run.behind(behind, frame, rest.len());
            if behind.changes_encoding() {
                self.unsettle();
            }
            return Frame::Passed;
        }
        if frame > STATEMENT_BYTES {
            let reason = format!(
                "Bind of {frame} bytes to a statement whose values are judged is longer than {STATEMENT_BYTES}"
            );
            let judgement = self.policy.guard(sqlstate::PROGRAM_LIMIT_EXCEEDED, reason);
            return self.decide(
                Asked::Bind,
                Judged::plain(judgement),
                &Behind::settled(),
                b"",
                frame,
                rest,
                run,
                insert,
            );
        }
        if rest.len() < frame {
            return Frame::More(frame);
        }
        let Ok(values) = frontend::bind_values(values) else {
            return self.malformed(Asked::Bind, frame, rest, run, insert);
        };
        let behind = behind.clone();
        let mut judgement = self.judge().bind(&behind, &values);
        if matches!(judgement.verdict, Verdict::Allow(_)) && self.portals.made(&portal, &behind).is_err() {
            judgement = too_many_names(&self.policy);
        }
        self.decide(Asked::Bind, Judged::plain(judgement), &Behind::settled(), b"", frame, rest, run, insert)
    }

    /// Describe, Execute and Close, all there.
    fn named(&mut self, kind: Frontend, head: Header, rest: &[u8], run: &mut Run, insert: &mut Vec<u8>) -> Frame {
        let frame = head.frame();
        let body = rest.get(HEADER..frame).unwrap_or_default();
        let (asked, target) = match kind {
            Frontend::Execute => (Asked::Execute, frontend::execute(body).map(Target::Portal)),
            Frontend::Close => (Asked::Close, frontend::target(body)),
            Frontend::Describe
            | Frontend::Bind
            | Frontend::CopyData
            | Frontend::CopyDone
            | Frontend::CopyFail
            | Frontend::Flush
            | Frontend::FunctionCall
            | Frontend::Parse
            | Frontend::Query
            | Frontend::Sync
            | Frontend::Terminate => (Asked::Describe, frontend::target(body)),
        };
        let Ok(target) = target else { return self.malformed(asked, frame, rest, run, insert) };
        let (Target::Statement(raw) | Target::Portal(raw)) = target;
        let name = match self.judge().name(raw) {
            Ok(name) => name,
            Err(judgement) => {
                return self.decide(
                    asked,
                    Judged::plain(*judgement),
                    &Behind::settled(),
                    b"",
                    frame,
                    rest,
                    run,
                    insert,
                );
            }
        };
        if asked == Asked::Close {
            // Closing a name that isn't there is no error, and closing one that is harms nobody but the client itself.
            self.ledger.sent(match target {
                Target::Statement(_) => Outstanding::CloseStatement(name.as_ref().into(), self.statements.now()),
                Target::Portal(_) => Outstanding::ClosePortal(name.as_ref().into(), self.portals.now()),
            });
            run.unjudged(Unjudged::Close, frame, rest.len());
            return Frame::Passed;
        }
        let (behind, unknown) = match target {
            Target::Statement(_) => (self.statements.get(&name), UnknownName::PreparedStatement(&name)),
            Target::Portal(_) => (self.portals.get(&name), UnknownName::Portal(&name)),
        };
        let judged = match behind {
            Some(behind) if behind.is_settled() => {
                run.behind(behind, frame, rest.len());
                return Frame::Passed;
            }
            Some(behind) => {
                let behind = behind.clone();
                Judged::plain(self.judge().run(&behind))
            }
            None if self.doomed => {
                run.unjudged(Unjudged::Skipped, frame, rest.len());
                return Frame::Passed;
            }
            None => self.judge().unknown(unknown),
        };
        self.decide(asked, judged, &Behind::settled(), b"", frame, rest, run, insert)
    }

    /// Sends the frame on, or poison in its place.
    #[allow(clippy::too_many_arguments)] // one place where a verdict becomes bytes
    fn decide(
        &mut self,
        asked: Asked,
        judged: Judged,
        behind: &Behind,
        name: &[u8],
        frame: usize,
        rest: &[u8],
        run: &mut Run,
        insert: &mut Vec<u8>,
    ) -> Frame {
        let Judged { judgement, facts, unparsed, as_server } = judged;
        match judgement.verdict {
            Verdict::Allow(approved) => {
                if let Some(would) = &judgement.would {
                    self.tell.would_refuse(asked, would);
                }
                if let Some(facts) = &facts {
                    self.sent(facts, behind);
                }
                if matches!(asked, Asked::Query | Asked::FunctionCall) {
                    self.boundary();
                }
                run.approved(approved, frame, rest.len());
                Frame::Passed
            }
            Verdict::Refuse(mut refusal) => {
                refusal.terse |= self.terse;
                let reference = Reference::new(jiff::Timestamp::now(), rand::random());
                self.tell.refused(asked, &refusal, &reference);
                let wording = self.wording(&refusal, unparsed.as_ref(), as_server, &reference);
                self.pending.push(reference, wording);
                let poison = match asked {
                    Asked::Query | Asked::FunctionCall => {
                        self.boundary();
                        reference.query()
                    }
                    Asked::Parse => {
                        self.doomed = true;
                        reference.parse(name)
                    }
                    Asked::Bind | Asked::Describe | Asked::Execute | Asked::Close => {
                        self.doomed = true;
                        reference.parse_fresh()
                    }
                };
                insert.extend_from_slice(&poison);
                Frame::Refused { skip: frame }
            }
        }
    }

    /// Text beyond ASCII can't be judged until the request under way is answered: it may change client_encoding.
    fn unsettle(&mut self) {
        self.lexing.unsettled = true;
        self.settles_at = self.requests + 1;
    }

    /// Keeps account of what an approved text does to names and settings.
    fn sent(&mut self, facts: &Facts, behind: &Behind) {
        let runs_one = facts.statements.iter().flat_map(|statement| &statement.names).any(|used| match used {
            NameUse::Execute(name) => self.statements.get(name).is_some_and(Behind::changes_encoding),
            NameUse::Prepare(_)
            | NameUse::Deallocate(_)
            | NameUse::Declare { .. }
            | NameUse::Fetch(_)
            | NameUse::CloseCursor(_) => false,
        });
        if behind.changes_encoding() || runs_one {
            self.unsettle();
        }
        for used in facts.statements.iter().flat_map(|statement| &statement.names) {
            // Too many names: the name stays unknown, and its use is refused.
            match used {
                NameUse::Prepare(name) => {
                    let _ = self.statements.made(name, behind);
                }
                NameUse::Declare { cursor, hold } => {
                    let behind = if *hold { behind.clone().held() } else { behind.clone() };
                    let _ = self.portals.made(cursor, &behind);
                }
                NameUse::Deallocate(Some(name)) => {
                    self.ledger.sent(Outstanding::Deallocate(name.clone(), self.statements.now()));
                }
                NameUse::Deallocate(None) => self.ledger.sent(Outstanding::DeallocateAll(self.statements.now())),
                NameUse::Execute(_) | NameUse::Fetch(_) | NameUse::CloseCursor(_) => {}
            }
        }
    }

    fn wording(
        &self,
        refusal: &Refusal,
        unparsed: Option<&Unparsed>,
        as_server: Option<String>,
        reference: &Reference,
    ) -> Wording {
        let newer = (self.lexing.server_major > crate::sql::GRAMMAR_MAJOR).then(|| {
            format!(
                "Portcullis reads the grammar of PostgreSQL {}, this server is PostgreSQL {}",
                crate::sql::GRAMMAR_MAJOR,
                self.lexing.server_major
            )
        });
        match (unparsed, as_server) {
            (Some(Unparsed::Syntax { message, position }), _) => Wording {
                position: *position,
                hint: newer,
                ..Wording::as_server(sqlstate::SYNTAX_ERROR, message.clone(), reference)
            },
            (Some(Unparsed::TooDeep), _) => {
                Wording::as_server(sqlstate::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded".to_owned(), reference)
            }
            (Some(Unparsed::Internal(_)), _) | (None, None) => Wording::of(refusal, reference),
            // A rule that forbids the name speaks for itself; otherwise the client hears what the server would say.
            (None, Some(message)) => match refusal.rule {
                RuleRef::Rule { .. } => Wording::of(refusal, reference),
                RuleRef::Default | RuleRef::Guard | RuleRef::Require | RuleRef::Parse => {
                    Wording::as_server(refusal.sqlstate, message, reference)
                }
            },
        }
    }

    /// A body that isn't what its type says: the server executes nothing of it, we don't even send it.
    fn malformed(&mut self, asked: Asked, frame: usize, rest: &[u8], run: &mut Run, insert: &mut Vec<u8>) -> Frame {
        let what = format!("invalid message format of a {asked:?} message");
        if self.enforces {
            self.tell.violation(&what);
        }
        let judgement = self.policy.guard(sqlstate::PROTOCOL_VIOLATION, what);
        let judged = Judged { as_server: Some("invalid message format".to_owned()), ..Judged::plain(judgement) };
        self.decide(asked, judged, &Behind::settled(), b"", frame, rest, run, insert)
    }

    fn impossible(&self, impossible: ImpossibleLength) -> Frame {
        self.tell.violation(&impossible.to_string());
        Frame::End(End::ImpossibleLength(impossible))
    }

    /// A type that doesn't exist, or not here: the server would end the session, so do we; observed, it does it itself.
    fn misplaced(&self, head: Header, rest: &[u8], run: &mut Run) -> Frame {
        let message = format!("invalid frontend message type {}", head.kind);
        self.tell.violation(&message);
        if self.enforces {
            return Frame::End(End::Fatal { sqlstate: sqlstate::PROTOCOL_VIOLATION, message, hint: None });
        }
        run.unjudged(Unjudged::Skipped, head.frame(), rest.len());
        Frame::Passed
    }

    fn boundary(&mut self) {
        self.requests += 1;
        self.ledger.sent(Outstanding::Boundary { portals: self.portals.now() });
    }

    fn judge(&mut self) -> Judge<'_> {
        Judge {
            policy: &self.policy,
            tell: &mut self.tell,
            lexing: self.lexing,
            statements: &self.statements,
            portals: &self.portals,
            replication: self.replication,
        }
    }
}

fn too_many_names(policy: &SessionPolicy) -> Judgement {
    policy.guard(
        sqlstate::CONFIGURATION_LIMIT_EXCEEDED,
        "too many prepared statements or portals in this session".to_owned(),
    )
}

#[cfg(test)]
pub(in crate::session) mod tests;
