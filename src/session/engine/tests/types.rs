//! Types that a Parse gives its parameters by their OIDs.

use super::*;

/// A Parse of `SELECT $1, $2` with these types.
fn typed(types: [u32; 2]) -> Vec<u8> {
    let oids = types.map(u32::to_be_bytes).concat();
    frame(b'P', &[b"\0SELECT $1, $2\0\0\x02", oids.as_slice()].concat())
}

const TEXT: u32 = 25;

#[test]
fn types_of_postgresql_itself_need_no_rule() {
    let mut session = Session::new(SHOP);
    session.passes(&typed([0, TEXT]));
    session.passes(&typed([16383, 12000]));
}

#[test]
fn any_other_type_needs_a_rule_that_calls_it() {
    for types in [[16384, TEXT], [TEXT, 16384], [16384, u32::MAX]] {
        let mut session = Session::new(SHOP);
        let (sqlstate, message) = session.refused(&typed(types), b'P');
        assert_eq!(sqlstate, "42501", "{message}");
        assert!(message.contains("16384"), "{message}");
        session.passes(&sync());
    }
    let named = format!("{SHOP}  - {{rule: mood, actions: [call], objects: ['16384']}}\n");
    Session::new(&named).passes(&typed([TEXT, 16384]));
    assert_eq!(Session::new(&named).refused(&typed([TEXT, 16385]), b'P').0, "42501");
    let all = format!("{SHOP}  - {{rule: any, actions: [call]}}\n");
    Session::new(&all).passes(&typed([16384, 16385]));
    Session::new(WATCHED).passes(&typed([16384, 16385]));
}
