//! Lists of recorded statements: what was recorded while somebody attacked must not become policy.

use super::*;

#[test]
fn no_list_of_recorded_statements_becomes_policy() {
    let list = "allow: [{rule: learned, statements: shop.learned.yaml}]\n";
    let told = findings(&[&policy(list)]);
    assert!(told.iter().any(|finding| finding.contains("`statements` comes with a later release")), "{told:?}");
    // Beside actions neither: such a rule would allow more than its list.
    let list = "allow: [{rule: learned, actions: [select], tables: ['*'], statements: shop.learned.yaml}]\n";
    let told = findings(&[&policy(list)]);
    assert!(told.iter().any(|finding| finding.contains("`statements` comes with a later release")), "{told:?}");
}
