//! Statements beside learned ones, and beside those of the session.

use super::*;
use crate::sql;

const LOGIN: &str = "SELECT id, role FROM users WHERE username = 'x' AND password = 'y'";
const LIST: &str = "SELECT id, name FROM products WHERE active ORDER BY name LIMIT 50";
const UPDATE: &str = "UPDATE carts SET qty = 2, updated_at = now() WHERE id = 5";
const BOUND: &str = "SELECT id FROM orders WHERE id = $1 AND total > 5";

fn learned() -> Shapes {
    let texts: Vec<String> = [LOGIN, LIST, UPDATE, BOUND].into_iter().map(sql::redacted).collect();
    Shapes::new(texts.iter().map(String::as_str))
}

/// The weight, the inserted part, and into what.
fn beside(text: &str) -> Option<(u32, String, Box<str>)> {
    let mut signals = Signals::default();
    signals.beside_learned(text, &learned());
    let score = signals.score();
    signals.inserted.map(|inserted| (score, inserted.part, inserted.into.expect("a learned one")))
}

#[test]
fn what_was_inserted_is_found_wherever_it_stands() {
    for (text, weight, part, into) in [
        ("SELECT id, role FROM users WHERE username = 'x' OR 1=1 AND password = 'y'", 5, "OR ?=?", LOGIN),
        ("SELECT id, role FROM users WHERE username = 'x' AND a = 'b' AND password = 'y'", 3, "AND a = ?", LOGIN),
        ("SELECT id, role FROM users WHERE username = 'admin'--' AND password = 'y'", 5, "", LOGIN),
        (
            "SELECT id, role FROM users WHERE username = 'x' AND password = 'y' UNION SELECT 1, 2",
            5,
            "UNION SELECT ?, ?",
            LOGIN,
        ),
        (
            "SELECT id, role FROM users WHERE username = 'x'; DROP TABLE users --' AND password = ''",
            5,
            "; DROP TABLE users",
            LOGIN,
        ),
        ("SELECT id, role FROM users WHERE username = f(1) = 'x' AND password = 'y'", 5, "f(?) = ?", LOGIN),
        (
            "SELECT id, name FROM products WHERE active ORDER BY (CASE WHEN a THEN 1 END) LIMIT 50",
            3,
            "(CASE WHEN a THEN ? END)",
            LIST,
        ),
        ("SELECT id, name FROM products WHERE active ORDER BY name LIMIT (SELECT 1)", 5, "(SELECT ?)", LIST),
        ("UPDATE carts SET qty = 2, price = 0, updated_at = now() WHERE id = 5", 3, ", price = ?", UPDATE),
        (
            "UPDATE carts SET qty = (SELECT max(id) FROM users), updated_at = now() WHERE id = 5",
            5,
            "(SELECT max(id) FROM users)",
            UPDATE,
        ),
        ("SELECT id FROM orders WHERE id = $1 AND total > 5 OR true", 5, "OR true", BOUND),
    ] {
        assert_eq!(beside(text), Some((weight, part.to_owned(), sql::redacted(into).into())), "{text}");
    }
}

#[test]
fn what_resembles_none_or_differs_as_applications_do_shows_nothing() {
    for text in [
        LOGIN,
        "select ID, role from users where username='z' and password=E'w'",
        "SELECT id, name FROM products WHERE active ORDER BY price LIMIT 50",
        "SELECT id, name FROM products WHERE active ORDER BY p.price DESC LIMIT 10",
        "SELECT id, name FROM suppliers WHERE active ORDER BY name LIMIT 50",
        "UPDATE carts SET qty = NULL, updated_at = now() WHERE id = $1",
        "SELECT id FROM orders WHERE id = $1 AND kind = $2 AND total > 5",
        "DELETE FROM carts",
        "SELECT 1",
    ] {
        assert_eq!(beside(text), None, "{text}");
    }
}

#[test]
fn padding_hides_nothing() {
    on_a_large_stack(|| {
        let many = " AND 1=1".repeat(1500);
        let text = format!("SELECT id, role FROM users WHERE username = 'x' OR 2=2{many} AND password = 'y'");
        assert_eq!(beside(&text).map(|(weight, ..)| weight), Some(5));
        let mut recent = Recent::default();
        Signals::default().beside_recent(LOGIN, &mut recent, 3);
        let mut signals = Signals::default();
        signals.beside_recent(&text, &mut recent, 3);
        assert_eq!(signals.score(), 3);
    });
}

#[test]
fn the_last_statements_of_a_session_are_models_and_attempts_are_none() {
    let mut recent = Recent::default();
    let mut score = |text: &str| {
        let mut signals = Signals::default();
        signals.beside_recent(text, &mut recent, 3);
        signals.score()
    };
    let injected = "SELECT id, role FROM users WHERE username = 'x' OR role = 'admin' AND password = 'y'";
    assert_eq!(score(injected.replace("users", "people").as_str()), 0, "nothing is known yet");
    assert_eq!(score(LOGIN), 0);
    assert_eq!(score(&LOGIN.replace('x', "it''s")), 0);
    assert_eq!((score(injected), score(injected)), (3, 3));
    let filtered = "SELECT id, role FROM users WHERE username = 'x' AND active = 1 AND password = 'y'";
    assert_eq!((score(filtered), score(filtered)), (1, 0), "a condition more is known from now on");
    // Sixteen others, and it is forgotten.
    for number in 0..16 {
        score(&format!("SELECT a{number} FROM t WHERE b = 1"));
    }
    assert_eq!(score(injected), 0);
}
