//! The words of `actions:`: names, groups, pgAudit's classes, and the sets that they mean.

mod everyday;

use crate::policy::diagnostic::{Code, did_you_mean, distance};
use crate::sql::{self, Action, ActionName, Group};
use everyday::Instead;

/// A set of actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Actions {
    /// One bit for each [`ActionName`]: the action whatever its kind.
    whole: u128,
    /// `create:index`: the action with this kind only.
    kinds: Vec<(ActionName, Box<str>)>,
    /// One bit for each action that `whole` or `kinds` mentions: the quick test.
    any: u128,
}

fn bit(name: ActionName) -> u128 {
    1u128 << (name as u32)
}

impl Actions {
    /// Every action that a deny rule may mean: all but COMMIT and ROLLBACK, which end what a refusal began.
    pub fn everything() -> Actions {
        let mut set = Actions::default();
        for &name in ActionName::ALL {
            if !matches!(name, ActionName::Commit | ActionName::Rollback) {
                set.add(name);
            }
        }
        set
    }

    fn add(&mut self, name: ActionName) {
        self.whole |= bit(name);
        self.any |= bit(name);
    }

    fn add_group(&mut self, group: Group) {
        for &name in ActionName::ALL {
            if name.group() == group && !matches!(name, ActionName::Commit | ActionName::Rollback) {
                self.add(name);
            }
        }
    }

    fn add_kind(&mut self, name: ActionName, kind: &str) {
        self.any |= bit(name);
        self.kinds.push((name, kind.into()));
    }

    pub fn contains(&self, action: Action) -> bool {
        if self.any & bit(action.name) == 0 {
            return false;
        }
        self.whole & bit(action.name) != 0
            || action.kind.is_some_and(|kind| self.kinds.iter().any(|(n, k)| *n == action.name && **k == *kind))
    }

    /// Whether it contains this action, whatever its kind.
    pub fn contains_whole(&self, name: ActionName) -> bool {
        self.whole & bit(name) != 0
    }

    /// Whether it mentions this action at all.
    pub fn mentions(&self, name: ActionName) -> bool {
        self.any & bit(name) != 0
    }
}

/// Which list a word stands in: what is ambiguous is read narrow in `allow` and wide in `deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Allow,
    Deny,
}

/// A word that means no action, and what to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadWord {
    pub code: Code,
    pub message: String,
    pub help: Option<String>,
}

/// pgAudit's classes (`pgaudit.log`), written in capitals to tell `ROLE` from the action `role`.
const PGAUDIT: &[(&str, &[Group], &[ActionName])] = &[
    ("READ", &[Group::Read], &[]),
    ("WRITE", &[Group::Write], &[]),
    ("FUNCTION", &[Group::Call], &[ActionName::Do]),
    ("ROLE", &[Group::Dcl], &[]),
    ("DDL", &[Group::Ddl], &[]),
    (
        "MISC",
        &[Group::Maintenance, Group::Lock],
        &[
            ActionName::Discard,
            ActionName::Cursor,
            ActionName::Listen,
            ActionName::Notify,
            ActionName::Show,
            ActionName::Set,
            ActionName::Reset,
        ],
    ),
    ("MISC_SET", &[], &[ActionName::Set, ActionName::Reset]),
];

/// Adds what a word means to a set.
pub(crate) fn add(set: &mut Actions, word: &str, list: List) -> Result<(), BadWord> {
    if word == "all" || word == "ALL" {
        for &name in ActionName::ALL {
            let never_by_all = matches!(name, ActionName::Unknown | ActionName::SetRole);
            if matches!(name, ActionName::Commit | ActionName::Rollback) || (list == List::Allow && never_by_all) {
                continue;
            }
            set.add(name);
        }
        return Ok(());
    }
    if let Some((_, groups, names)) = PGAUDIT.iter().find(|(class, _, _)| *class == word) {
        groups.iter().for_each(|&group| set.add_group(group));
        names.iter().for_each(|&name| set.add(name));
        return Ok(());
    }
    if let Some((name, kind)) = word.split_once(':') {
        return add_with_kind(set, name, kind);
    }
    let group = Group::ALL.into_iter().find(|group| group.as_str() == word && *group != Group::Unknown);
    let action = ActionName::ALL.iter().copied().find(|name| name.as_str() == word);
    match (action, group) {
        (Some(ActionName::Unknown), _) => Err(BadWord {
            code: Code::UnnameableAction,
            message: "no rule can name \"unknown\"".into(),
            help: Some("what the firewall does not understand is always refused".into()),
        }),
        (Some(ActionName::Commit | ActionName::Rollback), _) => Err(BadWord {
            code: Code::UnnameableAction,
            message: format!("no rule can name \"{word}\""),
            help: Some("COMMIT and ROLLBACK always pass: they end what a refusal has broken".into()),
        }),
        // `call` is an action and the group that adds `sleep` to it.
        (Some(action), Some(group)) => {
            match list {
                List::Allow => set.add(action),
                List::Deny => set.add_group(group),
            }
            Ok(())
        }
        (Some(action), None) => {
            set.add(action);
            Ok(())
        }
        (None, Some(group)) => {
            set.add_group(group);
            Ok(())
        }
        (None, None) => Err(unknown(word)),
    }
}

fn add_with_kind(set: &mut Actions, name: &str, kind: &str) -> Result<(), BadWord> {
    let Some(action) = ActionName::ALL.iter().copied().find(|n| n.as_str() == name) else {
        return Err(unknown(name));
    };
    // A call that isn't one in the text: what runs where a value is made a value of a type.
    let kinds = if action == ActionName::Call { vec!["type"] } else { sql::kinds(action) };
    if kinds.is_empty() {
        return Err(BadWord {
            code: Code::UnknownKind,
            message: format!("\"{name}\" has no kinds"),
            help: Some(format!("write \"{name}\" and name the objects with a selector such as `tables`")),
        });
    }
    if kinds.contains(&kind) {
        set.add_kind(action, kind);
        return Ok(());
    }
    let message = format!("\"{name}\" has no kind \"{kind}\"");
    Err(match did_you_mean(kind, kinds.iter().copied()) {
        Some(near) => BadWord {
            code: Code::UnknownKind,
            message: format!("{message}, did you mean \"{name}:{near}\"?"),
            help: None,
        },
        None => BadWord {
            code: Code::UnknownKind,
            message,
            help: Some(match action {
                ActionName::Call => "the one kind of call is call:type: casts, without functions".to_owned(),
                _ => {
                    let known = |kind: &&str| kinds.contains(kind);
                    let often = ["table", "index", "view", "function", "schema", "type"].into_iter().filter(known);
                    let often: Vec<String> = often.map(|kind| format!("{name}:{kind}")).collect();
                    format!("for instance {}; or \"{name}\" for all kinds", often.join(", "))
                }
            }),
        },
    })
}

fn unknown(word: &str) -> BadWord {
    match everyday::instead(word) {
        Some(Instead::Actions(actions)) => {
            let quoted: Vec<String> = actions.iter().map(|action| format!("\"{action}\"")).collect();
            let meant = match quoted.as_slice() {
                [head @ .., last] if !head.is_empty() => format!("{} and {last}", head.join(", ")),
                several => several.join(", "),
            };
            return BadWord {
                code: Code::UnknownAction,
                message: format!("unknown action \"{word}\", did you mean {meant}?"),
                help: None,
            };
        }
        Some(Instead::Say(what)) => {
            let message = format!("unknown action \"{word}\"");
            return BadWord { code: Code::UnknownAction, message, help: Some(what.to_owned()) };
        }
        None => {}
    }
    match near(word) {
        Some(near) => BadWord {
            code: Code::UnknownAction,
            message: format!("unknown action \"{word}\", did you mean \"{near}\"?"),
            help: None,
        },
        None => BadWord {
            code: Code::UnknownAction,
            message: format!("unknown action \"{word}\""),
            help: Some("docs/policies.md lists the actions and their groups".into()),
        },
    }
}

/// The action that a mistyped word seems to mean. A group allows much at once, some groups more than a session should ever have:
/// one is proposed for a single slip in a word of some length only.
fn near(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let slips = |known: &str| distance(&lower, known);
    let single = |known: &str| nameable().any(|name| name.as_str() == known);
    let most = |known: &str| match (single(known), lower.chars().count().min(known.chars().count())) {
        (true, 0..=2) => 0,
        (true, 3..=5) => 1,
        (true, 6..=9) => 2,
        (true, _) => 3,
        (false, 0..=3) => 0,
        (false, 4) if Group::ALL.iter().any(|group| group.as_str() == known && group.is_privileged()) => 0,
        (false, _) => 1,
    };
    words().filter(|known| slips(known) <= most(known)).min_by_key(|known| slips(known))
}

/// Every word that `actions:` knows, pgAudit's left out.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    let names = nameable().map(|name| name.as_str());
    let groups = Group::ALL.into_iter().filter(|g| *g != Group::Unknown).map(Group::as_str);
    // `call` and the like are both.
    let groups = groups.filter(|group| !nameable().any(|name| name.as_str() == *group));
    names.chain(groups).chain(["all"])
}

/// pgAudit's words.
pub(crate) fn pgaudit() -> impl Iterator<Item = &'static str> {
    PGAUDIT.iter().map(|(class, _, _)| *class).chain(["ALL"])
}

/// The actions that a rule can name.
fn nameable() -> impl Iterator<Item = ActionName> {
    let never = [ActionName::Commit, ActionName::Rollback, ActionName::Unknown];
    ActionName::ALL.iter().copied().filter(move |name| !never.contains(name))
}

/// The words with a kind: `create:index`.
pub(crate) fn words_with_kind() -> impl Iterator<Item = (ActionName, Vec<&'static str>)> {
    let kinds = |name| if name == ActionName::Call { vec!["type"] } else { sql::kinds(name) };
    nameable().map(move |name| (name, kinds(name))).filter(|(_, kinds)| !kinds.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(word: &str, list: List) -> Actions {
        let mut set = Actions::default();
        add(&mut set, word, list).unwrap();
        set
    }

    #[test]
    fn bits_do_not_collide() {
        assert!(ActionName::ALL.len() <= 128);
        let all = ActionName::ALL.iter().fold(0, |bits, &name| bits | bit(name));
        assert_eq!(all.count_ones() as usize, ActionName::ALL.len());
    }

    #[test]
    fn all_never_means_unknown_or_set_role() {
        let all = set("all", List::Allow);
        assert!(all.contains(ActionName::CopyProgram.into()));
        assert!(!all.contains(ActionName::Unknown.into()));
        assert!(!all.contains(ActionName::SetRole.into()));
        let denied = set("all", List::Deny);
        assert!(denied.contains(ActionName::Unknown.into()));
        assert!(denied.contains(ActionName::SetRole.into()));
    }

    #[test]
    fn no_rule_names_commit_or_rollback() {
        for list in [List::Allow, List::Deny] {
            for word in ["all", "transaction"] {
                assert!(!set(word, list).contains(ActionName::Commit.into()), "{word}");
                assert!(!set(word, list).contains(ActionName::Rollback.into()), "{word}");
            }
            for word in ["commit", "rollback", "unknown"] {
                assert!(add(&mut Actions::default(), word, list).is_err(), "{word}");
            }
        }
        assert!(!Actions::everything().contains(ActionName::Commit.into()));
    }

    #[test]
    fn kinds_narrow_an_action() {
        let index = set("create:index", List::Allow);
        assert!(index.contains(Action { name: ActionName::Create, kind: Some("index") }));
        assert!(!index.contains(Action { name: ActionName::Create, kind: Some("table") }));
        assert!(!index.contains(ActionName::Create.into()));
        let ddl = set("ddl", List::Allow);
        assert!(ddl.contains(Action { name: ActionName::Create, kind: Some("table") }));
        assert!(add(&mut Actions::default(), "select:x", List::Allow).is_err());
        for bad in ["create:", "create:indx", "grant:table", "drop:add_column"] {
            assert_eq!(add(&mut Actions::default(), bad, List::Deny).unwrap_err().code, Code::UnknownKind, "{bad}");
        }
    }

    #[test]
    fn the_one_kind_of_call_is_type() {
        let types = set("call:type", List::Allow);
        assert!(types.contains(Action { name: ActionName::Call, kind: Some("type") }));
        assert!(!types.contains(ActionName::Call.into()));
        assert!(add(&mut Actions::default(), "call:function", List::Allow).is_err());
    }

    #[test]
    fn call_is_narrow_in_allow_and_wide_in_deny() {
        assert!(!set("call", List::Allow).contains(ActionName::Sleep.into()));
        assert!(set("call", List::Deny).contains(ActionName::Sleep.into()));
    }

    #[test]
    fn mistakes_get_a_suggestion() {
        let error = add(&mut Actions::default(), "selct", List::Allow).unwrap_err();
        assert_eq!(error.message, "unknown action \"selct\", did you mean \"select\"?");
        for (word, near) in [
            ("Select", Some("select")),
            ("inesrt", Some("insert")),
            ("updaet", Some("update")),
            ("delte", Some("delete")),
            ("selct_for_updte", Some("select_for_update")),
            ("maintenence", Some("maintenance")),
            ("DLL", None),
            ("cope", None),
            ("node", None),
            ("al", None),
            ("files", None),
            ("adm", None),
        ] {
            assert_eq!(super::near(word), near, "{word}");
        }
        for (word, told) in [
            ("copy", "copy_to (it reads) or copy_from (it writes)"),
            ("dml", "did you mean \"insert\", \"update\" and \"delete\"?"),
            ("UPSERT", "did you mean \"insert\" and \"update\"?"),
            ("read-only", "did you mean \"select\"?"),
            ("execute", "write call"),
        ] {
            let bad = add(&mut Actions::default(), word, List::Allow).unwrap_err();
            let text = bad.message + &bad.help.unwrap_or_default();
            assert!(text.contains(told), "{word}: {text}");
        }
        let error = add(&mut Actions::default(), "create:indx", List::Allow).unwrap_err();
        assert_eq!(error.message, "\"create\" has no kind \"indx\", did you mean \"create:index\"?");
    }
}
