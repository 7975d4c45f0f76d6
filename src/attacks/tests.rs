//! The catalogue is well formed.

use std::collections::BTreeSet;

use super::*;

#[test]
fn codes_are_in_order_and_names_are_unique() {
    let mut names = BTreeSet::new();
    for group in &GROUPS {
        for (at, attack) in group.attacks.iter().enumerate() {
            assert_eq!(attack.code, format!("{}{}", group.letter, at + 1));
            assert!(names.insert(attack.test_name()), "{} stands twice", attack.test_name());
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(attack.name.chars().all(plain), "{}", attack.name);
            assert!(!attack.title.is_empty() && !attack.stopped_by.is_empty(), "{}", attack.code);
        }
    }
}

#[test]
fn every_attack_of_the_list_is_there() {
    let counts: Vec<usize> = GROUPS.iter().map(|group| group.attacks.len()).collect();
    assert_eq!(counts, [23, 26, 20, 21, 20, 32, 10, 10, 11, 5]);
    assert_eq!(all().count(), 178);
}

#[test]
fn every_attack_that_crosses_the_wire_is_played() {
    for attack in all() {
        match attack.seen {
            Seen::Wire(ways) => assert!(!ways.is_empty(), "{} has no way", attack.code),
            Seen::Build(tests) => assert!(!tests.is_empty(), "{} names no test", attack.code),
            Seen::Never { why, doctor } => assert!(!why.is_empty() && !doctor.is_empty(), "{}", attack.code),
        }
        for way in attack.ways() {
            assert!(!way.how.is_empty(), "{}", attack.code);
            let empty = way.steps.is_empty() && matches!(way.opening, Opening::Login(&[]));
            assert!(!empty, "{} does nothing", attack.code);
        }
    }
}
