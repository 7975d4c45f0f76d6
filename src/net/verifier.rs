//! libpq's three degrees of trust in a server's certificate, and what proves a client's, as verifiers of rustls.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::net::authorities::{Authorities, own};
use crate::net::certificate::{public_key, rsa_bits};
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
        authorities: Authorities,
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
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Trust::Roots { authorities, check_name } = &self.trust {
            authorities.verify(end_entity, intermediates, now)?;
            if *check_name {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let proven = verify_tls12_signature(message, cert, dss, algorithms);
        or_by_key(proven, cert, |key| old_version_tls12(message, key, dss, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let proven = verify_tls13_signature(message, cert, dss, algorithms);
        or_by_key(proven, cert, |key| verify_tls13_signature_with_raw_key(message, key, dss, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// webpki reads no certificate of X.509 version 1, such as the commands of PostgreSQL's manual make with older OpenSSLs. Where
/// no authority is asked for, as in libpq, only the key in it matters: the server proves it like any other.
fn or_by_key(
    proven: Result<HandshakeSignatureValid, Error>,
    cert: &CertificateDer<'_>,
    by_key: impl FnOnce(&SubjectPublicKeyInfoDer<'_>) -> Result<HandshakeSignatureValid, Error>,
) -> Result<HandshakeSignatureValid, Error> {
    let proven = match proven {
        Err(error) if is_old_version(&error) => by_key(&public_key(cert).ok_or(CertificateError::BadEncoding)?),
        proven => proven,
    };
    proven.map_err(|error| unproven(error, cert))
}

fn is_old_version(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            matches!(other.0.downcast_ref(), Some(webpki::Error::UnsupportedCertVersion))
        }
        _ => false,
    }
}

/// Verifies clients' certificates.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    pub provider: Arc<CryptoProvider>,
    pub authorities: Authorities,
    /// What clients are told of whom is trusted here.
    pub hints: Vec<DistinguishedName>,
    /// Who has no certificate is refused.
    pub demand: bool,
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.demand
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.authorities.verify(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// As [`verify_tls12_signature`] does it, with the key alone.
fn old_version_tls12(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = webpki::RawPublicKeyEntity::try_from(key).map_err(|_| CertificateError::BadEncoding)?;
    let scheme = algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
    let possible = scheme.map_or(&[][..], |(_, possible)| possible);
    let proven = possible.iter().any(|algorithm| key.verify_signature(*algorithm, message, dss.signature()).is_ok());
    if proven { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
}

/// A signature of the handshake that is not the key's, or of a key that is too weak to be looked at.
pub(super) fn unproven(error: Error, cert: &CertificateDer<'_>) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature) => own(match rsa_bits(cert) {
            Some(bits) if bits < 2048 => CertificateProblem::WeakKey { bits },
            Some(_) | None => CertificateProblem::NoProof,
        }),
        other => other,
    }
}
