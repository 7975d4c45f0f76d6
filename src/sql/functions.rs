//! What PostgreSQL's built-in functions do, as far as a policy can ask (POLICY 2a.6 and 5).
//!
//! The names come from the servers' own catalogs (`scripts/generate-catalog`); what a function does was read by a human
//! ([`classes`]). A test fails when a name of the catalogs that may do something has not been read.

mod classes;
mod names;
mod oids;

/// What a built-in does that a policy speaks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Computes a value, or describes the database. Needs no rule.
    Harmless,
    /// Reads or writes files of the server.
    File,
    /// Opens a connection. No built-in does; extensions do.
    Network,
    /// Runs or loads code of a procedural language: handlers and validators, which nobody calls by hand.
    Code,
    /// Cancels or ends other sessions.
    SignalBackend,
    /// Acts on the whole server (WAL, configuration, backups, statistics), or shows what only an administrator should
    /// see.
    ServerControl,
    /// Slots, origins, logical messages, and what tells about replication.
    Replication,
    /// Writes `postgresql.auto.conf`. No built-in function does.
    AlterSystem,
    /// Reads or sets sequences: `nextval`, `setval`.
    Nextval,
    /// Takes an advisory lock.
    AdvisoryLock,
    /// Gives one back.
    AdvisoryUnlock,
    /// Reads or writes large objects.
    LargeObject,
    /// NOTIFY as a function.
    Notify,
    /// SET as a function.
    SetConfig,
    /// Holds the session for a while.
    Sleep,
    /// Runs SQL or the code of a type, or reads relations, that an argument names: see [`Builtin::sql_argument`].
    SqlInString,
    /// Writes the catalogs or maintains indexes past the statements that exist for it.
    CatalogWrite,
    /// Not decided. No built-in is.
    Unknown,
}

/// Which argument says what SQL a [`Class::SqlInString`] function runs. Positions are 0-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlArgument {
    /// The text of a query. (`ts_rewrite` runs one with two arguments only; with three it computes.)
    Query(u8),
    /// The name of a table that is read whole (`table_to_xml`).
    Relation(u8),
    /// The name of a schema whose tables are read.
    Schema(u8),
    /// No argument: all tables of the database are read.
    Database,
    /// The name of a cursor to fetch from.
    Cursor(u8),
    /// A type, by name or OID: its input function and its domain checks run.
    Type(u8),
}

/// A function, aggregate or procedure of pg_catalog in any supported version; all that share a name are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    pub class: Class,
    /// For [`Class::SqlInString`] only.
    pub sql_argument: Option<SqlArgument>,
    /// Takes any row as its only argument, so that `u.name` on a row `u` calls it (POLICY 5, attribute notation).
    pub any_row: bool,
}

/// The built-in of this name, folded as PostgreSQL folds it. `None`: pg_catalog has no function of this name.
pub fn builtin(name: &str) -> Option<Builtin> {
    let found = names::NAMES.binary_search_by(|(candidate, _, _)| (*candidate).cmp(name)).ok()?;
    let (_, any_row, _) = names::NAMES.get(found)?;
    let (class, sql_argument) = classes::class(name);
    Some(Builtin { class, sql_argument, any_row: *any_row })
}

/// The name of the function that has this OID on a server of this major version, as a FunctionCall message calls it. OIDs
/// below 10000 are PostgreSQL's own and the same in every cluster. `None`: another OID, one that means different functions
/// in different versions, or a server whose catalogs the table doesn't know.
pub fn by_oid(oid: u32, server_major: u32) -> Option<&'static str> {
    let oid = u16::try_from(oid).ok().filter(|_| oids::MAJORS.contains(&server_major))?;
    let found = oids::OIDS.binary_search_by_key(&oid, |(candidate, _)| *candidate).ok()?;
    oids::OIDS.get(found).map(|(_, name)| *name)
}

/// Whether information_schema has a function of this name. They are helpers of its views and compute, every one
/// (drivers call `information_schema._pg_expandarray`).
pub fn is_information_schema_function(name: &str) -> bool {
    names::INFORMATION_SCHEMA.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names that may do something and were read: each must be in `classes` one way or the other.
    #[test]
    fn every_volatile_function_has_been_read() {
        let unread: Vec<_> = names::NAMES
            .iter()
            .filter(|(name, _, volatile)| {
                *volatile && classes::class(name).0 == Class::Harmless && !classes::READ_AND_HARMLESS.contains(name)
            })
            .map(|(name, _, _)| name)
            .collect();
        assert!(unread.is_empty(), "new in the catalogs, give them a class: {unread:?}");
    }

    #[test]
    fn every_name_in_the_classes_is_a_function_and_stands_once() {
        let mut seen = BTreeSet::new();
        for name in classes::all() {
            assert!(builtin(name).is_some(), "{name} is in no version");
            assert!(seen.insert(name), "{name} stands twice");
        }
        assert!(names::NAMES.is_sorted());
    }

    #[test]
    fn no_name_that_sounds_of_the_server_is_harmless_unread() {
        // A second net below volatility: `pg_stat_get_activity` and `table_to_xml` are STABLE.
        for (name, _, _) in names::NAMES {
            let suspicious = ["pg_ls_", "pg_read_", "pg_logical_", "pg_replication_", "lo_", "binary_upgrade_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
                || ["_to_xml", "_to_xmlschema", "_and_xmlschema", "_slot", "_slots", "_validator"]
                    .iter()
                    .any(|suffix| name.ends_with(suffix))
                || name.contains("_reset") && name.starts_with("pg_stat_");
            let harmless = classes::class(name).0 == Class::Harmless;
            // Counters of a slot and the time of a reset, as in pg_stat_replication_slots and pg_stat_database.
            let exempt = ["pg_stat_get_replication_slot", "pg_stat_get_db_stat_reset_time"].contains(name)
                || name.ends_with("_stat_reset_time");
            assert!(!(suspicious && harmless && !exempt), "{name}");
        }
    }

    #[test]
    fn classes_of_well_known_functions() {
        for (name, class) in [
            ("lower", Class::Harmless),
            ("count", Class::Harmless),
            ("currval", Class::Harmless),
            ("lastval", Class::Harmless),
            ("pg_get_userbyid", Class::Harmless),
            ("txid_current", Class::Harmless),
            ("pg_read_file", Class::File),
            ("pg_read_binary_file", Class::File),
            ("lo_import", Class::File),
            ("lo_export", Class::File),
            ("pg_ls_waldir", Class::File),
            ("pg_hba_file_rules", Class::File),
            ("pg_current_logfile", Class::File),
            ("pg_file_write", Class::File),
            ("pg_terminate_backend", Class::SignalBackend),
            ("pg_stat_reset", Class::ServerControl),
            ("pg_switch_wal", Class::ServerControl),
            ("pg_reload_conf", Class::ServerControl),
            ("pg_stat_get_activity", Class::ServerControl),
            ("pg_logical_emit_message", Class::Replication),
            ("pg_create_physical_replication_slot", Class::Replication),
            ("lo_get", Class::LargeObject),
            ("loread", Class::LargeObject),
            ("setval", Class::Nextval),
            ("pg_notify", Class::Notify),
            ("set_config", Class::SetConfig),
            ("pg_sleep_for", Class::Sleep),
            ("pg_try_advisory_xact_lock", Class::AdvisoryLock),
            ("pg_advisory_unlock_all", Class::AdvisoryUnlock),
            ("pg_restore_relation_stats", Class::CatalogWrite),
        ] {
            assert_eq!(builtin(name).map(|b| b.class), Some(class), "{name}");
        }
        assert_eq!(builtin("dblink"), None);
        assert_eq!(builtin("LOWER"), None);
        assert_eq!(builtin(""), None);
        assert_eq!(builtin("query_to_xml").and_then(|b| b.sql_argument), Some(SqlArgument::Query(0)));
        assert_eq!(builtin("ts_rewrite").and_then(|b| b.sql_argument), Some(SqlArgument::Query(1)));
        assert_eq!(builtin("table_to_xml").and_then(|b| b.sql_argument), Some(SqlArgument::Relation(0)));
        assert_eq!(builtin("pg_input_is_valid").and_then(|b| b.sql_argument), Some(SqlArgument::Type(1)));
        assert_eq!(builtin("lower").and_then(|b| b.sql_argument), None);
    }

    #[test]
    fn functions_by_oid() {
        // libpq's large objects first.
        for (oid, name) in [
            (952, "lo_open"),
            (953, "lo_close"),
            (954, "loread"),
            (955, "lowrite"),
            (956, "lo_lseek"),
            (957, "lo_creat"),
            (715, "lo_create"),
            (958, "lo_tell"),
            (1004, "lo_truncate"),
            (3170, "lo_lseek64"),
            (3171, "lo_tell64"),
            (3172, "lo_truncate64"),
            (964, "lo_unlink"),
            (764, "lo_import"),
            (765, "lo_export"),
            (3826, "pg_read_file"),
            (2078, "set_config"),
            (1299, "now"),
        ] {
            for major in 14..=18 {
                assert_eq!(by_oid(oid, major), Some(name), "{oid}");
            }
        }
    }

    #[test]
    fn an_oid_that_is_not_certain_is_no_function() {
        // pg_read_file_old on 14, pg_get_shmem_allocations_numa on 18; pg_is_in_backup on 14, xmltext on 17.
        for oid in [4100, 3813, 0, 10_000, 16_384, 952 + (1 << 16), u32::MAX] {
            assert_eq!(by_oid(oid, 15), None, "{oid}");
        }
        // Freed OIDs are given to others: a server of an unknown version may have another function there.
        for major in [0, 9, 13, 19] {
            assert_eq!(by_oid(952, major), None, "PostgreSQL {major}");
        }
    }

    #[test]
    fn the_oids_are_sorted_and_every_name_of_theirs_is_a_built_in() {
        assert!(oids::OIDS.is_sorted_by(|(a, _), (b, _)| a < b));
        assert!(oids::OIDS.len() > 3000, "{}", oids::OIDS.len());
        for (oid, name) in oids::OIDS {
            assert!(*oid < 10_000 && builtin(name).is_some(), "{oid} {name}");
        }
    }

    #[test]
    fn functions_of_information_schema() {
        assert!(names::INFORMATION_SCHEMA.is_sorted());
        // One more or less wants to be read.
        assert_eq!(names::INFORMATION_SCHEMA.len(), 11, "{:?}", names::INFORMATION_SCHEMA);
        assert!(is_information_schema_function("_pg_expandarray"));
        assert!(!is_information_schema_function("lower"));
    }

    #[test]
    fn the_built_ins_that_take_any_row() {
        let any_row = |name: &str| builtin(name).is_some_and(|b| b.any_row);
        for name in ["row_to_json", "to_jsonb", "json_agg", "array_agg", "concat", "record_out", "quote_literal"] {
            assert!(any_row(name), "{name}");
        }
        for name in ["lower", "name", "text", "length", "id", "sum", "concat_ws"] {
            assert!(!any_row(name), "{name}");
        }
        // 28 on PostgreSQL 15; 16 added 3, 17 one, 18 four (`max`, `min` of a record, `pg_restore_*_stats`).
        assert_eq!(names::NAMES.iter().filter(|(_, any_row, _)| *any_row).count(), 36);
    }
}
