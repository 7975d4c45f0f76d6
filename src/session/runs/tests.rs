//! Answers in the order in which a server gives them, and in orders in which it never should.

use super::*;

const LIMIT: RowLimit = Some((100, true));

fn run(asked: Asked) -> Run {
    Run {
        asked,
        time: jiff::Timestamp::UNIX_EPOCH,
        begun: Instant::now(),
        told: None,
        policy: "p".into(),
        rules: None,
        would: None,
        rows: None,
        sqlstate: None,
        ambiguous: Vec::new(),
        refused: false,
    }
}

fn of(portals: &[&str]) -> Gives {
    Gives::Of(portals.iter().map(|portal| key(portal).into()).collect())
}

fn made(name: &str) -> Made {
    Made { name: name.into(), at: Stamp::ZERO, held: None }
}

impl Runs {
    fn execute(&mut self, portal: &str) {
        self.sent(run(Asked::Execute), vec![of(&[portal])], LIMIT);
    }

    fn query(&mut self, gives: Vec<Gives>) {
        self.sent(run(Asked::Query), gives, LIMIT);
    }

    /// So many rows come: how many that is by now.
    fn rows(&mut self, rows: u64) -> u64 {
        (0..rows).map(|_| self.row(LIMIT).0).last().unwrap_or(0)
    }

    /// What is over: message, rows, SQLSTATE, and how it ended.
    fn told(&mut self) -> Vec<(&'static str, Option<u64>, Option<String>, Ended)> {
        let told = |(over, ended)| match over {
            Over::Run(run) => Some((run.asked.as_str(), run.rows, run.sqlstate, ended)),
            Over::Parse(_, Some(run)) => Some(("Parse", None, run.sqlstate, ended)),
            Over::Parse(_, None) | Over::Bind(_) => None,
        };
        self.take_over().into_iter().filter_map(told).collect()
    }
}

fn failed(sqlstate: &str) -> Option<String> {
    Some(sqlstate.to_owned())
}

#[test]
fn a_query_of_several_statements_has_all_their_rows() {
    let mut runs = Runs::default();
    runs.query(Vec::new());
    for tag in [&b"SELECT 3"[..], b"UPDATE 2", b"BEGIN"] {
        runs.completed(tag);
        assert!(runs.told().is_empty());
    }
    runs.ready(true);
    assert_eq!(runs.told(), [("Query", Some(5), None, Ended::Answered)]);
}

#[test]
fn a_pipeline_skips_what_is_behind_an_error() {
    let mut runs = Runs::default();
    for _ in 0..3 {
        runs.execute("");
    }
    runs.synced();
    runs.execute("");
    runs.synced();
    runs.completed(b"INSERT 0 1");
    assert_eq!(runs.told(), [("Execute", Some(1), None, Ended::Answered)]);
    runs.failed("23505");
    assert_eq!(
        runs.told(),
        [("Execute", None, failed("23505"), Ended::Answered), ("Execute", None, None, Ended::Skipped)]
    );
    runs.ready(false);
    runs.completed(b"SELECT 1");
    assert_eq!(runs.told(), [("Execute", Some(1), None, Ended::Answered)]);
    runs.ready(true);
    assert!(runs.told().is_empty());
}

#[test]
fn what_is_sent_behind_an_error_is_skipped_up_to_the_sync() {
    let mut runs = Runs::default();
    runs.message(Message::Describe, None);
    runs.failed("34000");
    runs.query(Vec::new());
    runs.execute("");
    assert!(runs.told().iter().all(|told| told.3 == Ended::Skipped));
    runs.synced();
    runs.query(Vec::new());
    runs.ready(false);
    assert!(runs.told().is_empty(), "that was the Sync's");
    runs.completed(b"SELECT 1");
    runs.ready(true);
    assert_eq!(runs.told(), [("Query", Some(1), None, Ended::Answered)]);
}

#[test]
fn a_parse_has_its_own_error_and_that_of_a_bind_is_what_would_have_run() {
    let mut runs = Runs::default();
    runs.message(Message::Parse(made("s")), Some(run(Asked::Parse)));
    runs.execute("");
    runs.failed("42P05");
    assert_eq!(runs.told(), [("Parse", None, failed("42P05"), Ended::Failed), ("Execute", None, None, Ended::Skipped)]);
    runs.synced();
    runs.ready(true);
    runs.message(Message::Bind(made("")), None);
    runs.execute("");
    runs.failed("22012");
    assert_eq!(runs.told(), [("Execute", None, failed("22012"), Ended::Answered)]);
}

#[test]
fn rows_of_a_portal_are_counted_over_all_that_run_it_until_the_server_has_made_another() {
    let mut runs = Runs::default();
    runs.message(Message::Bind(made("p")), None);
    runs.bound();
    for round in 1..=3 {
        runs.execute("p");
        assert_eq!(runs.rows(10), 10 * round);
        runs.suspended();
    }
    runs.query(vec![of(&["p"])]);
    assert_eq!(runs.rows(1), 31, "FETCH from it");
    runs.completed(b"FETCH 1");
    runs.ready(true);
    // A Bind that the server refuses makes nothing.
    runs.message(Message::Bind(made("p")), None);
    runs.failed("42P03");
    runs.synced();
    runs.ready(true);
    runs.execute("p");
    assert_eq!(runs.rows(1), 32);
    runs.suspended();
    runs.message(Message::Bind(made("p")), None);
    runs.execute("p");
    runs.bound();
    assert_eq!(runs.rows(1), 1);
    runs.failed("57014");
    runs.transaction_over(|_| false);
    assert!(runs.portals.is_empty());
}

#[test]
fn the_end_of_an_earlier_transaction_is_not_the_end_of_portals_that_come_later() {
    let mut runs = Runs::default();
    for _ in 0..2 {
        runs.execute("");
        runs.synced();
    }
    runs.message(Message::Bind(made("p")), None);
    runs.execute("p");
    runs.execute("p");
    for _ in 0..2 {
        runs.completed(b"SELECT 1");
        runs.ready(false);
        runs.transaction_over(|_| false);
    }
    runs.bound();
    for given in [10, 20] {
        assert_eq!(runs.rows(10), given);
        runs.suspended();
    }
}

#[test]
fn names_that_the_server_cuts_to_one_are_one() {
    let mut runs = Runs::default();
    let name = "x".repeat(63);
    for n in 1..=5 {
        runs.execute(&format!("{name}{n}"));
        assert_eq!(runs.rows(10), 10 * n);
        runs.suspended();
    }
    // Where it isn't certain which name it is, making another one takes nothing away.
    let long = "é".repeat(40);
    runs.execute(&long);
    runs.rows(10);
    runs.suspended();
    runs.message(Message::Bind(made(&format!("{long}x"))), None);
    runs.bound();
    runs.execute(&long);
    assert_eq!(runs.rows(1), 11);
}

#[test]
fn one_of_several_cursors_counts_for_each() {
    let mut runs = Runs::default();
    runs.query(vec![of(&["c"])]);
    runs.rows(10);
    runs.completed(b"FETCH 10");
    runs.ready(true);
    runs.sent(run(Asked::Execute), vec![of(&["c", "d"])], LIMIT);
    assert_eq!(runs.rows(1), 11);
    runs.completed(b"FETCH 1");
    runs.query(vec![of(&["d"])]);
    assert_eq!(runs.rows(1), 2);
}

#[test]
fn a_cursor_that_is_declared_begins_anew_once_it_is() {
    let mut runs = Runs::default();
    let declare = || vec![Gives::Declares("c".into())];
    for (tag, given) in [(None, 11), (Some(&b"DECLARE CURSOR"[..]), 1)] {
        runs.portals.insert("c".into(), 10);
        runs.query(declare());
        match tag {
            Some(tag) => runs.completed(tag),
            None => runs.failed("42P03"),
        }
        runs.ready(true);
        runs.query(vec![of(&["c"])]);
        assert_eq!(runs.rows(1), given);
        runs.completed(b"FETCH 1");
        runs.ready(true);
    }
}

#[test]
fn a_pipeline_on_one_portal_is_many_statements() {
    let mut runs = Runs::default();
    for _ in 0..5 {
        runs.message(Message::Bind(made("")), None);
        runs.execute("");
    }
    for _ in 0..5 {
        runs.bound();
        assert_eq!(runs.rows(2), 2);
        runs.completed(b"SELECT 2");
    }
}

#[test]
fn each_cursor_of_a_query_is_counted_for_itself() {
    let mut runs = Runs::default();
    for round in 1..=3 {
        runs.query(vec![of(&["c"]), of(&["d"])]);
        for _ in ["c", "d"] {
            assert_eq!(runs.rows(1), round);
            runs.completed(b"FETCH 1");
        }
        runs.ready(true);
    }
}

#[test]
fn a_sync_that_the_server_ignored_pairs_nothing_wrongly() {
    let mut runs = Runs::default();
    runs.execute("");
    runs.synced();
    runs.message(Message::Bind(made("p")), None);
    runs.execute("p");
    runs.completed(b"COPY 1");
    // No ReadyForQuery.
    runs.bound();
    assert_eq!(runs.rows(10), 10);
    runs.suspended();
    runs.execute("p");
    assert_eq!(runs.rows(10), 20);
}

#[test]
fn what_was_sent_before_is_not_counted_and_what_comes_behind_is() {
    let mut runs = Runs::default();
    runs.begin(1, false);
    runs.execute("");
    runs.synced();
    assert_eq!((0..300).map(|_| runs.row(LIMIT).1).last(), Some(None));
    runs.completed(b"SELECT 300");
    runs.ready(false);
    assert_eq!(runs.row(LIMIT), (1, LIMIT));

    // In the middle of a batch: what comes can't be told from what is there.
    let mut runs = Runs::default();
    runs.begin(0, true);
    assert_eq!(runs.row(LIMIT).1, None);
    runs.execute("");
    assert_eq!(runs.row(LIMIT), (1, LIMIT));
    runs.completed(b"SELECT 2");
    assert_eq!(runs.row(LIMIT), (2, LIMIT));
}

#[test]
fn what_is_never_answered_is_told_at_the_end() {
    let mut runs = Runs::default();
    runs.query(Vec::new());
    runs.end();
    assert_eq!(runs.told(), [("Query", None, None, Ended::Skipped)]);
    for _ in 0..WAITING {
        runs.execute("");
    }
    assert!(runs.told().is_empty());
    runs.execute("");
    assert_eq!(runs.told(), [("Execute", None, None, Ended::Unknown)]);
    runs.completed(b"SELECT 1");
    assert_eq!(runs.told(), [("Execute", Some(1), None, Ended::Answered)], "the others are followed all the same");
}

#[test]
fn with_too_much_outstanding_all_rows_count_together() {
    let mut runs = Runs::default();
    for _ in 0..=MESSAGES {
        runs.execute("p");
    }
    assert!(runs.entries.is_empty() && runs.told().len() == MESSAGES + 1);
    for round in 1..=20 {
        assert_eq!((runs.rows(10), runs.row(None).1), (11 * round - 1, LIMIT));
        runs.suspended();
        runs.ready(false);
    }
    runs.ready(true);
    runs.execute("");
    assert_eq!(runs.row(None), (1, LIMIT), "all was answered: it follows again");
}

#[test]
fn a_wrong_pairing_takes_no_rows_out_of_the_count() {
    let mut runs = Runs::default();
    runs.message(Message::Bind(made("p")), None);
    // As if everything were answered, in the middle of a batch.
    runs.ready(true);
    for _ in 0..4 {
        runs.execute("p");
    }
    runs.completed(b"BEGIN");
    runs.bound();
    let given: Vec<_> = (0..4)
        .map(|_| {
            let given = runs.rows(10);
            runs.suspended();
            given
        })
        .collect();
    assert_eq!(given, [10, 20, 30, 40]);
}
