//! The way back: what the server says about names, settings and keys, and the errors that are ours to word.

use super::{End, Engine, Look, Then};
use crate::session::ledger::{Answered, Outstanding};
use crate::session::refusal::body;
use crate::session::statements::Behind;
use crate::session::withheld;
use crate::sql::encoding::Encoding;
use crate::wire::backend;
use crate::wire::frame::{HEADER, Header, header};
use crate::wire::sqlstate;

/// The longest ErrorResponse that is gathered for rewriting; a longer one is the server's own. One that tells of a row has 64
/// bytes of a name and 64 of a value for each of 1,600 columns (`ExecBuildSlotValueDescription`), and four times that in UTF-8.
const ERROR_BYTES: usize = 1 << 20;

/// The longest ParameterStatus that is looked at: `search_path` may be long.
const PARAMETER_BYTES: usize = 1 << 20;

/// The code of an error stands in its first bytes, behind the severity, which is translated.
const CODE_BYTES: usize = 256;

/// Whether an answer completes a message of the extended protocol.
#[inline]
fn completes(kind: u8) -> bool {
    matches!(
        kind,
        backend::PARSE_COMPLETE
            | backend::BIND_COMPLETE
            | backend::CLOSE_COMPLETE
            | backend::ROW_DESCRIPTION
            | backend::NO_DATA
            | backend::COMMAND_COMPLETE
            | backend::PORTAL_SUSPENDED
            | backend::EMPTY_QUERY_RESPONSE
    )
}

impl Engine {
    /// Looks at bytes from the server. `insert` gets what goes out after those that pass.
    pub fn server(&mut self, bytes: &[u8], insert: &mut Vec<u8>) -> Look {
        let mut pass = self.server_remaining.min(bytes.len());
        self.server_remaining -= pass;
        loop {
            if self.server_remaining > 0 {
                return Look { pass, then: Then::More { need: 1 } };
            }
            let rest = bytes.get(pass..).unwrap_or_default();
            let head = match header(rest) {
                Ok(Some(head)) => head,
                Ok(None) => return Look { pass, then: Then::More { need: HEADER } },
                Err(impossible) => return Look { pass, then: Then::End(impossible.into()) },
            };
            let frame = head.frame();
            match head.kind {
                backend::ERROR_RESPONSE => {
                    let ignored = self.ledger.error();
                    self.runs.ignored(ignored);
                }
                backend::COPY_IN_RESPONSE => self.ledger.copy_in(),
                _ if !self.follows => {}
                backend::DATA_ROW | backend::COPY_DATA => {
                    if let Some(end) = self.row(head.kind == backend::COPY_DATA) {
                        return Look { pass, then: Then::End(end) };
                    }
                }
                backend::PARSE_COMPLETE => self.runs.parsed(),
                backend::BIND_COMPLETE => self.runs.bound(),
                backend::CLOSE_COMPLETE => self.runs.closed(),
                backend::ROW_DESCRIPTION | backend::NO_DATA => self.runs.described(),
                backend::PORTAL_SUSPENDED => self.runs.suspended(),
                backend::EMPTY_QUERY_RESPONSE => self.runs.empty(),
                _ => {}
            }
            if self.follows {
                self.tell_over();
            }
            if self.watches(head) {
                if rest.len() < frame {
                    return Look { pass, then: Then::More { need: frame } };
                }
                match self.answer(head.kind, rest.get(..frame).unwrap_or_default(), insert) {
                    Answer::Stands => {}
                    Answer::Reworded => return Look { pass, then: Then::Replace { skip: frame } },
                    Answer::Ends(end) => return Look { pass, then: Then::End(end) },
                }
            } else if head.kind == backend::ERROR_RESPONSE {
                // The rest may be long, and quote anything.
                let need = frame.min(HEADER + CODE_BYTES);
                let Some(fields) = rest.get(HEADER..need) else { return Look { pass, then: Then::More { need } } };
                self.erred(fields);
            }
            if completes(head.kind) {
                self.suspects.completed();
            }
            let here = frame.min(rest.len());
            pass += here;
            self.server_remaining = frame - here;
        }
    }

    /// The answers that are gathered and looked at; everything else streams.
    #[inline]
    fn watches(&self, head: Header) -> bool {
        match head.kind {
            backend::ERROR_RESPONSE => {
                (!self.pending.is_empty() || self.withholds_rows || self.follows) && head.body <= ERROR_BYTES
            }
            backend::READY_FOR_QUERY => head.body == 1,
            backend::PARAMETER_STATUS => head.body <= PARAMETER_BYTES,
            backend::BACKEND_KEY_DATA => head.body <= 4 + 256,
            backend::CLOSE_COMPLETE => head.body == 0 && self.ledger.watches(),
            backend::COMMAND_COMPLETE => head.body <= 64 && (self.follows || self.ledger.watches()),
            _ => false,
        }
    }

    fn answer(&mut self, kind: u8, frame: &[u8], insert: &mut Vec<u8>) -> Answer {
        let body = body(frame);
        match kind {
            backend::ERROR_RESPONSE => {
                if self.follows {
                    let sqlstate = backend::error_fields(body).find(|(kind, _)| *kind == b'C').map(|(_, code)| code);
                    self.runs.failed(&String::from_utf8_lossy(sqlstate.unwrap_or_default()));
                    self.tell_over();
                }
                let encoding = self.lexing.client_encoding;
                if self.pending.rewrite(body, |text| encoding.encode(text), insert) {
                    return Answer::Reworded;
                }
                self.erred(body);
                if self.withholds_rows && withheld::rewrite(body, insert) {
                    return Answer::Reworded;
                }
            }
            backend::READY_FOR_QUERY => self.ready_for_query(body == b"I"),
            backend::PARAMETER_STATUS => return self.parameter_status(body),
            backend::BACKEND_KEY_DATA => {
                if let Some((pid, key)) = backend::backend_key_data(body) {
                    self.key = Some((pid, key.into()));
                }
            }
            backend::CLOSE_COMPLETE => {
                let closed = self.ledger.close_complete();
                self.settle(closed);
            }
            backend::COMMAND_COMPLETE => {
                if self.follows {
                    self.runs.completed(body.strip_suffix(b"\0").unwrap_or(body));
                    self.tell_over();
                }
                if self.ledger.is_copying() {
                    let ignored = self.ledger.copied();
                    self.answered += ignored;
                    self.runs.ignored(ignored);
                    return Answer::Stands;
                }
                let done = self.ledger.command_complete(body.strip_suffix(b"\0").unwrap_or(body));
                self.settle(done);
            }
            _ => {}
        }
        Answer::Stands
    }

    fn ready_for_query(&mut self, idle: bool) {
        self.idle = idle;
        if !self.ready {
            // The first one ends the login and answers no request.
            self.ready = true;
            self.lexing.unsettled = self.settles_at > 0;
            return;
        }
        self.answered += 1;
        let all = self.requests == self.answered && !self.extended;
        self.suspects.ready(all);
        if self.follows {
            self.runs.ready(all);
            self.tell_over();
            if idle {
                let portals = &self.portals;
                self.runs.transaction_over(|portal| portals.get(portal).is_some_and(Behind::is_held));
            }
        }
        if idle && self.answered >= self.changed_at {
            // No transaction is left that could take the change of client_encoding back.
            self.revertible = false;
            self.lexing.unsettled = false;
        }
        self.lexing.unsettled &= self.answered < self.settles_at;
        let Some(Answered { boundary, clean }) = self.ledger.ready() else { return };
        if clean {
            self.statements.done(boundary.since.statements, boundary.statements);
            self.portals.done(boundary.since.portals, boundary.portals);
        }
        if idle && !self.portals.is_empty() {
            self.portals.transaction_over(boundary.portals);
        }
    }

    fn settle(&mut self, done: Option<Outstanding>) {
        match done {
            Some(Outstanding::CloseStatement(name, sent) | Outstanding::Deallocate(name, sent)) => {
                self.statements.gone(&name, sent);
            }
            Some(Outstanding::ClosePortal(name, sent) | Outstanding::CloseCursor(name, sent)) => {
                self.portals.gone(&name, sent);
            }
            Some(Outstanding::DeallocateAll(sent)) => self.statements.all_gone(sent),
            Some(Outstanding::CloseCursors(sent)) => self.portals.all_gone(sent),
            Some(Outstanding::Boundary(_) | Outstanding::CopyEnd) | None => {}
        }
    }

    fn parameter_status(&mut self, body: &[u8]) -> Answer {
        let Some((name, value)) = backend::parameter_status(body) else { return Answer::Stands };
        let (Ok(name), value) = (str::from_utf8(name), String::from_utf8_lossy(value)) else { return Answer::Stands };
        match name {
            "client_encoding" => {
                // One that the guard doesn't let a session have can only be observed: it is read as ASCII or not at all.
                self.lexing.client_encoding = Encoding::lookup(&value).unwrap_or(Encoding::SqlAscii);
            }
            "application_name" => self.application_name = value.to_string(),
            "server_encoding" => self.lexing.server_utf8 = value == "UTF8",
            "server_version" => {
                let major = value.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
                self.lexing.server_major = major.parse().unwrap_or(0);
            }
            _ => {}
        }
        match self.policy.alarm(name, &value) {
            Some(sentence) => {
                self.tell.alarm(&sentence, self.enforces);
                if self.enforces {
                    return Answer::Ends(End::Fatal {
                        sqlstate: sqlstate::ADMIN_SHUTDOWN,
                        message: format!("session ended: {sentence}"),
                        detail: None,
                        hint: Some(
                            "a setting that Portcullis guards was changed on the server; ask the DBA".to_owned(),
                        ),
                    });
                }
                Answer::Stands
            }
            None => Answer::Stands,
        }
    }
}

/// What an answer of the server comes to.
enum Answer {
    Stands,
    Reworded,
    Ends(End),
}
