//! Rules that ask by which protocol a statement comes, and rules that are asked whenever it runs, across the two ways to prepare.

use super::*;

const READS: &str = "
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow: [{rule: data, actions: [select, insert], tables: ['*']}]
";

fn denying(source: &str) -> String {
    format!("{READS}deny: [{{rule: way, actions: [select], tables: [orders], when: {{source: {source}}}}}]\n")
}

#[test]
fn what_runs_by_a_query_is_simple_whoever_prepared_it() {
    let mut session = Session::new(&denying("simple"));
    session.passes(&[parse("p", "SELECT * FROM orders"), bind("", "p", &[]), execute(""), sync()].concat());
    for text in ["SELECT * FROM orders", "EXECUTE p", "EXPLAIN ANALYZE EXECUTE p", "FETCH 1 FROM c"] {
        session.passes(&[bind("c", "p", &[]), sync()].concat());
        assert_eq!(session.refused(&query(text), b'Q').0, "42501", "{text}");
    }
    session.passes(&query("SELECT * FROM products"));
}

#[test]
fn what_runs_by_messages_is_extended_whoever_prepared_it() {
    let mut session = Session::new(&denying("extended"));
    session.passes(&query("PREPARE q AS SELECT * FROM orders"));
    session.passes(&query("BEGIN; DECLARE c CURSOR FOR SELECT * FROM orders"));
    session.passes(&query("EXECUTE q"));
    for bytes in [bind("", "q", &[]), execute("c"), frame(b'D', b"Sq\0"), parse("", "EXECUTE q")] {
        assert_eq!(session.refused(&bytes, b'P').0, "42501");
        session.passes(&sync());
    }
}

#[test]
fn other_policies_ask_for_the_way_of_what_was_prepared_before() {
    let store = Arc::new(policy::Store::new(set(READS)));
    let mut admission = store.admit(&identity(false)).unwrap();
    admission.startup(&[("user".into(), "shop_app".into())]).unwrap();
    let mut session = Session::of(engine_admitted(admission, false));
    session.passes(&query("PREPARE q AS SELECT * FROM orders"));
    session.passes(&[parse("p", "SELECT * FROM orders"), sync()].concat());
    store.replace(Arc::new(set(&denying("simple"))));
    for name in ["q", "p"] {
        assert_eq!(session.refused(&query(&format!("EXECUTE {name}")), b'Q').0, "42501", "{name}");
        session.passes(&[bind("", name, &[]), execute(""), sync()].concat());
    }
}

#[test]
fn a_value_is_gathered_only_where_a_rule_asks_for_it() {
    let long = "a".repeat(1_500_000);
    let insert = [parse("", "INSERT INTO orders VALUES ($1)"), bind("", "", &[&long]), execute(""), sync()].concat();
    for more in [", severity: low", ", when: {until: 2099-01-01T00:00:00Z}", ", when: {source: extended}", ""] {
        let policy = READS.replace("tables: ['*']", &format!("tables: ['*']{more}"));
        let mut session = Session::new(&policy);
        session.passes(&insert);
        // Bytes of a long one go out as they come.
        let bind = bind("", "", &[&long]);
        session.passes(&parse("", "INSERT INTO orders VALUES ($1)"));
        session.passes(bind.get(..1000).unwrap());
        session.passes(bind.get(1000..).unwrap());
        session.passes(&[execute(""), sync()].concat());
    }
}

#[test]
fn a_value_of_another_type_than_text_is_not_what_it_looks_like_under_other_policies_either() {
    let tenant = format!("{READS}  - {{rule: tenant, actions: [set], settings: [app.tenant]}}\n").replace(
        "allow: [{rule: data, actions: [select, insert], tables: ['*']}]",
        "allow:\n  - {rule: data, actions: [select], tables: ['*']}",
    );
    let denied = format!("{tenant}deny: [{{rule: admin, actions: [set], settings: ['app.tenant=admin']}}]\n");
    let bpchar = b"\0\x01\0\0\x04\x12";
    let named = [b"s\0SELECT set_config('app.tenant', $1, false)\0", &bpchar[..]].concat();
    for prepared in [frame(b'P', &named), query("PREPARE s (bpchar) AS SELECT set_config('app.tenant', $1, false)")] {
        let store = Arc::new(policy::Store::new(set(&tenant)));
        let mut admission = store.admit(&identity(false)).unwrap();
        admission.startup(&[("user".into(), "shop_app".into())]).unwrap();
        let mut session = Session::of(engine_admitted(admission, false));
        session.passes(&[prepared, sync()].concat());
        session.passes(&[bind("", "s", &["admin   "]), execute(""), sync()].concat());
        store.replace(Arc::new(set(&denied)));
        for value in ["admin", "admin   "] {
            assert_eq!(session.refused(&bind("", "s", &[value]), b'P').0, "42501", "{value:?}");
            session.passes(&sync());
        }
        // As text it is what it looks like.
        session.passes(&[parse("t", "SELECT set_config('app.tenant', $1, false)"), bind("", "t", &["shop"])].concat());
        assert_eq!(session.refused(&bind("", "t", &["admin"]), b'P').0, "42501");
    }
}
