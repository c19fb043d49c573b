//! One hunk of a unified diff: reading it, and finding the place in the file where it applies.

/// A hunk whose lines are those of its header.
pub(super) struct Hunk<'a> {
    /// Line of the old file, from 1, at which it begins (of an empty old side: after which).
    pub(super) old_start: usize,
    /// The lines, each with what is done with it.
    pub(super) lines: Vec<(Sign, &'a [u8])>,
}

/// What a line of a hunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// In both files.
    Context,
    /// In the old one.
    Old,
    /// In the new one.
    New,
}

impl<'a> Hunk<'a> {
    /// Reads a hunk: the header is the first of `lines`. Returns how many lines it takes, or what is
    /// wrong and in which line of them.
    pub(super) fn parse(
        lines: &[&'a [u8]],
        tabs: bool,
    ) -> Result<(Hunk<'a>, usize), (usize, &'static str)> {
        let header = lines.first().copied().unwrap_or_default();
        let range = parse_range(header).ok_or((0, "a hunk header that is none"))?;
        let (mut old_left, mut new_left) = (range.old_len, range.new_len);
        let mut body = Vec::new();
        let mut at = 1;
        while old_left > 0 || new_left > 0 {
            let line = lines.get(at).copied().unwrap_or_default();
            let next = lines.get(at + 1).copied().unwrap_or_default();
            let no_newline = next.starts_with(b"\\ ");
            let (sign, text) = match line.split_first() {
                Some((sign, text)) => (*sign, text),
                None => (b'!', line),
            };
            let (sign, text) = match sign {
                b' ' => (Sign::Context, text),
                b'-' => (Sign::Old, text),
                b'+' => (Sign::New, text),
                // Some mailers remove the blank of an empty context line; some editors that of one
                // that begins with a tab.
                b'\n' => (Sign::Context, line),
                b'\t' if tabs => (Sign::Context, line),
                _ => return Err((at, "the hunk ends before its header says")),
            };
            let text = match no_newline {
                true => text.strip_suffix(b"\n").unwrap_or(text),
                false => text,
            };
            let too_long = (at, "the hunk has more lines than its header says");
            if sign != Sign::New {
                old_left = old_left.checked_sub(1).ok_or(too_long)?;
            }
            if sign != Sign::Old {
                new_left = new_left.checked_sub(1).ok_or(too_long)?;
            }
            body.push((sign, text));
            at += 1 + usize::from(no_newline);
        }
        let hunk = Hunk {
            old_start: range.old_start,
            lines: body,
        };
        Ok((hunk, at))
    }

    /// The lines that the old file has to have.
    pub(super) fn old(&self) -> impl Iterator<Item = &'a [u8]> {
        let old = self.lines.iter().filter(|(sign, _)| *sign != Sign::New);
        old.map(|(_, text)| *text)
    }

    fn old_len(&self) -> usize {
        self.old().count()
    }

    /// Index of the line in the old file at which the header says that it begins.
    pub(super) fn start(&self) -> usize {
        // An insertion into nothing names the line before it (POSIX diff, "-U").
        match self.old_len() {
            0 => self.old_start,
            _ => self.old_start.saturating_sub(1),
        }
    }

    /// Whether it is for a file that is not there, or empty.
    pub(super) fn creates(&self) -> bool {
        self.old_start == 0 && self.old_len() == 0
    }

    fn matches(&self, file: &[&[u8]], at: usize) -> bool {
        let found = file.get(at..).unwrap_or_default().iter().copied();
        let mut found = found.take(self.old_len());
        self.old().all(|line| found.next() == Some(line))
    }

    /// Where in the file it applies, as GNU patch finds it without fuzz: near the line that it names,
    /// moved by what the hunk before was moved; at `frozen` or later. Less context on one side than on
    /// the other says that it was made at that end of the file.
    pub(super) fn find(&self, file: &[&[u8]], frozen: usize, moved: isize) -> Option<usize> {
        let guess = self.start().checked_add_signed(moved)?;
        let len = self.old_len();
        if len == 0 {
            return (frozen..=file.len()).contains(&guess).then_some(guess);
        }
        let context = |(sign, _): &&(Sign, &[u8])| *sign == Sign::Context;
        let prefix = self.lines.iter().take_while(context).count();
        let suffix = self.lines.iter().rev().take_while(context).count();
        let last = file.len().checked_sub(len)?;
        let at = |place: usize| {
            (frozen..=last)
                .contains(&place)
                .then_some(place)
                .filter(|p| self.matches(file, *p))
        };
        if prefix < suffix && self.old_start <= 1 {
            return at(0);
        }
        if suffix < prefix {
            return at(last);
        }
        let reach = guess.max(last);
        (0..=reach).find_map(|distance| {
            let after = guess.checked_add(distance).and_then(at);
            after.or_else(|| guess.checked_sub(distance).and_then(at))
        })
    }
}

/// `@@ -START,LEN +START,LEN @@`.
struct Range {
    old_start: usize,
    old_len: usize,
    new_len: usize,
}

fn parse_range(line: &[u8]) -> Option<Range> {
    // The name of a function, in any encoding, may follow the second `@@`.
    let line = String::from_utf8_lossy(line);
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let pair = |text: &str| -> Option<(usize, usize)> {
        let (start, len) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, len.parse().ok()?))
    };
    let ((old_start, old_len), (_, new_len)) = (pair(old)?, pair(new)?);
    Some(Range {
        old_start,
        old_len,
        new_len,
    })
}
