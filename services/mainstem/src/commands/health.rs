//! `health`: asks the health door of a service on this machine, for images that hold no other program that could.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use super::Done;
use crate::cli::Health;

/// How long an answer may take: whether it is ready is read from the log.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than an answer has.
const MAX_ANSWER: u64 = 1 << 16;

pub fn health(options: &Health) -> Done {
    let port = options.port;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let answer = ask(address).map_err(|error| {
        format!("nothing answers on port {port}: {error}; is a service started with --port {port}?")
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        out!("{body}");
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("the service on port {port} is not ready: {body}").into())
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}
