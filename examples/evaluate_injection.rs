//! Signals of statements, for `scripts/evaluate-injection`. Standard input has one JSON string a line, a statement; first those
//! in a one-element list, which are learned as a policy's list would know them; `null` begins another session. Standard output has a line for each that is not
//! learned: `score<tab>score: technique(weight) + …`, or `unparsed` where the grammar doesn't read it.

use std::io::{self, BufRead, BufWriter, Write};

use portcullis::detect::{Recent, Shapes};
use portcullis::{detect, sql};

/// The default of `observe_at`.
const OBSERVE_AT: u32 = 3;

fn main() -> io::Result<()> {
    let reading = std::thread::Builder::new().stack_size(sql::STACK).spawn(run)?;
    reading.join().unwrap_or_else(|_| Err(io::Error::other("the reading thread ended early")))
}

fn run() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut learned = Vec::new();
    let mut shapes: Option<Shapes> = None;
    let mut recent = Recent::default();
    for line in io::stdin().lock().lines() {
        let line = line?;
        if let Ok([text]) = serde_json::from_str::<[String; 1]>(&line) {
            learned.push(sql::redacted(&text));
            continue;
        }
        if line == "null" {
            recent = Recent::default();
            continue;
        }
        let shapes = shapes.get_or_insert_with(|| Shapes::new(learned.iter().map(String::as_str)));
        let text: String = serde_json::from_str(&line)?;
        match sql::analyse(&text, sql::Reading::default()) {
            Ok(analysis) => {
                let mut found = detect::signals(&text, &analysis);
                found.beside_learned(&text, shapes);
                if analysis.facts.inline {
                    found.beside_recent(&text, &mut recent, OBSERVE_AT);
                }
                let inserted = found.inserted.as_ref().map_or("", |inserted| inserted.part.as_str());
                writeln!(out, "{}\t{}\t{}", found.score(), found, inserted.replace(['\t', '\n'], " "))?;
            }
            Err(_) => writeln!(out, "unparsed\t\t")?,
        }
    }
    out.flush()
}
