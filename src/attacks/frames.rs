//! Bytes of a client, as attacks need them: right and wrong ones. Written by hand and not with the firewall's own encoders,
//! so that a mistake in those can't hide here.

/// A frame: type byte, length, body.
pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// A frame that says another length than it has.
pub fn frame_saying(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// Query.
pub fn query(sql: &str) -> Vec<u8> {
    query_bytes(sql.as_bytes())
}

/// Query with a text in any encoding.
pub fn query_bytes(sql: &[u8]) -> Vec<u8> {
    frame(b'Q', &[sql, b"\0"].concat())
}

/// Parse without parameter types.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    parse_typed(name, sql, &[])
}

/// Parse with the OIDs of parameter types.
pub fn parse_typed(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{sql}\0").into_bytes();
    body.extend(u16::try_from(types.len()).unwrap_or(u16::MAX).to_be_bytes());
    for oid in types {
        body.extend(oid.to_be_bytes());
    }
    frame(b'P', &body)
}

/// Bind with values as text.
pub fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    bind_as(portal, statement, 0, &values, 0)
}

/// Bind with one format for all values and one for all results: 0 = text, 1 = binary.
pub fn bind_as(portal: &str, statement: &str, format: u16, values: &[&[u8]], results: u16) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0").into_bytes();
    body.extend([0, 1]);
    body.extend(format.to_be_bytes());
    body.extend(u16::try_from(values.len()).unwrap_or(u16::MAX).to_be_bytes());
    for value in values {
        body.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(*value);
    }
    body.extend([0, 1]);
    body.extend(results.to_be_bytes());
    frame(b'B', &body)
}

/// Describe of a statement (`S`) or portal (`P`).
pub fn describe(what: u8, name: &str) -> Vec<u8> {
    frame(b'D', &[&[what], name.as_bytes(), b"\0"].concat())
}

/// Execute of a portal, all rows.
pub fn execute(portal: &str) -> Vec<u8> {
    execute_rows(portal, 0)
}

/// Execute of a portal, at most so many rows; 0 = all.
pub fn execute_rows(portal: &str, rows: u32) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat())
}

/// Close of a statement (`S`) or portal (`P`).
pub fn close(what: u8, name: &str) -> Vec<u8> {
    frame(b'C', &[&[what], name.as_bytes(), b"\0"].concat())
}

/// Flush.
pub fn flush() -> Vec<u8> {
    frame(b'H', &[])
}

/// Sync.
pub fn sync() -> Vec<u8> {
    frame(b'S', &[])
}

/// Parse, Bind, Describe, Execute of one statement, without Sync.
pub fn run(sql: &str, values: &[&str]) -> Vec<u8> {
    [parse("", sql), bind("", "", values), describe(b'P', ""), execute("")].concat()
}

/// CopyData.
pub fn copy_data(data: &str) -> Vec<u8> {
    frame(b'd', data.as_bytes())
}

/// CopyDone.
pub fn copy_done() -> Vec<u8> {
    frame(b'c', &[])
}

/// FunctionCall with arguments as text and a result as text.
pub fn function_call(oid: u32, arguments: &[&str]) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(u16::try_from(arguments.len()).unwrap_or(u16::MAX).to_be_bytes());
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(argument.as_bytes());
    }
    body.extend([0, 0]);
    frame(b'F', &body)
}

/// A startup packet of protocol 3.`minor`.
pub fn startup(minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 3];
    body.extend(minor.to_be_bytes());
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    packet(&body)
}

/// A packet without type byte: its length and the body.
pub fn packet(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], body].concat()
}

/// SSLRequest.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// GSSENCRequest.
pub const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
