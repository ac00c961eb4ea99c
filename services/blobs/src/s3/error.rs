//! Why S3 refused, and what to do. The answers of a store may hold what it was asked with (a key's id, a signature), so
//! none of their texts is told, only their codes.

use std::error::Error as _;

use mainstem_kernel::runner::BlobError;
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// Longest code that is believed to be one.
const MAX_CODE: usize = 64;

/// Whether the store says that it has no such object; a bucket that is not there is something else.
pub(super) fn missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && code(error).as_deref() != Some("NoSuchBucket")
}

/// What was said, and what to do about it.
pub(super) struct Remedy {
    said: String,
    remedy: &'static str,
}

impl Remedy {
    pub fn of(error: &Error) -> Self {
        match (code(error), transport(error)) {
            (Some(code), _) => Remedy {
                remedy: remedy(&code),
                said: code,
            },
            (None, Some(kind)) => Remedy {
                said: match kind {
                    HttpErrorKind::Connect => "nobody answers".into(),
                    HttpErrorKind::Timeout => "no answer in time".into(),
                    kind => format!("the connection failed ({kind:?})"),
                },
                remedy: UNREACHED,
            },
            (None, None) => Remedy::without_a_code(error),
        }
    }

    /// What did not come from the store with a code.
    fn without_a_code(error: &Error) -> Self {
        let (said, remedy) = match error {
            Error::PermissionDenied { .. } => ("access denied", RIGHTS),
            Error::Unauthenticated { .. } => ("credentials refused", CREDENTIALS),
            _ if error.to_string().contains("redirect") => ("another region or endpoint", REGION),
            _ => ("it gave no reason that is known", SETTINGS),
        };
        Remedy {
            said: said.into(),
            remedy,
        }
    }

    pub fn told(self, place: &str, what: &str) -> BlobError {
        let Remedy { said, remedy } = self;
        BlobError::Store(format!("{place} was not {what}: {said}; {remedy}"))
    }
}

const UNREACHED: &str = "look whether the store is up and can be reached from here, and check AWS_ENDPOINT_URL and AWS_REGION \
                         (and AWS_ALLOW_HTTP=true where the endpoint is plain http, or SSL_CERT_FILE where an authority \
                         of your own signs its certificate); without AWS_ACCESS_KEY_ID, the role of this \
                         machine is asked for, which not every machine has";
const CREDENTIALS: &str = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN where they are temporary)";
const RIGHTS: &str = "grant s3:GetObject, s3:PutObject and s3:AbortMultipartUpload below the prefix, and s3:ListBucket on the bucket";
const REGION: &str = "set AWS_REGION to the bucket's region, and AWS_ENDPOINT_URL to its endpoint";
const SETTINGS: &str =
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL";

/// By the codes of S3's API reference.
fn remedy(code: &str) -> &'static str {
    match code {
        "NoSuchBucket" => "create the bucket, or name another with --blobs",
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "ExpiredToken"
        | "InvalidSecurity"
        | "InvalidClientTokenId" => CREDENTIALS,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => RIGHTS,
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => REGION,
        "RequestTimeTooSkewed" => "set this machine's clock",
        "SlowDown" | "InternalError" | "ServiceUnavailable" | "RequestTimeout" => {
            "the store is overloaded or out of order; it is tried again"
        }
        _ => SETTINGS,
    }
}

/// The code in the XML that S3 answers a refusal with.
fn code(error: &Error) -> Option<String> {
    let text = error.to_string();
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_code = code.len() <= MAX_CODE && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_code.then(|| code.to_owned())
}

/// How the transport failed, where it did.
fn transport(error: &Error) -> Option<HttpErrorKind> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(http) = inner.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        cause = inner.source();
    }
    None
}
