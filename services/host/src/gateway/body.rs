//! Bodies: of a known type, read whole, up to a size and a time.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};

use super::problem::Problem;

/// Bytes of a body: the bodies of 64 requests at once take half a gigabyte at most, and eight of the largest records fit.
const MAX: usize = 8 << 20;

/// Bytes of an over-long body that are read and thrown away: most clients look for the answer only after they have
/// sent all.
const PATIENCE: usize = 4 * MAX;

/// How long a client may take to send a body: it is on this machine.
const TIME: Duration = Duration::from_secs(10);

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// One JSON value.
    Json,
    /// A JSON value a line.
    Lines,
}

/// The type of a body, where it is one of these.
///
/// # Errors
/// 415, with those that are taken.
pub(super) fn media(headers: &HeaderMap, taken: &[Media]) -> Result<Media, Problem> {
    let refused = |what: &str| {
        let names = taken
            .iter()
            .map(|media| media.name())
            .collect::<Vec<_>>()
            .join(", ");
        let detail = format!("{what}; this door takes {names}");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Problem::new(
            status,
            "unsupported-media-type",
            "The body is of another type",
            detail,
        )
        .header(header::ACCEPT, &names)
    };
    let coding = headers.get(header::CONTENT_ENCODING);
    if coding.is_some_and(|coding| coding != "identity") {
        return Err(refused("the body is compressed; send it as it is"));
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(refused("the header Content-Type is missing"));
    };
    let text = value.to_str().unwrap_or_default();
    let name = text.split(';').next().unwrap_or_default().trim();
    let media = taken
        .iter()
        .find(|media| media.name().eq_ignore_ascii_case(name));
    media.copied().ok_or_else(|| {
        let said: String = text.chars().take(80).collect();
        refused(&format!("the header Content-Type says {said:?}"))
    })
}

impl Media {
    fn name(self) -> &'static str {
        match self {
            Media::Json => "application/json",
            Media::Lines => "application/x-ndjson",
        }
    }
}

/// Reads a body whole.
///
/// # Errors
/// 413, 408, or 400 where the client broke off.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let announced = body.size_hint().lower();
    if announced > MAX as u64 && headers.contains_key(header::EXPECT) {
        return Err(too_large());
    }
    match tokio::time::timeout(TIME, collect(body)).await {
        Ok(read) => read,
        Err(_) => {
            let detail = format!(
                "the body did not come within {} s; send less at once",
                TIME.as_secs()
            );
            let status = StatusCode::REQUEST_TIMEOUT;
            Err(
                Problem::new(status, "too-slow", "The body did not come in time", detail)
                    .header(header::CONNECTION, "close"),
            )
        }
    }
}

async fn collect(mut body: Body) -> Result<Vec<u8>, Problem> {
    let (mut bytes, mut total) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Problem::bad("the body broke off; send it again"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        total += data.len();
        if total > PATIENCE {
            break;
        }
        if total > MAX {
            bytes = Vec::new();
        } else {
            bytes.extend_from_slice(&data);
        }
    }
    if total > MAX {
        Err(too_large())
    } else {
        Ok(bytes)
    }
}

fn too_large() -> Problem {
    Problem::too_large(format!(
        "a body has at most {MAX} bytes; send the records in several requests"
    ))
}
