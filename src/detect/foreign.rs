//! Names of other databases, which attack tools try everywhere. None is a name of PostgreSQL or its extensions.

const DELAYS: &[&str] = &["benchmark", "randomblob", "receive_message", "sleep"];

const FILES: &[&str] =
    &["httpuritype", "load_extension", "load_file", "openrowset", "sys_eval", "sys_exec", "xp_cmdshell", "xp_dirtree"];

/// Packages that reach for files and the network.
const PACKAGES: &[&str] = &["dbms_ldap", "utl_file", "utl_http", "utl_inaddr", "utl_smtp"];

/// Relations of catalogs, in whatever schema.
const CATALOGS: &[&str] = &[
    "all_tab_columns",
    "all_tables",
    "all_users",
    "dba_role_privs",
    "dba_users",
    "dual",
    "sqlite_master",
    "syscolumns",
    "sysdatabases",
    "sysobjects",
    "sysusers",
    "user_tables",
    "v$version",
];

/// Functions that tell what server it is, or make it fail, in MySQL, SQL Server, Oracle, SQLite, Access and HSQLDB.
const FUNCTIONS: &[&str] = &[
    "binary_checksum",
    "casewhen",
    "connection_id",
    "conv",
    "crc32",
    "cvar",
    "datalength",
    "db_name",
    "elt",
    "exec",
    "extractvalue",
    "group_concat",
    "hex",
    "host_name",
    "iif",
    "is_srvrolemember",
    "last_insert_id",
    "last_insert_rowid",
    "lnnvl",
    "make_set",
    "object_id",
    "patindex",
    "quotename",
    "rawtohex",
    "row_count",
    "rownumber",
    "sqlite_source_id",
    "sqlite_version",
    "suser_name",
    "sys_context",
    "system",
    "system_user",
    "unhex",
    "updatexml",
    "user_id",
    "user_name",
    "xmltype",
];

pub(super) fn is_delay(name: &str) -> bool {
    DELAYS.contains(&name)
}

pub(super) fn is_file(schema: Option<&str>, name: &str) -> bool {
    FILES.contains(&name) || schema.is_some_and(|schema| PACKAGES.contains(&schema))
}

pub(super) fn is_catalog(name: &str) -> bool {
    CATALOGS.contains(&name)
}

pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}
