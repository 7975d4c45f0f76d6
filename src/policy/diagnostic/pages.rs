//! The pages of the codes: what each means, what to do, an example that has it and one that doesn't. A test runs the examples.

mod between;
mod files;
mod rules;
mod settings;
mod values;

use crate::policy::diagnostic::Code;

/// What there is to say of a code.
#[derive(Debug)]
pub struct Page {
    /// What it means, and why it matters.
    pub means: &'static str,
    /// What to do.
    pub repair: &'static str,
    pub example: Example,
}

/// Names and texts of files.
pub type Files = &'static [(&'static str, &'static str)];

/// Something with the finding, and the same without it.
#[derive(Debug)]
pub enum Example {
    /// One policy file.
    Policy { wrong: &'static str, right: &'static str },
    /// Files of one directory.
    Files { wrong: Files, right: Files },
    /// Bytes that can't be shown as they are.
    Bytes { wrong: &'static [u8], shown: &'static str, right: &'static str },
    /// Commands, run beside a directory `policies` with a policy and an empty one, `empty`.
    Directory { wrong: &'static str, right: &'static str },
    /// What nobody can write down.
    None,
}

/// A page whose example is one policy file.
const fn policy(
    code: Code,
    means: &'static str,
    repair: &'static str,
    wrong: &'static str,
    right: &'static str,
) -> (Code, Page) {
    (code, Page { means, repair, example: Example::Policy { wrong, right } })
}

/// Pages of codes.
type Pages = &'static [(Code, Page)];

const ALL: [Pages; 5] = [files::PAGES, values::PAGES, rules::PAGES, settings::PAGES, between::PAGES];

/// A code without a page; a test finds it before anybody sees this.
static MISSING: Page = Page { means: "", repair: "", example: Example::None };

/// The page of a code.
pub(super) fn page(code: Code) -> &'static Page {
    let found = ALL.iter().flat_map(|pages| pages.iter()).find(|(of, _)| *of == code);
    found.map_or(&MISSING, |(_, page)| page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_page_that_says_something() {
        for code in Code::ALL {
            let pages = ALL.iter().flat_map(|pages| pages.iter()).filter(|(of, _)| of == code).count();
            assert_eq!(pages, 1, "{code} {}", code.name());
            let Page { means, repair, example } = page(*code);
            assert!(means.len() > 40 && repair.len() > 20, "{code} {}", code.name());
            assert!(*code == Code::TestsNotRun || !matches!(example, Example::None), "{code} {}", code.name());
        }
    }
}
