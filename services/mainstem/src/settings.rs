//! Settings of Kafka's client in a file, as Kafka's own tools take them: `key=value` a line, `#` before a comment.
//!
//! A value may stand elsewhere, so that the file holds no secret: `${env:NAME}` is a variable of the environment,
//! `${file:PATH}` the first line of a file. No error repeats a value.

use std::collections::BTreeMap;
use std::path::Path;

/// Reads a file of settings.
///
/// # Errors
/// What is wrong, with the line; never a value.
pub fn read(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let file = file.display();
        format!("{file}: {error}; name a file that can be read with --kafka-config")
    })?;
    let told = |(line, why)| format!("{}, line {line}: {why}", file.display());
    parse(&text).map_err(told)
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, (usize, String)> {
    let mut settings = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fail = |why: String| (index + 1, why);
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| fail("no `=`; write key=value".into()))?;
        let (key, value) = (key.trim(), resolve(value.trim()).map_err(fail)?);
        if settings.insert(key.to_owned(), value).is_some() {
            return Err(fail(format!("{key} is set twice; leave one out")));
        }
    }
    Ok(settings)
}

/// The value, or what it stands for.
fn resolve(value: &str) -> Result<String, String> {
    let Some(inner) = value.strip_prefix("${").and_then(|v| v.strip_suffix('}')) else {
        return Ok(value.to_owned());
    };
    match inner.split_once(':') {
        Some(("env", name)) => std::env::var(name)
            .map_err(|_| format!("the variable {name} is not set, or is no text; set it")),
        Some(("file", path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{path}: {error}; name a file that can be read"))?;
            Ok(text.lines().next().unwrap_or_default().to_owned())
        }
        _ => Err("a value in ${…} is ${env:NAME} or ${file:PATH}".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_where_they_stand() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "hunter2\n").unwrap();
        let text = format!(
            "# ours\n\nsecurity.protocol = SASL_SSL\nsasl.password=${{file:{}}}\nsasl.username=${{env:PATH}}\nssl.x=a=b\n",
            secret.display()
        );
        let settings = parse(&text).unwrap();
        let get = |key: &str| settings[key].as_str();
        assert_eq!(get("security.protocol"), "SASL_SSL");
        assert_eq!(get("sasl.password"), "hunter2");
        assert_eq!(get("sasl.username"), std::env::var("PATH").unwrap());
        assert_eq!((get("ssl.x"), settings.len()), ("a=b", 4));
    }

    #[test]
    fn mistakes_name_the_line_and_no_value() {
        let wrong = [
            ("a=1\nhunter2\n", 2, "key=value"),
            ("a=hunter2\na=hunter2\n", 2, "set twice"),
            ("a=${hunter2}\n", 1, "${env:NAME}"),
            ("a=${env:MAINSTEM_NOT_SET}", 1, "MAINSTEM_NOT_SET"),
            ("\n\na=${file:/nowhere/at/all}", 3, "/nowhere/at/all"),
        ];
        for (text, line, word) in wrong {
            let (at, why) = parse(text).unwrap_err();
            assert!(at == line && why.contains(word), "{text:?}: {at}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
