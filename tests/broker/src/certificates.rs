//! Certificates made with `keytool`, which comes with Java.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// Of every key store here: they live for a test.
pub(crate) const PASSWORD: &str = "only-for-tests";

/// An authority that signs.
pub(crate) struct Authority {
    directory: PathBuf,
    name: &'static str,
}

impl Authority {
    /// Makes one; its certificate lies beside its keys, as text.
    pub(crate) fn new(directory: &Path, name: &'static str) -> Result<Self, String> {
        let authority = Authority {
            directory: directory.into(),
            name,
        };
        let distinguished = format!("CN={name}");
        let words = ["-genkeypair", "-dname", &distinguished, "-ext", "bc:c"];
        authority.keytool(name, &[&words[..], &KEYS].concat(), "")?;
        let text = authority.keytool(name, &["-exportcert", "-rfc"], "")?;
        write(&authority.certificate(), &text)?;
        Ok(authority)
    }

    /// The certificate's file.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.join(format!("{}.pem", self.name))
    }

    /// A key store for a server at 127.0.0.1, valid for a day from a start as `keytool` takes it, such as `-3d`.
    pub(crate) fn server(&self, name: &str, start: &str) -> Result<PathBuf, String> {
        let words = ["-genkeypair", "-dname", "CN=broker"];
        self.keytool(name, &[&words[..], &KEYS].concat(), "")?;
        let request = self.keytool(name, &["-certreq"], "")?;
        let sign = [
            "-gencert",
            "-rfc",
            "-startdate",
            start,
            "-validity",
            "1",
            "-ext",
            "san=ip:127.0.0.1,dns:localhost",
        ];
        let signed = self.keytool(self.name, &sign, &request)?;
        let own = std::fs::read_to_string(self.certificate()).map_err(|why| why.to_string())?;
        // The chain from the leaf to the authority replaces the key's own certificate.
        let chain = format!("{signed}\n{own}");
        self.keytool(name, &["-importcert", "-noprompt"], &chain)?;
        Ok(self.store(name))
    }

    fn store(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.p12"))
    }

    fn keytool(&self, alias: &str, words: &[&str], input: &str) -> Result<String, String> {
        let mut keytool = Command::new("keytool");
        keytool
            .args(words)
            .args(["-alias", alias, "-storetype", "PKCS12", "-keystore"])
            .arg(self.store(alias))
            .args(["-storepass", PASSWORD]);
        process::run(&mut keytool, "keytool", input)
    }
}

const KEYS: [&str; 6] = [
    "-keyalg",
    "EC",
    "-groupname",
    "secp256r1",
    "-validity",
    "30",
];

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|why| format!("{}: {why}", path.display()))
}
