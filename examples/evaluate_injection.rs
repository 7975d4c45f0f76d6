//! Signals of statements, for `scripts/evaluate-injection`: a JSON string a line on standard input, and for each a line
//! `score<tab>technique(weight) + …` on standard output; `unparsed` where the grammar doesn't read it.

use std::io::{self, BufRead, BufWriter, Write};

use portcullis::{detect, sql};

fn main() -> io::Result<()> {
    let reading = std::thread::Builder::new().stack_size(sql::STACK).spawn(run)?;
    reading.join().unwrap_or_else(|_| Err(io::Error::other("the reading thread ended early")))
}

fn run() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        match sql::analyse(&text, sql::Reading::default()) {
            Ok(analysis) => {
                let found = detect::signals(&text, &analysis);
                writeln!(out, "{}\t{}", found.score(), found)?;
            }
            Err(_) => writeln!(out, "unparsed\t")?,
        }
    }
    out.flush()
}
