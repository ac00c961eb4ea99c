//! The README's way to one's own data, typed as it is printed: each command says what the README says it does.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::client::{Reply, request};
use crate::place::Place;
use crate::process::{Process, until};

const README: &str = include_str!("../../../../README.md");

/// The address in the README; the test takes a port that is free.
const ADDRESS: &str = "127.0.0.1:7878";

/// The blocks of a language in the section.
fn blocks(language: &str) -> Vec<&'static str> {
    let (_, section) = README.split_once("## Bring your own data").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let begin = format!("```{language}\n");
    let blocks = section.split(&begin).skip(1);
    blocks
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

/// The words of a command, some in quotes.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(place, part)| match place % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// A thousand orders of twenty customers, a day each; who spends much pays the next day.
fn orders() -> String {
    let mut text = format!("{}\n", blocks("csv")[0].lines().next().unwrap());
    let amount = |customer: u32, day: u32| (customer * 37 + day * 53) % 100;
    for day in 0..50 {
        for customer in 0..20 {
            let (month, of_month) = (1 + day / 28, 1 + day % 28);
            let paid = day > 0 && amount(customer, day - 1) > 50;
            let spent = f64::from(amount(customer, day)) / 10.0;
            let at = format!("2024-{month:02}-{of_month:02}T08:00:00Z");
            writeln!(text, "c{customer},{spent},{paid},{at}").unwrap();
        }
    }
    text
}

/// What the commands of a reader leave behind.
struct Reader {
    up: Option<(Process, SocketAddr)>,
    place: Place,
    prediction: String,
}

impl Reader {
    /// Does what a line says; what is printed.
    fn does(&mut self, command: &str) -> String {
        let words = words(command.trim_end_matches(" &"));
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.remove(0) {
            "mainstem" if words[0] == "up" => {
                let mut up = self.place.start(&[&words[..], &["--port", "0"]].concat());
                let address = up.address();
                let said = up.out().replace(&address.to_string(), ADDRESS);
                self.up = Some((up, address));
                said
            }
            "mainstem" => {
                let known = |word: &&str| *word != "PREDICTION";
                let mut args: Vec<&str> = words.iter().copied().filter(known).collect();
                if args.len() < words.len() {
                    args.push(&self.prediction);
                }
                self.place.run(&args).with(0).out
            }
            "curl" => {
                let reply = self.curl(&words);
                assert_eq!(reply.status, 200, "{command}: {}", reply.body);
                if let Some(id) = reply.json()["parameters"]["predictions"][0].as_str() {
                    self.prediction = id.to_owned();
                }
                reply.body
            }
            other => panic!("{other} is no command of the README"),
        }
    }

    fn curl(&self, words: &[&str]) -> Reply {
        let after = |flag: &str| {
            let place = words.iter().position(|word| *word == flag);
            place.map(|place| words[place + 1])
        };
        let header = after("-H").and_then(|header| header.split_once(": "));
        let body = after("-d").unwrap_or_default();
        let path = words
            .last()
            .unwrap()
            .strip_prefix(&format!("http://{ADDRESS}"))
            .unwrap();
        let method = if body.is_empty() { "GET" } else { "POST" };
        let address = self.up.as_ref().unwrap().1;
        request(address, method, path, header.as_slice(), body.as_bytes())
    }
}

#[test]
fn ones_own_data_as_the_readme_has_it() {
    let place = Place::new(blocks("yaml")[0]);
    place.write("orders.csv", orders());
    let mut reader = Reader {
        up: None,
        place,
        prediction: String::new(),
    };
    let lines: Vec<&str> = blocks("sh").into_iter().flat_map(str::lines).collect();
    assert!(lines.len() > 10);
    for line in lines {
        let (command, expected) = line.split_once("  # ").unwrap();
        let (command, expected) = (command.trim(), expected.trim());
        let mut said = reader.does(command);
        // What comes in a few seconds is looked for again.
        if command.starts_with("curl http") {
            until(line, || {
                said = reader.does(command);
                said.contains(expected)
            });
        }
        assert!(said.contains(expected), "{line}\nbut it says: {said}");
    }
}
