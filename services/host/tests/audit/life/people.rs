//! Who publishes, asks and requests over HTTP, at the end of a day.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mainstem_host::Store;
use mainstem_kernel::Partition;

use super::{BEGIN, DAY, HOUR};

/// The people, and the door that they go to.
pub struct People<'a> {
    pub store: &'a Store,
    pub address: SocketAddr,
}

impl People<'_> {
    pub fn act(&self, day: i64) {
        match day {
            3 => self.ask("retrain", "requests.trigger", "a", r#"{"note": "now"}"#),
            // A row of next month, one that comes late and is about a stranger, and two that say otherwise than before.
            5 => {
                let today = BEGIN + 4 * DAY;
                self.row("eve", BEGIN + 40 * DAY, 0);
                self.row("eve", today + 3 * HOUR, 0);
                self.row("ada", today + 4 * HOUR, 0);
                self.row("ada", today + 4 * HOUR, 1);
            }
            4 | 10 | 18 => {
                let row = |n: i64| format!("[{}, 0.75, 0]", n as f64 / 8.0);
                let body = format!(
                    r#"{{"inputs": [{{"name": "input", "datatype": "FP64", "shape": [2, 3], "data": [{}, {}]}}], "parameters": {{"entity": "ada"}}}}"#,
                    row(day),
                    row(day + 1)
                );
                self.post("/v2/models/late/infer", Some(&format!("q{day}")), &body);
            }
            16 => self.ask("retrain", "requests.trigger", "b", r#"{"note": "again"}"#),
            17 => {
                self.ask("retrain", "requests.trigger", "c", r#"{"note": "more"}"#);
                self.ask("rollback", "requests.rollout", "d", "{}");
            }
            _ => {}
        }
    }

    fn row(&self, customer: &str, at: i64, late: u8) {
        let row = format!(r#"{{"customer":"{customer}","at":{at},"x":0.5,"y":0.5,"late":{late}}}"#);
        self.post("/v1/sources/orders", None, &row);
    }

    /// Asks without waiting for the answer, which the next tick brings.
    fn ask(&self, what: &str, topic: &str, key: &str, body: &str) {
        let mut reader = self.store.log.reader().unwrap();
        let partition = Partition::new(&format!("shop.{topic}"), 0);
        let before = reader.range(&partition).unwrap().end;
        let stream = self.send(&format!("/v1/models/late/{what}"), Some(key), body);
        while reader.range(&partition).unwrap().end == before {
            let seen = self.store.log.seen();
            self.store.log.wait(seen, Duration::from_millis(10));
        }
        drop(stream);
    }

    fn post(&self, path: &str, key: Option<&str>, body: &str) {
        let mut text = String::new();
        self.send(path, key, body)
            .read_to_string(&mut text)
            .unwrap();
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    }

    fn send(&self, path: &str, key: Option<&str>, body: &str) -> TcpStream {
        let key = key.map_or_else(String::new, |key| format!("idempotency-key: {key}\r\n"));
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{key}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }
}
