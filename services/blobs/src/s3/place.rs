//! `s3://bucket/prefix`.

use std::fmt;

use object_store::path::Path;

/// What the name of a bucket begins with.
pub const SCHEME: &str = "s3://";

/// A bucket, and what all keys in it begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub bucket: String,
    prefix: Path,
}

impl Place {
    /// From what a user says. The text is told in errors, so nothing of it may be a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            Err(format!(
                "the blob store is no s3://BUCKET/PREFIX: {why}; credentials and endpoint go into the environment \
                 (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL)"
            ))
        };
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return wrong("it does not begin with s3://");
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.is_empty() || !bucket.chars().all(allowed) {
            return wrong("a bucket's name has letters, digits, dots and hyphens only");
        }
        match Path::parse(prefix.trim_end_matches('/')) {
            Ok(prefix) if !prefix.as_ref().contains(['?', '#']) => Ok(Place {
                bucket: bucket.into(),
                prefix,
            }),
            _ => wrong("the prefix is no path"),
        }
    }

    /// The key of what lies at `name` in the store.
    pub fn key(&self, name: &str) -> Path {
        self.prefix
            .parts()
            .chain(Path::from(name).parts())
            .collect()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_and_a_prefix_of_any_depth() {
        let key = |text: &str| {
            let place = Place::parse(text).unwrap();
            (place.bucket.clone(), place.key("ab/abcd").to_string())
        };
        let told = |bucket: &str, key: &str| (bucket.to_owned(), key.to_owned());
        assert_eq!(key("s3://b.x-1"), told("b.x-1", "ab/abcd"));
        assert_eq!(key("s3://b/"), told("b", "ab/abcd"));
        assert_eq!(key("s3://b/one/two/"), told("b", "one/two/ab/abcd"));
    }

    #[test]
    fn what_is_no_place_is_refused_without_being_told() {
        for text in [
            "s3:/b",
            "s3://",
            "s3:///x",
            "s3://key:hush@b/x",
            "s3://b/x//y",
            "s3://b/x?hush=1",
            "b",
        ] {
            let refused = Place::parse(text).unwrap_err();
            assert!(
                refused.contains("AWS_ACCESS_KEY_ID") && !refused.contains("hush"),
                "{refused}"
            );
        }
    }
}
