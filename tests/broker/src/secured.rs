//! A broker as companies run it: TLS, passwords, and an authorizer that denies what is not allowed.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::certificates::{Authority, PASSWORD};
use crate::node::{Node, Plan};
use crate::{again, fetch_jars, free_ports, ours, tool};

/// The administrator's password; the broker itself is this user among brokers.
const ADMIN: &str = "admin-secret";

/// A broker whose clients connect under TLS with SCRAM-SHA-512, and may do nothing but what they were allowed to.
#[derive(Debug)]
pub struct Secured {
    node: Node,
    expired: SocketAddr,
}

impl Secured {
    /// The secured broker that the tests of one binary share, or nothing where these tests were left out.
    ///
    /// # Errors
    /// Where it cannot be had; the text says why.
    pub fn for_tests() -> Result<Option<&'static Secured>, String> {
        static SHARED: OnceLock<Result<Secured, String>> = OnceLock::new();
        if !ours() {
            return Ok(None);
        }
        match SHARED.get_or_init(Secured::start) {
            Ok(broker) => Ok(Some(broker)),
            Err(why) => Err(why.clone()),
        }
    }

    fn start() -> Result<Secured, String> {
        let libs = fetch_jars()?;
        again(|| {
            let ports = free_ports(3)?;
            let directory = Node::directory()?;
            let properties = properties(&directory)?;
            let format = format!("SCRAM-SHA-512=[name=admin,password={ADMIN}]");
            let plan = Plan {
                number: 1,
                listeners: &[
                    ("SECURED", "SASL_SSL", ports[0]),
                    ("EXPIRED", "SASL_SSL", ports[1]),
                ],
                controllers: &ports[2..],
                properties: &properties,
                format: &["--add-scram", &format],
                memory: "-Xmx512m",
            };
            let mut node = Node::format(&libs, directory, &plan, Vec::new())?;
            node.spawn()?;
            let secured = Secured {
                node,
                expired: ports[1],
            };
            // Kafka's own tools wait until it answers.
            let list = secured.administered(&["--list"]);
            tool("org.apache.kafka.tools.TopicCommand", &words(&list), "")?;
            Ok(secured)
        })
    }

    /// `host:port`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.node.address.to_string()
    }

    /// `host:port` where the certificate has expired.
    #[must_use]
    pub fn expired(&self) -> String {
        self.expired.to_string()
    }

    /// The certificate of the authority that signed the broker's.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.node.directory.join("authority.pem")
    }

    /// The certificate of an authority that signed nothing here.
    #[must_use]
    pub fn stranger(&self) -> PathBuf {
        self.node.directory.join("stranger.pem")
    }

    /// Gives a user a password.
    ///
    /// # Errors
    /// What Kafka's tool said.
    pub fn user(&self, name: &str, password: &str) -> Result<(), String> {
        let config = format!("SCRAM-SHA-512=[password={password}]");
        let user = ["--entity-type", "users", "--entity-name", name];
        let alter = ["--alter", "--add-config", &config];
        let arguments = self.administered(&[&alter[..], &user].concat());
        tool("kafka.admin.ConfigCommand", &words(&arguments), "").map(drop)
    }

    /// Allows or forbids something: arguments of `kafka-acls`.
    ///
    /// # Errors
    /// What Kafka's tool said.
    pub fn acls(&self, arguments: &[&str]) -> Result<(), String> {
        let arguments = self.administered(arguments);
        tool("org.apache.kafka.tools.AclCommand", &words(&arguments), "").map(drop)
    }

    /// Arguments of one of Kafka's tools, run by the administrator.
    #[must_use]
    pub fn administered(&self, arguments: &[&str]) -> Vec<String> {
        let file = self.node.directory.join("admin.properties");
        let file = file.to_string_lossy();
        let (address, admin) = ("--bootstrap-server", "--command-config");
        let reach = [address, &self.bootstrap(), admin, &file].map(str::to_owned);
        let arguments = arguments.iter().map(|word| (*word).to_owned());
        reach.into_iter().chain(arguments).collect()
    }
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Makes the certificates and the administrator's settings; gives the broker's properties.
fn properties(directory: &Path) -> Result<String, String> {
    let authority = Authority::new(directory, "authority")?;
    Authority::new(directory, "stranger")?;
    let trusted = authority.certificate();
    let login = format!(
        "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"admin\" password=\"{ADMIN}\";"
    );
    let trust = format!(
        "ssl.truststore.type=PEM\nssl.truststore.location={}\n",
        trusted.display()
    );
    let admin = format!(
        "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config={login}\n{trust}"
    );
    let file = directory.join("admin.properties");
    std::fs::write(&file, admin).map_err(|why| format!("{}: {why}", file.display()))?;
    // The controller's listener is of plain text, and its clients have no name.
    let mut text = format!(
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:admin;User:ANONYMOUS\n\
         sasl.enabled.mechanisms=SCRAM-SHA-512\n\
         sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512\n\
         {trust}"
    );
    for (name, start) in [("secured", "-1H"), ("expired", "-3d")] {
        let store = authority.server(name, start)?;
        let listener = format!("listener.name.{name}");
        let _ = write!(
            text,
            "{listener}.scram-sha-512.sasl.jaas.config={login}\n\
             {listener}.ssl.keystore.type=PKCS12\n\
             {listener}.ssl.keystore.location={}\n\
             {listener}.ssl.keystore.password={PASSWORD}\n",
            store.display()
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_secured_broker_do_what_they_were_allowed_to() {
        let Some(broker) = Secured::for_tests().unwrap() else {
            return;
        };
        broker.user("someone", "some-secret").unwrap();
        let allow = ["--add", "--force", "--allow-principal", "User:someone"];
        let what = ["--operation", "Describe", "--topic", "theirs"];
        broker.acls(&[&allow[..], &what].concat()).unwrap();
        let listed = broker.administered(&["--list"]);
        let listed = tool("org.apache.kafka.tools.AclCommand", &words(&listed), "").unwrap();
        assert!(
            listed.contains("theirs") && listed.contains("User:someone"),
            "{listed}"
        );
    }
}
