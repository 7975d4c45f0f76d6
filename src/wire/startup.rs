//! Placeholder for the startup packet.
