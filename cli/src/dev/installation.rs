//! The configuration of a local installation: the user's own, and over it what `sallyport dev` decides.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use secrecy::{ExposeSecret as _, SecretString};
use toml::{Table, Value};

use super::{data_dir::DataDir, preflight};
use crate::{
    config::{Layers, Origin, PREFIX},
    exit::Problem,
    private_file::write_private,
};

/// The name of the generated file in the data folder.
const FILE: &str = "sallyport.toml";

/// Keys that only `sallyport dev` sets; a variable for one of them, or for the whole section, is not handed down.
const OURS: [(&str, &[&str]); 5] = [
    ("data_dir", &[]),
    ("temporal", &["address", "namespace"]),
    ("database", &["url", "url_file"]),
    (
        "starter",
        &["listen", "public_url", "temporal_ui_url", "tokens"],
    ),
    ("tools", &["manifest"]),
];

/// Where everything of a local installation listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The starter's port.
    pub starter_port: u16,
    /// Temporal's frontend, `HOST:PORT`.
    pub temporal: String,
    /// Temporal's UI.
    pub temporal_ui_url: String,
    /// The database with its password.
    pub database_url: SecretString,
}

impl Addresses {
    /// The starter's API.
    pub fn starter_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.starter_port)
    }
}

/// Reads the user's configuration: the file named, else `sallyport.toml` in `here` if there is one, else nothing.
pub fn read_users(named: Option<&Path>, here: &Path) -> Result<Layers, Problem> {
    let usual = here.join(FILE);
    Ok(match named {
        Some(file) => Layers::read(file)?,
        None if usual.exists() => Layers::read(&usual)?,
        None => Layers::parse(&usual, "")?,
    })
}

/// The list of tools that this installation uses: the one configured, else the nearest one.
pub fn tools_manifest(layers: &Layers, here: &Path) -> PathBuf {
    let configured = layers.get(&["tools", "manifest"]).and_then(Value::as_str);
    match configured {
        Some(path) => PathBuf::from(path),
        None => {
            let folder = layers.file().parent().unwrap_or(here);
            preflight::find_tools(folder, here).unwrap_or_else(|| here.join(preflight::TOOLS))
        }
    }
}

/// Sets over the user's configuration what `sallyport dev` decides, and under it what it supplies where the user said
/// nothing.
pub fn complete(
    layers: &mut Layers,
    data: &DataDir,
    addresses: &Addresses,
    tools: &Path,
    person: &str,
) -> Result<(), Problem> {
    let text = |path: &Path| Value::String(path.to_string_lossy().into_owned());
    let mut token = Table::new();
    token.insert("person".into(), person.into());
    token.insert("role".into(), "admin".into());
    token.insert("token_file".into(), text(&data.token_file()?));
    let mut tokens = layers
        .get(&["starter", "tokens"])
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    tokens.push(Value::Table(token));

    layers.remove(&["database"], "url_file");
    let ours: [(&[&str], Value); 9] = [
        (&["data_dir"], text(data.path())),
        (&["tools", "manifest"], text(tools)),
        (
            &["temporal", "address"],
            format!("http://{}", addresses.temporal).into(),
        ),
        (&["temporal", "namespace"], "default".into()),
        (
            &["database", "url"],
            addresses.database_url.expose_secret().into(),
        ),
        (
            &["starter", "listen"],
            format!("127.0.0.1:{}", addresses.starter_port).into(),
        ),
        (&["starter", "public_url"], addresses.starter_url().into()),
        (
            &["starter", "temporal_ui_url"],
            addresses.temporal_ui_url.clone().into(),
        ),
        (&["starter", "tokens"], Value::Array(tokens)),
    ];
    for (path, value) in ours {
        layers.put(path, value, Origin::Dev)?;
    }
    layers.put_default(&["decisions", "accept_unproven"], true.into())?;
    layers.put_default(
        &["decisions", "key_file"],
        text(&data.secret("decision-key")?),
    )?;
    layers.put_default(&["audit", "key_file"], text(&data.secret("audit-key")?))?;
    layers.put_default(
        &["flux_lens", "webhook_secret_file"],
        text(&data.secret("webhook-secret")?),
    )?;
    Ok(())
}

/// Writes the configuration that the starter and the worker are started with. The environment is not in it: secrets
/// that came from there stay there.
pub fn write(layers: &Layers, data: &DataDir) -> anyhow::Result<PathBuf> {
    let path = data.path().join(FILE);
    let text = format!(
        "# Written by `sallyport dev` at every start. Changes here are lost; make them in your own sallyport.toml.\n\n{}",
        layers.to_toml()
    );
    write_private(&path, &text)?;
    Ok(path)
}

/// The variables of `environment` that would undo what `sallyport dev` decides.
pub fn undoing(environment: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    environment
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| {
            let Some(path) = name.strip_prefix(PREFIX) else {
                return false;
            };
            let path = path.to_ascii_lowercase();
            let (section, key) = path.split_once("__").unwrap_or((&path, ""));
            OURS.iter()
                .any(|(ours, keys)| *ours == section && (key.is_empty() || keys.contains(&key)))
        })
        .collect()
}

/// Who works here: what git knows them as, else the system's name for them.
pub fn person() -> String {
    let git = Command::new("git")
        .args(["config", "user.email"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .filter(|email| !email.is_empty());
    git.unwrap_or_else(|| {
        let name = ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
        format!("{}@localhost", name.as_deref().unwrap_or("user"))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn addresses() -> Addresses {
        Addresses {
            starter_port: 8480,
            temporal: "127.0.0.1:7233".into(),
            temporal_ui_url: "http://127.0.0.1:8233".into(),
            database_url: "postgres://sallyport:pw@127.0.0.1:5480/sallyport".into(),
        }
    }

    #[test]
    fn the_users_settings_stay_and_ours_come_over_them() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("sallyport.toml");
        fs::write(
            &file,
            "[database]\nurl_file = 'elsewhere'\nmax_connections = 3\n[decisions]\naccept_unproven = false\n\
             [flux_lens]\nwebhook_secret = 'theirs'\n[[starter.tokens]]\nperson = 'viewer@example.com'\n",
        )
        .unwrap();
        let data = DataDir::open(&parent.path().join("data"), false).unwrap();
        let mut layers = read_users(None, parent.path()).unwrap();
        complete(
            &mut layers,
            &data,
            &addresses(),
            Path::new("/t/tools.json"),
            "me@example.com",
        )
        .unwrap();
        let written = fs::read_to_string(write(&layers, &data).unwrap()).unwrap();
        let table: Table = written.parse().unwrap();

        assert_eq!(table["database"]["max_connections"].as_integer(), Some(3));
        assert!(
            table["database"]["url"]
                .as_str()
                .unwrap()
                .contains(":5480/")
        );
        assert!(table["database"].get("url_file").is_none());
        assert_eq!(table["decisions"]["accept_unproven"].as_bool(), Some(false));
        assert!(
            table["decisions"]["key_file"]
                .as_str()
                .unwrap()
                .ends_with("decision-key")
        );
        assert_eq!(
            table["flux_lens"]["webhook_secret"].as_str(),
            Some("theirs")
        );
        assert!(table["flux_lens"].get("webhook_secret_file").is_none());
        let people: Vec<_> = table["starter"]["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token["person"].as_str().unwrap())
            .collect();
        assert_eq!(people, ["viewer@example.com", "me@example.com"]);
    }

    #[test]
    fn variables_that_would_undo_it_are_found() {
        let names = [
            "SALLYPORT__DATABASE__URL",
            "SALLYPORT__STARTER",
            "SALLYPORT__STARTER__RATE",
            "SALLYPORT__DATA_DIR",
            "SALLYPORT__MODEL__API_KEY",
            "SALLYPORT_URL",
        ];
        let found = undoing(names.map(|name| (name.to_owned(), String::new())));
        assert_eq!(
            found,
            [
                "SALLYPORT__DATABASE__URL",
                "SALLYPORT__STARTER",
                "SALLYPORT__DATA_DIR"
            ]
        );
    }
}
