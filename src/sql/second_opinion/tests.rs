//! What both parsers say, what only one can, and where they differ.

use super::*;
use crate::sql::{Reading, STACK, analyse};

/// Runs with the stack that reading needs.
pub(super) fn on_a_large_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(run);
    thread.unwrap().join().unwrap()
}

/// The opinion on a text; `None` where PostgreSQL's grammar refuses it, so that nobody is asked.
pub(super) fn opinion(text: &str) -> Option<Opinion> {
    let text = text.to_owned();
    on_a_large_stack(move || analyse(&text, Reading::default()).ok().map(|analysis| compare(&text, &analysis.facts)))
}

/// What both read, one line a statement.
fn agreed(text: &str) -> Vec<String> {
    let asked = text.to_owned();
    let compared = on_a_large_stack(move || {
        let analysis = analyse(&asked, Reading::default()).unwrap();
        Compared::of(&asked, &analysis.facts)
    });
    assert_eq!(compared.opinion(), Opinion::Agrees, "{text}: {compared:#?}");
    compared.postgresql.iter().map(ToString::to_string).collect()
}

#[test]
fn both_read_queries_and_what_is_in_them() {
    for (text, reading) in [
        ("SELECT 1", "nothing that touches a relation"),
        ("SELECT * FROM Orders o, s.\"Items\"", "reads orders, s.Items"),
        (
            "SELECT (SELECT 1 FROM a) FROM b WHERE EXISTS (SELECT 1 FROM c) ORDER BY (SELECT 1 FROM d)",
            "reads a, b, c, d",
        ),
        ("SELECT count(*) FILTER (WHERE x IN (SELECT 1 FROM a)) FROM b", "reads a, b"),
        ("SELECT * FROM t FOR UPDATE", "select_for_update; reads t"),
        ("SELECT * FROM user, current_date, \"user\"", "reads user"),
        ("INSERT INTO t SELECT * FROM u ON CONFLICT (a) DO UPDATE SET a = 1", "insert, update; reads u; writes t"),
        ("UPDATE a SET x = 1 FROM a b WHERE EXISTS (SELECT 1 FROM c)", "update; reads a, c; writes a"),
        ("DELETE FROM t USING u", "delete; reads u; writes t"),
        (
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)",
            "delete, insert; reads u; writes t",
        ),
        ("COPY t FROM '/etc/passwd'", "copy_file, copy_from, insert; writes t"),
        ("COPY t (a) FROM STDIN WITH (FORMAT csv);", "copy_from, insert; writes t"),
        ("COPY t TO STDOUT", "copy_to; reads t"),
        ("COPY (SELECT * FROM t) TO PROGRAM 'id'", "copy_program, copy_to; reads t"),
        ("TRUNCATE a, s.b", "truncate; writes a, s.b"),
        ("EXPLAIN DELETE FROM t", "writes t"),
        ("EXPLAIN (ANALYZE, ANALYZE off) DELETE FROM t", "writes t"),
        ("EXPLAIN (ANALYZE 'on') DELETE FROM t", "delete; writes t"),
        ("SELECT set_config('role', 'x', true), nextval('s') FROM t", "reads t"),
    ] {
        assert_eq!(agreed(text), [reading], "{text}");
    }
}

#[test]
fn both_know_what_is_a_common_table_expression() {
    for (text, reading) in [
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", "reads t"),
        ("WITH RECURSIVE t AS (SELECT * FROM t) SELECT * FROM t", "nothing that touches a relation"),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM b", "reads b"),
        ("WITH t AS (SELECT 1) SELECT * FROM s.t", "reads s.t"),
        ("WITH T AS (SELECT 1) SELECT * FROM \"T\"", "reads T"),
        ("WITH a AS (WITH b AS (SELECT 1) SELECT * FROM b) SELECT * FROM b", "reads b"),
        ("WITH t AS (DELETE FROM u RETURNING *) INSERT INTO t SELECT * FROM t", "delete, insert; writes t, u"),
        ("WITH t AS (SELECT 1) UPDATE t SET a = 1 FROM t x", "update; writes t"),
    ] {
        assert_eq!(agreed(text), [reading], "{text}");
    }
}

#[test]
fn both_read_utilities_and_ddl() {
    for (text, reading) in [
        ("BEGIN READ WRITE", "begin"),
        ("ROLLBACK TO a", "savepoint"),
        ("SET ROLE x", "set_role"),
        ("RESET ROLE", "set_role"),
        ("SET x TO DEFAULT", "reset"),
        ("DISCARD ALL", "close, deallocate, discard"),
        ("PREPARE p AS DELETE FROM t", "delete, prepare; writes t"),
        ("DECLARE c CURSOR FOR SELECT * FROM t", "declare; reads t"),
        ("FETCH NEXT FROM c", "fetch"),
        ("CREATE TEMP TABLE x AS SELECT * FROM t", "create; reads t; writes x; names pg_temp.x"),
        ("SELECT * INTO s.x FROM t", "create; reads t; writes s.x"),
        ("CREATE TABLE x (a int REFERENCES y, FOREIGN KEY (a) REFERENCES z.w (q))", "create; names x, y, z.w"),
        ("CREATE TABLE x PARTITION OF y DEFAULT", "alter, create; names x, y"),
        ("CREATE POLICY p ON t USING (a IN (SELECT b FROM u))", "policy; reads u; names t"),
        ("ALTER TABLE s.t RENAME TO u", "rename; names s.t, s.u"),
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "alter, policy; names t"),
        ("ALTER ROLE r SET search_path = x", "role, set"),
        ("DROP TABLE a, b.c CASCADE", "drop; names a, b.c"),
        ("DROP USER u", "role"),
        ("COMMENT ON COLUMN s.t.c IS 'x'", "comment; names s.t"),
        ("GRANT SELECT (a) ON t TO x", "grant; names t"),
        ("LOCK TABLE t", "lock_table; names t"),
        ("LOCK TABLE t IN ACCESS SHARE MODE", "names t"),
    ] {
        assert_eq!(agreed(text), [reading], "{text}");
    }
}

#[test]
fn the_number_of_statements_counts() {
    assert_eq!(agreed("").len(), 0);
    assert_eq!(agreed(";;SELECT ';' FROM a; ;SELECT 2;").len(), 2);
    // The second parser stops at the output name `end`.
    let Some(Opinion::Disagrees(readings)) = opinion("SELECT 1 end; DROP TABLE t") else { panic!("agrees") };
    assert_eq!((readings.postgresql.len(), readings.second.len()), (2, 1));
    assert_eq!(readings.to_string(), "statements by PostgreSQL's grammar: 2; by the second parser: 1");
}

#[test]
fn where_they_differ_both_readings_are_shown() {
    // An output name for PostgreSQL; for the other a collation called `FROM`.
    let Some(Opinion::Disagrees(readings)) = opinion("SELECT id COLLATE FROM users") else { panic!("agrees") };
    assert_eq!(
        readings.to_string(),
        "PostgreSQL's grammar: reads users; the second parser: nothing that touches a relation"
    );
}

/// Facts of one text against the reading of another, as if the walk had got it wrong.
fn opinion_on(facts_of: &'static str, text: &'static str) -> Opinion {
    on_a_large_stack(move || compare(text, &analyse(facts_of, Reading::default()).unwrap().facts))
}

#[test]
fn a_walk_that_got_it_wrong_is_found_out() {
    for (wrong, text) in [
        ("SELECT 1", "SELECT 1 FROM t"),
        ("SELECT 1 FROM t", "SELECT 1 FROM s.t"),
        ("SELECT 1 FROM t", "SELECT 1 FROM \"T\""),
        ("SELECT 1 FROM t", "DELETE FROM t"),
        ("UPDATE t SET a = 1", "DELETE FROM t"),
        ("INSERT INTO t SELECT 1", "INSERT INTO t SELECT 1 FROM u"),
        ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1"),
        ("SELECT 1 FROM t FOR UPDATE", "SELECT 1 FROM t"),
        ("EXPLAIN DELETE FROM t", "EXPLAIN ANALYZE DELETE FROM t"),
        ("COPY t FROM STDIN", "COPY t FROM PROGRAM 'id'"),
        ("SET x = 1", "SET ROLE x"),
        ("CREATE TABLE t (a int)", "CREATE TABLE t (a int REFERENCES u)"),
        ("DROP TABLE a", "DROP TABLE a, b"),
        ("SELECT 1", "SELECT 1; SELECT 1"),
        ("BEGIN", "COMMIT"),
    ] {
        assert!(matches!(opinion_on(wrong, text), Opinion::Disagrees(_)), "{wrong} for {text}");
    }
}

#[test]
fn what_the_second_parser_reads_loosely_gets_no_opinion() {
    for (text, loose) in [
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", Loose::FunctionBody),
        ("SELECT * FROM ONLY t", Loose::Only),
        ("DELETE FROM ONLY t", Loose::Only),
        ("SHOW TABLES", Loose::Show),
        ("VACUUM t", Loose::Vacuum),
        ("ANALYZE t", Loose::Analyze),
        ("SELECT 1 UNION TABLE t", Loose::TableCommand),
        ("SELECT (TABLE \"t\")", Loose::TableCommand),
        ("CREATE TABLE t (a int, LIKE u)", Loose::LikeColumn),
        ("SELECT 1 or FROM t", Loose::ReservedWord),
        ("COPY t FROM STDIN; DELETE FROM t", Loose::CopyData),
        ("SELECT 0; COPY t FROM STDIN; COPY t FROM STDIN; SELECT 1;", Loose::CopyData),
    ] {
        assert_eq!(opinion(text), Some(Opinion::None(NoOpinion::Loose(loose))), "{text}");
    }
}

#[test]
fn what_it_can_not_read_gets_no_opinion() {
    assert!(matches!(opinion("CHECKPOINT"), Some(Opinion::None(NoOpinion::Unparsed(_)))));
    let inner = opinion("SELECT query_to_xml('SELECT * FROM t', true, true, '')");
    assert_eq!(inner, Some(Opinion::None(NoOpinion::SqlInString("query_to_xml".into()))));
    let long = format!("SELECT '{}'", "x".repeat(MAX_BYTES));
    assert_eq!(opinion(&long), Some(Opinion::None(NoOpinion::TooLong)));
    let deep = format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(opinion(&deep), Some(Opinion::None(NoOpinion::TooDeep)));
}

#[test]
fn a_panic_of_the_second_parser_is_no_opinion() {
    let panics = |_: &str| -> Result<Vec<Summary>, NoOpinion> { panic!("as a parser would") };
    assert_eq!(contained(|| panics("SELECT 1")), Err(NoOpinion::Panicked));
    assert_eq!(contained(|| read("SELECT 1", 1)).map(|summaries| summaries.len()), Ok(1));
}
