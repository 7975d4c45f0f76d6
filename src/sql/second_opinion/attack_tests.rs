//! Texts made to be read in two ways, or to bring a parser down. Whatever comes of them, both agree, or differ and are
//! seen to, or one has no opinion; nothing crashes.

use super::tests::{on_a_large_stack, opinion};
use super::*;
use crate::sql::{Reading, analyse};

/// Both read this: a line a statement.
fn both(text: &str, readings: &[&str]) {
    let asked = text.to_owned();
    let compared = on_a_large_stack(move || {
        let analysis = analyse(&asked, Reading::default()).unwrap();
        Compared::of(&asked, &analysis.facts)
    });
    let ours: Vec<String> = compared.postgresql.iter().map(ToString::to_string).collect();
    assert_eq!(ours, readings, "{text}");
    assert!(matches!(compared.opinion(), Opinion::Agrees | Opinion::None(_)), "{text}: {compared:#?}");
}

const NOTHING: &str = "nothing that touches a relation";

#[test]
fn comments() {
    both("SELECT 1 /* a /* b */ ; DROP TABLE t */", &[NOTHING]);
    both("SELECT 1 /* a /* b */ */ FROM t", &["reads t"]);
    both("SELECT 5 *--1\n-2 FROM t", &["reads t"]);
    both("SELECT 1 -- ; DROP TABLE t\rFROM u", &["reads u"]);
    both("SELECT 1+/**/-- x\n2 FROM t", &["reads t"]);
    both("SELECT a /*+ hint */ FROM t", &["reads t"]);
    // MySQL's.
    both("SELECT 1 #comment\n FROM t", &["reads t"]);
    both("SELECT 1 # 2; DROP TABLE t", &[NOTHING, "drop; names t"]);
    both("SELECT 1 /*!50000 FROM t */", &[NOTHING]);
}

#[test]
fn strings() {
    both("SELECT 'a\\' FROM t; DROP TABLE u --'", &["reads t", "drop; names u"]);
    both("SELECT E'a\\'; DROP TABLE t; --'", &[NOTHING]);
    both("SELECT U&'d\\0061t' FROM t", &["reads t"]);
    both("SELECT 'a' -- x\n'; DROP TABLE t; --'", &[NOTHING]);
    both("SELECT ';' FROM t; SELECT ';;'", &["reads t", NOTHING]);
    both("SELECT Q'x; DROP TABLE t;' FROM t", &["reads t"]);
    both("SELECT r'\\' FROM t WHERE a = '; DROP TABLE u'", &["reads t"]);
    both("SELECT $$ ; DROP TABLE t; $$", &[NOTHING]);
    both("SELECT $a$ $$ ; $b$ DROP TABLE t; $a$ FROM u", &["reads u"]);
    both("SELECT $a$ $A$ ; DROP TABLE t; $a$", &[NOTHING]);
    both("SELECT $é$ ; DROP TABLE t; $é$", &[NOTHING]);
    both("SELECT a$b$c FROM t; SELECT 2 AS d$b$", &["reads t", NOTHING]);
}

#[test]
fn names_and_blanks() {
    both("SELECT * FROM U&\"d\\0061t\"", &["reads dat"]);
    both("SELECT * FROM U&\"d!0061t\" UESCAPE '!'", &["reads dat"]);
    both("SELECT \"a;b\" FROM \"t;u\"", &["reads t;u"]);
    both("SELECT * FROM \"a\"\"b\"", &["reads a\"b"]);
    both("SELECT 1 ` 2 FROM t", &["reads t"]);
    // Blanks of Unicode are letters for PostgreSQL.
    for blank in ['\u{a0}', '\u{2003}', '\u{85}', '\u{2028}', '\u{200b}'] {
        both(&format!("SELECT 1 FROM t{blank}u"), &[&format!("reads t{blank}u")]);
    }
    for blank in ['\u{c}', '\u{b}', '\t', '\r'] {
        both(&format!("SELECT 1 FROM t{blank}u"), &["reads t"]);
    }
    both("SELECT 1 FROM ÄÖ", &["reads ÄÖ"]);
    both(&format!("SELECT 1 FROM {}", "é".repeat(40)), &[&format!("reads {}", "é".repeat(31))]);
    // PostgreSQL takes neither: nobody is asked.
    assert_eq!(opinion("\u{feff}SELECT 1"), None);
    assert_eq!(opinion("SELECT `a` FROM t"), None);
}

/// As deep or long as the bound lets through, asked whether or not PostgreSQL's grammar would have taken it.
#[test]
fn no_shape_overflows_the_second_parser() {
    for (name, shape) in shapes() {
        for levels in [60, 4_000] {
            let text = shape(levels);
            if text.len() <= MAX_BYTES {
                // Whatever it says, it says something.
                let read = on_a_large_stack(move || read(&text, 1).map(|summaries| summaries.len()));
                assert_ne!(read, Err(NoOpinion::Panicked), "{name} {levels}");
            }
        }
        // The longest that fits.
        let text = (1..).map(|power| shape(1 << power)).take_while(|text| text.len() <= MAX_BYTES).last().unwrap();
        on_a_large_stack(move || drop(read(&text, 1)));
    }
}

#[test]
fn no_shape_of_4000_levels_makes_them_differ() {
    for (name, shape) in shapes() {
        for levels in [40, 4_000] {
            let asked = opinion(&shape(levels));
            assert!(!matches!(asked, Some(Opinion::Disagrees(_))), "{name} {levels}: {asked:?}");
        }
    }
}

/// A text of so many levels.
type Shape = Box<dyn Fn(usize) -> String>;

/// Shapes that nest, each with its name.
fn shapes() -> Vec<(&'static str, Shape)> {
    fn around(before: &'static str, middle: &'static str, after: &'static str) -> Shape {
        Box::new(move |n| format!("SELECT {}{middle}{}", before.repeat(n), after.repeat(n)))
    }
    fn chain(start: &'static str, link: &'static str) -> Shape {
        Box::new(move |n| format!("SELECT {start}{}", link.repeat(n)))
    }
    vec![
        ("sums", chain("1", "+1")),
        ("concatenations", chain("a", "||b")),
        ("AND", chain("a", " AND b")),
        ("OR", chain("1", " OR 1=1")),
        ("casts", chain("a", "::int")),
        ("indirections", chain("a", "[1]")),
        ("dots", chain("a", ".b")),
        ("IS NULL", chain("a", " IS NULL")),
        ("AT TIME ZONE", chain("a", " AT TIME ZONE 'x'")),
        ("JOIN", chain("* FROM t", " JOIN u ON true")),
        ("JOIN to the right", Box::new(|n| format!("SELECT * FROM t{}{}", " JOIN u".repeat(n), " ON true".repeat(n)))),
        ("UNION", chain("1", " UNION SELECT 1")),
        ("IN list", Box::new(|n| format!("SELECT 1 IN (1{})", ",1".repeat(n)))),
        ("statements", chain("1", ";SELECT 1")),
        ("parentheses", around("(", "1", ")")),
        ("NOT", around("NOT ", "true", "")),
        ("NOT ()", around("NOT (", "true", ")")),
        ("minus", around("- ", "1", "")),
        ("CASE", around("CASE WHEN true THEN ", "1", " END")),
        ("CASE of CASE", around("CASE ", "1", " WHEN 1 THEN 2 END")),
        ("functions", around("f(", "1", ")")),
        ("arrays", around("ARRAY[", "1", "]")),
        ("rows", around("ROW(", "1", ")")),
        ("tuples", around("(", "1", ",2)")),
        ("sub-selects", around("(SELECT ", "1", ")")),
        ("sub-selects in FROM", around("* FROM (SELECT ", "1", ") x")),
        ("EXISTS", around("EXISTS (SELECT ", "1", ")")),
        ("parentheses in FROM", Box::new(|n| format!("SELECT * FROM {}t{}", "(".repeat(n), ")".repeat(n)))),
        ("WITH", Box::new(|n| format!("{}SELECT 1{}", "WITH x AS (".repeat(n), ") SELECT 1".repeat(n)))),
        ("CAST", around("CAST(", "1", " AS int)")),
        ("OVER", around("sum(1) OVER (ORDER BY ", "1", ")")),
        ("EXPLAIN", Box::new(|n| format!("{}SELECT 1", "EXPLAIN ".repeat(n)))),
        ("comments", Box::new(|n| format!("SELECT 1 {}{}", "/*".repeat(n), "*/".repeat(n)))),
        ("array types", Box::new(|n| format!("CREATE TABLE t (a int{})", "[]".repeat(n)))),
    ]
}
