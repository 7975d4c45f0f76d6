//! Group J: around the wire.

crate::attacks! {
    j1_direct_connection,
    j2_server_side_loopback,
    j3_jobs_on_the_server,
    j4_logical_replication_out,
    j5_foreign_tables,
}
