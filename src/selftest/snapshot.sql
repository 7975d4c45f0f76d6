-- Everything that an attack may have changed, as one line for each catalog and each table. Columns that change by
-- themselves (statistics of VACUUM, transaction ids) are left out.
WITH catalogs(name, rows) AS (VALUES
    ('pg_class', 'SELECT to_jsonb(c) - ''{relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relminmxid,relhasindex}''::text[] r FROM pg_catalog.pg_class c WHERE oid >= 16384 AND relpersistence <> ''t'''),
    ('pg_attribute', 'SELECT to_jsonb(a) - ''attstattarget''::text r FROM pg_catalog.pg_attribute a WHERE attrelid >= 16384 AND attrelid IN (SELECT oid FROM pg_catalog.pg_class WHERE relpersistence <> ''t'')'),
    ('pg_attrdef', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_attrdef x'),
    ('pg_namespace', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_namespace x WHERE nspname !~ ''^pg_(toast_)?temp_'''),
    ('pg_proc', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_proc x WHERE oid >= 16384'),
    ('pg_type', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_type x WHERE oid >= 16384 AND typnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ ''^pg_(toast_)?temp_'')'),
    ('pg_trigger', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_trigger x'),
    ('pg_rewrite', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_rewrite x WHERE oid >= 16384'),
    ('pg_constraint', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_constraint x WHERE oid >= 16384'),
    ('pg_operator', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_operator x WHERE oid >= 16384'),
    ('pg_cast', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_cast x WHERE oid >= 16384'),
    ('pg_transform', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_transform x'),
    ('pg_language', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_language x'),
    ('pg_collation', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_collation x WHERE oid >= 16384'),
    ('pg_conversion', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_conversion x'),
    ('pg_opclass', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_opclass x'),
    ('pg_ts_template', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_ts_template x'),
    ('pg_am', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_am x'),
    ('pg_extension', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_extension x'),
    ('pg_depend', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_depend x WHERE deptype = ''e'''),
    ('pg_publication', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_publication x'),
    ('pg_subscription', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_subscription x'),
    ('pg_foreign_server', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_foreign_server x'),
    ('pg_foreign_data_wrapper', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_foreign_data_wrapper x'),
    ('pg_user_mapping', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_user_mapping x'),
    ('pg_event_trigger', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_event_trigger x'),
    ('pg_policy', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_policy x'),
    ('pg_default_acl', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_default_acl x'),
    ('pg_description', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_description x WHERE objoid >= 16384'),
    ('pg_shdescription', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_shdescription x'),
    ('pg_seclabel', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_seclabel x'),
    ('pg_statistic_ext', 'SELECT to_jsonb(x) - ''stxstattarget''::text r FROM pg_catalog.pg_statistic_ext x'),
    ('pg_inherits', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_inherits x'),
    ('pg_largeobject_metadata', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_largeobject_metadata x'),
    ('pg_largeobject', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_largeobject x'),
    ('pg_authid', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_authid x'),
    ('pg_auth_members', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_auth_members x'),
    ('pg_database', 'SELECT to_jsonb(x) - ''{datfrozenxid,datminmxid,oid}''::text[] r FROM pg_catalog.pg_database x'),
    ('pg_db_role_setting', 'SELECT to_jsonb(x) - ''setdatabase''::text r FROM pg_catalog.pg_db_role_setting x'),
    ('pg_tablespace', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_tablespace x'),
    ('pg_parameter_acl', CASE WHEN pg_catalog.to_regclass('pg_catalog.pg_parameter_acl') IS NULL THEN 'SELECT NULL::jsonb r'
        ELSE 'SELECT to_jsonb(x) r FROM pg_catalog.pg_parameter_acl x' END),
    ('pg_replication_slots', 'SELECT pg_catalog.jsonb_build_object(''name'', slot_name) r FROM pg_catalog.pg_replication_slots'),
    ('pg_replication_origin', 'SELECT to_jsonb(x) r FROM pg_catalog.pg_replication_origin x'),
    ('pg_prepared_xacts', 'SELECT pg_catalog.jsonb_build_object(''gid'', gid) r FROM pg_catalog.pg_prepared_xacts'),
    ('pg_file_settings', 'SELECT pg_catalog.jsonb_build_object(''name'', name, ''setting'', setting) r FROM pg_catalog.pg_file_settings'),
    ('pg_settings', 'SELECT pg_catalog.jsonb_build_object(''name'', name, ''value'', reset_val) r FROM pg_catalog.pg_settings WHERE source = ''configuration file'''),
    ('files of the data directory', 'SELECT pg_catalog.to_jsonb(f) r FROM pg_catalog.pg_ls_dir(''.'') f WHERE f ~ ''portcullis''')
), tables(name, rows) AS (
    SELECT c.oid::pg_catalog.regclass::text, pg_catalog.format('SELECT pg_catalog.to_jsonb(x) r FROM (SELECT * FROM ONLY %s) x', c.oid::pg_catalog.regclass)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'S', 'm') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
)
SELECT pg_catalog.string_agg(name || ' ' || (pg_catalog.xpath('/row/h/text()', pg_catalog.query_to_xml(
    'SELECT pg_catalog.md5(pg_catalog.string_agg(r::text, '','' ORDER BY r::text)) h FROM (' || rows || ') q', false, true, '')))[1]::text,
    E'\n' ORDER BY name)
FROM (TABLE catalogs UNION ALL TABLE tables) everything
