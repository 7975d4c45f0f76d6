//! TLS towards the server: versions, the proxy's own certificate, and which of the server's will do.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;

use crate::config::{RootCert, SslMode, TlsVersion, Upstream, crl_files};
use crate::net::accept::{ALPN, TlsFileError, certificates, private_key, provider};
use crate::net::authorities::{Authorities, Purpose};
use crate::net::certificate::not_after;
use crate::net::revocation::{RevocationLists, revocation_lists};
use crate::net::verifier::{Trust, Verifier};

/// When the files of one leg's TLS end, in seconds since 1970. Where a file holds several, the first to end counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    /// The proxy's own certificate, with the ones above it in the file.
    pub certificate: Option<i64>,
    /// The authorities of the other side, in a file; the operating system's own are its affair.
    pub roots: Option<i64>,
    /// The next update of the revocation lists.
    pub revocations: Option<i64>,
}

/// Reads the files of an upstream.
pub(super) fn client_config(upstream: &Upstream) -> Result<(ClientConfig, Ends), TlsFileError> {
    let provider = provider();
    let (minimum, maximum) = upstream.tls_versions;
    let versions: Vec<_> = [(TlsVersion::V1_3, &rustls::version::TLS13), (TlsVersion::V1_2, &rustls::version::TLS12)]
        .into_iter()
        .filter(|(version, _)| (minimum..=maximum).contains(version))
        .map(|(_, version)| version)
        .collect();
    let mut ends = Ends::default();
    let trust = match (upstream.sslmode, &upstream.root) {
        (SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require, None) => Trust::Anything,
        // libpq verifies the chain whenever it has a root, under `allow` and `prefer` too: there a bad certificate means
        // that the connection goes plain.
        (mode, _) => roots(upstream, &provider, mode == SslMode::VerifyFull, &mut ends)?,
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { provider, trust }));
    let mut config = match &upstream.client_cert {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates("sslcert", cert)?;
            ends.certificate = chain.iter().filter_map(not_after).min();
            only_ours(key)?;
            builder.with_client_auth_cert(chain, private_key(key)?).map_err(|source| TlsFileError::Pair {
                cert: cert.clone(),
                key: key.clone(),
                source,
            })?
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = upstream.sni;
    // Every session verifies the certificate afresh.
    config.resumption = Resumption::disabled();
    Ok((config, ends))
}

/// libpq's rule for `sslkey`: a regular file that nobody else may read, or that root owns and a group may.
fn only_ours(key: &Path) -> Result<(), TlsFileError> {
    use std::os::unix::fs::MetadataExt;

    // What can't be looked at can't be read: reading it says why.
    let Ok(metadata) = std::fs::metadata(key) else { return Ok(()) };
    let open = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    let mode = metadata.mode() & 0o777;
    if metadata.is_file() && mode & open == 0 {
        return Ok(());
    }
    Err(TlsFileError::OpenKey { path: key.to_owned(), mode })
}

fn roots(
    upstream: &Upstream,
    provider: &rustls::crypto::CryptoProvider,
    check_name: bool,
    ends: &mut Ends,
) -> Result<Trust, TlsFileError> {
    let authorities = match &upstream.root {
        Some(RootCert::File(path)) => {
            let named = certificates("sslrootcert", path)?;
            ends.roots = named.iter().filter_map(not_after).min();
            Authorities::named(named, Purpose::Server, provider)
                .map_err(|error| TlsFileError::Roots { path: path.clone(), problem: error.to_string() })?
        }
        // `Upstream::parse` lets no verifying mode through without a root.
        Some(RootCert::System) | None => {
            let found = Authorities::of_system(&rustls_native_certs::load_native_certs().certs, provider);
            if found.is_empty() {
                return Err(TlsFileError::NoSystemRoots);
            }
            found
        }
    };
    let authorities = match revocations(upstream)? {
        None => authorities,
        Some(lists) => {
            ends.revocations = lists.next_update;
            authorities.with_lists(lists.lists)
        }
    };
    Ok(Trust::Roots { authorities, check_name })
}

/// The lists of `sslcrl` and `sslcrldir`; None only where neither is written.
fn revocations(upstream: &Upstream) -> Result<Option<RevocationLists>, TlsFileError> {
    let mut files: Vec<_> = upstream.crl.iter().cloned().collect();
    if let Some(directory) = &upstream.crl_directory {
        let found = crl_files(directory);
        if found.is_empty() {
            let problem = match std::fs::read_dir(directory) {
                Ok(_) => "no file in it: without a list nothing would be known as revoked".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(TlsFileError::Crl { path: directory.clone(), problem });
        }
        files.extend(found);
    }
    let mut all = None;
    for file in files {
        all.get_or_insert_with(RevocationLists::default).extend(revocation_lists(&file)?);
    }
    Ok(all)
}
