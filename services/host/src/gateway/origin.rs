//! Who may knock: programs of this machine. A web page in a browser of this machine is none: it reaches the loopback
//! address by a name of its own (DNS rebinding), or says where it comes from.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Names of the loopback address.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Lets a request through that was sent to a name of the loopback address, by no page of another.
pub(super) async fn check(request: Request, next: Next) -> Response {
    match refused(request.headers(), request.uri()) {
        None => next.run(request).await,
        Some(problem) => problem.into_response(),
    }
}

fn refused(headers: &HeaderMap, uri: &Uri) -> Option<Problem> {
    let host = match headers.get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => uri
            .authority()
            .map(|authority| authority.as_str())
            .or(Some("localhost")),
    };
    if !host.is_some_and(is_loopback) {
        let detail =
            "the header Host names another machine; ask by http://127.0.0.1 or http://localhost";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Some(Problem::new(
            status,
            "foreign-host",
            "This door serves its own machine only",
            detail,
        ));
    }
    let origin = headers.get(header::ORIGIN)?;
    let page = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    if page.is_some_and(|(_, host)| is_loopback(host)) {
        return None;
    }
    let detail = "the header Origin names a page of another machine; leave it out, or ask from a page of this one";
    Some(Problem::new(
        StatusCode::FORBIDDEN,
        "foreign-origin",
        "Pages of other machines may not ask",
        detail,
    ))
}

/// Whether a host, perhaps with a port, is a name of the loopback address.
fn is_loopback(host: &str) -> bool {
    let named = |name: &str| {
        let rest = host
            .get(..name.len())
            .filter(|start| start.eq_ignore_ascii_case(name));
        let port = rest.and_then(|_| host.get(name.len()..));
        port.is_some_and(|port| {
            port.is_empty()
                || port
                    .strip_prefix(':')
                    .is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    NAMES.iter().any(|name| named(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_address_are_its_own() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:7878",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "127.0.0.1:x",
            "::1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
