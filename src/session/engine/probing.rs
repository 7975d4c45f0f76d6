//! The server's errors, as far as they are signs of probing.

use super::Engine;
use crate::detect::probing::{Shape, Sign};
use crate::session::probing::Watch;
use crate::wire::backend;

impl Engine {
    /// The same, with errors counted for this user and address.
    pub fn probed(self, probing: Watch) -> Engine {
        Engine { probing: Some(probing), ..self }
    }

    /// The server's answer is an error that isn't ours: its fields, or as many as are there. Nothing is looked at but the code.
    pub(super) fn erred(&self, fields: &[u8]) {
        let code = backend::error_fields(fields).find(|(kind, _)| *kind == b'C').map(|(_, code)| code);
        if let (Some(sign), Some(shape)) = (code.and_then(Sign::of), self.suspects.failed()) {
            self.sign(sign, shape, self.suspects.text(shape));
        }
    }

    /// A statement is a sign of probing; its text where it is at hand.
    pub(super) fn sign(&self, sign: Sign, shape: Shape, text: &[u8]) {
        let burst = self.probing.as_ref().and_then(|probing| probing.add(sign, shape));
        if let Some(burst) = burst {
            self.tell.probing(&burst, self.policy.name(), text, &self.texts);
        }
    }
}
