//! Words that people write at `actions:` for what has another name there. The nearest by spelling is often another thing
//! altogether (`copy` and `code`, `dml` and `ddl`), so these come first.

/// What to write instead of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instead {
    /// These actions.
    Actions(&'static [&'static str]),
    /// Something else, in words.
    Say(&'static str),
}

const NOTHING: Instead = Instead::Say("it needs no rule");
const DATA: Instead = Instead::Actions(&["select", "insert", "update", "delete"]);
const WRITES: Instead = Instead::Actions(&["insert", "update", "delete"]);
const UPSERT: Instead = Instead::Actions(&["insert", "update"]);
const SELECT: Instead = Instead::Actions(&["select"]);
const CALL: Instead = Instead::Actions(&["call"]);
const DELETE: Instead = Instead::Actions(&["delete"]);
const STRUCTURE: Instead =
    Instead::Say("write create, alter or drop with what it is about, such as create:table or create:index");

/// In lower case, `_` for every blank and hyphen.
const WORDS: &[(&str, Instead)] = &[
    ("copy", Instead::Say("write copy_to (it reads) or copy_from (it writes), each with select or insert")),
    ("export", Instead::Actions(&["select", "copy_to"])),
    ("dump", Instead::Actions(&["select", "copy_to"])),
    ("backup", Instead::Actions(&["select", "copy_to"])),
    ("unload", Instead::Actions(&["select", "copy_to"])),
    ("import", Instead::Actions(&["insert", "copy_from"])),
    ("restore", Instead::Actions(&["insert", "copy_from"])),
    ("dml", WRITES),
    ("dql", SELECT),
    ("tcl", Instead::Actions(&["transaction"])),
    ("crud", DATA),
    ("rw", DATA),
    ("read_write", DATA),
    ("readwrite", DATA),
    ("data", DATA),
    ("ro", SELECT),
    ("read_only", SELECT),
    ("readonly", SELECT),
    ("reads", SELECT),
    ("query", SELECT),
    ("queries", SELECT),
    ("get", SELECT),
    ("list", SELECT),
    ("view", SELECT),
    ("views", SELECT),
    ("show_table", SELECT),
    ("find", SELECT),
    ("search", SELECT),
    ("fetch", SELECT),
    ("write_only", WRITES),
    ("writes", WRITES),
    ("modify", WRITES),
    ("change", WRITES),
    ("mutate", WRITES),
    ("merge", WRITES),
    ("upsert", UPSERT),
    ("replace", UPSERT),
    ("put", UPSERT),
    ("save", UPSERT),
    ("store", UPSERT),
    ("add", Instead::Actions(&["insert"])),
    ("append", Instead::Actions(&["insert"])),
    ("post", Instead::Actions(&["insert"])),
    ("new", Instead::Actions(&["insert"])),
    ("edit", Instead::Actions(&["update"])),
    ("patch", Instead::Actions(&["update"])),
    ("remove", DELETE),
    ("del", DELETE),
    ("erase", DELETE),
    ("purge", DELETE),
    ("clear", DELETE),
    ("empty", Instead::Actions(&["truncate"])),
    ("exec", CALL),
    (
        "execute",
        Instead::Say(
            "for functions and procedures write call; EXECUTE of a prepared statement is what that statement is",
        ),
    ),
    ("run", CALL),
    ("invoke", CALL),
    ("function", CALL),
    ("functions", CALL),
    ("procedure", CALL),
    ("procedures", CALL),
    ("rpc", CALL),
    (
        "usage",
        Instead::Say("USAGE is a word of GRANT: for a sequence write nextval; for schemas and types nothing is needed"),
    ),
    ("sequence", Instead::Actions(&["nextval"])),
    ("sequences", Instead::Actions(&["nextval"])),
    ("setval", Instead::Actions(&["nextval"])),
    ("connect", Instead::Say("who may log in is said by `applies_to` and `require`")),
    ("login", Instead::Say("who may log in is said by `applies_to` and `require`")),
    ("temp", Instead::Say("temporary tables are allowed by `temp_tables: allow` in the policy")),
    ("temporary", Instead::Say("temporary tables are allowed by `temp_tables: allow` in the policy")),
    ("references", Instead::Say("a foreign key is made by create:table or alter:add_constraint")),
    ("trigger", Instead::Actions(&["create_trigger"])),
    ("index", Instead::Actions(&["create:index"])),
    ("table", STRUCTURE),
    ("tables", STRUCTURE),
    ("schema", STRUCTURE),
    ("structure", STRUCTURE),
    ("migrate", Instead::Say("write ddl for changes of the schema, with read and write where data changes too")),
    ("migration", Instead::Say("write ddl for changes of the schema, with read and write where data changes too")),
    ("migrations", Instead::Say("write ddl for changes of the schema, with read and write where data changes too")),
    ("lock_rows", Instead::Actions(&["select_for_update"])),
    ("for_update", Instead::Actions(&["select_for_update"])),
    ("for_share", Instead::Actions(&["select_for_update"])),
    ("start", Instead::Actions(&["begin"])),
    ("set_config", Instead::Actions(&["set"])),
    ("settings", Instead::Actions(&["set"])),
    ("roles", Instead::Say("to become a role write set_role; to make, alter or drop one, role")),
    ("become", Instead::Actions(&["set_role"])),
    ("impersonate", Instead::Actions(&["set_role"])),
    ("subscribe", Instead::Actions(&["listen"])),
    ("publish", Instead::Actions(&["notify"])),
    ("kill", Instead::Actions(&["signal_backend"])),
    ("cancel", Instead::Actions(&["signal_backend"])),
    ("extension", Instead::Actions(&["create_extension"])),
    ("unlisten", NOTHING),
    ("explain", Instead::Say("it is the statement that is explained: allow that")),
    ("deallocate", NOTHING),
    ("currval", NOTHING),
    ("lastval", NOTHING),
    ("any", Instead::Say("name the actions that are meant, for instance select, insert, update, delete")),
    ("every", Instead::Say("name the actions that are meant, for instance select, insert, update, delete")),
    ("everything", Instead::Say("name the actions that are meant, for instance select, insert, update, delete")),
    ("*", Instead::Say("name the actions that are meant, for instance select, insert, update, delete")),
    ("none", Instead::Say("take the rule out: what no rule allows is refused")),
];

/// What a word means that is no action.
pub(super) fn instead(word: &str) -> Option<Instead> {
    let word = word.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::words::{Actions, List, add};

    #[test]
    fn what_is_proposed_is_an_action_and_no_word_is_one_already() {
        for (word, instead) in WORDS {
            assert!(add(&mut Actions::default(), word, List::Allow).is_err(), "{word} is an action");
            let proposed: &[&str] = match instead {
                Instead::Actions(proposed) => proposed,
                Instead::Say(_) => &[],
            };
            for action in proposed {
                assert!(add(&mut Actions::default(), action, List::Allow).is_ok(), "{word}: {action}");
            }
        }
        let mut words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
        words.sort_unstable();
        assert!(words.windows(2).all(|two| two[0] != two[1]));
    }
}
