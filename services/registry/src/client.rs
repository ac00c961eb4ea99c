//! A client of an outside registry: schemas by their ids, and ids for schemas.
//!
//! Every call is bounded: it is tried three times where a try may help, each time within seconds. What is refused is told with
//! what to do; passwords appear nowhere.

mod error;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainstem_schemas::registry::Reference;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, http::Response};

pub use error::ClientError;

use crate::Ids;
use crate::text::{record_name, whole};

/// Tries of one call: a registry that restarts or elects another is back within some seconds.
const TRIES: u32 = 3;

/// Before the second try; before each further one it is doubled.
const PAUSE: Duration = Duration::from_millis(300);

/// How long a connection, and a whole try, may take. Answers of a registry take milliseconds.
const CONNECT: Duration = Duration::from_secs(5);
const TRY: Duration = Duration::from_secs(15);

/// Bytes of an answer: far above any schema.
const MAX_ANSWER: u64 = 8 << 20;

/// How deep references may refer on.
const MAX_CHAIN: usize = 32;

/// A registry's own code for an id that it does not have. A proxy in front of one that is away says 404, too.
const NO_SCHEMA: i64 = 40403;

/// How an outside registry is reached.
#[derive(Clone, Default)]
pub struct Options {
    /// `http://host:port` or `https://…`, without user or password.
    pub url: String,
    /// User and password, or an API key and its secret.
    pub user: Option<(String, String)>,
    /// Certificates (PEM) to trust instead of the public ones.
    pub ca: Option<Vec<u8>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|(user, _)| user);
        let mut shown = f.debug_struct("Options");
        shown
            .field("url", &self.url)
            .field("user", &user)
            .finish_non_exhaustive()
    }
}

/// A client of an outside registry.
pub struct Client {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fetched {
    schema: String,
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

impl Client {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// [`ClientError::Options`].
    pub fn new(options: &Options) -> Result<Client, ClientError> {
        let wrong = |what, why: &str| ClientError::Options {
            what,
            why: why.into(),
        };
        let url = options.url.trim_end_matches('/');
        let host = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        let host =
            host.ok_or_else(|| wrong("address", "it begins with neither http:// nor https://"))?;
        if host.contains('@') {
            let why = "it holds a user; give user and password by options of their own, for addresses are shown";
            return Err(wrong("address", why));
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(TRY));
        if let Some(pem) = &options.ca {
            let certificates: Vec<_> = parse_pem(pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err(wrong(
                    "certificates",
                    "the file holds none; give them as PEM",
                ));
            }
            let roots = RootCerts::new_with_certs(&certificates);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let basic = |(user, password): &(String, String)| {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        };
        Ok(Client {
            agent: config.build().into(),
            url: url.to_owned(),
            authorization: options.user.as_ref().map(basic),
        })
    }

    /// The Avro schema of an id, with what it refers to in it. It never changes, and may be kept.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn schema_by_id(&self, id: u32) -> Result<String, ClientError> {
        let (status, body) = self.call("GET", &format!("/schemas/ids/{id}"), None)?;
        if status == 404 && error_code(&body) == Some(NO_SCHEMA) {
            let url = self.url.clone();
            return Err(ClientError::NoSchema { url, id });
        }
        let fetched: Fetched = self.read(status, &body)?;
        if let Some(kind) = fetched.schema_type.filter(|kind| kind != "AVRO") {
            return Err(ClientError::NotAvro { id, kind });
        }
        let references = fetched.references.unwrap_or_default();
        if references.is_empty() {
            return Ok(fetched.schema);
        }
        let mut referred = BTreeMap::new();
        self.gather(&references, &mut referred, 0)?;
        whole(&fetched.schema, &referred).map_err(|why| self.no_registry(why.to_string()))
    }

    fn gather(
        &self,
        references: &[Reference],
        into: &mut BTreeMap<String, String>,
        chain: usize,
    ) -> Result<(), ClientError> {
        if chain > MAX_CHAIN {
            let why = format!("a schema's references refer on more than {MAX_CHAIN} times");
            return Err(self.no_registry(why));
        }
        for Reference {
            name,
            subject,
            version,
        } in references
        {
            let path = format!(
                "/subjects/{}/versions/{version}?deleted=true",
                escaped(subject)
            );
            let (status, body) = self.call("GET", &path, None)?;
            let fetched: Fetched = self.read(status, &body)?;
            let name = record_name(&fetched.schema).unwrap_or_else(|| name.clone());
            if into.insert(name, fetched.schema).is_none() {
                self.gather(&fetched.references.unwrap_or_default(), into, chain + 1)?;
            }
        }
        Ok(())
    }

    /// The id of a schema under a subject; registers it where it is new.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32, ClientError> {
        let path = format!("/subjects/{}/versions", escaped(subject));
        let (status, body) = self.call("POST", &path, Some(&json!({"schema": schema})))?;
        if matches!(status, 409 | 422) {
            let told: Value = serde_json::from_str(&body).unwrap_or_default();
            return Err(ClientError::NotTaken {
                url: self.url.clone(),
                subject: subject.into(),
                code: error_code(&body).unwrap_or(status.into()),
                message: told["message"]
                    .as_str()
                    .unwrap_or(&body)
                    .chars()
                    .take(1000)
                    .collect(),
            });
        }
        let Registered { id } = self.read(status, &body)?;
        Ok(id)
    }

    fn read<T: DeserializeOwned>(&self, status: u16, body: &str) -> Result<T, ClientError> {
        if status != 200 {
            let said: String = body.chars().take(200).collect();
            return Err(self.no_registry(format!("it answers {status}: {said}")));
        }
        serde_json::from_str(body).map_err(|error| self.no_registry(error.to_string()))
    }

    fn no_registry(&self, why: String) -> ClientError {
        let url = self.url.clone();
        ClientError::NoRegistry { url, why }
    }

    /// Status and body of an answer. All calls may be repeated: registering twice registers once.
    fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String), ClientError> {
        let mut why = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(PAUSE * 2u32.pow(attempt - 1));
            }
            match self.try_once(method, path, body).and_then(told) {
                Ok((status @ (401 | 403), _)) => {
                    let url = self.url.clone();
                    return Err(ClientError::Refused { url, status });
                }
                Ok((status, text)) if status == 429 || status >= 500 => {
                    let said: String = text.chars().take(200).collect();
                    why = format!("it answers {status}: {said}");
                }
                Ok(answer) => return Ok(answer),
                Err(error) => why = error.to_string(),
            }
        }
        let url = self.url.clone();
        Err(ClientError::Silent { url, why })
    }

    fn try_once(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Body>, ureq::Error> {
        let media = "application/vnd.schemaregistry.v1+json";
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("accept", media);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        match body {
            Some(body) => self.agent.run(
                request
                    .header("content-type", media)
                    .body(body.to_string())?,
            ),
            None => self.agent.run(request.body(())?),
        }
    }
}

/// A registry's word for what is wrong, where it is one that answers.
fn error_code(body: &str) -> Option<i64> {
    let told: Value = serde_json::from_str(body).ok()?;
    told["error_code"].as_i64()
}

fn told(mut response: Response<Body>) -> Result<(u16, String), ureq::Error> {
    let text = response
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_string()?;
    Ok((response.status().as_u16(), text))
}

impl Ids for Client {
    fn id(&mut self, subject: &str, schema: &str) -> Result<u32, String> {
        self.register(subject, schema)
            .map_err(|error| error.to_string())
    }
}

/// A subject as a part of a path.
fn escaped(subject: &str) -> String {
    let mut path = String::new();
    for byte in subject.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                path.push(char::from(byte))
            }
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn options_that_cannot_be_used_are_told() {
        let refused = |options: Options| Client::new(&options).err().unwrap().to_string();
        let of = |url: &str| Options {
            url: url.into(),
            ..Options::default()
        };
        assert!(refused(of("registry:8081")).contains("http://"));
        let told = refused(of("https://ada:secret@registry"));
        assert!(
            told.contains("options of their own") && !told.contains("secret"),
            "{told}"
        );
        let ca = Some(b"no certificate".to_vec());
        assert!(
            refused(Options {
                ca,
                ..of("https://registry")
            })
            .contains("PEM")
        );
        let user = Some(("ada".to_owned(), "secret".to_owned()));
        assert!(
            !format!(
                "{:?}",
                Options {
                    user,
                    ..of("http://r")
                }
            )
            .contains("secret")
        );
    }

    #[test]
    fn whoever_does_not_answer_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::new(&Options {
            url: url.clone(),
            ..Options::default()
        })
        .unwrap();
        let told = client.schema_by_id(1).unwrap_err().to_string();
        assert!(
            told.contains(&url) && told.contains("see that it runs"),
            "{told}"
        );
    }

    /// What is written down as missing stays so: only a registry may say it.
    #[test]
    fn only_a_registry_says_that_there_is_no_schema() {
        let says = |body: &str| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 404 Not Found\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let door = std::thread::spawn(move || {
                let (mut asker, _) = listener.accept().unwrap();
                let mut head = [0; 4096];
                assert!(asker.read(&mut head).unwrap() > 0);
                asker.write_all(answer.as_bytes()).unwrap();
            });
            let options = Options {
                url,
                ..Options::default()
            };
            let told = Client::new(&options).unwrap().schema_by_id(7).unwrap_err();
            door.join().unwrap();
            told
        };
        let registry = says(r#"{"error_code":40403,"message":"Schema 7 not found"}"#);
        assert!(
            matches!(registry, ClientError::NoSchema { id: 7, .. }),
            "{registry}"
        );
        for body in [
            "default backend - 404",
            r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#,
        ] {
            let other = says(body);
            assert!(
                matches!(other, ClientError::NoRegistry { .. }) && other.to_string().contains(body),
                "{other}"
            );
        }
    }

    #[test]
    fn subjects_are_parts_of_a_path() {
        assert_eq!(escaped("a.b-c_value/ü 1"), "a.b-c_value%2F%C3%BC%201");
    }
}
