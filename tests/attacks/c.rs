//! Group C: code execution hidden in an expression.

crate::attacks! {
    c1_function_in_from,
    c2_function_in_values,
    c3_forgotten_nodes,
    c4_operators_call_functions,
    c5_operator_by_search_path,
    c6_attribute_notation,
    c7_casts,
    c8_domains,
    c9_query_to_xml,
    c10_ts_stat_and_ts_rewrite,
    c11_tablefunc,
    c12_xpath_table,
    c13_role_change,
    c14_files,
    c15_network,
    c16_deferred_sql,
    c17_security_definer_and_views,
    c18_shadowed_built_ins,
    c19_allowed_name_other_schema,
    c20_named_and_variadic_arguments,
}
