//! What shows between rules and policies, and tests.

use super::{Example, Page, Pages, policy};
use crate::policy::diagnostic::Code;

pub(super) const PAGES: Pages = &[
    policy(
        Code::RuleTwice,
        "Two rules of a policy have one name. Errors, metrics and `by:` in tests could not say which of them is meant.",
        "Give one of them another name, or make one rule of the two.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [orders]}\n  - {rule: data, \
         actions: [insert], tables: [orders]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: read, actions: [select], tables: [orders]}\n  - {rule: write, \
         actions: [insert], tables: [orders]}",
    ),
    policy(
        Code::PolicyTwice,
        "Two policies have one name, in one file or in several. Errors, logs and metrics could not say which of them is meant. Often a \
         file was copied.",
        "Give one of them another name, or remove the copy.",
        "policy: shop\napplies_to: {users: [shop_app]}\n---\npolicy: shop\napplies_to: {users: [shop_jobs]}",
        "policy: shop\napplies_to: {users: [shop_app]}\n---\npolicy: shop-jobs\napplies_to: {users: [shop_jobs]}",
    ),
    policy(
        Code::Contradiction,
        "Two policies hold for one user and want different things that can't both be: two values of a pin, two search_paths, or \
         different `temp_tables` or `unlisted`. The session could not start.",
        "Write the same in both, write it in one of them only, or let them name other users.",
        "policy: a\napplies_to: {users: [shop_app]}\npin: {statement_timeout: 30s}\n---\npolicy: b\napplies_to: {users: [shop_app]}\n\
         pin: {statement_timeout: 60s}",
        "policy: a\napplies_to: {users: [shop_app]}\npin: {statement_timeout: 30s}\n---\npolicy: b\napplies_to: {users: [shop_app]}",
    ),
    policy(
        Code::PossibleContradiction,
        "Two policies want different things (see PC0053), and their patterns of users overlap. A session that really matches both is \
         refused at login.",
        "Write the same in both, or patterns that don't overlap.",
        "policy: a\napplies_to: {users: [\"shop_*\"]}\npin: {statement_timeout: 30s}\n---\npolicy: b\napplies_to: {users: [\"*_app\"]}\n\
         pin: {statement_timeout: 60s}",
        "policy: a\napplies_to: {users: [\"shop_*\"]}\npin: {statement_timeout: 30s}\n---\npolicy: b\napplies_to: {users: [\"hr_*\"]}\n\
         pin: {statement_timeout: 60s}",
    ),
    policy(
        Code::Widening,
        "Two policies may hold for one user, and each allows something. What either allows is then allowed: read alone, each of them \
         says less than what holds.",
        "That may be meant (a policy for everybody, and more for some). Else let them name other users.",
        "policy: a\napplies_to: {users: [\"*\"]}\nallow: [{rule: read, actions: [select], tables: [orders]}]\n---\npolicy: b\n\
         applies_to: {users: [shop_app]}\nallow: [{rule: write, actions: [insert], tables: [orders]}]",
        "policy: a\napplies_to: {users: [shop_ro]}\nallow: [{rule: read, actions: [select], tables: [orders]}]\n---\npolicy: b\n\
         applies_to: {users: [shop_app]}\nallow: [{rule: write, actions: [insert], tables: [orders]}]",
    ),
    policy(
        Code::OnlyObserved,
        "The policy only observes, and no enforcing one covers these users: nothing that they send is refused. That is how one begins, \
         and not how one should stay.",
        "When the reports are quiet, write `mode: enforce`, or give the users an enforcing policy.",
        "policy: shop\napplies_to: {users: [shop_app]}\nmode: observe",
        "policy: shop\napplies_to: {users: [shop_app]}\nmode: enforce",
    ),
    policy(
        Code::LonelyName,
        "A table, function or schema is named in this one place, and it is one slip of the hand away from a name that stands elsewhere in \
         the policies or in their tests, or from another that stands in one place, too. Nothing tells a misspelt table from one that does not exist yet: an allow rule for it allows \
         nothing, a deny rule or decoy guards nothing.",
        "Correct it. If it is right, name it in a test, too: a name that a test confirms is not asked about.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [order_itmes]}\ntests:\n  \
         - deny: DELETE FROM order_items",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [order_items]}\ntests:\n  \
         - deny: DELETE FROM order_items",
    ),
    policy(
        Code::BadTest,
        "A test says one thing: `allow: SQL`, `deny: SQL`, `login: allow` or `refuse`, or `steps`. This one says none of them, or more \
         than one, `steps` without a step, or `by` beside `allow` (it names what refuses).",
        "Make one test of each: begin each with `- `.",
        "policy: shop\napplies_to: {users: [shop_app]}\ntests:\n  - allow: BEGIN\n    deny: DROP TABLE orders",
        "policy: shop\napplies_to: {users: [shop_app]}\ntests:\n  - allow: BEGIN\n  - deny: DROP TABLE orders",
    ),
    policy(
        Code::UnknownRule,
        "`by:` names the rule that must refuse, and there is none of this name. The test could never pass.",
        "Correct the name as the help suggests. Besides rules there are `default` (no rule allows it), `guard`, `require`, `parse`, \
         `limit`, `disagreement`, `decoy`, `quarantine`, `injection` and `block`.",
        "policy: shop\napplies_to: {users: [shop_app]}\ntests:\n  - {deny: DROP TABLE orders, by: defualt}",
        "policy: shop\napplies_to: {users: [shop_app]}\ntests:\n  - {deny: DROP TABLE orders, by: default}",
    ),
    (
        Code::UnknownPolicy,
        Page {
            means: "A file `*.test.yaml` holds tests of a policy that stands elsewhere, and there is none of this name among the files \
                    that were given.",
            repair: "Correct the name, or give the directory in which the policy stands, too.",
            example: Example::Files {
                wrong: &[
                    ("shop.yaml", "policy: shop\napplies_to: {users: [shop_app]}"),
                    ("shop.test.yaml", "policy: shopp\ntests:\n  - deny: DROP TABLE orders"),
                ],
                right: &[
                    ("shop.yaml", "policy: shop\napplies_to: {users: [shop_app]}"),
                    ("shop.test.yaml", "policy: shop\ntests:\n  - deny: DROP TABLE orders"),
                ],
            },
        },
    ),
    policy(
        Code::TestFailed,
        "The policies do something else than their tests say: what should pass is refused, what should be refused passes, or another rule \
         refuses it. So is a `deny:` whose text can't be parsed, unless it says `by: parse`: it would be refused by any policy. A set whose \
         own tests fail is not loaded.",
        "The help tells what happened and by which rule. Correct the policy or the test; `portcullis explain` shows what the statement \
         does and what would allow it.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [orders]}\ntests:\n  \
         - allow: UPDATE orders SET total = 0",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [orders]}\ntests:\n  \
         - deny: UPDATE orders SET total = 0",
    ),
    (
        Code::TestsNotRun,
        Page {
            means: "The tests could not be run at all: the machine gave no thread for them, or one of them brought it down. The policies \
                    are not loaded, for nobody knows whether they hold.",
            repair: "Run it again with more memory. If it stays, it is a mistake of Portcullis: please report it with the policies.",
            example: Example::None,
        },
    ),
];
