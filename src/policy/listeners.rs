//! The listeners that policies name, beside those that there are: what only the running proxy knows.

use crate::policy::PolicySet;
use crate::policy::diagnostic::did_you_mean;

/// What a policy says in `applies_to: {listeners: …}` and no listener is called: nobody comes by it.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownListener<'a> {
    pub policy: &'a str,
    /// As it is written, perhaps with `*` and `?`.
    pub written: String,
    /// The listener that may be meant.
    pub near: Option<&'a str>,
}

impl PolicySet {
    /// The listeners that policies name and that are none of these.
    pub fn unknown_listeners<'a>(&'a self, names: &[&'a str]) -> Vec<UnknownListener<'a>> {
        let named = self.policies.iter().flat_map(|policy| policy.listeners.iter().map(move |glob| (policy, glob)));
        let unknown = named.filter(|(_, glob)| !names.iter().any(|name| glob.matches(name)));
        unknown
            .map(|(policy, glob)| {
                let written = glob.to_string();
                let near = did_you_mean(&written, names.iter().copied());
                UnknownListener { policy: &policy.name, written, near }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::load;

    #[test]
    fn a_listener_that_there_is_not_is_found() {
        let text = "policy: shop\napplies_to: {users: [shop_app], listeners: [insdie, \"in*\", \"web-?\", inside]}\n";
        let set = PolicySet::new(vec![load::single("shop.yaml", text.to_owned()).unwrap()]);
        let found = set.unknown_listeners(&["0.0.0.0:6432", "inside"]);
        let found: Vec<_> = found.iter().map(|one| (one.policy, one.written.as_str(), one.near)).collect();
        assert_eq!(found, [("shop", "insdie", Some("inside")), ("shop", "web-?", None)]);
        assert!(set.unknown_listeners(&["insdie", "web-1", "inside"]).is_empty());
        let everywhere = load::single("all.yaml", "policy: all\napplies_to: {users: [app]}\n".to_owned()).unwrap();
        assert!(PolicySet::new(vec![everywhere]).unknown_listeners(&["inside"]).is_empty());
    }
}
