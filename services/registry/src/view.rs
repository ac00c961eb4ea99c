//! Questions, answered from the state.

use std::collections::BTreeSet;

use mainstem_schemas::registry::{Level, Mode, Reference};

use crate::error::RegistryError;
use crate::state::{Registered, Registry, Schema, Subject, Version};

impl Registry {
    /// Names of subjects that begin so: with those that are deleted, or those alone.
    #[must_use]
    pub fn subjects(&self, prefix: &str, deleted: bool, deleted_only: bool) -> Vec<&str> {
        let live = |subject: &Subject| subject.shown(false).next().is_some();
        let wanted = |subject: &Subject| match (deleted_only, live(subject)) {
            (true, live) => !live,
            (false, live) => live || deleted,
        };
        let found = self.all().into_iter();
        found
            .filter(|(name, subject)| name.starts_with(prefix) && wanted(subject))
            .map(|(name, _)| name)
            .collect()
    }

    /// Numbers of a subject's versions.
    ///
    /// # Errors
    /// [`RegistryError::NoSubject`].
    pub fn versions(&self, subject: &str, deleted: bool) -> Result<Vec<u32>, RegistryError> {
        let found = self
            .subject(subject)
            .map(|found| found.shown(deleted).map(|(number, _)| number).collect());
        let found: Vec<u32> = found.unwrap_or_default();
        if found.is_empty() {
            return Err(RegistryError::NoSubject(subject.into()));
        }
        Ok(found)
    }

    /// A version of a subject, the latest where none is named.
    ///
    /// # Errors
    /// [`RegistryError::NoSubject`], [`RegistryError::NoVersion`].
    pub fn version<'a>(
        &'a self,
        subject: &'a str,
        version: Option<u32>,
        deleted: bool,
    ) -> Result<Registered<'a>, RegistryError> {
        let none = || RegistryError::NoSubject(subject.into());
        let found = self.subject(subject).ok_or_else(none)?;
        let shown = match version {
            None => found.shown(deleted).next_back().ok_or_else(none)?,
            Some(number) => {
                found.shown(true).next().ok_or_else(none)?;
                let is = |(one, _): &(u32, Version)| *one == number;
                found
                    .shown(deleted)
                    .find(is)
                    .ok_or(RegistryError::NoVersion(number))?
            }
        };
        self.registered(subject, shown).ok_or_else(none)
    }

    pub(crate) fn registered<'a>(
        &'a self,
        subject: &'a str,
        shown: (u32, Version),
    ) -> Option<Registered<'a>> {
        let (version, Version { id, .. }) = shown;
        let schema = self.schemas.get(&id)?;
        Some(Registered {
            subject,
            version,
            id,
            schema,
        })
    }

    /// Every version, by subject and number; the latest alone where they are wanted.
    #[must_use]
    pub fn everything(&self, prefix: &str, deleted: bool, latest: bool) -> Vec<Registered<'_>> {
        let mut found = Vec::new();
        for (name, subject) in self.all() {
            if !name.starts_with(prefix) {
                continue;
            }
            let skip = if latest {
                subject.shown(deleted).count().saturating_sub(1)
            } else {
                0
            };
            found.extend(
                subject
                    .shown(deleted)
                    .skip(skip)
                    .filter_map(|shown| self.registered(name, shown)),
            );
        }
        found
    }

    /// The schema of an id that some subject has, be it deleted, if not for good.
    ///
    /// # Errors
    /// [`RegistryError::NoId`].
    pub fn by_id(&self, id: u32) -> Result<&Schema, RegistryError> {
        let held = !self.versions_of(id, true).is_empty();
        self.schemas
            .get(&id)
            .filter(|_| held)
            .ok_or(RegistryError::NoId(id))
    }

    /// The versions that have an id.
    #[must_use]
    pub fn versions_of(&self, id: u32, deleted: bool) -> Vec<(&str, u32)> {
        let mut found = Vec::new();
        for (name, subject) in self.all() {
            let with_id = subject
                .shown(deleted)
                .filter(|(_, version)| version.id == id);
            found.extend(with_id.map(|(number, _)| (name, number)));
        }
        found
    }

    /// Ids of the schemas that refer to a version.
    #[must_use]
    pub fn referred_by(&self, subject: &str, version: u32) -> Vec<u32> {
        let refers = |one: &Reference| one.subject == subject && one.version == version;
        let all = self.everything("", false, false);
        let found: BTreeSet<u32> = all
            .iter()
            .filter(|one| one.schema.references.iter().any(refers))
            .map(|one| one.id)
            .collect();
        found.into_iter().collect()
    }

    /// The compatibility level that counts: the subject's, else the registry's, else `BACKWARD`.
    #[must_use]
    pub fn level(&self, subject: Option<&str>) -> Level {
        let own = subject.and_then(|subject| self.own_level(subject));
        own.or_else(|| self.levels.get(&None).copied())
            .unwrap_or(Level::Backward)
    }

    /// The level that a subject itself has.
    #[must_use]
    pub fn own_level(&self, subject: &str) -> Option<Level> {
        self.levels.get(&Some(subject.to_owned())).copied()
    }

    /// The mode that counts: the subject's, else the registry's, else `READWRITE`.
    #[must_use]
    pub fn mode(&self, subject: Option<&str>) -> Mode {
        let all = self.modes.get(&None).copied().unwrap_or(Mode::Readwrite);
        if all == Mode::ReadonlyOverride {
            return all;
        }
        subject
            .and_then(|subject| self.own_mode(subject))
            .unwrap_or(all)
    }

    /// The mode that a subject itself has.
    #[must_use]
    pub fn own_mode(&self, subject: &str) -> Option<Mode> {
        self.modes.get(&Some(subject.to_owned())).copied()
    }
}
