//! The log of `portcullis run`: to stderr, as text or JSON, one line for each event whatever a client sends.

use std::fmt::{self, Write};

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{self, Writer};

use crate::config::LogFormat;

/// What is logged, in tracing's filter language: `info`, `debug`, `portcullis::session=debug`.
const VARIABLE: &str = "PORTCULLIS_LOG";

/// Starts logging for the whole process.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    // An error means that somebody set a subscriber before: then that one is meant.
    let _ = tracing::subscriber::set_global_default(subscriber(format, filter, std::io::stderr));
    std::panic::set_hook(Box::new(|panic| {
        // The place only: a panic's message may hold the text of a statement.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

fn subscriber<W>(format: LogFormat, filter: EnvFilter, writer: W) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // A line that can't be written is told on stderr by default, which panics where stderr is what can't be written.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    let builder = builder.with_target(false);
    match format {
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
        LogFormat::Text => {
            Box::new(builder.with_ansi(false).fmt_fields(format::debug_fn(field).delimited(" ")).finish())
        }
    }
}

/// Writes a field so that its value can neither end the line nor look like another field.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() == "message" {
        return write!(Printable(writer), "{value:?}");
    }
    let text = format!("{value:?}");
    let quoted = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
    let plain = !text.is_empty() && !text.contains([' ', '=', '"', '\\']) && text.chars().all(is_printable);
    if quoted || plain {
        write!(Printable(writer), "{}={text}", field.name())
    } else {
        write!(writer, "{}={text:?}", field.name())
    }
}

/// Passes text on with everything escaped that moves a cursor, ends a line or turns the direction of text.
struct Printable<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if is_printable(c) {
                self.0.write_char(c)?;
            } else {
                write!(self.0, "{}", c.escape_default())?;
            }
        }
        Ok(())
    }
}

fn is_printable(c: char) -> bool {
    let turns_text = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns_text
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("whole").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(format, EnvFilter::new("info"), move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(memory.0.lock().expect("whole").clone()).expect("text")
    }

    #[test]
    fn no_value_can_end_a_line_or_forge_a_field() {
        let evil = "x\n2026 ERROR forged\x1b[31m policy=\"open\" \u{202e}";
        let text = logged(LogFormat::Text, || {
            tracing::warn!(user = evil, shown = %evil, debug = ?evil, "statement refused: {evil}");
        });
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text}");
        assert!(!text.contains(" policy=\"open\" shown"), "{text}");
        assert!(text.contains(r#"user="x\n2026 ERROR forged\u{1b}[31m policy=\"open\""#), "{text}");
    }

    #[test]
    fn plain_values_stay_plain() {
        let text = logged(LogFormat::Text, || {
            tracing::info!(policy = %"shop", rows = 3, database = ?"shop", empty = %"", "statement refused");
        });
        assert!(text.ends_with("statement refused policy=shop rows=3 database=\"shop\" empty=\"\"\n"), "{text}");
    }

    #[test]
    fn json_lines_are_json() {
        let text = logged(LogFormat::Json, || tracing::info!(user = "a\nb", "session opened"));
        let value: serde_json::Value = serde_json::from_str(&text).expect("one object");
        assert_eq!((value["message"].as_str(), value["user"].as_str()), (Some("session opened"), Some("a\nb")));
    }
}
