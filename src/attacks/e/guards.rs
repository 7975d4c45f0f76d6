//! What several attacks of the group aim at: a table that no rule lets anybody drop.

use crate::attacks::Fence;

/// The table is dropped: what every starter policy refuses.
pub(super) const DROP: Fence = Fence::Deed("DROP TABLE {schema}.log");

/// Every row is deleted: what policies refuse that ask for a WHERE.
pub(super) const UNBOUNDED: Fence = Fence::Deed("DELETE FROM {schema}.{users}");
