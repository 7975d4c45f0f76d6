//! libpq's three degrees of trust in a server's certificate, as one rustls verifier.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use crate::net::certificate::{Validity, is_self_signed, public_key, rsa_bits, validity};
use crate::net::connect::CertificateProblem;

/// Verifies a server. In all degrees the server must prove that it holds the certificate's key.
#[derive(Debug)]
pub(super) struct Verifier {
    pub provider: Arc<CryptoProvider>,
    pub trust: Trust,
}

/// Which certificates will do.
#[derive(Debug)]
pub(super) enum Trust {
    /// `require` without a root, `prefer`, `allow`: any certificate.
    Anything,
    /// `verify-ca` and `verify-full`.
    Roots {
        chain: Arc<WebPkiServerVerifier>,
        /// The certificates of `sslrootcert` themselves. PostgreSQL's manual makes a self-signed server certificate and
        /// uses it as its own root, which OpenSSL takes and webpki does not (a CA is no end entity): the very
        /// certificate that the operator named is trusted.
        named: Vec<CertificateDer<'static>>,
        /// `verify-full`: the certificate names the host.
        check_name: bool,
    },
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.trusts(end_entity, intermediates, server_name, ocsp_response, now).map_err(|error| match &error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_))
                if intermediates.is_empty() && is_self_signed(end_entity) =>
            {
                problem(CertificateProblem::SelfSigned)
            }
            _ => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verified = match verify_tls12_signature(message, cert, dss, algorithms) {
            Err(error) if is_old_version(&error) => old_version_tls12(message, cert, dss, algorithms),
            verified => verified,
        };
        verified.map_err(|error| unproven(error, cert))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verified = match verify_tls13_signature(message, cert, dss, algorithms) {
            Err(error) if is_old_version(&error) => {
                let key = public_key(cert).ok_or(CertificateError::BadEncoding)?;
                verify_tls13_signature_with_raw_key(message, &key, dss, algorithms)
            }
            verified => verified,
        };
        verified.map_err(|error| unproven(error, cert))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Verifier {
    fn trusts(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Anything => Ok(ServerCertVerified::assertion()),
            Trust::Roots { chain, named, check_name } => {
                if named.iter().any(|root| root.as_ref() == end_entity.as_ref()) {
                    match validity(end_entity, now) {
                        Validity::Valid => {}
                        Validity::NotYet => return Err(CertificateError::NotValidYet.into()),
                        Validity::Expired => return Err(CertificateError::Expired.into()),
                        Validity::Unreadable => return Err(CertificateError::BadEncoding.into()),
                    }
                    if *check_name {
                        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                    }
                    return Ok(ServerCertVerified::assertion());
                }
                match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                    // The name is the last thing that is checked: a certificate whose only fault is its name has a good
                    // chain (`WebPkiServerVerifier::verify_server_cert` of rustls 0.23; `tests::verify_ca` would tell).
                    Err(Error::InvalidCertificate(
                        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                    )) if !check_name => Ok(ServerCertVerified::assertion()),
                    other => other,
                }
            }
        }
    }
}

/// One of our own, for `ConnectError`.
fn problem(problem: CertificateProblem) -> Error {
    CertificateError::Other(OtherError(Arc::new(problem))).into()
}

/// webpki reads no certificate of X.509 version 1, such as the commands of PostgreSQL's manual make with older OpenSSLs. Where
/// no authority is asked for, as in libpq, only the key in it matters: the server proves it like any other.
fn is_old_version(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            matches!(other.0.downcast_ref(), Some(webpki::Error::UnsupportedCertVersion))
        }
        _ => false,
    }
}

/// As [`verify_tls12_signature`] does it, with the key alone.
fn old_version_tls12(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = public_key(cert).ok_or(CertificateError::BadEncoding)?;
    let key = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
    let scheme = algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
    let possible = scheme.map_or(&[][..], |(_, possible)| possible);
    let proven = possible.iter().any(|algorithm| key.verify_signature(*algorithm, message, dss.signature()).is_ok());
    if proven { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
}

/// A signature of the handshake that is not the key's, or of a key that is too weak to be looked at.
pub(super) fn unproven(error: Error, cert: &CertificateDer<'_>) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature) => problem(match rsa_bits(cert) {
            Some(bits) if bits < 2048 => CertificateProblem::WeakKey { bits },
            Some(_) | None => CertificateProblem::NoProof,
        }),
        other => other,
    }
}
