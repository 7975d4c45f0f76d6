//! TLS towards clients.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::config::ClientTls;
use crate::net::Stream;

/// The protocol name of PostgreSQL in TLS (ALPN), which libpq sends since 17.
pub(super) const ALPN: &[u8] = b"postgresql";

/// Why certificate files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    #[error("can't read {what} {}: {source}", path.display())]
    Pem { what: &'static str, path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{} holds no certificate (PEM, -----BEGIN CERTIFICATE-----)", .0.display())]
    NoCertificate(PathBuf),
    #[error("the certificate {} and the key {} can't be used together: {source}", cert.display(), key.display())]
    Pair { cert: PathBuf, key: PathBuf, source: rustls::Error },
    #[error(
        "the operating system has no certificate authorities: install ca-certificates, or name a file in sslrootcert"
    )]
    NoSystemRoots,
    #[error("can't use the certificate authorities in {}: {problem}", path.display())]
    Roots { path: PathBuf, problem: String },
    #[error("can't use the revocation lists in {}: {problem}", path.display())]
    Crl { path: PathBuf, problem: String },
    #[error("`{0}` can't be a host name in TLS: write a DNS name or an IP address")]
    HostName(String),
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Accepts TLS with one certificate.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    certificate: CertificateDer<'static>,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl Acceptor {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A file that can't be read or used, or a key that is not the certificate's.
    pub fn new(files: &ClientTls) -> Result<Acceptor, TlsFileError> {
        let chain = certificates("the certificate", &files.cert)?;
        let certificate = chain.first().cloned().ok_or_else(|| TlsFileError::NoCertificate(files.cert.clone()))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, private_key(&files.key)?)
            .map_err(|source| TlsFileError::Pair { cert: files.cert.clone(), key: files.key.clone(), source })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Acceptor { tls: TlsAcceptor::from(Arc::new(config)), certificate })
    }

    /// The end-entity certificate that clients see.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The SHA-256 of that certificate, as `openssl x509 -fingerprint -sha256` shows it but for its colons and its case.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The server's side of a TLS handshake.
    ///
    /// # Errors
    /// The handshake failed, or the client went away.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<Stream> {
        let stream = self.tls.accept(socket).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
    }
}

/// The cryptography, named here and passed explicitly: no process-wide default.
pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// All certificates of a PEM file, at least one.
pub(super) fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let pem = |source| TlsFileError::Pem { what, path: path.to_owned(), source };
    let chain: Vec<_> = CertificateDer::pem_file_iter(path).map_err(pem)?.collect::<Result<_, _>>().map_err(pem)?;
    if chain.is_empty() {
        return Err(TlsFileError::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsFileError::Pem {
        what: "the private key",
        path: path.to_owned(),
        source,
    })
}
