//! Settings, pins, paths, thresholds, decoys.

use super::{Pages, policy};
use crate::policy::diagnostic::Code;

pub(super) const PAGES: Pages = &[
    policy(
        Code::UnknownSetting,
        "No version of PostgreSQL from 14 to 18 has a setting of this name. Settings of extensions and of applications have a dot in \
         their names.",
        "Correct the name as the help suggests; `SELECT name FROM pg_settings` lists them all.",
        "policy: shop\napplies_to: {users: [shop_app]}\npin: {statment_timeout: 30s}",
        "policy: shop\napplies_to: {users: [shop_app]}\npin: {statement_timeout: 30s}",
    ),
    policy(
        Code::RoleIsNoSetting,
        "To change the role is an action of its own, on whatever way it is done (SET ROLE, `set_config('role', …)`, a startup \
         parameter). A rule about settings never covers it.",
        "Write `actions: [set_role]` and `roles: [...]`.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: become, actions: [set], settings: [role]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: become, actions: [set_role], roles: [web_anon]}",
    ),
    policy(
        Code::UnsafeSetting,
        "At this value the server would read statements otherwise than the firewall, or look names up where somebody else can put \
         them: an open door, whatever else the policy says.",
        "Take it out: the safe values need no rule. A `search_path=` names schemas, divided by commas, without \"$user\" and without \
         pg_catalog behind others.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: old, actions: [set], settings: [\"standard_conforming_strings=off\"]}",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: own, actions: [set], settings: [\"app.*\"]}",
    ),
    policy(
        Code::GuardedSetting,
        "Some settings change what a statement means, who runs it, or what protects it. They are guarded: a rule that names one without \
         a value, or by a glob, allows nothing.",
        "Write the value that is meant: `\"row_security=off\"`.",
        "policy: dump\napplies_to: {users: [dump]}\nallow:\n  - {rule: rows, actions: [set], settings: [row_security]}",
        "policy: dump\napplies_to: {users: [dump]}\nallow:\n  - {rule: rows, actions: [set], settings: [\"row_security=off\"]}",
    ),
    policy(
        Code::NotPinnable,
        "Pins are sent when a session starts, so only what any session may set can be pinned (`context` is `user` in `pg_settings`). Some \
         have a place of their own in the policy, some are guarded in every session anyway, and some last one transaction only.",
        "The help says what to write instead.",
        "policy: shop\napplies_to: {users: [shop_app]}\npin: {transaction_read_only: on}",
        "policy: shop\napplies_to: {users: [shop_app]}\npin: {default_transaction_read_only: on}",
    ),
    policy(
        Code::BadPin,
        "The pinned setting does not take this value: no version of PostgreSQL from 14 to 18 does. The server would refuse every session \
         at its start.",
        "Write a value that the setting takes: on or off, one of its words, or a number in its range, alone or with a unit of \
         PostgreSQL's: `B`, `kB`, `MB`, `GB`, `TB`; `us`, `ms`, `s`, `min`, `h`, `d`. `SELECT * FROM pg_settings` shows range and unit.",
        "policy: shop\napplies_to: {users: [shop_app]}\npin: {default_transaction_read_only: sometimes}",
        "policy: shop\napplies_to: {users: [shop_app]}\npin: {default_transaction_read_only: on}",
    ),
    policy(
        Code::PinnedTwice,
        "Two pins mean one setting: names of settings don't depend on capitals.",
        "Decide for one of the two, and take the other out.",
        "policy: shop\napplies_to: {users: [shop_app]}\npin: {statement_timeout: 30s, Statement_Timeout: 60s}",
        "policy: shop\napplies_to: {users: [shop_app]}\npin: {statement_timeout: 30s}",
    ),
    policy(
        Code::BadSearchPath,
        "`search_path` names the schemas in which names without a schema are looked up. \"$user\" can't be one of them, for then a name \
         would mean another table for each user; nor can pg_catalog behind others, for theirs would hide PostgreSQL's own functions.",
        "Name the schemas, each as an entry of its own: `[api, public]`. pg_catalog comes first by itself.",
        "policy: shop\napplies_to: {users: [shop_app]}\nsearch_path: [\"$user\", public]",
        "policy: shop\napplies_to: {users: [shop_app]}\nsearch_path: [public]",
    ),
    policy(
        Code::TempWithoutPath,
        "A temporary table hides a real one of the same name. Only with a `search_path` of the policy's own does the firewall know \
         which of the two a name means.",
        "Add `search_path: [...]` with the schemas of the tables.",
        "policy: etl\napplies_to: {users: [etl]}\ntemp_tables: allow",
        "policy: etl\napplies_to: {users: [etl]}\nsearch_path: [mart]\ntemp_tables: allow",
    ),
    policy(
        Code::Thresholds,
        "`observe_at` is higher than `block_at`: statements would be refused as injections without being reported as attempts.",
        "Write the lower number at `observe_at`.",
        "policy: shop\napplies_to: {users: [shop_app]}\ninjection: {observe_at: 5, block_at: 3}",
        "policy: shop\napplies_to: {users: [shop_app]}\ninjection: {observe_at: 3, block_at: 5}",
    ),
    policy(
        Code::ServersDecoy,
        "A decoy is a table that nobody has a reason to touch. The server's own catalogs are read by every client and temporary tables \
         by whoever made them: they would ring all day.",
        "Name a table that you make for this.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndecoys: [pg_catalog.pg_authid]",
        "policy: shop\napplies_to: {users: [shop_app]}\ndecoys: [public.admin_backup]",
    ),
    policy(
        Code::EverythingDecoy,
        "The decoy's pattern is every table: the first statement on any of them quarantines its user.",
        "Name tables, or a schema that holds nothing but decoys.",
        "policy: shop\napplies_to: {users: [shop_app]}\ndecoys: [\"*\"]",
        "policy: shop\napplies_to: {users: [shop_app]}\ndecoys: [\"traps.*\"]",
    ),
    policy(
        Code::AllowedDecoy,
        "An allow rule names a table that is a decoy as well. A decoy comes before every rule: who uses the table as the rule says is \
         refused, and its user is shut out at that address.",
        "Take the table out of the rule or out of `decoys`. Rules with a wildcard may cover decoys: that is what they are for.",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [orders]}\ndecoys: [orders]",
        "policy: shop\napplies_to: {users: [shop_app]}\nallow:\n  - {rule: data, actions: [select], tables: [orders]}\ndecoys: [admin_backup]",
    ),
];
