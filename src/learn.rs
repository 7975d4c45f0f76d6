//! What the audit log teaches: policies and lists of statements that allow what was seen (`gather`, `write`, `list`), and what
//! another set of policies would have done with it (`replay`). Pure: lines and policies in, texts and reports out.

mod gather;
pub mod list;
mod record;
pub mod replay;
mod write;

pub(crate) use gather::SUSPICIOUS;
pub use gather::{Counted, Counts, Gathering};
pub use record::{Record, Sessions};
pub use write::{By, Learned, LearnedPolicy, Options, Unlearned, may_be_listed, write};
