//! Placeholder.
use std::borrow::Cow;
/// x
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding { Utf8, SqlAscii }
/// x
#[derive(Debug)]
pub struct Undecodable;
impl Encoding {
    /// x
    pub fn lookup(name: &str) -> Option<Encoding> { name.eq_ignore_ascii_case("utf8").then_some(Encoding::Utf8) }
    /// x
    pub fn name(self) -> &'static str { "UTF8" }
    /// x
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, str>, Undecodable> { str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Undecodable) }
    /// x
    pub fn encode(&self, text: &str) -> Vec<u8> { text.as_bytes().to_vec() }
}
