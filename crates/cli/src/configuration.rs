//! Where one is logged in.
//!
//! Owns the configuration file: contexts, each a server with its trust and token. The file is for its owner alone
//! (0600, folder 0700), is replaced in one step, and keeps fields that this version does not know.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{Environment, error::CliError};

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Configuration {
    /// Name of the current context.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub current: String,
    /// Contexts by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
    /// Fields of other versions.
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// One server and how to talk to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// Its address, `https://host[:port]`.
    pub server: String,
    /// Who is logged in, for display.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The token, `name:key`; absent after logout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The server's CA, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The fingerprint of the server's certificate, when it is trusted by that alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The id of the cluster that kubectl uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A token, hidden from debug output.
#[derive(Debug, Clone)]
pub struct Token(pub SecretString);

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(SecretString::from(String::deserialize(deserializer)?)))
    }
}

/// The place of the configuration file.
pub fn file(given: Option<&Path>, environment: &Environment) -> Result<PathBuf, CliError> {
    if let Some(file) = given {
        return Ok(file.to_owned());
    }
    let base = match (environment.get("XDG_CONFIG_HOME"), environment.get("HOME")) {
        (Some(base), _) => PathBuf::from(base),
        (None, Some(home)) => Path::new(home).join(".config"),
        (None, None) => return Err(CliError::NoHome),
    };
    Ok(base.join("drover").join("config.json"))
}

impl Configuration {
    /// Reads the file; a missing one is empty.
    pub fn read(file: &Path) -> Result<Self, CliError> {
        match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| CliError::Configuration {
                file: file.to_owned(),
                source,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(CliError::ConfigurationFile {
                file: file.to_owned(),
                source,
            }),
        }
    }

    /// Replaces the file.
    pub fn write(&self, file: &Path) -> Result<(), CliError> {
        let failed = |source| CliError::ConfigurationFile {
            file: file.to_owned(),
            source,
        };
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|source| CliError::Configuration {
                file: file.to_owned(),
                source,
            })?;
        text.push(b'\n');
        write_private(file, &text).map_err(failed)
    }

    /// The context to use: the given one, else the current one.
    pub fn context(&self, given: Option<&str>) -> Result<(&str, &Context), CliError> {
        let name = match given {
            Some(name) => name,
            None if self.current.is_empty() => return Err(CliError::NotLoggedIn),
            None => &self.current,
        };
        self.contexts
            .get_key_value(name)
            .map(|(name, context)| (name.as_str(), context))
            .ok_or_else(|| CliError::NoContext(name.to_owned()))
    }
}

/// Writes a file that only its owner can read, in one step.
pub fn write_private(file: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    create_private_folder(folder)?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let next = folder.join(name);
    // Left over from a process that was killed; its number may come again.
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&next)?;
    out.write_all(content)?;
    out.sync_all()?;
    fs::rename(&next, file)
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Configuration, Context, Token, file};
    use crate::{CliError, Environment};

    #[test]
    fn the_file_is_found_by_flag_then_xdg_then_home() {
        let environment = Environment::from_iter([("HOME", "/home/u"), ("XDG_CONFIG_HOME", "/x")]);
        assert_eq!(
            file(Some(Path::new("/f")), &environment).unwrap(),
            Path::new("/f")
        );
        assert_eq!(
            file(None, &environment).unwrap(),
            Path::new("/x/drover/config.json")
        );
        let environment = Environment::from_iter([("HOME", "/home/u")]);
        assert_eq!(
            file(None, &environment).unwrap(),
            Path::new("/home/u/.config/drover/config.json")
        );
        assert!(matches!(
            file(None, &Environment::default()),
            Err(CliError::NoHome)
        ));
    }

    #[test]
    fn a_configuration_survives_with_unknown_fields_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/config.json");
        std::fs::create_dir(dir.path().join("new")).unwrap();
        std::fs::write(
            &file,
            r#"{"current":"a","later":1,"contexts":{"a":{"server":"https://a","later":2}}}"#,
        )
        .unwrap();
        let mut configuration = Configuration::read(&file).unwrap();
        configuration.contexts.insert(
            "b".to_owned(),
            Context {
                server: "https://b".to_owned(),
                token: Some(Token("n:k".into())),
                ..Context::default()
            },
        );
        configuration.write(&file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.contains("\"later\": 1") && text.contains("\"later\": 2") && text.contains("n:k"),
            "{text}"
        );
        assert!(!format!("{configuration:?}").contains("n:k"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        assert_eq!(
            std::fs::read_dir(dir.path().join("new")).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn a_broken_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        std::fs::write(&file, "{").unwrap();
        let error = Configuration::read(&file).unwrap_err();
        assert!(error.to_string().contains("config.json") && error.hint().is_some());
    }
}
