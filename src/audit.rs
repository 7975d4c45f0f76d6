//! The audit log: one JSON object a line for everything that happened, complete enough for policies to be learned from it and
//! held against it. It never holds a value of anybody's data.

mod event;
mod log;
mod told;

pub use event::{AdminCall, Certificate, Closed, Event, Line, Loaded, Login, Opened, Probing, Run, Text, Who};
pub use log::{Audit, AuditError, Target};
pub use told::Told;
