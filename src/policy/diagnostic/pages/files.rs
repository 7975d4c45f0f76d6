//! Files and their YAML.

use super::{Example, Page, Pages, policy};
use crate::policy::diagnostic::Code;

pub(super) const PAGES: Pages = &[
    (
        Code::Unreadable,
        Page {
            means: "The path that was given, or a file in it, can't be opened. All policies are loaded together or not at all, so \
                    nothing is loaded.",
            repair: "Look at the path, and whether the user that runs Portcullis may read the file and its directory.",
            example: Example::Directory { wrong: "portcullis check policys/", right: "portcullis check policies/" },
        },
    ),
    (
        Code::NoPolicyFiles,
        Page {
            means: "The directory has no file that ends in `.yaml` or `.yml` (hidden files, `*.learned.yaml` and directories in \
                    it don't count). Without a policy nobody could log in, so Portcullis does not start with none.",
            repair: "Give the directory that holds the policies. To begin, copy `observe-everything.yaml` of the starter set: it \
                     only watches.",
            example: Example::Directory { wrong: "portcullis check empty/", right: "portcullis check policies/" },
        },
    ),
    (
        Code::NotText,
        Page {
            means: "Policy files are UTF-8 text. This one holds bytes that are none (it was saved as Latin-1 or UTF-16), or a \
                    control character such as NUL, which nobody sees and which would make two names look the same.",
            repair: "Save the file as UTF-8 in your editor, or convert it: `iconv -f LATIN1 -t UTF-8 old.yaml > new.yaml`.",
            example: Example::Bytes {
                wrong: b"policy: shop\napplies_to: {users: [caf\xe9]}\n",
                shown: "policy: shop\napplies_to: {users: [caf\u{fffd}]}       # é as one byte, 0xE9: Latin-1",
                right: "policy: shop\napplies_to: {users: [café]}",
            },
        },
    ),
    policy(
        Code::NotYaml,
        "The file can't be read as YAML: brackets or quotes are not closed, lines don't stand in the column where they belong, a \
         tab indents, or a word begins with a character that means something in YAML (`*`, `&`, `@`, `%`, a backtick).",
        "Look at the line that is named and the one before it. Patterns that begin with `*` need quotes: `[\"*\"]`. Of several \
         documents in a file the others are checked all the same.",
        "policy: shop\napplies_to: {users: [shop_app]}\nsearch_path: [public]\nallow:\n  - rule: data\n    actions: [select]\n    \
         tables: [*]",
        "policy: shop\napplies_to: {users: [shop_app]}\nsearch_path: [public]\nallow:\n  - rule: data\n    actions: [select]\n    \
         tables: [\"*\"]",
    ),
    policy(
        Code::DuplicateKey,
        "A mapping has the same key twice. YAML readers take the first or the last of them, so one of the two would silently not \
         hold.",
        "Join the two into one, or take one out.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: a, tables: [secrets]}\ndeny:\n  - {rule: b, tables: [keys]}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: a, tables: [secrets]}\n  - {rule: b, tables: [keys]}",
    ),
    policy(
        Code::RefusedYaml,
        "The file uses a part of YAML that policies don't take: merge keys (`<<`), anchors and aliases that refer to themselves or \
         stand for a great many values, lists in each other by the hundred, a list as a key. A rule must be readable where it stands.",
        "Write out what is meant, in plain keys and values.",
        "policy: shop\napplies_to:\n  <<: {users: [shop_app]}",
        "policy: shop\napplies_to:\n  users: [shop_app]",
    ),
    policy(
        Code::NoPolicy,
        "The file is empty, or holds nothing but comments. It may be that an editor or a deployment lost what was in it.",
        "Write a policy in it, or remove the file.",
        "# The policies of the shop: to be written.",
        "policy: shop\napplies_to: {users: [shop_app]}",
    ),
    policy(
        Code::MissingKey,
        "Something that must be said is not: the name of a policy (`policy`) or rule (`rule`), or who the policy is for \
         (`applies_to` with `users`). There is no default: a policy that forgot its users must not hold for everybody.",
        "Add the key as the help shows.",
        "policy: shop\napplies_to: {databases: [shop]}",
        "policy: shop\napplies_to: {users: [shop_app], databases: [shop]}",
    ),
    policy(
        Code::UnknownKey,
        "There is no such key in this place. A key that is ignored would be a rule or a condition that silently does not hold, so \
         it is an error.",
        "Correct it as the message suggests; without a suggestion the help lists what is known here. A key that is right, but in the \
         wrong place, is often a matter of indentation.",
        "policy: shop\napplies_to: {users: [shop_app]}\nsearchpath: [public]",
        "policy: shop\napplies_to: {users: [shop_app]}\nsearch_path: [public]",
    ),
    policy(
        Code::WrongShape,
        "The key holds the wrong kind of thing: one value where a list is meant, a list where one value is meant, a value where more \
         keys are meant, or nothing at all.",
        "Write it as the help shows. A list of one is written in brackets: `[orders]`. A value with brackets, braces or a colon \
         needs quotes.",
        "policy: shop\napplies_to: {users: shop_app}",
        "policy: shop\napplies_to: {users: [shop_app]}",
    ),
];
