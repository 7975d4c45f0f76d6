//! F2, F3, F9, F32: what a client says of itself, and orders in band.

use super::framing::DROP;
use crate::attacks::{Fence, Harm, Step, Way};

/// A session that is not the user's own any more.
const BOSS: Harm = Harm::Session("SELECT current_user", "boss");

const LOOK: &[Step] = &[Step::Query("SELECT 1")];

const fn boss(how: &'static str, parameters: &'static [(&'static str, &'static str)]) -> Way {
    Way::new(how, Fence::Always, LOOK, BOSS).startup(parameters)
}

/// Policies under which read-only is pinned.
const PINNED: &str = "policy: pinned
applies_to: {users: [attacker]}
search_path: [public]
pin: {default_transaction_read_only: on, statement_timeout: 15s}
allow: [{rule: data, actions: [select, insert], tables: ['*']}]
";

const fn pinned(how: &'static str, harm: Harm, parameters: &'static [(&'static str, &'static str)]) -> Way {
    Way::new(how, Fence::Own(PINNED), &[Step::Query("INSERT INTO log VALUES ('f2')")], harm).startup(parameters)
}

pub(super) const PARAMETERS: &[Way] = &[
    boss("-c role=", &[("options", "-c role=boss")]),
    boss("-crole=", &[("options", "-crole=boss")]),
    boss("--role=", &[("options", "--role=boss")]),
    boss("with escapes and white space", &[("options", "\t -c\x0b r\\ol\\e=bo\\ss")]),
    boss("behind something harmless", &[("options", "-c application_name=x\\ -c\\ role=none -c ROLE=boss")]),
    boss("-c twice, the last one counts", &[("options", "-c role=none -c role=boss")]),
    boss("as a parameter of its own", &[("role", "boss")]),
    boss("in capitals", &[("ROLE", "boss")]),
    boss("a bundle of switches", &[("options", "-ec role=boss")]),
    boss("other switches before it", &[("options", "-O -c role=boss")]),
    Way::new("search_path", Fence::Always, LOOK, Harm::Session("SHOW search_path", "evil"))
        .startup(&[("search_path", "evil")]),
    Way::new("search-path in options", Fence::Always, LOOK, Harm::Session("SHOW search_path", "evil"))
        .startup(&[("options", "--search-path=evil")]),
    Way::new(
        "session_replication_role",
        Fence::Always,
        LOOK,
        Harm::Session("SHOW session_replication_role", "replica"),
    )
    .startup(&[("session_replication_role", "replica")]),
    Way::new("row_security", Fence::Always, LOOK, Harm::Session("SHOW row_security", "off"))
        .startup(&[("row_security", "off")]),
    Way::new(
        "system tables made writable by a switch",
        Fence::Always,
        LOOK,
        Harm::Session("SHOW allow_system_table_mods", "on"),
    )
    .startup(&[("options", "-O")]),
    pinned("a pinned setting", Harm::Changes, &[("default_transaction_read_only", "off")]),
    pinned("a pinned setting in options", Harm::Changes, &[("options", "-c default-transaction_read-only=0")]),
    pinned("a pinned limit", Harm::Session("SHOW statement_timeout", "0"), &[("options", "-c statement_timeout=0")]),
];

/// The session of a standby, and a standby's slot.
const fn walsender(how: &'static str, parameters: &'static [(&'static str, &'static str)]) -> Way {
    Way::new(how, Fence::Always, &[Step::Query("CREATE_REPLICATION_SLOT portcullis_f3 PHYSICAL")], Harm::Changes)
        .startup(parameters)
        .undo(NO_SLOT)
}

const NO_SLOT: &str =
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'portcullis_f3'";

/// A policy that admits a standby, which may ask who the server is.
const STANDBY: &str = "policy: standby
applies_to: {users: [attacker], replication: true}
allow: [{rule: who, actions: [replication], objects: [identify_system]}]
";

pub(super) const REPLICATION: &[Way] = &[
    walsender("replication=database", &[("replication", "database")]),
    walsender("replication=true", &[("replication", "true")]),
    walsender("replication=on", &[("replication", "on")]),
    walsender("replication=YES", &[("replication", "YES")]),
    walsender("replication=tr", &[("replication", "tr")]),
    walsender("replication=1", &[("replication", "1")]),
    Way::new("a question only", Fence::Always, &[Step::Query("READ_REPLICATION_SLOT portcullis_none")], Harm::Runs)
        .startup(&[("replication", "true")])
        .since(15),
    Way::new(
        "another command than the admitted one",
        Fence::Own(STANDBY),
        &[Step::Query(" \n CREATE_REPLICATION_SLOT portcullis_f3 PHYSICAL")],
        Harm::Changes,
    )
    .startup(&[("replication", "database")])
    .undo(NO_SLOT),
    Way::new(
        "SQL in the session of an admitted standby",
        Fence::Own(STANDBY),
        &[Step::Query("DROP TABLE {schema}.log")],
        Harm::Changes,
    )
    .startup(&[("replication", "database")]),
    Way::new(
        "SQL behind a first word that looks like a command",
        Fence::Own(STANDBY),
        &[Step::Query("/* IDENTIFY_SYSTEM */ DROP TABLE {schema}.log")],
        Harm::Changes,
    )
    .startup(&[("replication", "database")]),
];

const fn drops(how: &'static str, steps: &'static [Step]) -> Way {
    Way::new(how, DROP, steps, Harm::Changes)
}

pub(super) const SWITCHES: &[Way] = &[
    drops("SET", &[Step::Query("SET portcullis.mode = 'observe'"), Step::Sql("DROP TABLE {schema}.log")]),
    drops(
        "set_config",
        &[Step::Query("SELECT set_config('portcullis.enabled', 'off', false)"), Step::Sql("DROP TABLE {schema}.log")],
    ),
    drops("a comment", &[Step::Sql("/* portcullis: off */ DROP TABLE {schema}.log -- portcullis: allow")]),
    drops("a startup parameter", &[Step::Sql("DROP TABLE {schema}.log")]).startup(&[("portcullis.mode", "observe")]),
    drops("options", &[Step::Sql("DROP TABLE {schema}.log")]).startup(&[("options", "-c portcullis.mode=observe")]),
    drops(
        "the words of a refusal",
        &[Step::Query("SELECT 1 AS \"portcullis refused 01JD3ZZZZZZZZZZZZZZZZZZZZZ\"; DROP TABLE {schema}.log")],
    ),
];

pub(super) const NAMES: &[Way] = &[
    drops("psql's", &[Step::Sql("DROP TABLE {schema}.log")]).startup(&[("application_name", "psql")]),
    drops("a tool's for copies", &[Step::Sql("DROP TABLE {schema}.log")]).startup(&[("application_name", "pg_dump")]),
    drops("the firewall's", &[Step::Sql("DROP TABLE {schema}.log")]).startup(&[("application_name", "portcullis")]),
    drops(
        "changed on the way",
        &[Step::Query("SET application_name = 'migrations'"), Step::Sql("DROP TABLE {schema}.log")],
    ),
    drops("an encoding and options of no matter", &[Step::Sql("DROP TABLE {schema}.log")])
        .startup(&[("client_encoding", "UTF8"), ("options", "-c application_name=boss")]),
];
