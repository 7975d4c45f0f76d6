//! The words of POLICY 4 for kinds of objects and for sub-commands of ALTER TABLE.

use pg_query::protobuf::{AlterTableType, ObjectType};

use crate::sql::ActionName;

/// PostgreSQL's word for a kind of object, as in `create:index`; `None` for none.
pub(super) fn object_kind(kind: ObjectType) -> Option<&'static str> {
    Some(match kind {
        ObjectType::Undefined => return None,
        ObjectType::ObjectAccessMethod => "access_method",
        ObjectType::ObjectAggregate => "aggregate",
        ObjectType::ObjectAmop => "amop",
        ObjectType::ObjectAmproc => "amproc",
        ObjectType::ObjectAttribute => "attribute",
        ObjectType::ObjectCast => "cast",
        ObjectType::ObjectColumn => "column",
        ObjectType::ObjectCollation => "collation",
        ObjectType::ObjectConversion => "conversion",
        ObjectType::ObjectDatabase => "database",
        ObjectType::ObjectDefault => "default",
        ObjectType::ObjectDefacl => "default_privileges",
        ObjectType::ObjectDomain => "domain",
        ObjectType::ObjectDomconstraint => "domain_constraint",
        ObjectType::ObjectEventTrigger => "event_trigger",
        ObjectType::ObjectExtension => "extension",
        ObjectType::ObjectFdw => "foreign_data_wrapper",
        ObjectType::ObjectForeignServer => "server",
        ObjectType::ObjectForeignTable => "foreign_table",
        ObjectType::ObjectFunction => "function",
        ObjectType::ObjectIndex => "index",
        ObjectType::ObjectLanguage => "language",
        ObjectType::ObjectLargeobject => "large_object",
        ObjectType::ObjectMatview => "materialized_view",
        ObjectType::ObjectOpclass => "operator_class",
        ObjectType::ObjectOperator => "operator",
        ObjectType::ObjectOpfamily => "operator_family",
        ObjectType::ObjectParameterAcl => "parameter",
        ObjectType::ObjectPolicy => "policy",
        ObjectType::ObjectProcedure => "procedure",
        ObjectType::ObjectPublication => "publication",
        ObjectType::ObjectPublicationNamespace => "publication_schema",
        ObjectType::ObjectPublicationRel => "publication_table",
        ObjectType::ObjectRole => "role",
        ObjectType::ObjectRoutine => "routine",
        ObjectType::ObjectRule => "rule",
        ObjectType::ObjectSchema => "schema",
        ObjectType::ObjectSequence => "sequence",
        ObjectType::ObjectSubscription => "subscription",
        ObjectType::ObjectStatisticExt => "statistics",
        ObjectType::ObjectTabconstraint => "constraint",
        ObjectType::ObjectTable => "table",
        ObjectType::ObjectTablespace => "tablespace",
        ObjectType::ObjectTransform => "transform",
        ObjectType::ObjectTrigger => "trigger",
        ObjectType::ObjectTsconfiguration => "text_search_configuration",
        ObjectType::ObjectTsdictionary => "text_search_dictionary",
        ObjectType::ObjectTsparser => "text_search_parser",
        ObjectType::ObjectTstemplate => "text_search_template",
        ObjectType::ObjectType => "type",
        ObjectType::ObjectUserMapping => "user_mapping",
        ObjectType::ObjectView => "view",
    })
}

/// The sub-command of ALTER TABLE, as in `alter:add_column`; `None` for what the server adds itself after parsing.
pub(super) fn alter_kind(kind: AlterTableType) -> Option<&'static str> {
    Some(match kind {
        AlterTableType::AtAddColumn => "add_column",
        AlterTableType::AtColumnDefault => "set_default",
        AlterTableType::AtDropNotNull => "drop_not_null",
        AlterTableType::AtSetNotNull => "set_not_null",
        AlterTableType::AtSetExpression => "set_expression",
        AlterTableType::AtDropExpression => "drop_expression",
        AlterTableType::AtSetStatistics => "set_statistics",
        AlterTableType::AtSetOptions => "set_column_options",
        AlterTableType::AtResetOptions => "reset_column_options",
        AlterTableType::AtSetStorage => "set_storage",
        AlterTableType::AtSetCompression => "set_compression",
        AlterTableType::AtDropColumn => "drop_column",
        AlterTableType::AtAddConstraint => "add_constraint",
        AlterTableType::AtAlterConstraint => "alter_constraint",
        AlterTableType::AtValidateConstraint => "validate_constraint",
        AlterTableType::AtDropConstraint => "drop_constraint",
        AlterTableType::AtAlterColumnType => "column_type",
        AlterTableType::AtAlterColumnGenericOptions => "column_foreign_options",
        AlterTableType::AtChangeOwner => "owner",
        AlterTableType::AtClusterOn => "cluster_on",
        AlterTableType::AtDropCluster => "without_cluster",
        AlterTableType::AtSetLogged => "set_logged",
        AlterTableType::AtSetUnLogged => "set_unlogged",
        AlterTableType::AtDropOids => "without_oids",
        AlterTableType::AtSetAccessMethod => "set_access_method",
        AlterTableType::AtSetTableSpace => "set_tablespace",
        AlterTableType::AtSetRelOptions => "set_options",
        AlterTableType::AtResetRelOptions => "reset_options",
        AlterTableType::AtReplaceRelOptions => "replace_options",
        AlterTableType::AtEnableTrig => "enable_trigger",
        AlterTableType::AtEnableAlwaysTrig => "enable_always_trigger",
        AlterTableType::AtEnableReplicaTrig => "enable_replica_trigger",
        AlterTableType::AtDisableTrig => "disable_trigger",
        AlterTableType::AtEnableTrigAll => "enable_trigger_all",
        AlterTableType::AtDisableTrigAll => "disable_trigger_all",
        AlterTableType::AtEnableTrigUser => "enable_trigger_user",
        AlterTableType::AtDisableTrigUser => "disable_trigger_user",
        AlterTableType::AtEnableRule => "enable_rule",
        AlterTableType::AtEnableAlwaysRule => "enable_always_rule",
        AlterTableType::AtEnableReplicaRule => "enable_replica_rule",
        AlterTableType::AtDisableRule => "disable_rule",
        AlterTableType::AtAddInherit => "add_inherit",
        AlterTableType::AtDropInherit => "drop_inherit",
        AlterTableType::AtAddOf => "of_type",
        AlterTableType::AtDropOf => "not_of_type",
        AlterTableType::AtReplicaIdentity => "replica_identity",
        AlterTableType::AtEnableRowSecurity => "enable_row_security",
        AlterTableType::AtDisableRowSecurity => "disable_row_security",
        AlterTableType::AtForceRowSecurity => "force_row_security",
        AlterTableType::AtNoForceRowSecurity => "no_force_row_security",
        AlterTableType::AtGenericOptions => "foreign_options",
        AlterTableType::AtAttachPartition => "attach_partition",
        AlterTableType::AtDetachPartition => "detach_partition",
        AlterTableType::AtDetachPartitionFinalize => "detach_partition_finalize",
        AlterTableType::AtAddIdentity => "add_identity",
        AlterTableType::AtSetIdentity => "set_identity",
        AlterTableType::AtDropIdentity => "drop_identity",
        AlterTableType::Undefined
        | AlterTableType::AtAddColumnToView
        | AlterTableType::AtCookedColumnDefault
        | AlterTableType::AtAddIndex
        | AlterTableType::AtReAddIndex
        | AlterTableType::AtReAddConstraint
        | AlterTableType::AtReAddDomainConstraint
        | AlterTableType::AtAddIndexConstraint
        | AlterTableType::AtReAddComment
        | AlterTableType::AtReAddStatistics => return None,
    })
}

/// Every kind that an action may have in Facts, sorted; none where it never has one.
pub(in crate::sql) fn kinds(action: ActionName) -> Vec<&'static str> {
    let objects = (0..=LAST).filter_map(|number| object_kind(ObjectType::try_from(number).ok()?));
    let mut kinds: Vec<&'static str> = Vec::new();
    if matches!(
        action,
        ActionName::Create | ActionName::Alter | ActionName::Drop | ActionName::Comment | ActionName::Rename
    ) {
        kinds.extend(objects);
    }
    if action == ActionName::Drop {
        kinds.push("owned");
    }
    if action == ActionName::Alter {
        kinds.extend((0..=LAST).filter_map(|number| alter_kind(AlterTableType::try_from(number).ok()?)));
        // Statements of their own, not commands of ALTER TABLE.
        kinds.extend(["set_schema", "security_label", "depends_on_extension", "extension", "owned"]);
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Past the last number of `ObjectType` and `AlterTableType`.
const LAST: i32 = 200;

/// Words for what has no number of PostgreSQL's.
const OTHERS: [&str; 9] =
    ["channel", "everything in schema", "file", "library", "object", "owned", "program", "set_schema", "type oid"];

/// The word of that spelling, where there is one.
pub(in crate::sql) fn known_kind(word: &str) -> Option<&'static str> {
    // Both enumerations are dense and small.
    let of_objects = (0..100).filter_map(|number| ObjectType::try_from(number).ok()).filter_map(object_kind);
    let of_alter = (0..100).filter_map(|number| AlterTableType::try_from(number).ok()).filter_map(alter_kind);
    OTHERS.into_iter().chain(of_objects).chain(of_alter).find(|known| *known == word)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Sub-commands that no parser makes: `transformAlterTableStmt` and ALTER TYPE's rebuilding of what depends on a
    /// column add them after the statement was read (parsenodes.h: "internal to commands/tablecmds.c", "pre-processed",
    /// "implemented as", "re-add").
    const ADDED_BY_THE_SERVER: [AlterTableType; 9] = [
        AlterTableType::AtAddColumnToView,
        AlterTableType::AtCookedColumnDefault,
        AlterTableType::AtAddIndex,
        AlterTableType::AtReAddIndex,
        AlterTableType::AtReAddConstraint,
        AlterTableType::AtReAddDomainConstraint,
        AlterTableType::AtAddIndexConstraint,
        AlterTableType::AtReAddComment,
        AlterTableType::AtReAddStatistics,
    ];

    #[test]
    fn every_sub_command_of_alter_table_has_a_kind_of_its_own() {
        let all: Vec<AlterTableType> = (0..1000).filter_map(|number| AlterTableType::try_from(number).ok()).collect();
        assert!(all.len() > 60, "{}", all.len());
        let mut kinds = BTreeMap::new();
        for kind in all {
            match alter_kind(kind) {
                Some(word) => assert_eq!(kinds.insert(word, kind), None, "{word} stands twice"),
                None => assert!(kind == AlterTableType::Undefined || ADDED_BY_THE_SERVER.contains(&kind), "{kind:?}"),
            }
        }
        for kind in ADDED_BY_THE_SERVER {
            assert_eq!(alter_kind(kind), None, "{kind:?} has a kind: the parser makes it");
        }
    }

    /// What the walker writes down by itself, not by way of the tables above.
    #[test]
    fn every_kind_in_the_walker_is_among_the_kinds() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql/walk");
        let mut seen = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_file() || path.to_str().is_some_and(|path| path.contains("test")) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for (name, made) in [
                ("Create", ActionName::Create),
                ("Alter", ActionName::Alter),
                ("Drop", ActionName::Drop),
                ("Comment", ActionName::Comment),
                ("Rename", ActionName::Rename),
            ] {
                for after in text.split(&format!("ActionName::{name}, ")).skip(1) {
                    let call = after.split([')', ';']).next().unwrap_or_default();
                    let Some(kind) =
                        call.split('"').nth(1).filter(|_| call.starts_with('"') || call.starts_with("kind, \""))
                    else {
                        continue;
                    };
                    assert!(kinds(made).contains(&kind), "{name}: {kind} in {}", path.display());
                    seen += 1;
                }
            }
        }
        assert!(seen > 10, "{seen}");
        let most = |all: &mut dyn Iterator<Item = i32>| all.max().unwrap_or(0);
        assert!(most(&mut (0..1000).filter(|n| ObjectType::try_from(*n).is_ok())) <= LAST);
        assert!(most(&mut (0..1000).filter(|n| AlterTableType::try_from(*n).is_ok())) <= LAST);
    }
}
