//! JUnit XML, as CI systems read it.

use std::fmt::Write as _;

/// One test case.
#[derive(Debug)]
pub(super) struct Case {
    pub class: String,
    pub name: String,
    /// Where it stands: file and line.
    pub place: Option<(String, u32)>,
    pub result: CaseResult,
}

/// How a test case went.
#[derive(Debug)]
pub(super) enum CaseResult {
    Passed,
    Skipped(String),
    Failed(String),
}

/// One suite as a document.
pub(super) fn document(suite: &str, cases: &[Case]) -> String {
    let count = |of: fn(&CaseResult) -> bool| cases.iter().filter(|case| of(&case.result)).count();
    let failed = count(|result| matches!(result, CaseResult::Failed(_)));
    let skipped = count(|result| matches!(result, CaseResult::Skipped(_)));
    // Writing to a `String` does not fail: its results are dropped.
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = write!(text, "<testsuites><testsuite name=\"{}\" tests=\"{}\"", escaped(suite), cases.len());
    let _ = write!(text, " failures=\"{failed}\"");
    if skipped > 0 {
        let _ = write!(text, " skipped=\"{skipped}\"");
    }
    text.push_str(">\n");
    for Case { class, name, place, result } in cases {
        let _ = write!(text, "  <testcase classname=\"{}\" name=\"{}\"", escaped(class), escaped(name));
        if let Some((file, line)) = place {
            let _ = write!(text, " file=\"{}\" line=\"{line}\"", escaped(file));
        }
        let inner = match result {
            CaseResult::Passed => None,
            CaseResult::Skipped(why) => Some(("skipped", why)),
            CaseResult::Failed(why) => Some(("failure", why)),
        };
        match inner {
            None => text.push_str("/>\n"),
            Some((element, why)) => {
                let _ = writeln!(text, "><{element} message=\"{}\"/></testcase>", escaped(why));
            }
        }
    }
    text.push_str("</testsuite></testsuites>\n");
    text
}

/// Text for an XML attribute; control characters, which XML can't hold, become `?`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
