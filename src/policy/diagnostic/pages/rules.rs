//! Rules that can't be, or that are probably not meant.

use super::{Example, Page, Pages, policy};
use crate::policy::diagnostic::Code;

pub(super) const PAGES: Pages = &[
    policy(
        Code::NoActions,
        "An allow rule says which actions it allows; this one doesn't. (In a deny rule `actions` may be left out: then it is all of \
         them.)",
        "Add `actions: [...]` with what is allowed.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, tables: [orders]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [orders]}",
    ),
    policy(
        Code::NoObjects,
        "An allow rule without a selector allows its actions on every object of every schema but the server's own. That is rarely meant.",
        "Add `tables`, `functions`, `settings`, `roles` or `objects`. `tables: [\"*\"]` are those of the `search_path`.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [\"public.*\"]}",
    ),
    policy(
        Code::DeniesEverything,
        "A deny rule without actions, selectors and conditions refuses every statement but COMMIT and ROLLBACK.",
        "Say what it refuses. To keep users out altogether, let no policy match them.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: stop}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: stop, actions: [truncate]}",
    ),
    policy(
        Code::DenyOnly,
        "The key makes sense in deny rules only. Columns can be denied, not allowed, for a table may have others. Conditions such as \
         `where: missing` name what is dangerous: an allow rule with one would allow exactly that. And what follows a refusal \
         (`mode`, `outcome`, `delay`) is nothing for a rule that refuses nothing.",
        "Put it in a deny rule: allow what is meant, and deny the dangerous part of it.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [update], tables: [orders], when: {where: missing}}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [update], tables: [orders]}\ndeny:\n  \
         - {rule: unbounded, actions: [update], when: {where: missing}}",
    ),
    policy(
        Code::FriendlyName,
        "Every client chooses its `application_name` itself and can change it at any time. A rule that depends on it tells friends \
         apart; it keeps nobody out.",
        "Where it must hold, give the application a login role of its own, and that role a policy.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: jobs, actions: [delete], tables: [orders], when: {application_name: jobs}}",
        "policy: jobs\napplies_to: {users: [shop_jobs]}\nallow:\n  - {rule: jobs, actions: [delete], tables: [orders]}",
    ),
    policy(
        Code::UselessName,
        "A deny rule for an `application_name` stops nobody: the client takes another name.",
        "Deny it to everybody of the policy, and allow it where it is meant, to a login role of its own.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: no-psql, actions: [delete], when: {application_name: psql}}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: no-delete, actions: [delete]}",
    ),
    policy(
        Code::ColumnsOfReads,
        "A deny rule on columns for `select` only lets writes read them: `UPDATE t SET seen = hidden`, `DELETE … WHERE hidden LIKE \
         'x%'`. A write needs no `select` on its own table.",
        "Leave `actions` out: then nothing may name the columns.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: hashes, actions: [select], columns: [users.password_hash]}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: hashes, columns: [users.password_hash]}",
    ),
    policy(
        Code::WhereOfOthers,
        "`where: missing` is asked of UPDATE, DELETE and SELECT. The rule names none of them, so it would never match.",
        "Add the actions that are meant: update, delete or select.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: unbounded, actions: [insert], when: {where: missing}}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: unbounded, actions: [delete], when: {where: missing}}",
    ),
    policy(
        Code::NothingInCommon,
        "What the rule does and what it names have nothing to do with each other: `select` is never about a function, `call` never \
         about a table. It would never match, so that an allow rule would allow nothing and a deny rule refuse nothing.",
        "Name the objects by the selector that goes with the actions, or the actions that go with the objects: `functions` go with \
         `call`, `settings` with `set`, `roles` with `set_role`. To create, alter, drop or grant a function, name it by `objects`.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: prices, actions: [select], functions: [price_of]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: prices, actions: [call], functions: [price_of]}",
    ),
    policy(
        Code::RolesMissing,
        "The rule is about `set_role` and does not say which roles. To become any role is more than anybody should be allowed.",
        "Add `roles: [...]`; with a deny rule `roles: [\"*\"]` are all.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: become, actions: [set_role], objects: [web_anon]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: become, actions: [set_role], roles: [web_anon]}",
    ),
    policy(
        Code::DelayAndTerminate,
        "`delay` holds the refusal back, `outcome: terminate` ends the session: nobody would be there to wait.",
        "Decide for one of the two, and take the other out.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: trap, tables: [secrets], outcome: terminate, delay: 2s}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: trap, tables: [secrets], delay: 2s}",
    ),
    policy(
        Code::NeverHolds,
        "`until` is not after `from`, so there is no moment at which the rule holds.",
        "Write the earlier time at `from`.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - rule: freeze\n    actions: [ddl]\n    \
         when: {from: 2026-12-31T00:00:00Z, until: 2026-12-01T00:00:00Z}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - rule: freeze\n    actions: [ddl]\n    \
         when: {from: 2026-12-01T00:00:00Z, until: 2026-12-31T00:00:00Z}",
    ),
    policy(
        Code::MisplacedList,
        "A list of statements (`statements:`) belongs to an allow rule of its own: it allows everything that the listed statements do, \
         and nothing else. Its file ends in `.learned.yaml`, so that it isn't taken for a policy.",
        "Put it in an allow rule without `actions` and selectors, and end the file's name in `.learned.yaml`.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: known, statements: shop.yaml}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [orders]}",
    ),
    policy(
        Code::UnreadableList,
        "The file that an allow rule names at `statements` can't be read. It stands beside the policy's file.",
        "Correct the name, or write the list by `portcullis learn`.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: known, statements: shop.learned.yaml}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [orders]}",
    ),
    (
        Code::BadList,
        Page {
            means: "A list of statements is a list of entries with a `hash`: 32 hexadecimal digits, as `portcullis explain` and the log \
                    show it. Something in this file is none.",
            repair: "Correct the entry, or have the list written anew by `portcullis learn`.",
            example: Example::Files {
                wrong: &[
                    (
                        "shop.yaml",
                        "policy: shop\napplies_to: {users: [shop_app]}\nallow: [{rule: known, statements: shop.learned.yaml}]",
                    ),
                    ("shop.learned.yaml", "- hash: SELECT 1"),
                ],
                right: &[
                    (
                        "shop.yaml",
                        "policy: shop\napplies_to: {users: [shop_app]}\nallow: [{rule: known, statements: shop.learned.yaml}]",
                    ),
                    ("shop.learned.yaml", "- hash: 0123456789abcdef0123456789abcdef"),
                ],
            },
        },
    ),
];
