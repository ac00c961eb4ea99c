//! "Did you mean": the nearest name that would have been right.

/// Words of other tools for what is meant here; distance alone would not find them.
const SYNONYMS: [(&str, &str); 22] = [
    ("avg", "mean"),
    ("average", "mean"),
    ("bool", "boolean"),
    ("date", "string"),
    ("datetime", "string"),
    ("delta", "change"),
    ("diff", "difference"),
    ("divide", "ratio"),
    ("float", "double"),
    ("float64", "double"),
    ("int", "long"),
    ("int64", "long"),
    ("integer", "long"),
    ("key", "entity"),
    ("name", "project"),
    ("number", "double"),
    ("shift", "lag"),
    ("stddev", "std_sample"),
    ("target", "label"),
    ("text", "string"),
    ("timestamp", "long"),
    ("window", "last"),
];

/// Names longer than this are not compared: distance takes the product of the lengths.
const LONGEST: usize = 64;

/// The name among `known` that `given` is most like, if it is like any.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if given.len() > LONGEST {
        return None;
    }
    let given = given.to_lowercase();
    let meant = SYNONYMS.iter().find(|(theirs, _)| *theirs == given);
    let distance = |name: &str| {
        let lower = name.to_lowercase();
        if meant.is_some_and(|(_, ours)| *ours == name) || lower.replace('_', "") == given {
            return 0;
        }
        strsim::damerau_levenshtein(&given, &lower)
    };
    let near = known
        .into_iter()
        .filter(|name| name.len() <= LONGEST)
        .map(|name| (distance(name), name));
    // One slip in every three letters: more, and the suggestion is more puzzling than none.
    let allowed = (given.chars().count() / 3).max(1);
    near.filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// `did you mean ...?`, or nothing.
pub(crate) fn did_you_mean<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(given, known).map(|name| format!("did you mean `{name}`?"))
}

/// The names as a sentence has them: `a`, `b`, `c`; the first ones, where there are many.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    /// As many as fit on a line or two.
    const SHOWN: usize = 16;
    let quoted: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{name}`"))
        .take(SHOWN + 1)
        .collect();
    match quoted.get(..SHOWN) {
        Some(shown) if quoted.len() > SHOWN => shown.join(", ") + " ...",
        _ => quoted.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_other_tools_words_are_understood() {
        let known = ["features", "label", "mean", "std_sample", "min_rows"];
        assert_eq!(nearest("featurs", known), Some("features"));
        assert_eq!(nearest("Features", known), Some("features"));
        assert_eq!(nearest("avg", known), Some("mean"));
        assert_eq!(nearest("target", known), Some("label"));
        assert_eq!(nearest("minrows", known), Some("min_rows"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(["a", "b"]), "`a`, `b`");
        assert!(listed(["a"; 17]).ends_with("..."));
    }
}
