//! When certificates end, of both legs: those in the files in force, and those that the servers showed last.

use std::collections::BTreeMap;

use crate::metrics::Expiry;
use crate::net::{Acceptor, Ends, Legs, Probed, not_after};

/// The certificates that the hosts of the upstream showed last.
#[derive(Debug, Default)]
pub struct Shown(BTreeMap<String, i64>);

impl Shown {
    /// Notes what probes saw. A host that can't be reached keeps the certificate that it had: it may be why.
    pub fn note(&mut self, probed: &[Probed]) {
        for Probed { host, outcome } in probed {
            match outcome {
                Ok(Some(tls)) => {
                    if let Some(at) = not_after(&tls.certificate) {
                        self.0.insert(host.clone(), at);
                    }
                }
                // It has no TLS.
                Ok(None) => {
                    self.0.remove(host);
                }
                Err(_) => {}
            }
        }
    }
}

/// Everything that is known to end, each leg and kind once: `certificate` in `tls_cert` and `sslcert`, `authority` in
/// `tls_client_ca` and `sslrootcert`, `revocations` in `tls_client_crl`, `sslcrl` and `sslcrldir`, and what the upstream's
/// `server` shows.
pub fn certificates(legs: &Legs, shown: &Shown) -> Vec<Expiry> {
    let client = legs.acceptor.as_ref().map(Acceptor::ends).unwrap_or_default();
    let of = |leg, Ends { certificate, roots, revocations }: Ends| {
        [(leg, "certificate", certificate), (leg, "authority", roots), (leg, "revocations", revocations)]
    };
    let files = of("client", client).into_iter().chain(of("upstream", legs.connector.ends()));
    files
        .chain([("upstream", "server", shown.0.values().min().copied())])
        .filter_map(|(leg, kind, at)| Some(Expiry { leg, kind, at: at? }))
        .collect()
}
