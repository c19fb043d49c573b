//! Finds what the user probably meant.

/// The candidate most like `wrong`, if one is like enough to be worth proposing.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(wrong, c), c))
        // A third of the letters may differ, and one or two of any word.
        .filter(|(distance, c)| *distance <= (c.chars().count() / 3).max(2).min(c.len()))
        // Of words as like as each other the first in the alphabet, so that messages are stable.
        .min_by(|a, b| a.cmp(b))
        .map(|(_, c)| c.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn proposes_the_likely_word_or_none() {
        let check = |wrong, expected: Option<&str>| {
            let found = nearest(wrong, ["module", "program", "source", "entrypoint"]);
            assert_eq!(found.as_deref(), expected, "{wrong}");
        };
        check("moduel", Some("module"));
        check("entry-point", Some("entrypoint"));
        check("sources", Some("source"));
        check("sauce", Some("source"));
        check("zebra-crossing", None);
        check("", None);
    }
}
