//! The page of known attacks is in step, and what is accepted is known.

use super::*;

#[test]
fn the_page_of_known_attacks_is_in_step() {
    let page = include_str!("../../../docs/known-attacks.md");
    let now = report::markdown();
    let differs = page.lines().zip(now.lines()).find(|(old, new)| old != new);
    assert!(
        page == now,
        "write it again: portcullis selftest --list --format markdown > docs/known-attacks.md\n{differs:?}"
    );
}

#[test]
fn only_attacks_of_the_catalogue_are_accepted() {
    assert!(Accepted::new(&["A1".to_owned(), "oncall/a2".to_owned()]).is_ok());
    assert!(matches!(Accepted::new(&["Z9".to_owned()]), Err(SelftestError::NoSuchAttack { .. })));
}
