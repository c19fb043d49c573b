//! Where something stands in a recipe, so that an error can show the line.

use std::{fmt, ops::Range, sync::Arc};

use miette::NamedSource;

/// The text of one recipe, under the name to show for it.
pub(crate) type SourceText = Arc<NamedSource<String>>;

/// A byte range in a recipe.
#[derive(Clone, Debug)]
pub struct Place {
    pub(crate) text: SourceText,
    /// Byte range in the text.
    pub span: Range<usize>,
}

impl Place {
    pub(crate) fn new(text: &SourceText, span: Range<usize>) -> Place {
        Place {
            text: Arc::clone(text),
            span,
        }
    }

    /// Name of the recipe file, as it is shown to people.
    pub fn file(&self) -> &str {
        self.text.name()
    }

    /// Line of the first byte, from 1.
    pub fn line(&self) -> usize {
        let before = self.text.inner().as_bytes().get(..self.span.start);
        1 + before.map_or(0, |b| b.iter().filter(|&&c| c == b'\n').count())
    }
}

/// Two places are the same if they are the same bytes of the same file.
impl PartialEq for Place {
    fn eq(&self, other: &Place) -> bool {
        self.span == other.span && self.file() == other.file()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file(), self.line())
    }
}
