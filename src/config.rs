//! Stub until the real one is merged.
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Secret(String);
impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(text)
    }
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub admin_token: Option<Secret>,
    pub policies: PathBuf,
    pub drain_timeout: Duration,
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Default, clap::Args)]
pub struct RunArgs {}

impl Config {
    pub fn load(_args: &RunArgs, _env: &dyn Fn(&str) -> Option<String>) -> Result<Config, std::io::Error> {
        unimplemented!()
    }
}
