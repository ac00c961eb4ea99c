//! Whether a page is well-formed: every tag closed where it was opened, every attribute in quotes, nothing fetched.

/// What is wrong with a page; nothing where it is well.
pub fn mistake(page: &str) -> Option<String> {
    let rest = page.strip_prefix("<!DOCTYPE html>\n").unwrap_or_default();
    let (mut open, mut rest) = (Vec::new(), rest);
    while let Some(at) = rest.find('<') {
        if let Some(loose) = loose_ampersand(&rest[..at]) {
            return Some(loose);
        }
        let end = at + rest[at..].find('>')?;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop();
            if opened != Some(name) {
                return Some(format!("</{name}> closes {opened:?}"));
            }
            continue;
        }
        if tag.matches('"').count() % 2 == 1 {
            return Some(format!("quotes of <{tag}>"));
        }
        if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or_default());
        }
    }
    open.pop().map(|left| format!("<{left}> is not closed"))
}

fn loose_ampersand(text: &str) -> Option<String> {
    let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
    let loose = text
        .split('&')
        .skip(1)
        .find(|after| !known.iter().any(|name| after.starts_with(name)));
    loose.map(|after| format!("loose & before {after:.20}"))
}
