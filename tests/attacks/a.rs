//! Group A: escaping a read-only fence.

crate::attacks! {
    a1_stacked_commit,
    a2_set_transaction_read_write,
}
