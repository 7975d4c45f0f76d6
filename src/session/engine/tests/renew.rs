//! Other policies come into force while a session is under way.

use super::*;
use crate::policy::Store;

/// What SHOP lets pass, but for writing.
const READS: &str = "
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow: [{rule: data, actions: [select], tables: ['*']}]
";

/// A session under policies that can be replaced.
struct Renewed {
    session: Session,
    store: Arc<Store>,
}

impl Renewed {
    fn new(policy: &str) -> Renewed {
        let store = Arc::new(Store::new(set(policy)));
        let mut admission = store.admit(&identity(false)).unwrap();
        admission.startup(&[("user".into(), "shop_app".into())]).unwrap();
        let mut session = Session { engine: engine_admitted(admission, false) };
        session.server(&frame(b'S', b"client_encoding\0UTF8\0"));
        session.server(&frame(b'Z', b"I"));
        Renewed { session, store }
    }

    fn put(&self, policy: &str) {
        self.store.replace(Arc::new(set(policy)));
    }

    /// Sends a message that ReadyForQuery with this status answers.
    fn answered(&mut self, bytes: &[u8], status: &[u8]) {
        self.session.passes(bytes);
        self.session.server(&frame(b'Z', status));
    }

    fn refused(&mut self, bytes: &[u8], kind: u8) -> (String, String) {
        self.session.refused(bytes, kind)
    }

    /// The message of the FATAL with which it ends.
    #[track_caller]
    fn ended(&mut self, bytes: &[u8]) -> String {
        match self.session.client(bytes) {
            Err(End::Fatal { sqlstate: "57P01", message, .. }) => message,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_stricter_set_judges_the_next_text_and_a_laxer_one_too() {
    let mut it = Renewed::new(SHOP);
    for _ in 0..3 {
        it.answered(&query("DELETE FROM orders"), b"I");
    }
    it.put(READS);
    assert_eq!(it.refused(&query("DELETE FROM orders"), b'Q').0, "42501");
    it.session.server(&frame(b'Z', b"I"));
    it.answered(&query("SELECT * FROM orders"), b"I");
    it.put(SHOP);
    it.answered(&query("DELETE FROM orders"), b"I");
}

#[test]
fn every_use_of_an_old_name_is_judged_by_the_new_set() {
    let uses: [(&str, Vec<u8>, u8); 9] = [
        ("Bind of a named statement", bind("", "s", &[]), b'P'),
        ("Bind of the unnamed statement", bind("", "", &[]), b'P'),
        ("Describe of a statement", frame(b'D', b"Ss\0"), b'P'),
        ("Describe of a portal", frame(b'D', b"Pp\0"), b'P'),
        ("Execute of a named portal", execute("p"), b'P'),
        ("Execute of the unnamed portal", execute(""), b'P'),
        ("EXECUTE", query("EXECUTE s"), b'Q'),
        ("EXPLAIN ANALYZE EXECUTE", query("EXPLAIN ANALYZE EXECUTE q"), b'Q'),
        ("FETCH", query("FETCH ALL FROM p"), b'Q'),
    ];
    for (what, bytes, kind) in uses {
        let mut it = Renewed::new(SHOP);
        it.answered(&query("BEGIN; PREPARE q AS DELETE FROM orders RETURNING id"), b"T");
        let text = "DELETE FROM orders RETURNING id";
        it.session.passes(&[parse("s", text), parse("", text), bind("p", "s", &[]), bind("", "", &[])].concat());
        it.answered(&sync(), b"T");
        it.answered(&[frame(b'D', b"Ss\0"), execute("p"), sync()].concat(), b"T");
        it.put(READS);
        assert_eq!(it.refused(&bytes, kind).0, "42501", "{what}");
    }
}

#[test]
fn what_the_new_set_allows_still_is_settled_again() {
    let mut it = Renewed::new(SHOP);
    it.answered(&[parse("s", "SELECT * FROM orders"), bind("p", "s", &[]), sync()].concat(), b"T");
    it.put(READS);
    it.session.passes(&bind("", "s", &[]));
    assert!(it.session.engine.statements.get("s").unwrap().is_settled());
    it.answered(&[execute("p"), execute(""), sync()].concat(), b"T");
}

#[test]
fn a_cursor_of_an_old_set_is_judged_by_the_new_one() {
    let mut it = Renewed::new(SHOP);
    it.answered(&query("BEGIN; DECLARE c CURSOR FOR SELECT * FROM orders"), b"T");
    it.answered(&query("FETCH 1 FROM c"), b"T");
    it.put(&READS.replace("tables: ['*']", "tables: [products]"));
    assert_eq!(it.refused(&query("FETCH 1 FROM c"), b'Q').0, "42501");
    it.session.server(&frame(b'Z', b"E"));
    it.answered(&query("ROLLBACK"), b"I");
    it.answered(&query("SELECT * FROM products"), b"I");
}

#[test]
fn values_bound_under_an_old_set_are_bound_again() {
    let mut it = Renewed::new(SHOP);
    it.answered(&[parse("s", "SELECT set_config($1, $2, true)"), bind("p", "s", &["app.tenant", "1"])].concat(), b"T");
    it.session.passes(&execute("p"));
    it.put(SHOP);
    assert_eq!(it.refused(&execute("p"), b'P').0, "53400");
    it.session.passes(&[sync(), bind("p", "s", &["app.tenant", "1"]), execute("p")].concat());
}

#[test]
fn a_session_that_is_not_admitted_any_more_ends_outside_of_a_transaction() {
    for new in [
        READS.replace("[shop_app]", "[somebody_else]"),
        format!("{READS}require: {{networks: [10.0.0.0/8]}}\n"),
        format!("{READS}require: {{tls: true}}\n"),
        READS.replace("[public]", "[public, other]"),
        READS.replace("search_path: [public]\n", ""),
        format!("{READS}pin: {{statement_timeout: 5s}}\n"),
    ] {
        let mut it = Renewed::new(SHOP);
        it.answered(&query("SELECT 1"), b"I");
        it.put(&new);
        it.session.passes(&sync());
        it.session.server(&frame(b'Z', b"I"));
        let message = it.ended(&query("SELECT * FROM orders"));
        assert!(message.starts_with("terminating connection: this session is not admitted any more: "), "{message}");

        let mut it = Renewed::new(SHOP);
        it.answered(&query("BEGIN"), b"T");
        it.answered(&parse("s", "SELECT * FROM orders"), b"T");
        it.answered(&sync(), b"T");
        it.put(&new);
        for (bytes, kind) in [(query("SELECT * FROM orders"), b'Q'), (bind("", "s", &[]), b'P')] {
            let (sqlstate, message) = it.refused(&bytes, kind);
            assert_eq!(sqlstate, "42501");
            assert!(message.contains("this session is not admitted any more"), "{message}");
            it.session.passes(&sync());
        }
        let mut it = Renewed::new(SHOP);
        it.answered(&query("BEGIN"), b"T");
        it.put(&new);
        it.answered(&query("COMMIT"), b"I");
        it.put(SHOP);
        it.ended(&parse("", "SELECT 1"));
    }
}

#[test]
fn in_a_pipeline_a_transaction_may_be_open() {
    let mut it = Renewed::new(SHOP);
    it.session.passes(&query("BEGIN"));
    it.put(&READS.replace("[shop_app]", "[somebody_else]"));
    assert_eq!(it.refused(&query("DELETE FROM orders"), b'Q').0, "42501");
    it.session.server(&[frame(b'Z', b"T"), frame(b'Z', b"E")].concat());
    it.answered(&query("ROLLBACK"), b"I");
    it.ended(&query("SELECT 1"));
}

#[test]
fn what_a_session_may_have_set_under_the_old_set_must_be_allowed_by_the_new_one() {
    let with = |rules: &str| SHOP.replace("allow:\n", &format!("allow:\n{rules}"));
    let path = "  - {rule: path, actions: [set], settings: ['search_path=evil']}\n";
    let both = "  - {rule: path, actions: [set], settings: ['search_path=evil', 'row_security=off']}\n";
    let role = "  - {rule: become, actions: [set_role], roles: [web_user]}\n";
    let temp = format!("{SHOP}temp_tables: allow\n");
    let denied = format!("{}deny: [{{rule: no, actions: [set_role]}}]\n", with(role));
    for (old, new) in [
        (with(path), SHOP.to_owned()),
        (with(both), with(path)),
        (with(role), with(path)),
        (temp.clone(), SHOP.to_owned()),
        (with(role), denied.clone()),
        (WATCHED.to_owned(), SHOP.to_owned()),
    ] {
        let mut it = Renewed::new(&old);
        it.answered(&query("SELECT 1"), b"I");
        it.put(&new);
        it.ended(&query("SELECT 1"));
    }
    for (old, new) in [
        (SHOP.to_owned(), with(path)),
        (with(path), with(both)),
        (SHOP.to_owned(), temp),
        (denied.clone(), with(role)),
        (with(role), with(&format!("{path}{role}"))),
        (SHOP.to_owned(), WATCHED.to_owned()),
        (WATCHED.to_owned(), WATCHED.replace("watched", "seen")),
    ] {
        let mut it = Renewed::new(&old);
        it.answered(&query("SELECT 1"), b"I");
        it.put(&new);
        it.answered(&query("SELECT 1"), b"I");
    }
}

#[test]
fn a_session_that_was_only_observed_for_a_while_has_no_guards() {
    let mut it = Renewed::new(SHOP);
    it.put(WATCHED);
    it.answered(&query("DROP TABLE orders"), b"I");
    it.put(SHOP);
    it.ended(&query("SELECT 1"));
}

#[test]
fn a_statement_that_runs_another_name_is_judged_when_it_runs() {
    let mut session = Session::new(SHOP);
    session.passes(&query("PREPARE x AS SELECT set_config('app.tenant', '1', false)"));
    session.passes(&[parse("p", "EXECUTE x"), bind("", "p", &[]), execute(""), sync()].concat());
    // The name comes to mean something that is judged by its values, which an EXECUTE doesn't tell.
    session.passes(&parse("x", "SELECT set_config('role', $1, false)"));
    assert_eq!(session.refused(&bind("", "p", &[]), b'P').0, "42501");
    session.passes(&sync());
    assert_eq!(session.refused(&execute(""), b'P').0, "42501");
    session.passes(&sync());
    // And a name behind a name behind a name is nothing that anybody needs.
    session.passes(&query("PREPARE z AS SELECT 1"));
    session.passes(&[parse("y", "EXECUTE z"), bind("", "y", &[]), execute(""), sync()].concat());
    assert_eq!(session.refused(&query("EXECUTE y"), b'Q').0, "0A000");
}

#[test]
fn a_driver_may_prepare_its_fetch() {
    let mut session = Session::new(SHOP);
    session.passes(&query("BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH 1 FROM c"));
    session.server(&frame(b'Z', b"T"));
    session.passes(&query("FETCH 1 FROM c"));
    session.server(&frame(b'Z', b"T"));
    session.passes(&[parse("f", "FETCH 1 FROM c"), sync()].concat());
    for _ in 0..3 {
        session.passes(&[bind("", "f", &[]), frame(b'D', b"P\0"), execute(""), sync()].concat());
    }
}
