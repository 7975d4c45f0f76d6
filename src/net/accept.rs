//! TLS towards clients.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use tokio_rustls::{TlsAcceptor, TlsStream};
use zeroize::Zeroizing;

use crate::config::{ClientCert, ClientTls, TlsVersion};
use crate::net::authorities::{Authorities, Purpose};
use crate::net::certificate::{not_after, server_end_point};
use crate::net::revocation::revocation_lists;
use crate::net::verifier::ClientVerifier;
use crate::net::{Ends, Socket, Stream};

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
    #[error(
        "the private key {} is encrypted, and nobody is there to type its password: write it without one (openssl pkey -in \
         {} -out new.key) into a file that only this user may read", .0.display(), .0.display()
    )]
    EncryptedKey(PathBuf),
    #[error(
        "others may read the private key {} (mode {mode:04o}): it must be a regular file of mode 0600 or less, or 0640 or less \
         where root owns it (chmod; in a Kubernetes Secret defaultMode)", path.display()
    )]
    OpenKey { path: PathBuf, mode: u32 },
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
    /// Asks clients for nothing.
    anybody: TlsAcceptor,
    /// Ask for a certificate, or demand one. None: no authority is trusted.
    asking: Option<Asking>,
    certificate: CertificateDer<'static>,
    ends: Ends,
}

#[derive(Clone)]
struct Asking {
    optional: TlsAcceptor,
    required: TlsAcceptor,
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
        let key = private_key(&files.key)?;
        let provider = provider();
        let versions: &[&rustls::SupportedProtocolVersion] = match files.minimum {
            TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::V1_3 => &[&rustls::version::TLS13],
        };
        let acceptor = |verifier: Option<Arc<dyn ClientCertVerifier>>| {
            let builder =
                rustls::ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
            let builder = match verifier {
                None => builder.with_no_client_auth(),
                Some(verifier) => builder.with_client_cert_verifier(verifier),
            };
            let mut config = builder
                .with_single_cert(chain.clone(), key.clone_key())
                .map_err(|source| TlsFileError::Pair { cert: files.cert.clone(), key: files.key.clone(), source })?;
            config.alpn_protocols = vec![ALPN.to_vec()];
            // As PostgreSQL: every session begins with a whole handshake. One that is resumed would bring a client's
            // certificate back without looking at its dates and revocation again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Ok::<_, TlsFileError>(TlsAcceptor::from(Arc::new(config)))
        };
        let mut ends = Ends { certificate: chain.iter().filter_map(not_after).min(), ..Ends::default() };
        let asking = match &files.authority {
            None => None,
            Some(path) => {
                ends.roots = certificates("tls_client_ca", path)?.iter().filter_map(not_after).min();
                let lists = files.crl.as_deref().map(revocation_lists).transpose()?;
                ends.revocations = lists.and_then(|lists| lists.next_update);
                let verifier = |demand| client_verifier(path, files.crl.as_deref(), demand, &provider);
                Some(Asking { optional: acceptor(Some(verifier(false)?))?, required: acceptor(Some(verifier(true)?))? })
            }
        };
        Ok(Acceptor { anybody: acceptor(None)?, asking, certificate, ends })
    }

    /// The end-entity certificate that clients see.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// `tls-server-end-point` of that certificate, for SCRAM-SHA-256-PLUS; None where its signature defines none.
    pub fn server_end_point(&self) -> Option<Vec<u8>> {
        server_end_point(&self.certificate)
    }

    /// When its files end: `tls_cert`, `tls_client_ca`, the lists of `tls_client_crl`.
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// The SHA-256 of that certificate, as `openssl x509 -fingerprint -sha256` shows it but for its colons and its case.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The server's side of a TLS handshake.
    ///
    /// # Errors
    /// The handshake failed, or the client went away.
    pub async fn accept(&self, socket: Socket, client_cert: ClientCert) -> io::Result<Stream> {
        let acceptor = match (client_cert, &self.asking) {
            (ClientCert::None, _) => &self.anybody,
            (ClientCert::Optional, Some(asking)) => &asking.optional,
            (ClientCert::Required, Some(asking)) => &asking.required,
            // `Config` lets no such listener through.
            (ClientCert::Optional | ClientCert::Required, None) => {
                return Err(io::Error::other("no authority for clients' certificates"));
            }
        };
        let stream = acceptor.accept(socket).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
    }
}

/// Verifies clients' certificates; `demand` refuses those that have none.
fn client_verifier(
    authority: &Path,
    crl: Option<&Path>,
    demand: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFileError> {
    let problem = |problem: String| TlsFileError::Roots { path: authority.to_owned(), problem };
    let mut store = RootCertStore::empty();
    let named = certificates("tls_client_ca", authority)?;
    for certificate in &named {
        store.add(certificate.clone()).map_err(|error| problem(error.to_string()))?;
    }
    let mut authorities =
        Authorities::named(named, Purpose::Client, provider).map_err(|error| problem(error.to_string()))?;
    if let Some(crl) = crl {
        authorities = authorities.with_lists(revocation_lists(crl)?.lists);
    }
    Ok(Arc::new(ClientVerifier { provider: provider.clone(), authorities, hints: store.subjects(), demand }))
}

/// The cryptography, named here and passed explicitly: no process-wide default.
pub(super) fn provider() -> Arc<CryptoProvider> {
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
    PrivateKeyDer::from_pem_file(path).map_err(|source| {
        // PKCS#8 says so in its first line, the older format in its second. What can't be read twice keeps its first error.
        let text = std::fs::read(path).map(Zeroizing::new);
        let says = |words: &[u8]| text.as_ref().is_ok_and(|text| text.windows(words.len()).any(|part| part == words));
        if says(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || says(b"Proc-Type: 4,ENCRYPTED") {
            return TlsFileError::EncryptedKey(path.to_owned());
        }
        TlsFileError::Pem { what: "the private key", path: path.to_owned(), source }
    })
}
