//! The corpora of statements, which are not part of the project.

use std::path::Path;
use std::process::Command;

/// The rows of a file of `PORTCULLIS_CORPORA` (default `../shared/corpora`); `None`, said loudly, where it is not here.
pub fn rows(file: &str) -> Option<Vec<serde_json::Value>> {
    let corpora = std::env::var("PORTCULLIS_CORPORA").unwrap_or_else(|_| "../shared/corpora".to_owned());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(corpora).join(file);
    if !file.exists() {
        eprintln!("SKIPPED: THE CORPUS IS NOT HERE: {} (PORTCULLIS_CORPORA says where it is).", file.display());
        return None;
    }
    let output = Command::new("gzip").arg("-dc").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect())
}
