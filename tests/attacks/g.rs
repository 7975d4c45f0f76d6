//! Group G: session state, identity, pooling.

crate::attacks! {
    g1_role_switch,
    g2_guard_gucs,
    g3_spoofed_application_name,
    g4_pool_leakage,
    g5_denied_mid_transaction,
    g6_local_ready_for_query_lies,
    g7_opened_before_closing_time,
    g8_approval_swap,
    g9_hot_reload_race,
    g10_database_hop,
}
