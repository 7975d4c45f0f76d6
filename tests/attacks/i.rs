//! Group I: denial of service on, and fail-open of, the firewall.

crate::attacks! {
    i1_stack_exhaustion,
    i2_bison_limits,
    i3_big_statements,
    i4_audit_back_pressure,
    i5_metric_cardinality,
    i6_log_injection,
    i7_policy_bombs,
    i8_slowloris,
    i9_panic_is_not_open,
    i10_startup_order,
    i11_reload_failure,
}
