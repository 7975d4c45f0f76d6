//! Lists of certificates that their authorities have revoked: `sslcrl`, `sslcrldir`, `tls_client_crl`.

use std::path::Path;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use crate::net::accept::TlsFileError;
use crate::net::certificate::next_update;

/// Lists of one side.
#[derive(Debug, Default)]
pub(super) struct RevocationLists {
    pub lists: Vec<CertRevocationList<'static>>,
    /// When the first of them must have been replaced, in seconds since 1970.
    pub next_update: Option<i64>,
}

impl RevocationLists {
    pub(super) fn extend(&mut self, more: RevocationLists) {
        self.lists.extend(more.lists);
        self.next_update = self.next_update.into_iter().chain(more.next_update).min();
    }
}

/// All lists of a PEM file, at least one.
///
/// # Errors
/// No list, or one that can't be used.
pub(super) fn revocation_lists(file: &Path) -> Result<RevocationLists, TlsFileError> {
    let problem = |problem: String| TlsFileError::Crl { path: file.to_owned(), problem };
    let mut found = RevocationLists::default();
    for list in CertificateRevocationListDer::pem_file_iter(file).map_err(|error| problem(error.to_string()))? {
        let list = list.map_err(|error| problem(error.to_string()))?;
        let parsed = OwnedCertRevocationList::from_der(&list).map_err(|error| problem(words(&error)))?;
        let one = RevocationLists { lists: vec![CertRevocationList::Owned(parsed)], next_update: next_update(&list) };
        found.extend(one);
    }
    if found.lists.is_empty() {
        return Err(problem("no list in it (PEM, -----BEGIN X509 CRL-----)".to_owned()));
    }
    Ok(found)
}

/// webpki takes lists as RFC 5280 has them, and `openssl ca -gencrl` writes others unless it is told.
fn words(error: &webpki::Error) -> String {
    use webpki::Error as E;
    match error {
        E::BadDer
        | E::UnsupportedCrlVersion
        | E::InvalidCrlNumber
        | E::MalformedExtensions
        | E::TrailingData(_) => {
            "it must be a list of version 2 with a number (openssl ca: `crl_extensions` with `authorityKeyIdentifier` in \
             the section of the authority, and `crlnumber`)"
                .to_owned()
        }
        other => other.to_string(),
    }
}
