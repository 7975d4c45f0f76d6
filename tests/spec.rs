//! The specification of the policy language, as prose that runs: `tests/spec/*.md`. Its format is told, and tried, in
//! `tests/spec/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::fs;
use std::path::Path;

use common::spec::{Failure, Spec};

/// All pages, in order of their names.
fn pages() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec");
    let mut pages: Vec<(String, String)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect();
    pages.sort();
    assert!(pages.len() > 20, "{} pages", pages.len());
    pages
}

/// What is wrong with all pages, each as `tests/spec/FILE:LINE: …`.
fn failures(pages: &[(String, String)]) -> Vec<String> {
    let of = |(file, page): &(String, String)| {
        let file = format!("tests/spec/{file}");
        let failures = Spec::read(&file, page).map_or_else(|failure| vec![failure], |spec| spec.run());
        failures.iter().map(|failure| format!("{file}:{failure}")).collect::<Vec<_>>()
    };
    pages.iter().flat_map(of).collect()
}

#[test]
fn everything_becomes_as_it_is_specified() {
    let failures = failures(&pages());
    assert!(failures.is_empty(), "\n{}\n{} differ from the specification", failures.join("\n"), failures.len());
}

#[test]
fn the_readme_lists_every_page() {
    let pages = pages();
    let (_, readme) = pages.iter().find(|(file, _)| file == "README.md").unwrap();
    for (file, _) in pages.iter().filter(|(file, _)| file != "README.md") {
        assert!(readme.contains(&format!("]({file})")), "{file}");
    }
}

/// Turned into their opposites, all expectations fail, every single one.
#[test]
fn every_expectation_can_fail() {
    for (file, page) in pages() {
        let spec = Spec::read(&file, &page).unwrap();
        let mut lines: Vec<usize> = spec.reversed().run().iter().map(|failure| failure.line).collect();
        lines.dedup();
        assert_eq!(lines.len(), spec.expectations(), "{file}");
        assert!(spec.expectations() > 0, "{file} expects nothing");
    }
}

const POLICY: &str = "```yaml policy
policy: shop
applies_to: {users: [shop_app]}
require: {tls: true}
search_path: [public]
allow: [{rule: read, actions: [select], tables: [orders]}]
deny:
  - {rule: no-hashes, columns: [users.password_hash], hint: name the columns}
  - {rule: watched, mode: observe, actions: [select], tables: [orders], when: {statements: \">1\"}}
```
";

/// Plays a page that begins with [`POLICY`]; what is wrong in its lines behind.
fn behind(rest: &str) -> Vec<Failure> {
    let page = format!("{POLICY}{rest}");
    let first = POLICY.lines().count();
    let failures = Spec::read("page.md", &page).map_or_else(|failure| vec![failure], |spec| spec.run());
    failures.into_iter().map(|failure| Failure { line: failure.line - first, ..failure }).collect()
}

fn one(rest: &str) -> (usize, String) {
    match behind(rest).as_slice() {
        [Failure { line, message }] => (*line, message.clone()),
        several => panic!("{rest}\n{several:?}"),
    }
}

#[test]
fn what_is_right_passes() {
    let right = "```sql\nSELECT id\n  FROM orders  -- allow\nSELECT password_hash FROM users\n\
                 -- deny by shop/no-hashes [42501]: touches column password_hash; hint: name the columns\n\
                 SELECT 1 FROM orders; SELECT 2  -- would refuse by watched: 2 statements\n```\n\
                 ```sql tls=false\n-- login refuse by require [28000]: TLS is required\n```\n";
    assert_eq!(behind(right), []);
}

#[test]
fn what_is_wrong_fails_in_its_line() {
    for (sql, line, part) in [
        ("DROP TABLE orders  -- allow", 2, "it is refused: by shop/default"),
        ("SELECT id FROM orders;  -- deny by default", 2, "it is allowed"),
        ("SELECT id FROM orders  -- would refuse by watched", 2, "it is allowed"),
        ("SELECT 1 FROM orders; SELECT 2  -- allow", 2, "it is allowed, and would be refused"),
        ("SELECT 1 FROM orders; SELECT 2  -- deny by watched", 2, "it is allowed, and would be refused"),
        ("SELECT\n*\nFROM users  -- deny by default", 4, "but not by default: by shop/no-hashes (page.md:8)"),
        ("SELECT * FROM users  -- deny by other/no-hashes", 2, "but not by other/no-hashes"),
        ("SELECT * FROM users  -- deny by no-hashes: has no WHERE", 2, "its reason is another"),
        ("SELECT * FROM users  -- deny by no-hashes [28000]", 2, "its SQLSTATE is 42501"),
        ("-- login refuse by require", 2, "it is allowed"),
    ] {
        let (at, message) = one(&format!("```sql\n{sql}\n```\n"));
        assert!(at == line && message.contains(part), "{sql}\n{at}: {message}");
    }
    let (_, message) = one("```sql tls=false\nSELECT 1  -- allow\n```\n");
    assert!(message.starts_with("login is refused"), "{message}");
}

#[test]
fn what_has_no_meaning_is_an_error_and_never_passed_over() {
    for (rest, line, part) in [
        ("```sql\nSELECT 1;\nSELECT 2  -- allow\n```\n", 3, "one has no expectation"),
        ("```sql\nSELECT 1\n\nSELECT 2  -- allow\n```\n", 3, "before this empty line has no expectation"),
        ("```sql\nSELECT 1  -- allow\nSELECT 2\n```\n", 1, "the last statement of this block has no expectation"),
        ("```sql\n```\n", 1, "nothing is expected"),
        ("```sql\n-- allow\n```\n", 2, "without a statement"),
        ("```sql\nSELECT 1  -- alow\n```\n", 2, "it begins with allow, deny or would refuse"),
        ("```sql\nSELECT 1  -- denied by x\n```\n", 2, "it begins with"),
        ("```sql\nSELECT 1  -- deny\n```\n", 2, "does not say by what"),
        ("```sql\nSELECT 1  -- allow by x\n```\n", 2, "has no reason"),
        ("```sql\nSELECT $1  -- allow with [1]\n```\n", 2, "parameters are written like"),
        ("```sql usr=x\nSELECT 1  -- allow\n```\n", 1, "says nothing about a session"),
        ("```sql\nSELECT 1  -- allow\n", 1, "never closed"),
        ("```python\n```\n", 1, "has no meaning here"),
        ("```yaml brocken\n```\n", 1, "has no meaning here"),
        ("```yaml broken\npolicy: x\n```\n```sql\nSELECT 1  -- allow\n```\n", 1, "no ```text block"),
        ("## Next\n", -9, "nothing is tried under this policy"),
        ("```startup\nTimeZone = UTC\n```\n", 1, "the last packet of this block has no expectation"),
    ] {
        let page = format!("{POLICY}{rest}");
        let first = POLICY.lines().count();
        let failures = Spec::read("page.md", &page).map_or_else(|failure| vec![failure], |spec| spec.run());
        let [Failure { line: at, message }] = failures.as_slice() else { panic!("{rest}\n{failures:?}") };
        assert_eq!(*at as i64 - first as i64, line, "{rest}\n{message}");
        assert!(message.contains(part), "{rest}\n{message}");
    }
    let none = "## Section\n```sql\nSELECT 1  -- allow\n```\n";
    assert!(Spec::read("page.md", none).unwrap().run()[0].message.contains("no policy is in force"));
}

#[test]
fn findings_are_compared_one_by_one() {
    let broken =
        "policy: a\napplies_to: {users: [x]}\nallow: [{rule: r, actions: [selct], tables: [t]}]\nmode: watch\n";
    let play = |kind: &str, yaml: &str, told: &str| {
        let page = format!("```yaml {kind}\n{yaml}```\n```text\n{told}\n```\n");
        let failures = Spec::read("page.md", &page).unwrap().run();
        failures.into_iter().map(|failure| failure.message).collect::<Vec<_>>().join("\n")
    };
    let both = "policy.yaml:3:29: unknown action \"selct\"\npolicy.yaml:4:7: mode is enforce or observe";
    assert_eq!(play("broken", broken, both), "");
    assert!(play("warned", broken, both).contains("there is an error in it"));
    assert!(play("broken", broken, "unknown action").contains("does not tell of:\npolicy.yaml:4:7"));
    assert!(play("broken", broken, &format!("{both}\nsomething else")).contains("it is not told: something else"));
    let right = "policy: a\napplies_to: {users: [x]}\n";
    assert!(play("broken", right, "x").contains("there is no error in it"));
    let failing = format!("{right}tests: [{{allow: DROP TABLE t}}]\n");
    assert_eq!(play("broken", &failing, "test of policy \"a\" failed: allow: DROP TABLE t"), "");
}

#[test]
fn packets_are_compared_with_what_is_sent() {
    let right = "```startup\nTimeZone = UTC\n-- allow\n-- sends TimeZone = UTC\n-- sends search_path = public, pg_temp\n\n\
                 options = -c role=boss\n-- refuse by guard: startup parameter role\n```\n";
    assert_eq!(behind(right), []);
    let (line, message) = one(&right.replace("-- sends TimeZone = UTC", "-- sends TimeZone = CET"));
    assert!(line == 3 && message.contains("is not sent"), "{message}");
    assert!(one(&right.replace("-- allow", "-- deny by guard")).1.contains("it is allowed"));
}
