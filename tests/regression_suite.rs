//! PostgreSQL's own regression suite as input: every statement that a real server's grammar takes gets Facts, and nothing
//! in it is `unknown` but what the closed list below explains.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common;

use std::collections::BTreeMap;

use common::Cluster;
use common::suite::{Case, cases, judged_by_server, sources};
use common::wire::Client;
use portcullis::sql::{self, Object, Reading, analyse};

/// What PostgreSQL 15's grammar takes and our grammar's does not: how the message of ours begins, what the text holds, and
/// why.
const GRAMMAR_CHANGES: [(&str, &str, &str); 6] = [
    ("unrecognized partitioning strategy", "MAGIC", "since 16 refused by the grammar, before by the execution"),
    ("parameter number too large", "$2147483648", "since 18 refused by the scanner, which let it overflow before"),
    ("syntax error", "JSON()", "since 17 a word of the grammar, before the name of a function like any other"),
    ("syntax error", "JSON_SCALAR()", "likewise"),
    ("syntax error", "JSON_SERIALIZE()", "likewise"),
    ("syntax error", "JSON_TABLE(", "likewise"),
];

/// The only reasons for `unknown` in the suite: how what the walker says begins, and why it can't say more.
const UNKNOWN: [(&str, &str); 14] = [
    ("a body in language c", "code that is no SQL"),
    ("a body in language internal", "code that is no SQL"),
    ("a body in language plperl", "code that is no SQL; plperlu too"),
    ("a body in language plpython3u", "code that is no SQL"),
    ("dynamic EXECUTE in a PL/pgSQL body", "SQL that is made when it runs"),
    ("PREPARE, EXECUTE, DEALLOCATE or a cursor of SQL in a body", "names that a body makes can't be followed"),
    ("a body in SQL: syntax error at or near \"not\"", "a body that is wrong on purpose: `not even SQL`"),
    ("a body in SQL: syntax error at or near \"broken\"", "a body that is wrong on purpose (18)"),
    ("SQL in a PL/pgSQL body: syntax error at or near \"the\"", "a body that is wrong on purpose"),
    ("SQL in a PL/pgSQL body: syntax error at or near \"Johnny\"", "a body that is wrong on purpose: `Johnny Yuma`"),
    ("PL/pgSQL near \"[\"", "`FOR x[1] IN …`: wrong on purpose"),
    ("CREATE FUNCTION … BEGIN in a PL/pgSQL body", "a statement whose end PL/pgSQL finds by counting BEGIN and END"),
    ("what schema_to_xml", "reads every table of a schema: which ones, only the server's catalogs know"),
    ("what pg_input_", "runs the input function of a type that a column names (18's isn and ltree)"),
];

/// Runs on a stack that any statement fits on.
fn with_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(sql::STACK).spawn(work).unwrap().join().unwrap()
}

#[test]
fn scripts_are_split_as_psql_does() {
    let script = r#"
-- a comment; and /* not one
SELECT 1; SELECT 2 \; SELECT 3;
/* nested /* ; */ ; */ SELECT ';', E'\';', $a$ ; $$ ; $a$, "a;b", U&"a;" -- ;
  , 4;
SELECT 5 AS five, 'x;y' AS six \gset p_
\set name 'it''s' :p_five
SELECT :p_five, :'p_six', :"name", a[1:2], :unknown, :{?name}, x::int;
\if :skip
\echo 'not; sent' \\ SELECT 6;
\endif
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
COPY t FROM stdin;
1;2
SELECT 'data';
\.
COPY bad FROM stdin;
SELECT 7 \g
SELECT 8 \r
CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b);
SET standard_conforming_strings = off;
SELECT 'a\';b';
RESET standard_conforming_strings;
SELECT '\'; ;
SELECT 9"#;
    let sent = common::psql_script::statements(script);
    let texts: Vec<&str> = sent.iter().map(|sent| sent.text.trim()).collect();
    assert_eq!(
        texts,
        [
            "SELECT 1;",
            "SELECT 2 ; SELECT 3;",
            "SELECT ';', E'\\';', $a$ ; $$ ; $a$, \"a;b\", U&\"a;\" -- ;\n  , 4;",
            "SELECT 5 AS five, 'x;y' AS six",
            "SELECT 1, 'x;y', \"it's1\", a[1:2], :unknown, TRUE, x::int;",
            "SELECT 6;",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;",
            "COPY t FROM stdin;",
            "COPY bad FROM stdin;",
            "SELECT 7",
            "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b);",
            "SET standard_conforming_strings = off;",
            "SELECT 'a\\';b';",
            "RESET standard_conforming_strings;",
            "SELECT '\\';",
            "SELECT 9",
        ]
    );
    assert_eq!(sent[2].line, 4, "comments before a statement are not of it");
    let off: Vec<bool> = sent.iter().map(|sent| !sent.standard_strings).collect();
    assert_eq!(off.iter().position(|off| *off), Some(12));
    assert_eq!(off.iter().filter(|off| **off).count(), 2);
}

#[test]
fn every_statement_that_the_server_parses_has_facts() {
    let sources = sources();
    if sources.is_empty() {
        return;
    }
    let cluster = Cluster::default();
    let mut client = Client::login(cluster.port(), &[("user", "postgres"), ("database", "postgres")]);
    for source in sources {
        let cases = cases(&source);
        // Each is asked with standard_conforming_strings on, whatever the script has set: the firewall pins it.
        let texts: Vec<&str> = cases.iter().map(|case| case.sent.text.as_str()).collect();
        let server = judged_by_server(&mut client, &texts);
        println!("{}", source.display());
        with_stack(move || every_one_is_known(&cases, &server));
    }
}

fn every_one_is_known(cases: &[Case], server: &[Result<(), String>]) {
    let (mut wrong, mut exceptions) = (Vec::new(), BTreeMap::new());
    let (mut accepted, mut ours_only, mut refused) = (0, 0, 0);
    for (Case { place, sent }, server) in cases.iter().zip(server) {
        let analysis = analyse(&sent.text, Reading::default());
        match (&analysis, server) {
            (_, Ok(())) => accepted += 1,
            (Ok(_), Err(_)) => ours_only += 1,
            (Err(_), Err(_)) => refused += 1,
        }
        match analysis {
            Err(_) if server.is_err() => {}
            Err(error) => {
                let known = |(message, text, _): &&(&str, &'static str, &str)| {
                    error.to_string().starts_with(message) && sent.text.contains(text)
                };
                match GRAMMAR_CHANGES.iter().find(known) {
                    Some((_, text, _)) => *exceptions.entry(*text).or_insert(0) += 1,
                    None => wrong.push(format!("{place}: {error}: {}", sent.text)),
                }
            }
            Ok(analysis) => {
                for access in analysis.facts.statements.iter().flat_map(|statement| &statement.accesses) {
                    let Object::Unknown(what) = &access.object else { continue };
                    match UNKNOWN.iter().find(|(known, _)| what.starts_with(known)) {
                        Some((known, _)) => *exceptions.entry(*known).or_insert(0) += 1,
                        None => wrong.push(format!("{place}: unknown: {what}: {}", sent.text)),
                    }
                }
            }
        }
    }
    let all = cases.len();
    println!("{all} statements, {accepted} by the server's grammar, {ours_only} by ours only, {refused} by none");
    println!("exceptions: {exceptions:#?}");
    assert!(refused * 50 < all, "{refused} of {all} are no statements: the scripts are split wrongly");
    assert!(wrong.is_empty(), "{} statements:\n{}", wrong.len(), wrong.join("\n"));
}

/// PC0063 says that a rule's actions are never about what it names: nothing in the suite is about it all the same.
#[test]
fn what_actions_are_about_is_never_called_impossible() {
    let mut pairs = std::collections::BTreeSet::new();
    for source in sources() {
        let texts: Vec<String> = cases(&source).into_iter().map(|case| case.sent.text).collect();
        pairs.extend(with_stack(move || {
            let mut pairs = Vec::new();
            for text in &texts {
                let Ok(analysis) = analyse(text, Reading::default()) else { continue };
                for access in analysis.facts.statements.iter().flat_map(|statement| &statement.accesses) {
                    // The selectors that `Rule::covers` asks of such an object.
                    let selectors: &[&str] = match &access.object {
                        Object::Relation(_) => &["tables", "objects"],
                        Object::Function { .. } => &["functions", "objects"],
                        Object::Other { .. } => &["objects"],
                        Object::Setting { .. } => &["settings"],
                        Object::Role(Some(_)) | Object::AnyRole => &["roles"],
                        Object::Cursor(_) => &["cursors"],
                        Object::Role(None) | Object::None | Object::Unknown(_) => &[],
                    };
                    pairs.extend(selectors.iter().map(|selector| (access.action.name.as_str(), *selector)));
                }
            }
            pairs
        }));
    }
    if sources().is_empty() {
        return;
    }
    assert!(pairs.len() > 50 && pairs.contains(&("call", "functions")), "{pairs:?}");
    let rules = pairs.iter().enumerate().map(|(number, (action, selector))| {
        format!("  - {{rule: r{number}, actions: [{action}], {selector}: [\"*\"]}} # {action} {selector}\n")
    });
    let policy = format!("policy: p\napplies_to: {{users: [a]}}\ndeny:\n{}", rules.collect::<String>());
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), policy).unwrap();
    let findings = portcullis::policy::check(&[file.path().to_owned()]).findings;
    let errors: Vec<_> = findings.iter().filter(|finding| finding.code.number() == 63).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
