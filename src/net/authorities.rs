//! The certificates that the other side's are held against: those of `sslrootcert`, `tls_client_ca` or the operating system.
//!
//! webpki takes whatever it is given as an anchor for an authority without end and bounds. OpenSSL, and so PostgreSQL, looks at
//! an anchor as at every other certificate: only one that may sign is an authority, as long as it is in force, over so many below it.

use std::cell::Cell;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use rustls::{CertificateError, Error, OtherError};
use webpki::{CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationOptionsBuilder, VerifiedPath};

use crate::net::certificate::{Standing, Validity, authority, is_issued_by, is_self_signed, validity};
use crate::net::connect::CertificateProblem;

/// What the other side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

/// Whom to trust.
#[derive(Debug)]
pub(super) struct Authorities {
    purpose: Purpose,
    /// Those that may sign, and at the same places what is to be held against each.
    anchors: Vec<TrustAnchor<'static>>,
    standings: Vec<Standing>,
    /// All certificates of the file. PostgreSQL's manual makes a self-signed server certificate and uses it as its own
    /// root, which OpenSSL takes and webpki does not (a CA is no end entity): the very certificate that the operator
    /// named is trusted, for itself.
    named: Vec<CertificateDer<'static>>,
    /// None: nobody asks whether a certificate was revoked.
    lists: Option<Vec<CertRevocationList<'static>>>,
    algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
}

impl Authorities {
    /// The certificates of a file, any of which the other side may have itself.
    ///
    /// # Errors
    /// One that can't be read.
    pub(super) fn named(
        certificates: Vec<CertificateDer<'static>>,
        purpose: Purpose,
        provider: &CryptoProvider,
    ) -> Result<Authorities, webpki::Error> {
        let mut authorities = Authorities::none(purpose, provider);
        for certificate in &certificates {
            authorities.add(certificate)?;
        }
        authorities.named = certificates;
        Ok(authorities)
    }

    /// The operating system's. Systems carry old authorities that webpki can't read: those are left out.
    pub(super) fn of_system(certificates: &[CertificateDer<'static>], provider: &CryptoProvider) -> Authorities {
        let mut authorities = Authorities::none(Purpose::Server, provider);
        for certificate in certificates {
            let _ = authorities.add(certificate);
        }
        authorities
    }

    fn none(purpose: Purpose, provider: &CryptoProvider) -> Authorities {
        let algorithms = provider.signature_verification_algorithms.all;
        Authorities { purpose, anchors: Vec::new(), standings: Vec::new(), named: Vec::new(), lists: None, algorithms }
    }

    fn add(&mut self, certificate: &CertificateDer<'static>) -> Result<(), webpki::Error> {
        let anchor = webpki::anchor_from_trusted_cert(certificate)?.to_owned();
        if let Some(standing) = authority(certificate, self.purpose) {
            self.anchors.push(anchor);
            self.standings.push(standing);
        }
        Ok(())
    }

    /// As OpenSSL does for PostgreSQL: every certificate of the chain needs a list, and a current one.
    pub(super) fn with_lists(mut self, lists: Vec<CertRevocationList<'static>>) -> Authorities {
        self.lists = Some(lists);
        self
    }

    /// Whether nobody at all is trusted.
    pub(super) fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.named.is_empty()
    }

    /// Whether these certificates lead to one that is trusted, all in force and for this purpose. Whose name they hold is not looked at.
    ///
    /// # Errors
    /// rustls's, so that the other side gets the right alert.
    pub(super) fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let Err(error) = self.chain(end_entity, intermediates, now) else { return Ok(()) };
        let Problem::Webpki(
            webpki::Error::UnknownIssuer
            // By the key of another that has the same name.
            | webpki::Error::InvalidSignatureForPublicKey
            | webpki::Error::CaUsedAsEndEntity
            | webpki::Error::UnsupportedCertVersion,
        ) = &error
        else {
            return Err(error.into());
        };
        // Nobody else speaks for it, or webpki can't read it: then it may speak for itself.
        if self.named.iter().any(|named| named.as_ref() == end_entity.as_ref()) {
            return self.itself(end_entity, now);
        }
        let unread = matches!(error, Problem::Webpki(webpki::Error::UnsupportedCertVersion));
        if !unread && intermediates.is_empty() && is_self_signed(end_entity) {
            return Err(own(CertificateProblem::SelfSigned));
        }
        if matches!(error, Problem::Webpki(webpki::Error::UnknownIssuer))
            && self.named.iter().any(|named| is_issued_by(end_entity, named))
        {
            return Err(own(CertificateProblem::EndEntityAsCa));
        }
        Err(error.into())
    }

    /// One of the very certificates that the operator named.
    fn itself(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
        match validity(certificate, now) {
            Validity::Valid if self.lists.is_some() => Err(own(CertificateProblem::NamedWithLists)),
            Validity::Valid => Ok(()),
            Validity::NotYet => Err(CertificateError::NotValidYet.into()),
            Validity::Expired => Err(CertificateError::Expired.into()),
            Validity::Unreadable => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Problem> {
        let certificate = EndEntityCert::try_from(end_entity)?;
        let usage = match self.purpose {
            Purpose::Server => KeyUsage::server_auth(),
            Purpose::Client => KeyUsage::client_auth(),
        };
        let lists: Vec<_> = self.lists.iter().flatten().collect();
        let revocation = match &self.lists {
            None => None,
            // Refused without a list: `revocation_lists` gives none that is empty.
            Some(_) => Some(
                RevocationOptionsBuilder::new(&lists)
                    .map_err(|_| webpki::Error::UnknownRevocationStatus)?
                    .with_expiration_policy(ExpirationPolicy::Enforce)
                    .build(),
            ),
        };
        // Asked of each way that holds otherwise, and webpki goes on to the next: what is told is the last one's.
        let problem = Cell::new(None);
        let stands = |path: &VerifiedPath<'_>| {
            let found = self.stands(path, now);
            found.map_err(|(error, word)| {
                problem.set(Some(word));
                error
            })
        };
        let found = certificate.verify_for_usage(
            self.algorithms,
            &self.anchors,
            intermediates,
            now,
            usage,
            revocation,
            Some(&stands),
        );
        found.map(|_| ()).map_err(|error| match problem.take() {
            Some(word) => Problem::Authority(word),
            None => Problem::Webpki(error),
        })
    }

    /// Whether an authority may be the end of this way, now.
    fn stands(&self, path: &VerifiedPath<'_>, now: UnixTime) -> Result<(), (webpki::Error, CertificateProblem)> {
        // A renewed authority has the same name and key, and is there twice: one of them will do.
        let same = self.anchors.iter().zip(&self.standings).filter(|(anchor, _)| *anchor == path.anchor());
        // Those that renew themselves don't count (RFC 5280 §4.2.1.9).
        let below = path.intermediate_certificates().filter(|one| one.subject() != one.issuer()).count();
        let mut refused = (webpki::Error::UnknownIssuer, CertificateProblem::UnknownIssuer);
        for (_, standing) in same {
            refused = match standing.validity(now) {
                Validity::Valid if standing.may_have_below(below) => return Ok(()),
                Validity::Valid => (webpki::Error::PathLenConstraintViolated, CertificateProblem::PathLength),
                Validity::NotYet | Validity::Expired | Validity::Unreadable => {
                    (webpki::Error::InvalidCertValidity, CertificateProblem::AuthorityNotInForce)
                }
            };
        }
        Err(refused)
    }
}

/// Why there is no way to an authority.
enum Problem {
    Webpki(webpki::Error),
    /// There would be one, but for the authority itself.
    Authority(CertificateProblem),
}

impl From<webpki::Error> for Problem {
    fn from(error: webpki::Error) -> Problem {
        Problem::Webpki(error)
    }
}

impl From<Problem> for Error {
    /// In rustls's terms where it has an alert for it (its own `pki_error` is not public); `certificate_problem` reads the rest.
    fn from(problem: Problem) -> Error {
        use webpki::Error as E;
        let error = match problem {
            Problem::Authority(word) => return own(word),
            Problem::Webpki(error) => error,
        };
        match error {
            E::UnknownIssuer => CertificateError::UnknownIssuer,
            E::CertExpired { time, not_after } => CertificateError::ExpiredContext { time, not_after },
            E::CertNotValidYet { time, not_before } => CertificateError::NotValidYetContext { time, not_before },
            E::CertRevoked => CertificateError::Revoked,
            E::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
            E::CrlExpired { time, next_update } => CertificateError::ExpiredRevocationListContext { time, next_update },
            other => CertificateError::Other(OtherError(Arc::new(other))),
        }
        .into()
    }
}

/// One of our own, for `ConnectError`.
pub(super) fn own(problem: CertificateProblem) -> Error {
    CertificateError::Other(OtherError(Arc::new(problem))).into()
}

#[cfg(test)]
mod tests;
