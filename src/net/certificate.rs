//! What is read from certificates besides what rustls verifies.

use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// `tls-server-end-point` (RFC 5929 §4.1): the certificate's hash by the hash of its own signature, SHA-256 in place of
/// MD5 and SHA-1. `None` where the signature names no hash (Ed25519): then there is no binding, as in the server.
pub(super) fn server_end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let hash = match SignatureAlgorithm::try_from(&parsed.signature_algorithm).ok()? {
        SignatureAlgorithm::RSASSA_PSS(parameters) => parameters.hash_algorithm_oid().to_id_string(),
        SignatureAlgorithm::RSA
        | SignatureAlgorithm::RSAAES_OAEP(_)
        | SignatureAlgorithm::DSA
        | SignatureAlgorithm::ECDSA
        | SignatureAlgorithm::ED25519 => parsed.signature_algorithm.algorithm.to_id_string(),
    };
    match hash.as_str() {
        // md5WithRSA, sha1WithRSA, ecdsa-with-SHA1, id-sha1; sha256WithRSA, ecdsa-with-SHA256, id-sha256
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.10045.4.1"
        | "1.3.14.3.2.26"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.3.2"
        | "2.16.840.1.101.3.4.2.1" => Some(Sha256::digest(certificate).to_vec()),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => {
            Some(Sha384::digest(certificate).to_vec())
        }
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" => {
            Some(Sha512::digest(certificate).to_vec())
        }
        _ => None,
    }
}

/// How a time stands to a certificate's validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Valid,
    NotYet,
    Expired,
    Unreadable,
}

pub(super) fn validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Validity {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Validity::Unreadable };
    let Ok(now) = i64::try_from(now.as_secs()) else { return Validity::Unreadable };
    if now < parsed.validity().not_before.timestamp() {
        Validity::NotYet
    } else if now > parsed.validity().not_after.timestamp() {
        Validity::Expired
    } else {
        Validity::Valid
    }
}
