//! Values of keys, and the words of actions.

use super::{Pages, policy};
use crate::policy::diagnostic::Code;

pub(super) const PAGES: Pages = &[
    policy(
        Code::UnknownAction,
        "`actions` has a word that is no action, group of actions, or class of pgAudit. An allow rule with it would allow less than \
         is meant, a deny rule would refuse less.",
        "Correct it as the message suggests. docs/policies.md lists the actions and their groups. What is done to which kind of \
         object has a colon: `create:index`.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [selct], tables: [orders]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [orders]}",
    ),
    policy(
        Code::UnknownWord,
        "The key takes one of a few words, and this is none of them.",
        "Write one of the words in the message. Words count as they are written: `Enforce` is not `enforce`.",
        "policy: shop\napplies_to: {users: [shop_app]}\nmode: enforced",
        "policy: shop\napplies_to: {users: [shop_app]}\nmode: enforce",
    ),
    policy(
        Code::EmptyList,
        "A list or a mapping is there and holds nothing. `users: []` would match nobody and `tables: []` no table, and others may read \
         it as everybody and every table; `hours: []` and `when: {}` would be no condition, and `limits: {}` no limit. (`allow: []` and \
         `deny: []` may stand: no rules.)",
        "Name what is meant, or take the key out. Everything is `[\"*\"]`.",
        "policy: shop\napplies_to: {users: [shop_app], databases: []}",
        "policy: shop\napplies_to: {users: [shop_app], databases: [shop]}",
    ),
    policy(
        Code::BadValue,
        "The key takes a number, a size, a time or a rate, and this is none that it takes. Numbers: `200`, from 1 on. Sizes: `64KiB`, \
         `1MiB`. Delays: `500ms`, `2s`. Rates: `600/minute`, in a second, minute, hour or day. More than a number: `\">5\"`, in \
         quotes. Points in time: `2026-11-21T06:00:00Z`.",
        "Write the value as the help shows.",
        "policy: shop\napplies_to: {users: [shop_app]}\nlimits: {statement_bytes: 64 kilobytes}",
        "policy: shop\napplies_to: {users: [shop_app]}\nlimits: {statement_bytes: 64KiB}",
    ),
    policy(
        Code::BadHours,
        "`hours` are days (all without them), a span of time, and a time zone: `Mon-Fri 08:00-20:00 Europe/Paris`. Without the zone \
         nobody could say when they are.",
        "Write days as `Mon-Fri` or `Sat,Sun`, times in two digits each, `24:00` for the end of the day, and the zone at the end. A \
         span that ends before it begins goes on into the next day; for whole days write `00:00-24:00`.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: freeze, actions: [ddl], when: {hours: \"Mon-Fri 08:00-20:00\"}}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: freeze, actions: [ddl], when: {hours: \"Mon-Fri 08:00-20:00 UTC\"}}",
    ),
    policy(
        Code::UnknownTimeZone,
        "The time zone of `hours` is not in the IANA database, or is an abbreviation. Abbreviations such as CEST, PST, EST or CET are \
         not taken, those neither that are in the database: they mean different times to different people, and often no daylight \
         saving. Nor are offsets such as `+02:00`, which know none either.",
        "Write the name of a place that keeps the time that is meant, like `Europe/Paris` or `America/New_York`, or `UTC` (`Z` is the \
         same). Capitals don't count.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: freeze, actions: [ddl], when: {hours: \"08:00-20:00 Europe/Pariss\"}}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: freeze, actions: [ddl], when: {hours: \"08:00-20:00 Europe/Paris\"}}",
    ),
    policy(
        Code::BadNetwork,
        "`networks` takes IP addresses and CIDR blocks; names of hosts are not looked up. As in PostgreSQL's type `cidr`, no bit \
         beyond the prefix may be set: `10.0.0.7/8` is either the host `10.0.0.7` or the network `10.0.0.0/8`.",
        "Write `10.0.0.7`, `10.0.0.0/8` or `2001:db8::/32`.",
        "policy: shop\napplies_to: {users: [shop_app]}\nrequire: {networks: [10.0.0.7/8]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nrequire: {networks: [10.0.0.0/8]}",
    ),
    policy(
        Code::BadName,
        "Names of policies and rules stand in errors, logs and metrics and after `by:` in tests, so they are words: 1 to 63 letters, \
         digits, `-`, `_` or `.`.",
        "Choose such a name; what the rule is about can be said in a comment or a `hint`.",
        "policy: the web shop\napplies_to: {users: [shop_app]}",
        "policy: web-shop\napplies_to: {users: [shop_app]}",
    ),
    policy(
        Code::ReservedName,
        "The name has a meaning of its own: errors, metrics and `by:` in tests use it for what no rule decides (`default`, `guard`, \
         `require`, `parse`, `limit` …).",
        "Choose another name, one that says what it is for.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: default, actions: [select], tables: [orders]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: read, actions: [select], tables: [orders]}",
    ),
    policy(
        Code::BadPattern,
        "The name of a table, function, column or other object can't be read: it has too many parts or an empty one, an open quote, or \
         is a column without its table. Or it has something in it that can't be in a name without quotes: a blank, a comma, \
         parentheses, brackets, a quote. It would match nothing, so that a deny rule with it would refuse nothing. Users, databases, \
         roles and cursors are compared as they stand: there it is a comma, a blank at an edge, or quotes around the name.",
        "Write `name` or `schema.name`, for columns `table.column` or `schema.table.column`, and each name as an entry of its own: \
         `[products, categories]`. Functions are named without their arguments. The wildcards are `*` and `?`. A name with a dot, \
         capitals, blanks or the like in it is written in double quotes, inside single ones: `'\"Orders\"'`. A hyphen needs none.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: no-hashes, columns: [password_hash]}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: no-hashes, columns: [users.password_hash]}",
    ),
    policy(
        Code::UnnameableAction,
        "No rule can name this action. `unknown` is what the firewall does not understand: it is always refused. `commit` and \
         `rollback` always pass, for they end what a refusal has broken.",
        "Take the word out: nothing has to be said about it.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: work, actions: [begin, commit]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: work, actions: [begin]}",
    ),
    policy(
        Code::UnknownKind,
        "After the colon of an action stands the kind of object or the sub-command: `create:index`, `alter:add_column`. This action has \
         no such kind, or none at all, so the rule would never match: a deny rule would refuse nothing.",
        "Correct the kind as the message suggests, or name the action without one and the objects with a selector.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: no-index, actions: [\"create:indx\"]}",
        "policy: shop\napplies_to: {users: [shop_app]}\ndeny:\n  - {rule: no-index, actions: [\"create:index\"]}",
    ),
    policy(
        Code::AllowsEverything,
        "`all` in an allow rule is every action there is, COPY to programs and server files too, and every one that a later version \
         learns to tell apart.",
        "Name the actions or groups that are meant: `[read, write]`, `[ddl]`.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [all], tables: [orders]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [read, write], tables: [orders]}",
    ),
    policy(
        Code::NeverMet,
        "Users of the operating system are known of sessions over a Unix socket only, and there is no TLS there, as in PostgreSQL, so \
         there are no client certificates either. A policy that requires both lets nobody in.",
        "Take one of them out. Where the same users come by both ways, write a policy for each, with \
         `applies_to: {listeners: [...]}`.",
        "policy: backup\napplies_to: {users: [backup]}\nrequire: {os_users: [backup], tls: true}",
        "policy: backup\napplies_to: {users: [backup]}\nrequire: {os_users: [backup]}",
    ),
];
