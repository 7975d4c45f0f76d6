//! What a verdict comes to: the frame goes on, or poison in its place; and the account of what an approved text does.

use super::counting::{Began, gives};
use super::{End, Engine, Frame, Turn};
use crate::detect::probing::Sign;
use crate::policy::{Refusal, RuleRef, Sequel, Verdict};
use crate::session::held::Said;
use crate::session::judge::Judged;
use crate::session::ledger::Outstanding;
use crate::session::refusal::{Reference, Wording};
use crate::session::statements::Behind;
use crate::session::tell::Asked;
use crate::sql::{Facts, NameUse, Unparsed};

impl Engine {
    /// Sends the frame on, or poison in its place; `name` is the one of a Parse, `text` what is told of in the log.
    pub(super) fn decide(&mut self, asked: Asked, turn: Turn<'_>, judged: Judged, name: &[u8], text: &[u8]) -> Frame {
        if let (Some(facts), Some(behind)) = (&judged.facts, judged.behind(self.asks_source)) {
            self.sent(asked, facts, &behind);
        }
        let delays = self.may_delay();
        let gives = match &judged.facts {
            Some(facts) if self.follows => gives(facts),
            Some(_) => Vec::new(),
            None => judged.gives,
        };
        if judged.signals.inserted.is_some() && matches!(asked, Asked::Query | Asked::Parse) {
            self.sign(Sign::Inserted, self.suspects.at_hand(), text);
        }
        let Judged { judgement, unparsed, as_server, said, ambiguous, is_command, .. } = judged;
        if asked.is_answered_by_ready_for_query() {
            self.boundary(false);
        }
        match judgement.verdict {
            Verdict::Allow(approved) => {
                if let Some(would) = &judgement.would {
                    self.tell.would_refuse(asked, would, text, &self.texts);
                }
                // Once for each time that it runs.
                let runs = matches!(asked, Asked::Query | Asked::Execute | Asked::FunctionCall);
                if let Some(noted) = judgement.noted.as_ref().filter(|_| runs) {
                    self.tell.noted(noted);
                }
                if !is_command {
                    self.began(
                        asked,
                        Began { policy: judgement.policy, would: judgement.would, said, ambiguous, gives },
                    );
                } else if self.follows {
                    self.began_command(judgement.policy, judgement.would);
                }
                turn.approved(approved)
            }
            Verdict::Refuse(mut refusal) => {
                refusal.terse |= self.terse;
                let reference = Reference::new(jiff::Timestamp::now(), rand::random());
                if let RuleRef::Decoy { decoy, .. } = &refusal.rule {
                    self.tell.decoy(decoy, reference.as_str(), self.quarantine.begin());
                }
                self.tell.refused(asked, &refusal, &reference, text, &self.texts);
                self.tell.audit_refused(asked, &refusal, &reference, &said, &self.application_name);
                if let Some(Unparsed::Syntax { .. }) = &unparsed {
                    // The server would say so, too, and never gets to see it.
                    self.sign(Sign::SyntaxError, self.suspects.at_hand(), text);
                }
                match refusal.sequel {
                    Sequel::Fails => {}
                    Sequel::Delays(delay) if delays => self.hold = Some(delay.into()),
                    // The locks of the transaction would be kept as long.
                    Sequel::Delays(_) => {}
                    Sequel::Terminates => return Frame::End(self.terminates(&refusal, &reference)),
                }
                self.poisoned(asked);
                let wording = self.wording(&refusal, unparsed.as_ref(), as_server, &reference);
                self.pending.push(reference, wording);
                self.doomed |= !asked.is_answered_by_ready_for_query();
                turn.insert.extend_from_slice(&match asked {
                    Asked::Query | Asked::FunctionCall => reference.query(),
                    Asked::Parse => reference.parse(name),
                    Asked::Bind | Asked::Describe | Asked::Execute | Asked::Close => reference.parse_fresh(),
                });
                Frame::Refused { skip: turn.frame }
            }
        }
    }

    /// Text beyond ASCII can't be judged until the request under way is answered: it may change client_encoding.
    pub(super) fn unsettle(&mut self) {
        self.lexing.unsettled = true;
        self.changed_at = self.requests + 1;
        self.settles_at = self.changed_at;
        self.revertible = true;
    }

    /// Keeps account of what an approved text does to names and settings.
    fn sent(&mut self, asked: Asked, facts: &Facts, behind: &Behind) {
        let runs_one = facts.statements.iter().flat_map(|statement| &statement.names).any(|used| match used {
            NameUse::Execute(name) => self.statements.get(name).is_some_and(Behind::changes_encoding),
            NameUse::Fetch(name) => self.portals.get(name).is_some_and(Behind::changes_encoding),
            NameUse::Prepare(_) | NameUse::Deallocate(_) | NameUse::Declare { .. } | NameUse::CloseCursor(_) => false,
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
                // A Parse may never run, or run at any time: nothing is known of its end.
                NameUse::Deallocate(_) | NameUse::CloseCursor(_) if asked != Asked::Query => {}
                NameUse::Deallocate(Some(name)) => {
                    self.ledger.sent(Outstanding::Deallocate(name.clone(), self.statements.now()));
                }
                NameUse::Deallocate(None) => self.ledger.sent(Outstanding::DeallocateAll(self.statements.now())),
                NameUse::CloseCursor(Some(name)) => {
                    self.ledger.sent(Outstanding::CloseCursor(name.clone(), self.portals.now()));
                }
                NameUse::CloseCursor(None) => self.ledger.sent(Outstanding::CloseCursors(self.portals.now())),
                NameUse::Execute(_) | NameUse::Fetch(_) => {}
            }
        }
    }

    /// Outside of any transaction, with nothing outstanding.
    pub(super) fn is_outside(&self) -> bool {
        self.idle && self.requests == self.answered && !self.extended
    }

    /// Whether no transaction has locks that would be kept through a delay. Where the answers can't be told apart any more, the last
    /// one says so: else one odd pipeline would do away with the delays of a whole session.
    fn may_delay(&self) -> bool {
        let answered = self.requests == self.answered || !self.ledger.is_certain();
        self.idle && answered && !self.extended
    }

    /// A statement gave more rows than it may: the session ends, since what the server did of it can't be taken back.
    pub(super) fn refused_rows(&mut self, refusal: &Refusal) -> End {
        let reference = Reference::new(jiff::Timestamp::now(), rand::random());
        self.tell.refused(Asked::Execute, refusal, &reference, b"", &self.texts);
        self.tell.audit_refused(Asked::Execute, refusal, &reference, &Said::default(), &self.application_name);
        self.terminates(refusal, &reference)
    }

    /// The refusal ends the session: what the client is told.
    fn terminates(&self, refusal: &Refusal, reference: &Reference) -> End {
        let Wording { sqlstate, message, detail, hint, .. } = Wording::of(refusal, reference);
        End::Fatal { sqlstate, message, detail, hint }
    }
}
