//! The PROXY protocol's header, version 2: what a load balancer says of the connection that it passes on
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, §2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Signature, version and command, family and protocol, length.
pub const HEADER: usize = 16;

/// The longest rest of a header that is read. Addresses take 36 bytes at most; the rest are extensions.
const MAX_REST: usize = 4096;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderError {
    #[error(
        "it does not begin with a PROXY protocol header, version 2 (a load balancer must send one: `send-proxy-v2`)"
    )]
    None,
    #[error("its PROXY protocol header is of version {0}, 2 is spoken here")]
    Version(u8),
    #[error("its PROXY protocol header has the command {0}")]
    Command(u8),
    #[error("its PROXY protocol header is {0} bytes long, at most {MAX_REST} are read")]
    TooLong(usize),
    #[error("its PROXY protocol header is too short for its addresses")]
    TooShort,
}

/// The fixed part of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    local: bool,
    family: u8,
    /// Bytes that follow.
    pub rest: usize,
}

impl Start {
    /// Reads the fixed part.
    ///
    /// # Errors
    /// What is no header of version 2, or one that is too long.
    pub fn parse(header: &[u8; HEADER]) -> Result<Start, ProxyHeaderError> {
        let [signature @ .., command, family, high, low] = header;
        if *signature != SIGNATURE {
            return Err(ProxyHeaderError::None);
        }
        if command >> 4 != 2 {
            return Err(ProxyHeaderError::Version(command >> 4));
        }
        let local = match command & 0x0f {
            0 => true,
            1 => false,
            other => return Err(ProxyHeaderError::Command(other)),
        };
        let rest = usize::from(u16::from_be_bytes([*high, *low]));
        if rest > MAX_REST {
            return Err(ProxyHeaderError::TooLong(rest));
        }
        Ok(Start { local, family: *family, rest })
    }

    /// Where the client is, from the bytes that follow. None: the load balancer speaks for itself (LOCAL, its checks), or says
    /// nothing of TCP; then the connection's own address counts.
    ///
    /// # Errors
    /// [`ProxyHeaderError::TooShort`].
    pub fn source(&self, rest: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderError> {
        if self.local {
            return Ok(None);
        }
        // TCP over IPv4, TCP over IPv6: source, destination, source's port, destination's.
        let source = match self.family {
            0x11 => {
                let [a, b, c, d, _, _, _, _, high, low] = *rest.first_chunk().ok_or(ProxyHeaderError::TooShort)?;
                rest.get(..12).ok_or(ProxyHeaderError::TooShort)?;
                (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), u16::from_be_bytes([high, low]))
            }
            0x21 => {
                let address: [u8; 16] = *rest.first_chunk().ok_or(ProxyHeaderError::TooShort)?;
                let ports: [u8; 4] =
                    rest.get(32..).and_then(|rest| rest.first_chunk().copied()).ok_or(ProxyHeaderError::TooShort)?;
                let [high, low, _, _] = ports;
                (IpAddr::V6(Ipv6Addr::from(address)), u16::from_be_bytes([high, low]))
            }
            _ => return Ok(None),
        };
        Ok(Some(SocketAddr::from(source)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderError> {
        let mut bytes = [0; HEADER];
        bytes[..12].copy_from_slice(&SIGNATURE);
        bytes[12] = command;
        bytes[13] = family;
        bytes[14..].copy_from_slice(&u16::try_from(rest.len()).unwrap().to_be_bytes());
        let start = Start::parse(&bytes)?;
        assert_eq!(start.rest, rest.len());
        start.source(rest)
    }

    const V4: [u8; 12] = [10, 1, 2, 3, 10, 0, 0, 1, 0x12, 0x34, 0x19, 0x20];

    #[test]
    fn the_source_is_the_client() {
        assert_eq!(header(0x21, 0x11, &V4), Ok(Some("10.1.2.3:4660".parse().unwrap())));
        let with_extension = [&V4[..], &[0x04, 0, 1, 0]].concat();
        assert_eq!(header(0x21, 0x11, &with_extension), Ok(Some("10.1.2.3:4660".parse().unwrap())));
        let mut v6 = [0; 36];
        v6[15] = 1;
        v6[33] = 9;
        assert_eq!(header(0x21, 0x21, &v6), Ok(Some("[::1]:9".parse().unwrap())));
        assert_eq!(header(0x20, 0x11, &V4), Ok(None), "LOCAL");
        assert_eq!(header(0x21, 0x00, &[]), Ok(None), "UNSPEC");
        assert_eq!(header(0x21, 0x31, &[0; 216]), Ok(None), "a Unix socket");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(header(0x11, 0x11, &V4), Err(ProxyHeaderError::Version(1)));
        assert_eq!(header(0x22, 0x11, &V4), Err(ProxyHeaderError::Command(2)));
        assert_eq!(header(0x21, 0x11, &V4[..11]), Err(ProxyHeaderError::TooShort));
        assert_eq!(header(0x21, 0x21, &[0; 35]), Err(ProxyHeaderError::TooShort));
        assert_eq!(header(0x21, 0x11, &[0; 4097]), Err(ProxyHeaderError::TooLong(4097)));
        assert_eq!(Start::parse(b"PROXY TCP4 1.1.1"), Err(ProxyHeaderError::None));
        assert_eq!(Start::parse(&[0; HEADER]), Err(ProxyHeaderError::None));
    }
}
