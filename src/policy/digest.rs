//! Which files a set was made of, as one number that an auditor can reckon without us.

use std::fmt::{self, Write};

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of the policy files: of what `sha256sum` prints for them, in order of their names. So
/// `(cd policies && LC_ALL=C sha256sum *.yaml | sha256sum)` gives the same where all files end in `.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Of no file at all.
impl Default for Digest {
    fn default() -> Digest {
        Digester::default().finish()
    }
}

/// Makes a [`Digest`], file by file.
#[derive(Default)]
pub(super) struct Digester(Sha256);

impl Digester {
    /// One file: its name without the directory, and its bytes.
    pub fn file(&mut self, name: &[u8], bytes: &[u8]) {
        self.line(&hex(&Sha256::digest(bytes)), name);
    }

    /// A file, or the directory, that can't be read. A set with one is never in force; but it isn't the set without it.
    pub fn unreadable(&mut self, name: &[u8], why: &str) {
        self.line(why, name);
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    /// As `sha256sum` writes it: a name with a backslash or a line's end is escaped, and its line begins with a backslash.
    fn line(&mut self, hash: &str, name: &[u8]) {
        let mut escaped = Vec::with_capacity(name.len());
        for byte in name {
            match byte {
                b'\\' => escaped.extend(b"\\\\"),
                b'\n' => escaped.extend(b"\\n"),
                b'\r' => escaped.extend(b"\\r"),
                byte => escaped.push(*byte),
            }
        }
        if escaped.len() != name.len() {
            self.0.update(b"\\");
        }
        self.0.update(hash);
        self.0.update(b"  ");
        self.0.update(&escaped);
        self.0.update(b"\n");
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // A String takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> String {
        let mut digester = Digester::default();
        for (name, text) in files {
            digester.file(name.as_bytes(), text.as_bytes());
        }
        digester.finish().to_string()
    }

    #[test]
    fn it_is_what_sha256sum_of_sha256sum_says() {
        // printf 'one\n' > a.yaml; printf 'two\n' > b.yaml; sha256sum a.yaml b.yaml | sha256sum
        let digest = of(&[("a.yaml", "one\n"), ("b.yaml", "two\n")]);
        assert_eq!(digest, "49f1f2aa233418c2911f50e5004ca002115f43f03a1d095ff0513605bc324728");
        // : > 'a\b.yaml'; sha256sum 'a\b.yaml' | sha256sum
        assert_eq!(of(&[("a\\b.yaml", "")]), "3d0b6b3c8e6b833bba9bf2ca1f109411b9e6ed9e689216ad138b53135e2c73af");
    }

    #[test]
    fn names_bytes_and_their_borders_all_count() {
        let sets: [&[(&str, &str)]; 6] =
            [&[], &[("a", "xy")], &[("a", "x"), ("b", "y")], &[("ax", "y")], &[("b", "xy")], &[("a", "xy"), ("b", "")]];
        let digests: std::collections::BTreeSet<String> = sets.iter().map(|files| of(files)).collect();
        assert_eq!(digests.len(), sets.len());
        let mut unreadable = Digester::default();
        unreadable.unreadable(b"a", "permission denied");
        assert_ne!(unreadable.finish(), Digest::default());
    }
}
