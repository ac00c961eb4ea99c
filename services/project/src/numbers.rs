//! Numbers of sources: they are in the ids of rows, so a source keeps its own for life.

use std::collections::BTreeMap;

use mainstem_schemas::definition::Project;

/// Gives the sources of a new definition the numbers that they had in the definitions before it, the oldest first, and
/// new sources the numbers after the highest that any source ever had. A file alone cannot know: [`crate::parse`] counts
/// by name, and a source whose name comes first in the alphabet would move the others. The definition in force does not
/// know either: a source that was taken out has left rows behind, whose ids hold its number.
pub fn keep_numbers(project: &mut Project, before: &[Project]) {
    let known = || before.iter().flat_map(|before| &before.sources);
    let mut last = known().map(|(_, source)| source.number).max().unwrap_or(0);
    let numbers: BTreeMap<&String, u16> = known()
        .map(|(name, source)| (name, source.number))
        .collect();
    for (name, source) in &mut project.sources {
        source.number = numbers.get(name).copied().unwrap_or_else(|| {
            last = last.saturating_add(1);
            last
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(names: &[&str]) -> Project {
        let source = |name: &&str| {
            format!(
                "  {name}: {{fields: {{x: double}}, entity: {{constant: a}}, time: {{start: 2024-01-01, every: 1h}}}}\n"
            )
        };
        let sources: String = names.iter().map(source).collect();
        let view = format!(
            "views:\n  v: {{source: {}, features: {{x: x}}}}\n",
            names[0]
        );
        crate::parse("t.yaml", &format!("project: p\nsources:\n{sources}{view}")).unwrap()
    }

    #[test]
    fn a_new_source_moves_no_other() {
        let before = sources(&["m", "z"]);
        let mut after = sources(&["a", "m", "z"]);
        assert_eq!(after.sources["m"].number, 2);
        keep_numbers(&mut after, &[before]);
        let numbers: Vec<_> = after
            .sources
            .iter()
            .map(|(name, s)| (name.as_str(), s.number))
            .collect();
        assert_eq!(numbers, [("a", 3), ("m", 1), ("z", 2)]);
    }

    #[test]
    fn the_number_of_a_source_that_was_taken_out_stays_its_own() {
        let mut history = vec![sources(&["a", "b"]), sources(&["a"])];
        let mut next = sources(&["a", "c"]);
        keep_numbers(&mut next, &history);
        assert_eq!((next.sources["a"].number, next.sources["c"].number), (1, 3));
        history.push(next);
        let mut again = sources(&["b", "c"]);
        keep_numbers(&mut again, &history);
        assert_eq!(
            (again.sources["b"].number, again.sources["c"].number),
            (2, 3)
        );
    }
}
