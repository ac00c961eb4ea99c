//! Who may knock: programs of this machine, and of others where it listens for them. A web page in somebody's browser is
//! none: it reaches the address by a name of its own (DNS rebinding), or says where it comes from. So what is asked for by
//! a name that nobody gave this process is not answered.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Names of the loopback address.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Names that are answered to.
#[derive(Clone)]
pub(super) struct Names(Arc<[String]>);

impl Names {
    /// The loopback address's, the address that is listened on, and those that were given; nothing where other machines
    /// would have no name to ask by.
    pub fn new(listen: IpAddr, hosts: &[String]) -> Option<Self> {
        let mut names: Vec<String> = LOOPBACK.map(str::to_owned).into();
        if !listen.is_unspecified() {
            names.push(match listen {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            });
        } else if hosts.is_empty() {
            return None;
        }
        names.extend_from_slice(hosts);
        Some(Names(names.into()))
    }
}

/// Lets a request through that was sent to a name of this process, by no page of another.
pub(super) async fn check(State(names): State<Names>, request: Request, next: Next) -> Response {
    match refused(&names, request.headers(), request.uri()) {
        None => next.run(request).await,
        Some(problem) => problem.into_response(),
    }
}

fn refused(names: &Names, headers: &HeaderMap, uri: &Uri) -> Option<Problem> {
    let host = match headers.get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => uri
            .authority()
            .map(|authority| authority.as_str())
            .or(Some("localhost")),
    };
    if !host.is_some_and(|host| is_one(names, host)) {
        let detail = "the header Host names another machine; ask by http://127.0.0.1 or http://localhost, or, if that is a name of this \
             one, start it with --host NAME";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Some(Problem::new(
            status,
            "foreign-host",
            "This door does not go by that name",
            detail,
        ));
    }
    let origin = headers.get(header::ORIGIN)?;
    let page = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    if page.is_some_and(|(_, host)| is_one(names, host)) {
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

/// Whether a host, perhaps with a port, is one of the names.
fn is_one(names: &Names, host: &str) -> bool {
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
    names.0.iter().any(|name| named(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listen: &str, hosts: &[&str]) -> Option<Names> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        Names::new(listen.parse().unwrap(), &hosts)
    }

    #[test]
    fn an_address_for_all_needs_names_and_one_of_its_own_is_a_name() {
        assert!(names("0.0.0.0", &[]).is_none() && names("::", &[]).is_none());
        let all = names("0.0.0.0", &["gateway", "ml.example"]).unwrap();
        for host in ["gateway:7878", "ML.example", "localhost:1"] {
            assert!(is_one(&all, host), "{host}");
        }
        for host in ["gateway.evil.example", "0.0.0.0", "10.0.0.7"] {
            assert!(!is_one(&all, host), "{host}");
        }
        assert!(is_one(&names("10.0.0.7", &[]).unwrap(), "10.0.0.7:80"));
        assert!(is_one(&names("fd00::7", &[]).unwrap(), "[fd00::7]:80"));
    }

    #[test]
    fn only_names_of_the_loopback_address_are_its_own() {
        let own = names("127.0.0.1", &[]).unwrap();
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:7878",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_one(&own, host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "127.0.0.1:x",
            "::1",
        ] {
            assert!(!is_one(&own, host), "{host}");
        }
    }
}
