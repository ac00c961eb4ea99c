//! Numbers of sources: they are in the ids of rows, so a source keeps its own for life.

use mainstem_schemas::definition::Project;

/// Gives the sources of a new definition the numbers that they have in the one in force, and new sources the numbers
/// after the highest. A file alone cannot know: [`crate::parse`] counts by name, and a source whose name comes first in
/// the alphabet would move the others.
///
/// A source that was taken out and comes back later is a new one, unless it is in `before`.
pub fn keep_numbers(project: &mut Project, before: &Project) {
    let mut last = before
        .sources
        .values()
        .map(|source| source.number)
        .max()
        .unwrap_or(0);
    for (name, source) in &mut project.sources {
        source.number = match before.sources.get(name) {
            Some(known) => known.number,
            None => {
                last = last.saturating_add(1);
                last
            }
        };
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
        keep_numbers(&mut after, &before);
        let numbers: Vec<_> = after
            .sources
            .iter()
            .map(|(name, s)| (name.as_str(), s.number))
            .collect();
        assert_eq!(numbers, [("a", 3), ("m", 1), ("z", 2)]);
    }
}
