//! Certificates for a throw-away cluster and the firewall in front of it: one authority, which lives as long as its
//! files do, and what it signs for `localhost`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A certificate authority whose key is never written down.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Where a certificate and its key were written, both as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A certificate could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("can't make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("can't write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
}

impl Authority {
    /// A new authority with this common name.
    ///
    /// # Errors
    /// The key or the certificate can't be made.
    pub fn new(name: &str) -> Result<Authority, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Authority { certificate, issuer: Issuer::new(params, key) })
    }

    /// Writes the authority's certificate as `<directory>/<stem>.crt`, for `sslrootcert`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(&self, directory: &Path, stem: &str) -> Result<PathBuf, CertificateError> {
        let path = directory.join(stem).with_extension("crt");
        write(&path, &self.certificate, 0o644)?;
        Ok(path)
    }

    /// Issues a certificate for these host names and addresses, as `<directory>/<stem>.crt` and `.key`. The key is
    /// readable by its owner alone, or PostgreSQL refuses it.
    ///
    /// # Errors
    /// The certificate can't be made or written.
    pub fn issue(&self, hosts: &[&str], directory: &Path, stem: &str) -> Result<Identity, CertificateError> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let common_name = hosts.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let identity = Identity {
            certificate: directory.join(stem).with_extension("crt"),
            key: directory.join(stem).with_extension("key"),
        };
        write(&identity.certificate, &certificate.pem(), 0o644)?;
        write(&identity.key, &key.serialize_pem(), 0o600)?;
        Ok(identity)
    }
}

fn write(path: &Path, pem: &str, mode: u32) -> Result<(), CertificateError> {
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(pem.as_bytes()))
        .map_err(|source| CertificateError::Write { path: path.to_owned(), source })
}
