//! Group I: denial of service on, and fail-open of, the firewall.

crate::attacks! {}
