//! The settings of the server: who may change each and when, and which the session guards (DESIGN §5) or lets pass
//! without a rule (POLICY 2a.4).

mod table;

/// When a setting can be changed (`pg_settings.context`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Never.
    Internal,
    /// At server start.
    Postmaster,
    /// By reloading the configuration.
    Sighup,
    /// At session start, by superusers and those granted SET on it.
    SuperuserBackend,
    /// At session start.
    Backend,
    /// In a session, by superusers and those granted SET on it.
    Superuser,
    /// In a session, by anyone.
    User,
}

/// What values a setting takes (`pg_settings.vartype`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VarType {
    Bool,
    Integer,
    Real,
    String,
    Enum,
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// As the server spells it (`DateStyle`).
    pub name: &'static str,
    pub context: Context,
    pub vartype: VarType,
    /// `ms`, `kB`, `8kB`, `B` … or empty.
    pub unit: &'static str,
    /// The least and the greatest value that any supported version takes, in `unit`; `None`: no number, or the versions
    /// count in different units.
    pub range: Option<(f64, f64)>,
    /// The values of an enum; empty for other types.
    pub values: &'static [&'static str],
}

/// A setting of any supported version by its name, or by an old name that SET still takes (`sort_mem`). Case does not
/// matter. `None`: unknown, or a setting with a dot.
pub fn setting(name: &str) -> Option<Setting> {
    let name = canonical(name);
    let found = table::SETTINGS.binary_search_by(|row| row.name.to_ascii_lowercase().as_str().cmp(&name)).ok()?;
    table::SETTINGS.get(found).copied()
}

/// Every setting of the supported versions, sorted by name.
pub fn all() -> &'static [Setting] {
    table::SETTINGS
}

/// The name under which two spellings of one setting compare equal: lower case, and the new name for an old one that
/// SET still takes (`map_old_guc_names` in guc.c). For comparing, not for sending: a server that still has the old name
/// does not know the new one.
pub fn canonical(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match table::RENAMED.iter().find(|(old, _)| *old == name) {
        Some((_, new)) => (*new).to_owned(),
        None => name,
    }
}

/// DESIGN §5: settings that change what a text means, who runs it or what protects it.
const GUARDED: &[&str] = &[
    // Lexing.
    "standard_conforming_strings",
    "backslash_quote",
    "client_encoding",
    // Resolution.
    "search_path",
    // Identity.
    "role",
    "session_authorization",
    // Guards.
    "session_replication_role",
    "row_security",
];

/// POLICY 2a.4: settings that need no rule, at any value.
const BASELINE: &[&str] = &[
    "application_name",
    "bytea_output",
    "client_connection_check_interval",
    "client_min_messages",
    "datestyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "escape_string_warning",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "plan_cache_mode",
    "quote_all_identifiers",
    "restrict_nonsystem_relation_kind",
    "statement_timeout",
    "synchronize_seqscans",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "timezone",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_timeout",
    "xmloption",
];

/// Whether a setting is guarded in every session (DESIGN §5); what a policy pins is guarded besides.
pub fn is_guarded(name: &str) -> bool {
    GUARDED.contains(&canonical(name).as_str())
}

/// Whether values of a setting stay out of logs: applications' settings hold tokens, some of the server's connection strings and
/// command lines.
pub fn holds_secrets(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains('.') || name.ends_with("_command") || name == "primary_conninfo"
}

/// Whether a setting may be changed without a rule, to any value (POLICY 2a.4).
pub fn is_baseline(name: &str) -> bool {
    BASELINE.contains(&canonical(name).as_str())
}

/// Reads a boolean as the server does (`parse_bool` in bool.c): any prefix of `true`, `false`, `yes`, `no`; of `on` and
/// `off` two letters at least; `1`, `0`. Case does not matter, white space does.
pub fn parse_bool(value: &str) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    let is = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    match value.as_str() {
        "1" => Some(true),
        "0" => Some(false),
        _ if is("true", 1) || is("yes", 1) || is("on", 2) => Some(true),
        _ if is("false", 1) || is("no", 1) || is("off", 2) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_by_lower_case_name() {
        assert!(table::SETTINGS.is_sorted_by_key(|row| row.name.to_ascii_lowercase()));
        assert!(table::SETTINGS.len() > 350);
    }

    #[test]
    fn every_name_in_the_lists_is_a_setting_that_a_session_can_change() {
        for name in GUARDED.iter().chain(BASELINE) {
            let found = setting(name).unwrap_or_else(|| panic!("{name}"));
            let changeable = matches!(found.context, Context::User)
                || (*name == "session_replication_role" && found.context == Context::Superuser);
            assert!(changeable, "{name}: {found:?}");
            assert!(!(is_guarded(name) && is_baseline(name)), "{name}");
        }
    }

    #[test]
    fn names_compare_without_case_and_old_names_are_known() {
        assert_eq!(setting("DATESTYLE").map(|s| s.name), Some("DateStyle"));
        assert_eq!(setting("timezone").map(|s| s.name), Some("TimeZone"));
        assert_eq!(setting("Sort_Mem").map(|s| s.name), Some("work_mem"));
        assert_eq!(setting("work_mem").map(|s| (s.unit, s.vartype)), Some(("kB", VarType::Integer)));
        assert_eq!(setting("statement_timeout").map(|s| s.unit), Some("ms"));
        assert_eq!(setting("transaction_timeout").map(|s| s.context), Some(Context::User));
        assert_eq!(setting("max_connections").map(|s| s.context), Some(Context::Postmaster));
        assert_eq!(setting("role").map(|s| s.context), Some(Context::User));
        assert_eq!(setting("app.tenant"), None);
        assert_eq!(setting(""), None);
        assert!(setting("bytea_output").is_some_and(|s| s.values == ["escape", "hex"]));
        assert!(is_guarded("SEARCH_PATH") && is_guarded("role") && !is_guarded("work_mem"));
        assert!(is_baseline("TimeZone") && !is_baseline("work_mem"));
    }

    #[test]
    fn booleans_as_the_server_reads_them() {
        for yes in ["t", "tr", "tru", "true", "TRUE", "y", "ye", "yes", "on", "ON", "1"] {
            assert_eq!(parse_bool(yes), Some(true), "{yes}");
        }
        for no in ["f", "fals", "false", "n", "no", "of", "off", "Off", "0"] {
            assert_eq!(parse_bool(no), Some(false), "{no}");
        }
        for neither in ["", "o", "truee", "yess", "10", "00", " on", "on ", "enabled", "2", "-1", "nope"] {
            assert_eq!(parse_bool(neither), None, "{neither:?}");
        }
    }
}
