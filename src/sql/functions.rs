//! What pg_catalog's functions do, by name. (A stub: the table of the catalogue takes its place.)

/// What is known of a function of pg_catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    pub class: Class,
    /// Where its SQL text stands, for `Class::SqlInString`.
    pub sql_argument: Option<SqlArgument>,
    /// It takes a row of any type: `u.row_to_json` is a call.
    pub any_row: bool,
}

/// What a function does beyond computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Harmless,
    File,
    Network,
    Code,
    SignalBackend,
    ServerControl,
    Replication,
    AlterSystem,
    Nextval,
    AdvisoryLock,
    AdvisoryUnlock,
    LargeObject,
    Notify,
    SetConfig,
    Sleep,
    SqlInString,
    CatalogWrite,
    Unknown,
}

/// Which argument is SQL, or names what is read. Positions are 0-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlArgument {
    /// The text of a query.
    Query(u8),
    /// The name of a relation.
    Relation(u8),
    /// The name of a schema.
    Schema(u8),
    /// The whole database.
    Database,
    /// The name of a cursor.
    Cursor(u8),
}

/// What pg_catalog's function(s) of this name do; `None` where it has none.
pub fn builtin(name: &str) -> Option<Builtin> {
    let class = match name {
        "lower" | "upper" | "now" | "count" | "max" | "sum" | "row_to_json" | "json_agg" | "timezone" | "currval" => {
            Class::Harmless
        }
        "pg_read_file" | "pg_ls_dir" => Class::File,
        "pg_terminate_backend" => Class::SignalBackend,
        "pg_reload_conf" => Class::ServerControl,
        "nextval" | "setval" => Class::Nextval,
        "pg_advisory_lock" => Class::AdvisoryLock,
        "pg_advisory_unlock_all" => Class::AdvisoryUnlock,
        "lo_create" => Class::LargeObject,
        "pg_notify" => Class::Notify,
        "set_config" => Class::SetConfig,
        "pg_sleep" => Class::Sleep,
        "query_to_xml" | "table_to_xml" | "schema_to_xml" | "database_to_xml" | "cursor_to_xml" | "ts_stat" => {
            Class::SqlInString
        }
        _ => return None,
    };
    let sql_argument = match name {
        "query_to_xml" | "ts_stat" => Some(SqlArgument::Query(0)),
        "table_to_xml" => Some(SqlArgument::Relation(0)),
        "schema_to_xml" => Some(SqlArgument::Schema(0)),
        "database_to_xml" => Some(SqlArgument::Database),
        "cursor_to_xml" => Some(SqlArgument::Cursor(0)),
        _ => None,
    };
    Some(Builtin { class, sql_argument, any_row: matches!(name, "row_to_json" | "json_agg") })
}
