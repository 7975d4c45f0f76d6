//! The SQLSTATEs that the proxy itself says (PostgreSQL manual, appendix A).

/// A policy refuses it (`insufficient_privilege`).
pub const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// No policy, or no identity, at login (`invalid_authorization_specification`).
pub const INVALID_AUTHORIZATION: &str = "28000";
/// A wrong password, or none (`invalid_password`).
pub const INVALID_PASSWORD: &str = "28P01";
/// Too many logins failed (`too_many_connections`).
pub const TOO_MANY_CONNECTIONS: &str = "53300";
/// The upstream can't be reached (`connection_failure`).
pub const CONNECTION_FAILURE: &str = "08006";
/// A message that the protocol doesn't know (`protocol_violation`).
pub const PROTOCOL_VIOLATION: &str = "08P01";
/// A protocol version that the server doesn't speak (`feature_not_supported`).
pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
/// The grammar refuses the text (`syntax_error`).
pub const SYNTAX_ERROR: &str = "42601";
/// Bytes that are no text in the client's encoding (`character_not_in_repertoire`).
pub const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
/// A statement that is too long (`program_limit_exceeded`).
pub const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
/// A statement that is nested too deeply (`statement_too_complex`).
pub const STATEMENT_TOO_COMPLEX: &str = "54001";
/// Too many names, sessions … (`configuration_limit_exceeded`).
pub const CONFIGURATION_LIMIT_EXCEEDED: &str = "53400";
/// A prepared statement that isn't there (`invalid_sql_statement_name`).
pub const UNKNOWN_STATEMENT: &str = "26000";
/// A portal or cursor that isn't there (`invalid_cursor_name`).
pub const UNKNOWN_PORTAL: &str = "34000";
/// The proxy ends the session (`admin_shutdown`).
pub const ADMIN_SHUTDOWN: &str = "57P01";
/// The server starts, stops or is a standby without hot standby: the next host may do (`cannot_connect_now`).
pub const CANNOT_CONNECT_NOW: &str = "57P03";
