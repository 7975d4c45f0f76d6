//! What each built-in does, as a human read it in the manual and in the source; what is not here computes.
//!
//! Strict reading: whatever writes, signals, sleeps, locks, touches files, WAL, slots, statistics, large objects or
//! other sessions, changes settings, runs SQL text, or hands out what the relations excluded by POLICY 2a.7 hold, has a
//! class. Functions that refuse to work outside a binary upgrade or for ordinary roles are here all the same: GRANTs are
//! the server's matter.

use super::{Class, SqlArgument};

/// The class of a built-in, and the argument that holds SQL.
pub(super) fn class(name: &str) -> (Class, Option<SqlArgument>) {
    if let Some((_, argument)) = SQL_IN_STRING.iter().find(|(candidate, _)| *candidate == name) {
        return (Class::SqlInString, Some(*argument));
    }
    let class = CLASSES.iter().find(|(_, names)| names.contains(&name)).map_or(Class::Harmless, |(class, _)| *class);
    (class, None)
}

/// Every name that stands here.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    CLASSES
        .iter()
        .flat_map(|(_, names)| names.iter())
        .chain(SQL_IN_STRING.iter().map(|(name, _)| name))
        .chain(READ_AND_HARMLESS)
        .copied()
}

/// Functions that run SQL, or the code of a type, which an argument holds or names.
const SQL_IN_STRING: &[(&str, SqlArgument)] = &[
    ("query_to_xml", SqlArgument::Query(0)),
    ("query_to_xmlschema", SqlArgument::Query(0)),
    ("query_to_xml_and_xmlschema", SqlArgument::Query(0)),
    ("ts_stat", SqlArgument::Query(0)),
    ("ts_rewrite", SqlArgument::Query(1)),
    ("table_to_xml", SqlArgument::Relation(0)),
    ("table_to_xmlschema", SqlArgument::Relation(0)),
    ("table_to_xml_and_xmlschema", SqlArgument::Relation(0)),
    ("schema_to_xml", SqlArgument::Schema(0)),
    ("schema_to_xmlschema", SqlArgument::Schema(0)),
    ("schema_to_xml_and_xmlschema", SqlArgument::Schema(0)),
    ("database_to_xml", SqlArgument::Database),
    ("database_to_xmlschema", SqlArgument::Database),
    ("database_to_xml_and_xmlschema", SqlArgument::Database),
    ("cursor_to_xml", SqlArgument::Cursor(0)),
    ("cursor_to_xmlschema", SqlArgument::Cursor(0)),
    ("pg_input_is_valid", SqlArgument::Type(1)),
    ("pg_input_error_info", SqlArgument::Type(1)),
    // The input functions of kinds of types; `enum_in` and those of pseudo-types run no other.
    ("array_in", SqlArgument::Type(1)),
    ("domain_in", SqlArgument::Type(1)),
    ("multirange_in", SqlArgument::Type(1)),
    ("range_in", SqlArgument::Type(1)),
    ("record_in", SqlArgument::Type(1)),
];

const CLASSES: &[(Class, &[&str])] = &[
    (
        Class::File,
        &[
            "pg_read_file",
            "pg_read_file_old",
            "pg_read_binary_file",
            "pg_stat_file",
            "pg_ls_dir",
            "pg_ls_archive_statusdir",
            "pg_ls_logdir",
            "pg_ls_logicalmapdir",
            "pg_ls_logicalsnapdir",
            "pg_ls_replslotdir",
            "pg_ls_summariesdir",
            "pg_ls_tmpdir",
            "pg_ls_waldir",
            "pg_current_logfile",
            "lo_import",
            "lo_export",
            // They parse postgresql.conf, pg_hba.conf and pg_ident.conf anew.
            "pg_show_all_file_settings",
            "pg_hba_file_rules",
            "pg_ident_file_mappings",
            // WAL summary files.
            "pg_available_wal_summaries",
            "pg_wal_summary_contents",
            // adminpack, which installs itself into pg_catalog.
            "pg_file_rename",
            "pg_file_sync",
            "pg_file_unlink",
            "pg_file_write",
            "pg_logdir_ls",
        ],
    ),
    (
        Class::Code,
        &[
            "plpgsql_call_handler",
            "plpgsql_inline_handler",
            "plpgsql_validator",
            // The C validator loads the library.
            "fmgr_c_validator",
            "fmgr_internal_validator",
            "fmgr_sql_validator",
            "postgresql_fdw_validator",
        ],
    ),
    (Class::SignalBackend, &["pg_cancel_backend", "pg_terminate_backend"]),
    (
        Class::ServerControl,
        &[
            // WAL, recovery, backups.
            "pg_switch_wal",
            "pg_create_restore_point",
            "pg_log_standby_snapshot",
            "pg_promote",
            "pg_wal_replay_pause",
            "pg_wal_replay_resume",
            "pg_backup_start",
            "pg_backup_stop",
            "pg_start_backup",
            "pg_stop_backup",
            // Configuration and log.
            "pg_reload_conf",
            "pg_rotate_logfile",
            "pg_rotate_logfile_old",
            "pg_log_backend_memory_contexts",
            // Statistics.
            "pg_stat_reset",
            "pg_stat_reset_backend_stats",
            "pg_stat_reset_replication_slot",
            "pg_stat_reset_shared",
            "pg_stat_reset_single_function_counters",
            "pg_stat_reset_single_table_counters",
            "pg_stat_reset_slru",
            "pg_stat_reset_subscription_stats",
            // They hand out what pg_config and pg_stat_activity hold.
            "pg_config",
            "pg_stat_get_activity",
            "pg_stat_get_backend_activity",
            "pg_stat_get_backend_activity_start",
            "pg_stat_get_backend_client_addr",
            "pg_stat_get_backend_client_port",
            "pg_stat_get_backend_dbid",
            "pg_stat_get_backend_idset",
            "pg_stat_get_backend_pid",
            "pg_stat_get_backend_start",
            "pg_stat_get_backend_subxact",
            "pg_stat_get_backend_userid",
            "pg_stat_get_backend_wait_event",
            "pg_stat_get_backend_wait_event_type",
            "pg_stat_get_backend_xact_start",
        ],
    ),
    (
        Class::Replication,
        &[
            "pg_create_physical_replication_slot",
            "pg_create_logical_replication_slot",
            "pg_copy_physical_replication_slot",
            "pg_copy_logical_replication_slot",
            "pg_drop_replication_slot",
            "pg_replication_slot_advance",
            "pg_sync_replication_slots",
            "pg_logical_emit_message",
            "pg_logical_slot_get_changes",
            "pg_logical_slot_get_binary_changes",
            "pg_logical_slot_peek_changes",
            "pg_logical_slot_peek_binary_changes",
            "pg_replication_origin_advance",
            "pg_replication_origin_create",
            "pg_replication_origin_drop",
            "pg_replication_origin_oid",
            "pg_replication_origin_progress",
            "pg_replication_origin_session_is_setup",
            "pg_replication_origin_session_progress",
            "pg_replication_origin_session_reset",
            "pg_replication_origin_session_setup",
            "pg_replication_origin_xact_reset",
            "pg_replication_origin_xact_setup",
            "binary_upgrade_logical_slot_has_caught_up",
            "binary_upgrade_replorigin_advance",
            "binary_upgrade_add_sub_rel_state",
            // They hand out what pg_replication_slots, pg_replication_origin_status, pg_stat_replication and
            // pg_stat_wal_receiver hold.
            "pg_get_replication_slots",
            "pg_show_replication_origin_status",
            "pg_stat_get_wal_senders",
            "pg_stat_get_wal_receiver",
        ],
    ),
    (Class::Nextval, &["nextval", "setval"]),
    (
        Class::AdvisoryLock,
        &[
            "pg_advisory_lock",
            "pg_advisory_lock_shared",
            "pg_advisory_xact_lock",
            "pg_advisory_xact_lock_shared",
            "pg_try_advisory_lock",
            "pg_try_advisory_lock_shared",
            "pg_try_advisory_xact_lock",
            "pg_try_advisory_xact_lock_shared",
        ],
    ),
    (Class::AdvisoryUnlock, &["pg_advisory_unlock", "pg_advisory_unlock_all", "pg_advisory_unlock_shared"]),
    (
        Class::LargeObject,
        &[
            "lo_close",
            "lo_creat",
            "lo_create",
            "lo_from_bytea",
            "lo_get",
            "lo_lseek",
            "lo_lseek64",
            "lo_open",
            "lo_put",
            "lo_tell",
            "lo_tell64",
            "lo_truncate",
            "lo_truncate64",
            "lo_unlink",
            "loread",
            "lowrite",
        ],
    ),
    (Class::Notify, &["pg_notify"]),
    (Class::SetConfig, &["set_config"]),
    (Class::Sleep, &["pg_sleep", "pg_sleep_for", "pg_sleep_until"]),
    (
        Class::CatalogWrite,
        &[
            "binary_upgrade_create_empty_extension",
            "binary_upgrade_set_missing_value",
            "binary_upgrade_set_next_array_pg_type_oid",
            "binary_upgrade_set_next_heap_pg_class_oid",
            "binary_upgrade_set_next_heap_relfilenode",
            "binary_upgrade_set_next_index_pg_class_oid",
            "binary_upgrade_set_next_index_relfilenode",
            "binary_upgrade_set_next_multirange_array_pg_type_oid",
            "binary_upgrade_set_next_multirange_pg_type_oid",
            "binary_upgrade_set_next_pg_authid_oid",
            "binary_upgrade_set_next_pg_enum_oid",
            "binary_upgrade_set_next_pg_tablespace_oid",
            "binary_upgrade_set_next_pg_type_oid",
            "binary_upgrade_set_next_toast_pg_class_oid",
            "binary_upgrade_set_next_toast_relfilenode",
            "binary_upgrade_set_record_init_privs",
            "pg_nextoid",
            "pg_stop_making_pinned_objects",
            "pg_extension_config_dump",
            "pg_import_system_collations",
            // The planner's statistics.
            "pg_clear_attribute_stats",
            "pg_clear_relation_stats",
            "pg_restore_attribute_stats",
            "pg_restore_relation_stats",
            // Indexes.
            "brin_summarize_new_values",
            "brin_summarize_range",
            "brin_desummarize_range",
            "gin_clean_pending_list",
        ],
    ),
];

/// VOLATILE functions that were read and do nothing of the above: they look at the clock, at random numbers, at the
/// state of this session or of the server, or at the size of things.
#[cfg(test)]
pub(super) const READ_AND_HARMLESS: &[&str] = &[
    // Computing.
    "amvalidate",
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "gen_random_uuid",
    "random",
    "random_normal",
    "setseed",
    "timeofday",
    "timezone",
    "uuidv4",
    "uuidv7",
    // This session and its sequences; `currtid2` gives the newest tuple id of a row.
    "currtid2",
    "current_query",
    "currval",
    "lastval",
    "pg_sequence_last_value",
    "pg_get_sequence_data",
    // `pg_dump --jobs` can't do without; the snapshot's file lives as long as the transaction.
    "pg_export_snapshot",
    "pg_stat_clear_snapshot",
    "pg_stat_force_next_flush",
    // Transactions and locks: what pg_locks and pg_prepared_xacts show.
    "pg_blocking_pids",
    "pg_safe_snapshot_blocking_pids",
    "pg_isolation_test_session_is_blocked",
    "pg_lock_status",
    "pg_prepared_xact",
    "pg_get_multixact_members",
    "pg_last_committed_xact",
    "pg_xact_commit_timestamp",
    "pg_xact_commit_timestamp_origin",
    "pg_xact_status",
    "txid_status",
    "pg_notification_queue_usage",
    // The state of the server.
    "pg_collation_actual_version",
    "pg_database_collation_actual_version",
    "pg_control_checkpoint",
    "pg_control_init",
    "pg_control_recovery",
    "pg_control_system",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_get_aios",
    "pg_get_backend_memory_contexts",
    "pg_get_loaded_modules",
    "pg_get_shmem_allocations",
    "pg_get_shmem_allocations_numa",
    "pg_get_wait_events",
    "pg_get_wal_replay_pause_state",
    "pg_get_wal_resource_managers",
    "pg_get_wal_summarizer_state",
    "pg_is_in_backup",
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_jit_available",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    // Sizes and partitions.
    "pg_database_size",
    "pg_indexes_size",
    "pg_relation_size",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "pg_partition_ancestors",
    "pg_partition_tree",
    // Counters.
    "pg_stat_get_backend_io",
    "pg_stat_get_backend_wal",
    "pg_stat_get_io",
    "pg_stat_get_recovery_prefetch",
    "pg_stat_get_xact_blocks_fetched",
    "pg_stat_get_xact_blocks_hit",
    "pg_stat_get_xact_function_calls",
    "pg_stat_get_xact_function_self_time",
    "pg_stat_get_xact_function_total_time",
    "pg_stat_get_xact_numscans",
    "pg_stat_get_xact_tuples_deleted",
    "pg_stat_get_xact_tuples_fetched",
    "pg_stat_get_xact_tuples_hot_updated",
    "pg_stat_get_xact_tuples_inserted",
    "pg_stat_get_xact_tuples_newpage_updated",
    "pg_stat_get_xact_tuples_returned",
    "pg_stat_get_xact_tuples_updated",
    "pg_stat_have_stats",
];
