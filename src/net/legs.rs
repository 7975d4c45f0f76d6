//! What TLS of both legs is made of, as the files held it at one time. Sessions that start take one [`Legs`] and keep it.

use crate::config::Config;
use crate::net::{Acceptor, Connector, TlsFileError};

/// Towards clients and towards the server.
#[derive(Debug, Clone)]
pub struct Legs {
    /// None where the client leg is plain.
    pub acceptor: Option<Acceptor>,
    pub connector: Connector,
}

impl Legs {
    /// Reads the files of both.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub fn read(config: &Config) -> Result<Legs, TlsFileError> {
        Ok(Legs { acceptor: Legs::acceptor(config)?, connector: Legs::connector(config)? })
    }

    /// Reads the files of the client leg.
    ///
    /// # Errors
    /// As [`Acceptor::new`].
    pub fn acceptor(config: &Config) -> Result<Option<Acceptor>, TlsFileError> {
        config.client_tls.as_ref().map(Acceptor::new).transpose()
    }

    /// Reads the files of the upstream leg.
    ///
    /// # Errors
    /// As [`Connector::new`].
    pub fn connector(config: &Config) -> Result<Connector, TlsFileError> {
        Connector::new(&config.upstream, config.connect_timeout)
    }
}
