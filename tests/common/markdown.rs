//! The headings and fenced blocks of a Markdown page, with their lines: what the literate tests and the tests of the
//! documentation read.

/// A part of a page that means something to a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// `## text`: 2 levels deep.
    Heading {
        level: usize,
    },
    Block(Block),
}

/// What stands between two fences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The first word behind the opening fence: `yaml`; empty where there is none.
    pub language: String,
    /// The other words.
    pub info: Vec<String>,
    /// The line of the page that the opening fence stands in, 1-based: the text begins one below.
    pub line: usize,
    /// The lines between, without the indentation of the fence, each with its newline.
    pub text: String,
}

/// The parts of a page in order.
///
/// # Errors
/// The line of a fence that is never closed.
pub fn parts(page: &str) -> Result<Vec<Part>, usize> {
    let mut parts = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let text = line.trim_start();
        let marks = text.bytes().take_while(|byte| *byte == b'`').count();
        if marks < 3 {
            let level = line.bytes().take_while(|byte| *byte == b'#').count();
            if level > 0 && line[level..].starts_with(' ') {
                parts.push(Part::Heading { level });
            }
            continue;
        }
        let indentation = line.len() - text.len();
        let (fence, info) = text.split_at(marks);
        let mut words = info.split_whitespace().map(str::to_owned);
        let mut block = Block {
            language: words.next().unwrap_or_default(),
            info: words.collect(),
            line: index + 1,
            text: String::new(),
        };
        loop {
            let (_, line) = lines.next().ok_or(index + 1)?;
            if line.trim() == fence {
                break;
            }
            let indented = line.bytes().take(indentation).take_while(|byte| *byte == b' ').count();
            block.text.push_str(&line[indented..]);
            block.text.push('\n');
        }
        parts.push(Part::Block(block));
    }
    Ok(parts)
}

/// The blocks of a page in one language.
pub fn blocks(page: &str, language: &str) -> Vec<Block> {
    let parts = parts(page).unwrap_or_else(|line| panic!("the fence of line {line} is never closed"));
    let blocks = parts.into_iter().filter_map(|part| match part {
        Part::Block(block) => Some(block),
        Part::Heading { .. } => None,
    });
    blocks.filter(|block| block.language == language).collect()
}
