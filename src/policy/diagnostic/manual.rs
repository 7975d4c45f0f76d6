//! What each code means, for readers: a page of one code for the terminal, all of them as `docs/policy-errors.md`.

use std::fmt::Write as _;

pub use super::pages::{Example, Page};
use crate::policy::diagnostic::{Code, Severity};

/// The page of a code.
pub fn page(code: Code) -> &'static Page {
    super::pages::page(code)
}

/// The page of a code, as Markdown: for the terminal as it stands.
pub fn text(code: Code) -> String {
    let Page { means, repair, example } = page(code);
    // Writing to a `String` does not fail: its results are dropped.
    let mut text = String::new();
    let _ = writeln!(text, "## {code}: {} ({})\n", code.title(), code.severity().as_str());
    let _ = writeln!(text, "`{}`\n\n{means}\n\n**What to do.** {repair}", code.name());
    let mut block = |title: &str, language: &str, lines: &str| {
        let _ = writeln!(text, "\n{title}:\n\n```{language}\n{}\n```", lines.trim_end());
    };
    match example {
        Example::Policy { wrong, right } => {
            block("Wrong", "yaml", wrong);
            block("Right", "yaml", right);
        }
        Example::Files { wrong, right } => {
            for (title, files) in [("Wrong", wrong), ("Right", right)] {
                for (name, lines) in *files {
                    block(&format!("{title}, `{name}`"), "yaml", lines);
                }
            }
        }
        Example::Bytes { shown, right, .. } => {
            block("Wrong", "text", shown);
            block("Right", "yaml", right);
        }
        Example::Directory { wrong, right } => {
            block("Wrong", "sh", wrong);
            block("Right", "sh", right);
        }
        Example::None => {}
    }
    text
}

/// All of them: `docs/policy-errors.md`.
pub fn markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    for severity in [Severity::Error, Severity::Warning] {
        let _ = writeln!(text, "\n| {} | name | says |\n|---|---|---|", severity.as_str());
        for code in Code::ALL.iter().filter(|code| code.severity() == severity) {
            let anchor = anchor(*code);
            let _ = writeln!(text, "| [{code}](#{anchor}) | `{}` | {} |", code.name(), code.title());
        }
    }
    for code in Code::ALL {
        text.push('\n');
        text.push_str(&self::text(*code));
    }
    text
}

/// How GitHub and others call the heading of a code.
fn anchor(code: Code) -> String {
    let heading = format!("{code} {} {}", code.title(), code.severity().as_str()).to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The codes as lines: code, severity, name, what it says.
pub fn list() -> String {
    let mut text = String::new();
    for code in Code::ALL {
        let _ = writeln!(text, "{code}  {:<7}  {:<22}  {}", code.severity().as_str(), code.name(), code.title());
    }
    text
}

const INTRODUCTION: &str = "\
# What `portcullis check` finds

Made by `portcullis check --codes --format markdown`; a test holds it up to date and runs every example.

A finding has a place, a code, a sentence, and mostly a help:

```text
policies/shop.yaml:7:12: error[PC0012]: unknown action \"selct\", did you mean \"select\"?
 7 |   actions: [selct]
   |             ^^^^^
```

Errors keep a set of policies from being loaded: all of them, for a set is loaded whole or not at all. Warnings don't; they tell
what is probably not meant (`--deny-warnings` makes them count). The numbers are stable: none is ever given to another finding.
`portcullis check --explain PC0012` shows one page. `--format json` and `--format github` write the same for programs.
";
