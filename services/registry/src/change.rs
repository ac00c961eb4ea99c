//! What else may be brought about, and what may not: deletes, levels and modes.

use mainstem_schemas::registry::{Level, Mode, RegistryFact};

use crate::error::RegistryError;
use crate::state::Registry;

impl Registry {
    /// Whether clients may register under a subject, and delete.
    ///
    /// # Errors
    /// [`RegistryError::NotPermitted`].
    pub(crate) fn may_write(&self, subject: &str) -> Result<(), RegistryError> {
        if self.is_ours(subject) {
            return refuse(format!(
                "Subject {subject} is written by mainstem alone; apply a definition to change it"
            ));
        }
        match self.mode(Some(subject)) {
            Mode::Readonly | Mode::ReadonlyOverride => {
                refuse(format!("Subject {subject} is in read-only mode"))
            }
            Mode::Readwrite | Mode::Import => Ok(()),
        }
    }

    /// The fact that deletes a subject, and the versions that go.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn delete_subject(
        &self,
        subject: &str,
        permanent: bool,
    ) -> Result<(RegistryFact, Vec<u32>), RegistryError> {
        self.may_write(subject)?;
        let all = self.versions(subject, true)?;
        let live = self.versions(subject, false).unwrap_or_default();
        let going = match (permanent, live.is_empty()) {
            (false, true) => return Err(RegistryError::SubjectHidden(subject.into())),
            (true, false) => return Err(RegistryError::SubjectNotHidden(subject.into())),
            (false, false) => live,
            (true, true) => all,
        };
        for version in &going {
            self.may_delete(subject, *version)?;
        }
        let subject = subject.into();
        Ok((RegistryFact::SubjectDeleted { subject, permanent }, going))
    }

    /// The fact that deletes a version, the latest where none is named, and its number.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn delete_version(
        &self,
        subject: &str,
        version: Option<u32>,
        permanent: bool,
    ) -> Result<(RegistryFact, u32), RegistryError> {
        self.may_write(subject)?;
        let version = self.version(subject, version, true)?.version;
        let found = self
            .subject(subject)
            .and_then(|found| found.versions.get(&version));
        match (permanent, found.is_some_and(|found| found.hidden)) {
            (false, true) => return Err(RegistryError::VersionHidden(subject.into(), version)),
            (true, false) => return Err(RegistryError::VersionNotHidden(subject.into(), version)),
            _ => {}
        }
        self.may_delete(subject, version)?;
        let subject = subject.into();
        Ok((
            RegistryFact::VersionDeleted {
                subject,
                version,
                permanent,
            },
            version,
        ))
    }

    fn may_delete(&self, subject: &str, version: u32) -> Result<(), RegistryError> {
        let found = self
            .subject(subject)
            .and_then(|found| found.versions.get(&version));
        if found.is_some_and(|found| found.own) {
            return refuse(format!(
                "Version {version} of subject {subject} is what mainstem writes with; it stays"
            ));
        }
        if !self.referred_by(subject, version).is_empty() {
            return Err(RegistryError::Referred(subject.into(), version));
        }
        Ok(())
    }

    /// The fact that sets a level, of a subject or of all, or takes it back.
    ///
    /// # Errors
    /// [`RegistryError::NotPermitted`], or none to take back.
    pub fn set_level(
        &self,
        subject: Option<&str>,
        level: Option<Level>,
    ) -> Result<RegistryFact, RegistryError> {
        if matches!(self.mode(subject), Mode::Readonly | Mode::ReadonlyOverride) {
            return refuse(format!("{} is in read-only mode", named(subject)));
        }
        if let (Some(subject), None) = (subject, level)
            && self.own_level(subject).is_none()
        {
            return Err(RegistryError::NoLevel(subject.into()));
        }
        let subject = subject.map(str::to_owned);
        Ok(RegistryFact::LevelSet { subject, level })
    }

    /// The fact that sets a mode, of a subject or of all, or takes it back.
    ///
    /// # Errors
    /// [`RegistryError::NotPermitted`] where ids would be imported beside others, unless forced; or none to take back.
    pub fn set_mode(
        &self,
        subject: Option<&str>,
        mode: Option<Mode>,
        force: bool,
    ) -> Result<RegistryFact, RegistryError> {
        let is_used = match subject {
            Some(subject) => self
                .subject(subject)
                .is_some_and(|found| found.shown(false).next().is_some()),
            None => !self.subjects("", false, false).is_empty(),
        };
        if mode == Some(Mode::Import) && is_used && !force {
            return refuse(
                "Cannot import since found existing subjects; force=true imports beside them"
                    .into(),
            );
        }
        if let (Some(subject), None) = (subject, mode)
            && self.own_mode(subject).is_none()
        {
            return Err(RegistryError::NoMode(subject.into()));
        }
        let subject = subject.map(str::to_owned);
        Ok(RegistryFact::ModeSet { subject, mode })
    }
}

fn named(subject: Option<&str>) -> String {
    subject.map_or_else(
        || "The registry".into(),
        |subject| format!("Subject {subject}"),
    )
}

pub(crate) fn refuse<T>(why: String) -> Result<T, RegistryError> {
    Err(RegistryError::NotPermitted(why))
}
