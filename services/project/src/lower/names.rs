//! Names and what they stand for, looked up in the file.

use std::ops::Range;

use mainstem_schemas::definition::FieldType;

use crate::diagnostic::Report;
use crate::suggest::{did_you_mean, listed};
use crate::tree::{Key, Node, shown};

/// A column's type and whether it may be missing; nothing of a word that is no type.
pub(super) fn column_type(word: &str) -> Option<(FieldType, bool)> {
    let (name, optional) = match word.strip_suffix('?') {
        Some(name) => (name, true),
        None => (word, false),
    };
    let kind = match name {
        "double" => FieldType::Double,
        "long" => FieldType::Long,
        "boolean" => FieldType::Boolean,
        "string" => FieldType::String,
        _ => return None,
    };
    Some((kind, optional))
}

/// The columns of a source in the file; nothing where there is no mapping of them to look in.
pub(super) fn columns(source: Option<&Node>) -> Option<&[(Key, Node)]> {
    let fields = source?.get("fields")?.entries();
    (!fields.is_empty()).then_some(fields)
}

/// The object of one of the file's tables that a view or model names; without a name, the only one.
pub(super) fn object<'a>(
    root: &'a Node,
    table: &str,
    owner: &Key,
    named: Option<&'a Node>,
    report: &mut Report,
) -> Option<(&'a Key, &'a Node)> {
    let objects = root.get(table).map(Node::entries).unwrap_or_default();
    let what = table.trim_end_matches('s');
    let names = || objects.iter().map(|(key, _)| key.text.as_str());
    let Some(named) = named else {
        if let [(key, node)] = objects {
            return Some((key, node));
        }
        if !objects.is_empty() {
            let message = format!(
                "`{}` must say its {what}: there are several",
                shown(&owner.text)
            );
            report.error(owner.span.clone(), message).help(format!(
                "write `{what}: ...` with one of: {}",
                listed(names())
            ));
        }
        return None;
    };
    let name = named.text()?;
    let found = objects.iter().find(|(key, _)| key.text == name);
    if found.is_none() {
        unknown(report, named.span.clone(), what, name, names());
    }
    found.map(|(key, node)| (key, node))
}

/// A name that stands for nothing.
pub(super) fn unknown<'a>(
    report: &mut Report,
    span: Range<usize>,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) {
    // Each is compared with every name that there is.
    let meant = (!report.is_full()).then(|| did_you_mean(name, known.clone()));
    let diagnostic = report.error(span, format!("there is no {what} `{}`", shown(name)));
    if let Some(meant) = meant.flatten() {
        diagnostic.label(meant);
    }
    diagnostic.help(match listed(known) {
        none if none.is_empty() => format!("declare a {what} of this name"),
        names => format!("there are: {names}"),
    });
}
