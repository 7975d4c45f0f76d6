//! `when`: each condition holds where it should, and nowhere else.

use super::*;
use crate::detect;
use crate::sql;

/// Why a text is refused under a policy with these lines.
fn refused(lines: &str, text: &str, change: impl Fn(Moment<'_>) -> Moment<'_>) -> Option<String> {
    let session = session(&[&policy(lines)]);
    let analysis = sql::analyse(text, sql::Reading::default()).unwrap();
    let signals = detect::signals(text, &analysis);
    let moment = change(Moment { signals: &signals, ..Moment::now(true, Parameters::Later) });
    refusal(session.judge(&analysis.facts, moment)).map(|refusal| refusal.reason)
}

/// Under a policy that allows everything on tables, but for one deny rule with this condition.
fn denied(when: &str, text: &str) -> Option<String> {
    let lines = format!(
        "allow: [{{rule: all, actions: [read, write, lock], tables: ['*', 'public.*']}}]\n\
         deny: [{{rule: r, actions: [read, write], when: {{{when}}}}}]\n"
    );
    refused(&lines, text, |moment| moment)
}

#[test]
fn conditions_of_the_statement() {
    for (when, meets, misses) in [
        (
            "limit: missing",
            &[
                "SELECT a FROM t",
                "SELECT a FROM t LIMIT ALL",
                "SELECT a FROM t LIMIT NULL",
                "TABLE t",
                "SELECT a FROM (SELECT a FROM t) s LIMIT 1",
                "WITH c AS (SELECT a FROM t) SELECT a FROM c LIMIT 1",
                "SELECT a FROM t UNION SELECT a FROM u LIMIT 1",
                "COPY t TO STDOUT",
            ][..],
            &[
                "SELECT a FROM t LIMIT 10",
                "SELECT a FROM t LIMIT $1",
                "SELECT a FROM t FETCH FIRST 5 ROWS ONLY",
                "SELECT 1",
                "UPDATE t SET a = 1",
                "INSERT INTO t VALUES (1)",
                "SELECT a FROM (SELECT a FROM t LIMIT 1) s",
            ][..],
        ),
        (
            "joins: '>2'",
            &[
                "SELECT 1 FROM a, b, c, d",
                "SELECT 1 FROM a JOIN b USING (x) JOIN c USING (x) JOIN d USING (x)",
                "SELECT 1 FROM a, b WHERE x IN (SELECT y FROM c, d, e)",
                "DELETE FROM a USING b, c, d WHERE a.x = b.x",
                "UPDATE a SET x = 1 FROM b, c, d WHERE a.x = b.x",
            ],
            &[
                "SELECT 1 FROM a, b, c",
                "SELECT 1 FROM a JOIN b USING (x), c",
                "DELETE FROM a USING b, c WHERE a.x = b.x",
            ],
        ),
        (
            "depth: '>12'",
            &["SELECT a FROM t WHERE a = 1+(1+(1+(1+(1+(1+(1+(1+(1+(1+a)))))))))"],
            &["SELECT a FROM t WHERE a = 1"],
        ),
        (
            "parameters: inline",
            &[
                "SELECT a FROM t WHERE b = 1",
                "UPDATE t SET a = 'x' WHERE b = $1",
                "INSERT INTO t (a) VALUES (1)",
                "SELECT a FROM t WHERE b IN ('x', 'y')",
                "SELECT a FROM t WHERE b = 'x' LIMIT 5",
            ],
            &[
                "SELECT a FROM t WHERE b = $1",
                "SELECT a FROM t LIMIT 10 OFFSET 20",
                "INSERT INTO t (a) VALUES ($1)",
                "SELECT a FROM t WHERE b IS NULL AND c = true",
                "SELECT count(*) FROM t",
            ],
        ),
        (
            "injection: '>3'",
            &[
                "SELECT a FROM t WHERE b = '' OR 1=1 --'",
                "SELECT a FROM t WHERE b = 1 UNION SELECT passwd FROM pg_shadow --",
            ],
            &["SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE 1=1 AND b = 2"],
        ),
    ] {
        for text in meets {
            assert!(denied(when, text).is_some(), "{when}: {text}");
        }
        for text in misses {
            assert_eq!(denied(when, text), None, "{when}: {text}");
        }
    }
}

#[test]
fn a_condition_is_told_in_words() {
    for (when, text, said) in [
        ("limit: missing", "SELECT a FROM public.t", "SELECT on public.t has no LIMIT"),
        ("joins: '>1'", "SELECT 1 FROM a, b, c", "a statement with 2 joins"),
        ("parameters: inline", "SELECT a FROM t WHERE b = 1", "values are written into the text"),
        ("injection: '>3'", "SELECT a FROM t WHERE b = '' OR 1=1", "injection score"),
        ("where: missing", "DELETE FROM public.t", "DELETE on public.t has no WHERE"),
    ] {
        let reason = denied(when, text).unwrap();
        assert!(reason.starts_with(said), "{text}: {reason}");
    }
}

#[test]
fn what_touches_nothing_is_asked_too() {
    let lines = "deny: [{rule: r, actions: [all], when: {injection: '>3'}}]\n";
    assert!(refused(lines, "SELECT 1 WHERE '' = '' OR 1=1 --'", |moment| moment).is_some());
    assert_eq!(refused(lines, "SELECT 1", |moment| moment), None);
}

#[test]
fn the_protocol_and_the_hour() {
    let simple = "allow: [{rule: all, actions: [select], tables: ['*']}]\n\
                  deny: [{rule: r, actions: [select], when: {source: simple}}]\n";
    assert!(refused(simple, "SELECT a FROM t", |moment| Moment { extended: false, ..moment }).is_some());
    assert_eq!(refused(simple, "SELECT a FROM t", |moment| moment), None);
    let only =
        "allow: [{rule: all, actions: [select, set], tables: ['*'], settings: ['app.*'], when: {source: extended}}]\n";
    assert!(refused(only, "SELECT a FROM t", |moment| Moment { extended: false, ..moment }).is_some());
    assert!(refused(only, "SET app.x = '1'", |moment| Moment { extended: false, ..moment }).is_some());
    assert_eq!(refused(only, "SET app.x = '1'", |moment| moment), None);
    let freeze = "allow: [{rule: all, actions: [ddl], objects: ['*']}]\n\
                  deny: [{rule: freeze, actions: [ddl], when: {hours: 'Mon-Fri 08:00-20:00 Europe/Paris'}}]\n";
    for (now, frozen) in [("2026-11-20T12:00:00Z", true), ("2026-11-20T21:00:00Z", false)] {
        let told = refused(freeze, "CREATE TABLE t (a int)", |moment| Moment { now: now.parse().unwrap(), ..moment });
        assert_eq!(told.is_some(), frozen, "{now}");
    }
}

#[test]
fn a_score_from_block_at_on_is_refused_with_its_signals() {
    let lines = "allow: [{rule: all, actions: [read], tables: ['*']}]\ninjection: {observe_at: 2, block_at: 4}\n";
    let reason = refused(lines, "SELECT a FROM t WHERE b = '' OR 1=1", |moment| moment).unwrap();
    assert!(reason.starts_with("injection score 5: constant_true(5)"), "{reason}");
    assert_eq!(refused(lines, "SELECT a FROM t WHERE b = 1", |moment| moment), None);
}

/// However many rules there are, a rule is found by what it names, and only by that.
#[test]
fn many_rules_judge_as_few_do() {
    let filler: String = (0..100)
        .map(|n| {
            format!(
                "  - {{rule: f{n}, actions: [select], tables: [filler_{n}, 'pre{n}_*', '*_end{n}', 's{n}.*', 'x.deep{n}_*', '?in{n}?mid*']}}\n"
            )
        })
        .collect();
    let allow = "allow:
  - {rule: t, actions: [select, insert], tables: [t]}
  - {rule: u, actions: [select], tables: ['u*', '*_log', 'hr.*', 'a?c', '*mid*dle*', 'ä?ö', '??']}
  - {rule: temp, actions: [select], tables: ['pg_temp.*']}
  - {rule: f, actions: [call], functions: [f, 'calc_*', 'util.*']}
  - {rule: ddl, actions: [ddl, truncate], objects: ['public.*']}
";
    let deny = "deny:
  - {rule: no-u1, tables: [u1]}
  - {rule: no-g, functions: [g]}
  - {rule: no-pay, tables: ['pay_*', '*_secret', '?op*secret*', '*_ping_x?', 'vault.*', 'pg_temp.hidden']}
  - {rule: no-ops, functions: ['*_danger', 'ops.*']}
";
    let deny_filler = filler.replace("rule: f", "rule: d");
    for path in ["search_path: [public]\n", "search_path: [hr, public]\n", "search_path: [vault]\n", ""] {
        let head = format!("policy: app\napplies_to: {{users: [app]}}\n{path}");
        let (small, large) = (format!("{head}{allow}{deny}"), format!("{head}{allow}{filler}{deny}{deny_filler}"));
        let (small, large) = (session(&[&small]), session(&[&large]));
        for text in [
            "SELECT a FROM t",
            "INSERT INTO t VALUES (1)",
            "SELECT a FROM u",
            "SELECT a FROM u1",
            "SELECT a FROM public.u1",
            "SELECT a FROM \"u1\"",
            "SELECT a FROM web_log",
            "SELECT a FROM abc",
            "SELECT a FROM xmid_dlex",
            "SELECT a FROM dle_mid",
            "SELECT a FROM pre5_ping_xy",
            "SELECT a FROM äxö",
            "SELECT a FROM ä_öx",
            "SELECT a FROM xy",
            "SELECT a FROM top_secrets",
            "SELECT a FROM op_secrets",
            "SELECT a FROM hr.people",
            "SELECT a FROM people",
            "SELECT a FROM pay_1",
            "SELECT a FROM hr.pay_1",
            "SELECT a FROM web_secret",
            "SELECT a FROM vault.t",
            "SELECT a FROM pg_temp.x",
            "SELECT a FROM pg_temp_3.x",
            "SELECT a FROM pg_temp_3.hidden",
            "SELECT f(1)",
            "SELECT calc_x(1), util.y(2)",
            "SELECT very_danger(1)",
            "SELECT ops.x(1)",
            "SELECT g(1) FROM t",
            "SELECT u.g FROM u",
            "SELECT nextval($1)",
            "SELECT setval('s' || $1, 1)",
            "SELECT u.very_danger FROM u",
            "SELECT * FROM pg_stats",
            "SELECT * FROM other",
            "SET app.x = '1'",
            "TRUNCATE t CASCADE",
            "DROP TABLE u2",
            "ALTER SCHEMA public RENAME TO x",
            "DROP SCHEMA vault",
            "DROP OWNED BY x",
            "BEGIN",
        ] {
            let facts = sql::analyse(text, sql::Reading::default()).unwrap().facts;
            let judge = |session: &SessionPolicy| {
                refusal(session.judge(&facts, moment(Parameters::None))).map(|refusal| refusal.rule.label().to_owned())
            };
            let label = |by: Option<String>| {
                by.map(|by| if by.starts_with('d') && by != "default" { "filler".into() } else { by })
            };
            assert_eq!(label(judge(&large)), label(judge(&small)), "{path}{text}");
        }
        for (text, by) in [
            ("SELECT a FROM filler_7", "d7"),
            ("SELECT a FROM pre42_x", "d42"),
            ("SELECT a FROM xin5xmidst", "d5"),
            ("SELECT a FROM s3.x", "d3"),
        ] {
            let facts = sql::analyse(text, sql::Reading::default()).unwrap().facts;
            let told = refusal(large.judge(&facts, moment(Parameters::None))).unwrap();
            let denied_first = (path.contains("vault") || path.is_empty()) && !text.contains("s3.");
            assert_eq!(told.rule.label(), if denied_first { "no-pay" } else { by }, "{path}{text}");
        }
    }
}

/// Who breaks several rules can't choose the mildest by its place, nor by a limit or a score that refuses it anyway.
#[test]
fn the_gravest_of_the_rules_that_strike_answers() {
    let weak = "deny: [{rule: plain, actions: [select], tables: [t, secrets]}]\n";
    let grave = "deny:
  - {rule: low, tables: [secrets], severity: low}
  - {rule: slow, tables: [secrets], delay: 1s}
  - {rule: slower, tables: [secrets], delay: 2s}
  - {rule: out, tables: [vault, secrets], outcome: terminate}
  - {rule: alarm, tables: [vault], outcome: terminate, severity: critical}
  - {rule: watched, tables: [u], mode: observe}
  - {rule: watched-more, tables: [u], mode: observe, severity: high}
injection: {observe_at: 2, block_at: 4}
limits: {message_statements: 4}
";
    let head = |name: &str| format!("policy: {name}\napplies_to: {{users: [app]}}\n");
    let allow = "allow: [{rule: u, actions: [read], tables: [u, t]}]\n";
    let one = session(&[&format!("{}{weak}", head("a")), &format!("{}{allow}{grave}", head("b"))]);
    let other = session(&[&format!("{}{allow}{grave}", head("a")), &format!("{}{weak}", head("b"))]);
    for (text, by) in [
        ("SELECT a FROM t", "plain"),
        ("SELECT a FROM secrets", "out"),
        ("SELECT a FROM t; SELECT a FROM secrets", "out"),
        ("SELECT a FROM t, secrets", "out"),
        ("SELECT a FROM secrets, t", "out"),
        ("DELETE FROM other; SELECT a FROM secrets", "out"),
        ("SELECT a FROM secrets, vault", "alarm"),
        ("SELECT a FROM secrets WHERE b = '' OR 1=1", "out"),
        ("SELECT a FROM u WHERE b = '' OR 1=1", "injection"),
        ("SELECT a FROM u; SELECT a FROM u; SELECT a FROM u; SELECT a FROM u; SELECT a FROM vault", "alarm"),
        ("SELECT a FROM u; SELECT a FROM u; SELECT a FROM u; SELECT a FROM u; SELECT a FROM u", "limit"),
        ("SELECT a FROM other", "default"),
    ] {
        let analysis = sql::analyse(text, sql::Reading::default()).unwrap();
        let signals = crate::detect::signals(text, &analysis);
        for session in [&one, &other] {
            let moment = Moment { signals: &signals, ..moment(Parameters::None) };
            let told = refusal(session.judge(&analysis.facts, moment)).unwrap();
            assert_eq!(told.rule.label(), by, "{text}");
        }
    }
    let facts = sql::analyse("SELECT a FROM u", sql::Reading::default()).unwrap().facts;
    let judgement = one.judge(&facts, moment(Parameters::None));
    assert_eq!(judgement.would.unwrap().rule.label(), "watched-more");
}

/// Rules that are tried change nothing but what they allow.
#[test]
fn what_is_observed_stays_so_where_rules_are_tried() {
    let set = set(&[&policy("unlisted: observe\n")]);
    let identity = set.test_identity(None).unwrap();
    let facts = sql::analyse("COPY t TO PROGRAM 'cat'", sql::Reading::default()).unwrap().facts;
    let judged = |session: SessionPolicy| {
        let judgement = session.judge(&facts, moment(Parameters::None));
        (judgement.would.is_some(), refusal(judgement).is_some())
    };
    assert!(judged(set.admit(&identity).unwrap()).1);
    let tried = set.admit_with_rules(&identity, &["{rule: r, actions: [copy_program]}".to_owned()]).unwrap();
    assert_eq!(judged(tried), (true, false));
}

/// A sequence that only a value names may be the one that is denied; one that the text names is known.
#[test]
fn a_deny_rule_on_tables_strikes_a_sequence_that_is_not_known() {
    let allow =
        "allow: [{rule: f, actions: [nextval], functions: [pg_catalog.nextval, pg_catalog.setval], tables: [s1]}]\n";
    let by = |deny: &str, text: &str| {
        let facts = sql::analyse(text, sql::Reading::default()).unwrap().facts;
        let judgement = session(&[&policy(&format!("{allow}{deny}"))]).judge(&facts, moment(Parameters::Later));
        refusal(judgement).map(|refusal| refusal.rule.label().to_owned())
    };
    for text in ["SELECT nextval($1)", "SELECT setval($1, 5)", "SELECT nextval('s' || id) FROM (SELECT 1 AS id) x"] {
        assert_eq!(by("", text), None, "{text}");
        for deny in ["tables: [s2]", "actions: [nextval], tables: [s2]", "actions: [write], tables: ['secret_*']"] {
            assert_eq!(by(&format!("deny: [{{rule: no, {deny}}}]\n"), text).as_deref(), Some("no"), "{deny}: {text}");
        }
        assert_eq!(by("deny: [{rule: no, actions: [select, delete], tables: [s2]}]\n", text), None, "{text}");
    }
    assert_eq!(by("deny: [{rule: no, tables: [s2]}]\n", "SELECT nextval('s1')"), None);
}
