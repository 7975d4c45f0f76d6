//! Networks as people write them: addresses and CIDR blocks.

use std::net::IpAddr;

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// In bits.
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `::1`. Bits beyond the prefix must be zero, as in PostgreSQL's `cidr`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Network, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("\"{text}\" is no IP address or network"))?;
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => match prefix.parse() {
                Ok(prefix) if prefix <= bits => prefix,
                _ => return Err(format!("\"{text}\" has no prefix length from 0 to {bits}")),
            },
        };
        let network = Network { address, prefix };
        let (value, mask) = (number(address), network.mask());
        if value & !mask != 0 {
            return Err(format!("\"{text}\" has bits set beyond its prefix"));
        }
        Ok(network)
    }

    /// What to write in place of a text that is none.
    pub fn help(text: &str) -> String {
        let parts =
            text.split_once('/').and_then(|(address, prefix)| Some((address.parse().ok()?, prefix.parse().ok()?)));
        match parts {
            Some((address, prefix)) if prefix <= if IpAddr::is_ipv4(&address) { 32 } else { 128 } => {
                let mask = Network { address, prefix }.mask();
                let network = number(address) & mask;
                let network = match address {
                    IpAddr::V4(_) => IpAddr::from(u32::try_from(network).unwrap_or_default().to_be_bytes()),
                    IpAddr::V6(_) => IpAddr::from(network.to_be_bytes()),
                };
                format!("write {network}/{prefix} for the network, {address} for the one host")
            }
            _ if text.contains(|c: char| c.is_alphabetic()) && !text.contains(':') => {
                "write an address or a CIDR block, 10.0.0.7 or 10.0.0.0/8: names of hosts are not looked up".to_owned()
            }
            _ => "write an address or a CIDR block: 10.0.0.7, 10.0.0.0/8, ::1".to_owned(),
        }
    }

    fn mask(&self) -> u128 {
        let bits: u32 = if self.address.is_ipv4() { 32 } else { 128 };
        let host = bits - u32::from(self.prefix);
        let all = u128::MAX >> (128 - bits);
        if host == 128 { 0 } else { (all >> host) << host }
    }

    /// Whether the address is in it; an IPv4 address in IPv6 clothes counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && number(address) & self.mask() == number(self.address)
    }

    /// Its first address: where a policy test comes from.
    pub fn first(&self) -> IpAddr {
        self.address
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let ten = Network::parse("10.0.0.0/8").unwrap();
        assert!(ten.contains("10.255.1.2".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!ten.contains("::1".parse().unwrap()));
        assert!(Network::parse("::1").unwrap().contains("::1".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("1.2.3.4".parse().unwrap()));
        assert!(Network::parse("::/0").unwrap().contains("fe80::1".parse().unwrap()));
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "10.0/8", "localhost", "10.0.0.0/x", ""] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }
}
