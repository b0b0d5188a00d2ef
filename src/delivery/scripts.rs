//! Which scripts run for an account: the site's, those of its domain, its own.

use std::path::{Path, PathBuf};

use crate::directory::Found;
use crate::sieve::{FolderError, Script, ScriptFolders, Scripts, load, load_user};

use super::Sorter;

/// Scripts that the postmaster gives, for all accounts or for those of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteScripts {
    /// Scripts, or folders of them, before the user's.
    pub before: Vec<PathBuf>,
    /// The script of users without one.
    pub default: Option<PathBuf>,
    /// Scripts, or folders of them, after the user's.
    pub after: Vec<PathBuf>,
}

impl Sorter {
    /// All scripts that run for an account, in order: a domain's stand between the site's and the user's.
    pub(super) fn scripts(&self, found: &Found) -> Result<Scripts, FolderError> {
        if !self.options.filter {
            return Ok(Scripts::default());
        }
        let limit = self.options.script_size;
        let (site, domain) = (&self.options.scripts, self.of_domain(found));
        let user = load_user(&found.home, limit)?;
        let default = domain
            .and_then(|domain| domain.default.as_ref())
            .or(site.default.as_ref());
        let default = match (&user, default) {
            (None, Some(path)) => load(std::slice::from_ref(path), limit)?.pop(),
            _ => None,
        };
        let domains = |paths: fn(&SiteScripts) -> &Vec<PathBuf>| -> Result<Vec<Script>, FolderError> {
            domain.map_or(Ok(Vec::new()), |domain| load(paths(domain), limit))
        };
        let mut before = load(&site.before, limit)?;
        before.extend(domains(|domain| &domain.before)?);
        let mut after = domains(|domain| &domain.after)?;
        after.extend(load(&site.after, limit)?);
        Ok(Scripts {
            before,
            user,
            default,
            after,
        })
    }

    /// Where the scripts of an account find those that they include.
    pub(super) fn script_folders(&self, found: &Found) -> ScriptFolders {
        let global = self.global_folder(found);
        ScriptFolders::of_user(&found.home, global, self.options.script_size)
    }

    // Where `include :global` looks: beside the first script of the site, or of the domain where the site has none.
    fn global_folder(&self, found: &Found) -> Option<PathBuf> {
        let sources = [Some(&self.options.scripts), self.of_domain(found)];
        let mut paths = sources
            .into_iter()
            .flatten()
            .flat_map(|it| it.before.iter().chain(&it.after));
        let first: &Path = paths.next()?;
        let folder = if first.is_dir() { first } else { first.parent()? };
        Some(folder.join("global"))
    }

    // An account that is reached by addresses in several domains is filtered alike for all of them.
    fn of_domain(&self, found: &Found) -> Option<&SiteScripts> {
        let domain = found.addresses.first()?.domain();
        let mut domains = self.options.domains.iter();
        let own = domains.find(|(name, _)| name.eq_ignore_ascii_case(domain));
        own.map(|(_, scripts)| scripts)
    }
}
