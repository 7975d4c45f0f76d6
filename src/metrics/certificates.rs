//! How long certificates are good for yet, reckoned when somebody asks.

use std::sync::{Mutex, PoisonError};

use prometheus::IntGaugeVec;

/// Something of TLS that ends at a known time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// `"client"` or `"upstream"`.
    pub leg: &'static str,
    /// One word of a closed list: what it is.
    pub kind: &'static str,
    /// In seconds since 1970. Of several, the first to end.
    pub at: i64,
}

/// `portcullis_certificate_expiry_seconds`.
#[derive(Debug)]
pub(super) struct Certificates {
    known: Mutex<Vec<Expiry>>,
    gauges: IntGaugeVec,
}

impl Certificates {
    pub(super) fn new(gauges: IntGaugeVec) -> Certificates {
        Certificates { known: Mutex::default(), gauges }
    }

    /// What is in force now: what is not among it has no series any more.
    pub(super) fn set(&self, certificates: Vec<Expiry>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in
            known.iter().filter(|old| !certificates.iter().any(|new| (new.leg, new.kind) == (old.leg, old.kind)))
        {
            // It is there, for it was known.
            let _ = self.gauges.remove_label_values(&[gone.leg, gone.kind]);
        }
        *known = certificates;
    }

    /// `now` in seconds since 1970.
    pub(super) fn reckon(&self, now: i64) {
        for Expiry { leg, kind, at } in self.known.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.gauges.with_label_values(&[*leg, *kind]).set(at.saturating_sub(now));
        }
    }
}
