//! A schema registry beside Mainstem, as the file of settings names it in the words of Kafka's clients:
//! `schema.registry.url`, `schema.registry.basic.auth.user.info`, `schema.registry.ssl.ca.location`.

use std::collections::BTreeMap;

use mainstem_host::outside::OutsideRegistry;
use mainstem_registry::Ids;
use mainstem_registry::client::{Client, ClientError, Options};

/// What the settings of a registry begin with.
const PREFIX: &str = "schema.registry.";

/// An outside registry.
pub struct Outside {
    client: Client,
    url: String,
}

impl Outside {
    /// Takes the settings of a registry out of a file's; nothing where there is none.
    ///
    /// # Errors
    /// What is wrong with them; never a password.
    pub fn take(
        settings: &mut BTreeMap<String, String>,
        url: Option<&str>,
    ) -> Result<Option<Outside>, String> {
        let mut options = Options::default();
        let keys: Vec<String> = settings
            .keys()
            .filter(|key| key.starts_with(PREFIX))
            .cloned()
            .collect();
        for key in &keys {
            let value = settings.remove(key).unwrap_or_default();
            match &key[PREFIX.len()..] {
                "url" => options.url = value,
                "basic.auth.user.info" => {
                    let (user, password) = value
                        .split_once(':')
                        .ok_or_else(|| format!("{key} holds no `:`; write user:password"))?;
                    options.user = Some((user.into(), password.into()));
                }
                "ssl.ca.location" => {
                    let read = std::fs::read(&value);
                    options.ca = Some(read.map_err(|error| format!("{key}: {value}: {error}"))?);
                }
                _ => {
                    return Err(format!(
                        "{key} is no setting of a schema registry; there are {PREFIX}url, {PREFIX}basic.auth.user.info and \
                         {PREFIX}ssl.ca.location"
                    ));
                }
            }
        }
        if let Some(url) = url {
            options.url = url.into();
        }
        match (options.url.is_empty(), keys.first()) {
            (true, None) => Ok(None),
            (true, Some(key)) => Err(format!(
                "{key} is set and no registry is named; name one with {PREFIX}url, or --registry"
            )),
            (false, _) => {
                let url = options.url.clone();
                let client = Client::new(&options).map_err(|error| error.to_string())?;
                Ok(Some(Outside { client, url }))
            }
        }
    }
}

impl Outside {
    /// Gives schemas their ids.
    pub fn ids(&mut self) -> &mut dyn Ids {
        &mut self.client
    }
}

impl OutsideRegistry for Outside {
    fn place(&self) -> String {
        self.url.clone()
    }

    fn schema(&self, id: u32) -> Result<Option<String>, String> {
        match self.client.schema_by_id(id) {
            Ok(schema) => Ok(Some(schema)),
            Err(ClientError::NoSchema { .. } | ClientError::NotAvro { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pairs: &[(&str, &str)], url: Option<&str>) -> Result<Option<String>, String> {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let mut settings = pairs.iter().map(pair).collect();
        let outside = Outside::take(&mut settings, url)?;
        assert!(settings.keys().all(|key| !key.starts_with(PREFIX)));
        Ok(outside.map(|outside| outside.place()))
    }

    #[test]
    fn settings_of_a_registry_are_taken_out_of_the_file() {
        let url = ("schema.registry.url", "http://one:8081");
        let user = ("schema.registry.basic.auth.user.info", "me:hunter2");
        assert_eq!(take(&[("sasl.username", "me")], None), Ok(None));
        assert_eq!(
            take(&[url, user], None).unwrap().unwrap(),
            "http://one:8081"
        );
        assert_eq!(
            take(&[url], Some("http://two")).unwrap().unwrap(),
            "http://two"
        );
    }

    #[test]
    fn mistakes_name_the_setting_and_no_secret() {
        let wrong = [
            (
                "schema.registry.basic.auth.user.info",
                "hunter2",
                "user:password",
            ),
            (
                "schema.registry.basic.auth.user.info",
                "me:hunter2",
                "--registry",
            ),
            ("schema.registry.ssl.ca.location", "/nowhere", "/nowhere"),
            ("schema.registry.urls", "hunter2", "schema.registry.url,"),
        ];
        for (key, value, word) in wrong {
            let why = take(&[(key, value)], None).unwrap_err();
            assert!(why.contains(key) && why.contains(word), "{why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
