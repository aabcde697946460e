//! Which CI service a run reports to, and what its reporter needs: the files that it collects, random bytes,
//! and the lines that the branch changes. It must not know the service's commands.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::base::ci::CiService;
use crate::base::env::Env;
use crate::base::file::FileError;
use crate::base::{file, random};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::engine::report::baseline::DEFAULT_BASES;
use crate::git::{ChangedLines, Repository};
use crate::reporter::ci::azure::Azure;
use crate::reporter::ci::buildkite::Buildkite;
use crate::reporter::ci::code_quality::CodeQuality;
use crate::reporter::ci::github::Github;
use crate::reporter::ci::gitlab::Gitlab;
use crate::reporter::ci::{AnnotationContext, Dialect};
use crate::reporter::deploy::summary::DeploySummary;
use crate::reporter::junit::Junit;
use crate::reporter::summary::{Mode, SummaryFile};
use crate::reporter::{Reporter, Reporters};

/// The folder at the top of the repository for files that CI services collect. It is never part of a tree.
const ARTIFACTS: &str = ".xtask-artifacts";

/// The CI service that a run reports to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum CiChoice {
    /// The one that runs this process, found by its variables; none if there is none, or with `--format
    /// json`.
    Auto,
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Buildkite.
    Buildkite,
    /// Azure Pipelines.
    Azure,
    /// None.
    #[default]
    None,
}

/// Output for a CI service, about one repository.
#[derive(Debug)]
pub struct CiOutput {
    service: CiService,
    env: Env,
    root: PathBuf,
}

impl CiChoice {
    /// Returns the service. While events go to standard output, only a service that was named is used.
    fn service(self, env: &Env, is_json: bool) -> Option<CiService> {
        match self {
            Self::Github => Some(CiService::Github),
            Self::Gitlab => Some(CiService::Gitlab),
            Self::Buildkite => Some(CiService::Buildkite),
            Self::Azure => Some(CiService::Azure),
            Self::Auto if !is_json => CiService::detect(env),
            Self::Auto | Self::None => None,
        }
    }

    /// Returns the output for the chosen service.
    ///
    /// # Errors
    /// Git failed.
    pub fn output(self, session: &Session, is_json: bool) -> Result<Option<CiOutput>, Failure> {
        let Some(service) = self.service(&session.env, is_json) else { return Ok(None) };
        let repository = Repository::discover(&session.dir, &session.env)?;
        let root = repository.map_or_else(|| session.dir.clone(), |found| found.work_dir().to_owned());
        Ok(Some(CiOutput { service, env: session.env.clone(), root }))
    }
}

impl CiOutput {
    /// Returns the dialect of the service.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub fn dialect(&self) -> Result<Box<dyn Dialect>, Failure> {
        Ok(match self.service {
            CiService::Github => {
                let attempt = "get random bytes to fence logs with".to_owned();
                Box::new(Github::new(random::bytes().map_err(|source| Failure::System { attempt, source })?))
            }
            CiService::Gitlab => Box::new(Gitlab),
            CiService::Buildkite => Box::new(Buildkite),
            CiService::Azure => Box::new(Azure::new(self.artifact("summary.md").display().to_string())),
        })
    }

    /// Returns the dialect of the service for a deploy, whose summary is a file of its own.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub fn deploy_dialect(&self) -> Result<Box<dyn Dialect>, Failure> {
        match self.service {
            CiService::Azure => Ok(Box::new(Azure::new(self.artifact("deploy.md").display().to_string()))),
            _ => self.dialect(),
        }
    }

    /// Returns the reporter of the summary that the service shows of a deploy; `None` if it shows none.
    ///
    /// # Errors
    /// The summary can't be written.
    pub fn deploy_summary(&self) -> Result<Option<DeploySummary>, FileError> {
        Ok(match self.service {
            CiService::Github => {
                let path = self.env.var("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty());
                let Some(path) = path.map(PathBuf::from) else { return Ok(None) };
                file::open_append(&path)?;
                Some(DeploySummary::new(path, Mode::Append))
            }
            CiService::Azure => {
                self.make_artifacts()?;
                Some(DeploySummary::new(self.artifact("deploy.md"), Mode::Replace))
            }
            CiService::Gitlab | CiService::Buildkite => None,
        })
    }

    /// Returns the repository that annotations refer to.
    pub fn annotation_context(&self) -> AnnotationContext {
        let (env, root) = (self.env.clone(), self.root.clone());
        let base = match self.service {
            CiService::Github => env.var("GITHUB_BASE_REF"),
            CiService::Azure => env.var("SYSTEM_PULLREQUEST_TARGETBRANCH"),
            CiService::Gitlab | CiService::Buildkite => None,
        };
        let base = base.and_then(OsStr::to_str).filter(|base| !base.is_empty());
        let base = base.map(|base| format!("origin/{}", base.strip_prefix("refs/heads/").unwrap_or(base)));
        AnnotationContext {
            root: self.root.display().to_string(),
            changed: Some(Box::new(move || changed_lines(&root, &env, base.as_deref()))),
        }
    }

    /// Adds the reporters of files that the service collects.
    ///
    /// # Errors
    /// Their folder can't be created.
    pub fn add_files(&self, session: &Session, reporters: &mut Reporters) -> Result<(), Failure> {
        let mut add = |reporter: Box<dyn Reporter>, name| reporters.add(reporter, name);
        match self.service {
            CiService::Github => {
                let path = self.env.var("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty());
                let Some(path) = path.map(PathBuf::from) else { return Ok(()) };
                match file::open_append(&path) {
                    Ok(_) => {
                        add(Box::new(SummaryFile::new(path, Mode::Append)), "GitHub's step summary");
                    }
                    // The summary was not asked for by name, so it does not stop the run.
                    Err(error) => session.eprint(&format!(
                        "warning: there will be no step summary, as `GITHUB_STEP_SUMMARY` names a file that \
                         can't be written to: {error}\n"
                    )),
                }
            }
            CiService::Gitlab => {
                self.make_artifacts()?;
                let quality = self.artifact("gl-code-quality-report.json");
                let root = self.root.display().to_string();
                add(Box::new(Junit::new(self.artifact("junit.xml"))), "the JUnit report for GitLab");
                add(Box::new(CodeQuality::new(quality, root)), "the code quality report for GitLab");
            }
            CiService::Azure => {
                self.make_artifacts()?;
                let summary = SummaryFile::new(self.artifact("summary.md"), Mode::Replace);
                add(Box::new(summary), "the summary for Azure");
            }
            CiService::Buildkite => {}
        }
        Ok(())
    }

    fn artifact(&self, name: &str) -> PathBuf {
        self.root.join(ARTIFACTS).join(name)
    }

    /// Creates the folder before the run.
    fn make_artifacts(&self) -> Result<(), FileError> {
        make_report_folder(&self.root.join(ARTIFACTS))
    }
}

/// Creates the folder of a report. In the folder for CI services, it adds a .gitignore that ignores
/// everything: a shard's manifest must not change the tree.
///
/// # Errors
/// The folder can't be created.
pub fn make_report_folder(folder: &Path) -> Result<(), FileError> {
    file::make_dir(folder)?;
    if folder.file_name() == Some(OsStr::new(ARTIFACTS)) {
        file::write_new(&folder.join(".gitignore"), b"*\n")?;
    }
    Ok(())
}

/// Returns the lines that HEAD changes since its merge base; `None` if they are unknown, as in a shallow
/// clone. Only the order of annotations depends on them, so this is no error.
fn changed_lines(root: &Path, env: &Env, base: Option<&str>) -> Option<ChangedLines> {
    let repository = Repository::discover(root, env).ok()??;
    let bases = base.map_or_else(|| DEFAULT_BASES.to_vec(), |base| vec![base]);
    let (_, base) = repository.merge_base(None, &bases).ok()?;
    let head = repository.head_commit().ok()??;
    repository.changed_lines(&base.tree, &head.tree).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_is_detected_or_named() {
        let env = |name: &str, value: &str| Env::new([(name.into(), value.into())], PathBuf::new());
        let cases = [
            (CiChoice::Auto, "GITHUB_ACTIONS", "true", Some(CiService::Github)),
            (CiChoice::Auto, "GITLAB_CI", "true", Some(CiService::Gitlab)),
            (CiChoice::Auto, "BUILDKITE", "true", Some(CiService::Buildkite)),
            (CiChoice::Auto, "TF_BUILD", "True", Some(CiService::Azure)),
            (CiChoice::Auto, "GITHUB_ACTIONS", "false", None),
            (CiChoice::Auto, "CI", "true", None),
            (CiChoice::None, "GITHUB_ACTIONS", "true", None),
            (CiChoice::Azure, "GITHUB_ACTIONS", "true", Some(CiService::Azure)),
        ];
        for (ci, name, value, expected) in cases {
            assert_eq!(ci.service(&env(name, value), false), expected, "{ci:?} {name}={value}");
        }
        assert_eq!(CiChoice::Auto.service(&env("GITHUB_ACTIONS", "true"), true), None);
        assert_eq!(CiChoice::Github.service(&env("CI", "true"), true), Some(CiService::Github));
    }
}
