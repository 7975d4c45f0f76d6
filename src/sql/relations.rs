//! What the relations of pg_catalog and information_schema hold: harmless description of the database, or secrets,
//! values and other people's work (POLICY 2a.7).

mod names;

/// What reading a relation of the catalog gives away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogRelation {
    /// Describes the database; needs no rule.
    Harmless,
    /// Holds secrets, values of user tables or other people's work, or is not in our table; needs a rule.
    Sensitive,
}

/// Relations of which only some columns are sensitive: `(relation of pg_catalog, columns)`. [`catalog_relation`] calls
/// them harmless; a reader that may touch one of these columns (`*` included) needs a rule.
pub const SENSITIVE_COLUMNS: &[(&str, &[&str])] = &[("pg_subscription", &["subconninfo"])];

/// The sensitive relations of pg_catalog; `*` at the end stands for anything.
///
/// Not here although the name fits `pg_statistic*`: `pg_statistic_ext`, which holds definitions only (the values are
/// in `pg_statistic_ext_data`) and which `psql \d` and `pg_dump` always read.
const SENSITIVE: &[&str] = &[
    // Secrets.
    "pg_authid",
    "pg_shadow",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_db_role_setting",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_file_settings",
    "pg_config",
    // Values of user tables.
    "pg_statistic",
    "pg_statistic_ext_data",
    "pg_stats*",
    "pg_largeobject",
    // Other people's work.
    "pg_stat_activity",
    "pg_stat_statements*",
    "pg_stat_wal_receiver",
    "pg_stat_replication",
    "pg_replication_*",
];

/// The sensitive relations of information_schema: the options of user mappings are passwords, as in pg_user_mapping.
const SENSITIVE_INFORMATION_SCHEMA: &[&str] = &["_pg_user_mappings", "user_mapping_options"];

/// What a relation of the server's own schemas holds, names folded as PostgreSQL folds them. `None`: the schema is not
/// one of them. A relation of them that no supported version has is `Sensitive`.
pub fn catalog_relation(schema: &str, name: &str) -> Option<CatalogRelation> {
    let (known, sensitive) = match schema {
        "pg_catalog" => (names::PG_CATALOG, SENSITIVE),
        "information_schema" => (names::INFORMATION_SCHEMA, SENSITIVE_INFORMATION_SCHEMA),
        // TOAST tables hold the long values of user tables.
        _ if schema == "pg_toast" || schema.starts_with("pg_toast_temp_") => return Some(CatalogRelation::Sensitive),
        _ => return None,
    };
    let harmless = known.binary_search(&name).is_ok() && !sensitive.iter().any(|pattern| matches(pattern, name));
    Some(if harmless { CatalogRelation::Harmless } else { CatalogRelation::Sensitive })
}

/// Whether an unqualified name is a relation of pg_catalog, which always comes first in the path.
pub fn is_catalog_relation_name(name: &str) -> bool {
    names::PG_CATALOG.binary_search(&name).is_ok()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        assert!(names::PG_CATALOG.is_sorted());
        assert!(names::INFORMATION_SCHEMA.is_sorted());
    }

    #[test]
    fn every_pattern_and_column_relation_exists() {
        // pg_stat_statements comes with an extension, into another schema unless someone puts it here.
        for pattern in SENSITIVE.iter().filter(|p| **p != "pg_stat_statements*") {
            assert!(names::PG_CATALOG.iter().any(|name| matches(pattern, name)), "{pattern}");
        }
        for name in SENSITIVE_INFORMATION_SCHEMA {
            assert!(names::INFORMATION_SCHEMA.contains(name), "{name}");
        }
        for (relation, _) in SENSITIVE_COLUMNS {
            assert!(is_catalog_relation_name(relation), "{relation}");
        }
    }

    #[test]
    fn what_needs_a_rule() {
        use CatalogRelation::*;
        for (schema, name, expected) in [
            ("pg_catalog", "pg_class", Some(Harmless)),
            ("pg_catalog", "pg_statistic_ext", Some(Harmless)),
            ("pg_catalog", "pg_subscription", Some(Harmless)),
            ("pg_catalog", "pg_locks", Some(Harmless)),
            ("pg_catalog", "pg_wait_events", Some(Harmless)),
            ("information_schema", "tables", Some(Harmless)),
            ("information_schema", "user_mapping_options", Some(Sensitive)),
            ("pg_catalog", "pg_authid", Some(Sensitive)),
            ("pg_catalog", "pg_stats", Some(Sensitive)),
            ("pg_catalog", "pg_stats_ext_exprs", Some(Sensitive)),
            ("pg_catalog", "pg_statistic", Some(Sensitive)),
            ("pg_catalog", "pg_replication_slots", Some(Sensitive)),
            ("pg_catalog", "pg_stat_activity", Some(Sensitive)),
            ("pg_catalog", "made_here", Some(Sensitive)),
            ("pg_toast", "pg_toast_2619", Some(Sensitive)),
            ("pg_toast_temp_3", "pg_toast_1", Some(Sensitive)),
            ("public", "pg_authid", None),
        ] {
            assert_eq!(catalog_relation(schema, name), expected, "{schema}.{name}");
        }
        assert!(is_catalog_relation_name("pg_authid"));
        assert!(!is_catalog_relation_name("tables"));
        assert!(!is_catalog_relation_name("PG_AUTHID"));
    }
}
