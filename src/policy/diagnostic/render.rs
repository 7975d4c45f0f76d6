//! Findings for people, for programs, and for GitHub.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

use crate::policy::diagnostic::{Diagnostic, Severity};

/// The most columns of a source line that are shown: of a longer one, those around the place.
const WIDEST: usize = 120;

/// How the parts of a finding look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    place: Style,
    error: Style,
    warning: Style,
    message: Style,
    margin: Style,
    help: Style,
}

impl Look {
    /// Without colours.
    pub const PLAIN: Look = Look {
        place: Style::new(),
        error: Style::new(),
        warning: Style::new(),
        message: Style::new(),
        margin: Style::new(),
        help: Style::new(),
    };
    /// For a terminal.
    pub const COLOURED: Look = Look {
        place: Style::new(),
        error: AnsiColor::Red.on_default().bold(),
        warning: AnsiColor::Yellow.on_default().bold(),
        message: Style::new().bold(),
        margin: AnsiColor::Blue.on_default().bold(),
        help: AnsiColor::Cyan.on_default().bold(),
    };
}

/// In the order in which they are told: errors first, each file from its top.
pub fn sorted(findings: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut sorted: Vec<&Diagnostic> = findings.iter().collect();
    sorted.sort_by(|a, b| (a.severity, &a.file, a.place).cmp(&(b.severity, &b.file, b.place)));
    sorted
}

/// Renders findings for people, like a compiler's.
pub fn human(findings: &[Diagnostic], look: &Look) -> String {
    let texts: Vec<String> = sorted(findings).into_iter().map(|finding| one(finding, look)).collect();
    texts.join("\n")
}

/// One finding for people.
pub(super) fn one(finding: &Diagnostic, look: &Look) -> String {
    let mut text = String::new();
    let Look { place, message, margin, help, .. } = look;
    let file = printable(&finding.file);
    let at = match finding.place {
        Some(place) => format!("{file}:{}:{}:", place.line, place.column),
        None => format!("{file}:"),
    };
    let style = match finding.severity {
        Severity::Error => look.error,
        Severity::Warning => look.warning,
    };
    // Writing to a `String` does not fail: its results are dropped.
    let _ = write!(text, "{place}{at}{place:#} {style}{}[{}]{style:#}", finding.severity.as_str(), finding.code);
    let _ = write!(text, "{message}: {}{message:#}", printable(&finding.message));
    if let (Some(place), Some(source)) = (finding.place, &finding.source) {
        let number = place.line.to_string();
        let indent = " ".repeat(number.len());
        let (line, before, carets) = shown(source, place.column as usize, place.length as usize);
        let _ = write!(text, "\n {margin}{number} |{margin:#} {line}");
        let _ = write!(text, "\n {margin}{indent} |{margin:#} {before}{style}{}{style:#}", "^".repeat(carets));
    }
    if let Some(told) = &finding.help {
        let _ = write!(text, "\n  {help}help:{help:#} {}", printable(told));
    }
    text
}

/// A source line as it is shown, what stands before its carets, and how many these are.
fn shown(source: &str, column: usize, length: usize) -> (String, String, usize) {
    let chars: Vec<char> = source.chars().map(picture).collect();
    let at = column.saturating_sub(1).min(chars.len());
    let end = at.saturating_add(length.max(1)).min(chars.len());
    let (mut from, mut to) = (0, chars.len());
    if chars.len() > WIDEST {
        from = at.saturating_sub(WIDEST / 2);
        to = (from + WIDEST).min(chars.len());
    }
    let part = |from: usize, to: usize| chars.get(from..to.max(from)).unwrap_or_default();
    let width = |chars: &[char]| chars.iter().map(|c| c.width().unwrap_or(1)).sum::<usize>();
    // Tabs are kept, so that the caret stands below its character in any terminal.
    let mut before: String = if from > 0 { "  ".to_owned() } else { String::new() };
    for &c in part(from, at) {
        match c {
            '\t' => before.push('\t'),
            c => before.extend(std::iter::repeat_n(' ', c.width().unwrap_or(1))),
        }
    }
    let line: String = part(from, to).iter().collect();
    let line =
        format!("{}{}{}", if from > 0 { "… " } else { "" }, line.trim_end(), if to < chars.len() { " …" } else { "" });
    (line, before, width(part(at, end.min(to))).max(1))
}

/// A character that leaves the terminal as it is: of a control character, its picture.
fn picture(c: char) -> char {
    match c {
        '\t' => c,
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('?'),
        '\u{7f}' => '\u{2421}',
        // Of C1, and what turns the direction of the text around.
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { ' ' } else { picture(c) }).collect()
}

/// Findings as JSON values, each with `file`, `line`, `column`, `length` (all in characters, from 1; null where the whole file
/// is meant), `code`, `name`, `severity`, `message` and `help`.
pub fn json(findings: &[Diagnostic]) -> Vec<serde_json::Value> {
    let value = |finding: &Diagnostic| {
        serde_json::json!({
            "file": &*finding.file,
            "line": finding.place.map(|place| place.line),
            "column": finding.place.map(|place| place.column),
            "length": finding.place.map(|place| place.length),
            "code": finding.code.to_string(),
            "name": finding.code.name(),
            "severity": finding.severity.as_str(),
            "message": finding.message,
            "help": finding.help,
        })
    };
    sorted(findings).into_iter().map(value).collect()
}

/// Findings as annotations of a GitHub workflow, a line each.
pub fn github(findings: &[Diagnostic]) -> String {
    let mut text = String::new();
    for finding in sorted(findings) {
        let _ = write!(text, "::{} file={}", finding.severity.as_str(), property(&finding.file));
        if let Some(place) = finding.place {
            let end = place.column.saturating_add(place.length.max(1) - 1);
            let _ = write!(text, ",line={},col={},endColumn={end}", place.line, place.column);
        }
        let _ = write!(text, ",title={}", property(&format!("{} {}", finding.code, finding.code.name())));
        let help = finding.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        let _ = writeln!(text, "::{}", data(&format!("{}{help}", finding.message)));
    }
    text
}

/// A message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::diagnostic::{Code, Place, Source};

    fn finding(text: &str, line: u32, column: u32, length: u32) -> Diagnostic {
        let source = Source::new("p.yaml", text);
        source.finding(Code::UnknownAction, Place { line, column, length }, "unknown action \"selct\"")
    }

    #[test]
    fn a_finding_is_drawn_with_a_caret_under_the_word() {
        let finding = finding("a\n  actions: [selct]\n", 2, 13, 5).help("see docs/policies.md");
        assert_eq!(
            finding.to_string(),
            "p.yaml:2:13: error[PC0012]: unknown action \"selct\"\n 2 |   actions: [selct]\n   |             ^^^^^\n  \
             help: see docs/policies.md"
        );
    }

    #[test]
    fn colours_are_only_added() {
        let finding = finding("actions: [selct]", 1, 11, 5).help("h");
        let coloured = one(&finding, &Look::COLOURED);
        assert!(coloured.contains("\u{1b}[1m\u{1b}[31merror[PC0012]\u{1b}[0m"), "{coloured:?}");
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        assert_eq!(plain + rest, one(&finding, &Look::PLAIN));
    }

    #[test]
    fn a_long_line_is_shown_around_its_place() {
        let text = format!("{}selct{}", "a".repeat(500), "b".repeat(500));
        let shown = finding(&text, 1, 501, 5).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].chars().count() < 140, "{shown}");
        let caret = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().skip(caret).take(5).collect::<String>(), "selct", "{shown}");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_steers_it() {
        let shown = finding("a: \u{1b}[31m\u{202e}x", 1, 4, 1).to_string();
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
        let mut wide = finding("表: selct", 1, 4, 5);
        wide.message = "a\u{1b}b\nc".into();
        let shown = wide.to_string();
        assert!(shown.starts_with("p.yaml:1:4: error[PC0012]: a␛b␊c\n"), "{shown:?}");
        assert!(shown.ends_with("|     ^^^^^"), "a wide character takes two columns: {shown}");
    }

    #[test]
    fn annotations_escape_what_github_reads() {
        let mut finding = finding("x", 1, 1, 1).help("100%\r\nsure: a,b");
        finding.file = "a,b:c%.yaml".into();
        finding.message = "one\ntwo: 5%".into();
        assert_eq!(
            github(&[finding]),
            "::error file=a%2Cb%3Ac%25.yaml,line=1,col=1,endColumn=1,title=PC0012 unknown-action::one%0Atwo: 5%25%0A\
             help: 100%25%0D%0Asure: a,b\n"
        );
    }

    #[test]
    fn programs_get_every_part() {
        let told = json(&[finding("x", 1, 1, 1)]);
        let keys: Vec<&str> = told[0].as_object().unwrap().keys().map(String::as_str).collect();
        for key in ["file", "line", "column", "length", "code", "name", "severity", "message", "help"] {
            assert!(keys.contains(&key), "{key} is missing in {keys:?}");
        }
        assert_eq!(told[0]["code"], "PC0012");
    }
}
