//! Test support: an S3 server that we did not write, so that requests, signatures and refusals are proved and not mocked by
//! our own idea of them. It is moto (PyPI), from the Python environment of the tests.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use mainstem_test_python::script;
use serde::Deserialize;

/// A server; it dies with this value, and with this process.
#[derive(Debug)]
pub struct S3 {
    child: Child,
    /// It serves until this ends.
    _input: Option<ChildStdin>,
    told: Told,
}

#[derive(Debug, Deserialize)]
struct Told {
    endpoint: String,
    region: String,
    bucket: String,
    worker: Key,
    reader: Key,
}

/// A user's key.
#[derive(Debug, Deserialize)]
pub struct Key {
    /// What names it.
    pub id: String,
    /// What nobody may see.
    pub secret: String,
}

impl S3 {
    /// Starts a server with one bucket and two users.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub fn start() -> Result<S3, String> {
        S3::serve(None)
    }

    /// Starts a server that speaks TLS; the authority to trust is then the file `authority.pem` of this directory.
    ///
    /// # Errors
    /// As [`S3::start`].
    pub fn secured(dir: &Path) -> Result<S3, String> {
        S3::serve(Some(dir))
    }

    fn serve(dir: Option<&Path>) -> Result<S3, String> {
        let mut child = script("s3.py")?
            .args(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("the S3 server: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut line = String::new();
        let read = output.map(|output| BufReader::new(output).read_line(&mut line));
        let told = serde_json::from_str(&line).map_err(|error| {
            let _ = child.kill();
            let _ = child.wait();
            format!(
                "the S3 server does not start ({read:?}, {error}): run `cargo xtask test --setup`"
            )
        })?;
        Ok(S3 {
            child,
            _input: input,
            told,
        })
    }

    /// Its bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.told.bucket
    }

    /// The user who may do what Mainstem's manual asks for, and nothing else.
    #[must_use]
    pub fn worker(&self) -> &Key {
        &self.told.worker
    }

    /// The user who may read only.
    #[must_use]
    pub fn reader(&self) -> &Key {
        &self.told.reader
    }

    /// The environment of a process that uses the server as a user.
    #[must_use]
    pub fn environment(&self, key: &Key) -> Vec<(String, String)> {
        let plain = self.told.endpoint.starts_with("http:");
        [
            ("AWS_ACCESS_KEY_ID", key.id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &key.secret),
            ("AWS_REGION", &self.told.region),
            ("AWS_ENDPOINT_URL", &self.told.endpoint),
            ("AWS_ALLOW_HTTP", if plain { "true" } else { "false" }),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Ends the server at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.kill();
    }
}
