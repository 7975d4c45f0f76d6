//! Group G: session state, identity, pooling.

crate::attacks! {}
