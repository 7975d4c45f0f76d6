//! libpq's three degrees of trust in a server's certificate, as one rustls verifier.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use crate::net::certificate::{Validity, validity};

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
