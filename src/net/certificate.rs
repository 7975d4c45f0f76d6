//! What is read from certificates besides what rustls verifies.

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, SubjectPublicKeyInfoDer, UnixTime};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Version};
use x509_parser::public_key::PublicKey;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::signature_algorithm::SignatureAlgorithm;

use crate::net::authorities::Purpose;

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

/// The names in a certificate.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    /// The subject's common name. None where there is none, or where there are several: nobody could say which is meant.
    pub cn: Option<String>,
    /// The subjectAltNames that are texts or addresses.
    pub san: Vec<String>,
}

/// Reads the names. What can't be read names nobody.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Names {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Names::default() };
    let readable = |name: &str| !name.contains(char::is_control);
    let mut common = parsed.subject().iter_common_name();
    let cn = match (common.next(), common.next()) {
        (Some(name), None) => name.as_str().ok().filter(|name| readable(name)).map(str::to_owned),
        (_, _) => None,
    };
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let general = alternatives.iter().flat_map(|names| &names.value.general_names);
    let san = general.filter_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    });
    Names { cn, san: san.filter(|name| readable(name)).collect() }
}

/// When a certificate ends, in seconds since 1970.
pub fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

/// When a revocation list must have been replaced by its authority's next one, in seconds since 1970.
pub(super) fn next_update(list: &CertificateRevocationListDer<'_>) -> Option<i64> {
    let (_, parsed) = CertificateRevocationList::from_der(list).ok()?;
    Some(parsed.next_update()?.timestamp())
}

/// What an authority is held to, besides its name and its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    not_before: i64,
    not_after: i64,
    path_length: Option<u32>,
}

impl Standing {
    pub(super) fn validity(&self, now: UnixTime) -> Validity {
        let Ok(now) = i64::try_from(now.as_secs()) else { return Validity::Unreadable };
        if now < self.not_before {
            Validity::NotYet
        } else if now > self.not_after {
            Validity::Expired
        } else {
            Validity::Valid
        }
    }

    /// Whether there may be this many authorities between it and the end of the chain.
    pub(super) fn may_have_below(&self, authorities: usize) -> bool {
        self.path_length.is_none_or(|most| u32::try_from(authorities).is_ok_and(|count| count <= most))
    }
}

/// Whether a certificate may sign others that are for this purpose, as OpenSSL has it (`check_ca` and `ku_reject` in
/// `crypto/x509/v3_purp.c`): CA:TRUE; or, without any basicConstraints, keyCertSign; or a self-signed one of X.509 version 1.
pub(super) fn authority(certificate: &CertificateDer<'_>, purpose: Purpose) -> Option<Standing> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    // What is there twice, or can't be read, is an error.
    let basic = parsed.basic_constraints().ok()?.map(|found| found.value);
    let usage = parsed.key_usage().ok()?.map(|found| found.value);
    let extended = parsed.extended_key_usage().ok()?.map(|found| found.value);
    let may_sign = match (basic, usage) {
        (_, Some(usage)) if !usage.key_cert_sign() => false,
        (Some(basic), _) => basic.ca,
        (None, Some(_)) => true,
        (None, None) => parsed.version() == X509Version::V1 && parsed.subject() == parsed.issuer(),
    };
    let for_purpose = extended.is_none_or(|extended| {
        extended.any
            || match purpose {
                Purpose::Server => extended.server_auth,
                Purpose::Client => extended.client_auth,
            }
    });
    (may_sign && for_purpose).then(|| Standing {
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        path_length: basic.and_then(|basic| basic.path_len_constraint),
    })
}

/// Whether it names the other as its issuer; who signed it is another matter.
pub(super) fn is_issued_by(certificate: &CertificateDer<'_>, other: &CertificateDer<'_>) -> bool {
    let (one, other) = (X509Certificate::from_der(certificate), X509Certificate::from_der(other));
    matches!((one, other), (Ok((_, one)), Ok((_, other))) if one.issuer() == other.subject())
}

/// Whether it names itself as its issuer.
pub(super) fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.subject() == parsed.issuer())
}

/// The bits of its key, where that is RSA.
pub(super) fn rsa_bits(certificate: &CertificateDer<'_>) -> Option<usize> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    match parsed.public_key().parsed().ok()? {
        PublicKey::RSA(key) => Some(key.key_size()),
        _ => None,
    }
}

/// Its public key (SubjectPublicKeyInfo).
pub(super) fn public_key(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(SubjectPublicKeyInfoDer::from(parsed.public_key().raw.to_vec()))
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
    let (not_before, not_after) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    Standing { not_before, not_after, path_length: None }.validity(now)
}
