//! Settings and features: what exists, what is built in, what counts.
//!
//! Precedence (reference section 5): `CATTLE_<NAME>` of the environment, then a
//! stored non-empty value, then the default. The names and defaults are those
//! of `recorded/v3-settings.json` and `v3-features.json` that mean something here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use drover_types::management::{Feature, FeatureStatus, Setting};
use drover_types::names;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::Entropy;
use crate::bootstrap::AT_ONCE;
use crate::clock::NoEntropy;
use crate::mirror::{Mirror, Unobserved};

/// Defaults that are known when the program is built.
static DEFAULTS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let mut defaults: BTreeMap<String, String> =
        serde_json::from_str(include_str!("../data/settings.json"))
            .expect("data/settings.json is a map of strings");
    defaults.insert("agent-image".to_owned(), names::AGENT_IMAGE.to_owned());
    defaults.insert("server-version".to_owned(), names::PEER_VERSION.to_owned());
    defaults
});

#[derive(Deserialize)]
struct BuiltInFeature {
    default: bool,
    dynamic: bool,
    prime: bool,
}

static FEATURES: LazyLock<BTreeMap<&'static str, BuiltInFeature>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/features.json"))
        .expect("data/features.json is a map of features")
});

/// Tokens are always stored hashed here; the switch for it is on and stays on.
const TOKEN_HASHING: &str = "token-hashing";

/// The built-in default of a setting; `None` for names that are no settings.
#[must_use]
pub fn default_of(name: &str) -> Option<&'static str> {
    DEFAULTS.get(name).map(String::as_str)
}

/// Names of all built-in settings.
pub fn names() -> impl Iterator<Item = &'static str> {
    DEFAULTS.keys().map(String::as_str)
}

/// The environment variable that overrides a setting: `server-url` is `CATTLE_SERVER_URL`.
#[must_use]
pub fn variable(name: &str) -> String {
    format!("CATTLE_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// Why settings or features could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// The store refused.
    #[error("could not write {object}")]
    Store {
        /// Kind and name.
        object: String,
        /// The store's answer.
        #[source]
        source: kube::Error,
    },
    /// No installation id could be drawn.
    #[error("could not draw an installation id")]
    Entropy(#[from] NoEntropy),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    value: String,
    default: String,
}

/// Effective values, watch-fed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Settings {
    overrides: Arc<HashMap<String, String>>,
    stored: Mirror<Stored>,
    features: Mirror<bool>,
}

impl Settings {
    /// Takes the overrides from the given environment; stored values come as the driver follows the store.
    pub(crate) fn new(environment: &BTreeMap<String, String>) -> Self {
        let overrides = names()
            .filter_map(|name| {
                let value = environment
                    .get(&variable(name))
                    .filter(|value| !value.is_empty())?;
                Some((name.to_owned(), value.clone()))
            })
            .collect();
        Self {
            overrides: Arc::new(overrides),
            stored: Mirror::new(),
            features: Mirror::new(),
        }
    }

    pub(crate) async fn follow(&self, client: Client) {
        let settings = self.stored.follow::<Setting>(
            client.clone(),
            |setting| Stored {
                value: setting.value,
                default: setting.default,
            },
            Unobserved,
        );
        let features =
            self.features
                .follow::<Feature>(client, |feature| feature_value(&feature), Unobserved);
        tokio::join!(settings, features);
    }

    pub(crate) async fn ready(&self) {
        self.stored.ready().await;
        self.features.ready().await;
    }

    /// The value that counts; empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> String {
        if let Some(value) = self.overrides.get(name) {
            return value.clone();
        }
        match self.stored.get(name) {
            Some(stored) if !stored.value.is_empty() => stored.value.clone(),
            Some(stored) if !stored.default.is_empty() => stored.default.clone(),
            _ => default_of(name).unwrap_or_default().to_owned(),
        }
    }

    /// A whole number; the built-in default (or 0) when the value is none.
    #[must_use]
    pub fn number(&self, name: &str) -> i64 {
        self.get(name).trim().parse().unwrap_or_else(|_| {
            tracing::warn!(
                setting = name,
                "setting is no whole number, its default counts"
            );
            default_of(name)
                .unwrap_or_default()
                .parse()
                .unwrap_or_default()
        })
    }

    /// Whether a setting says `true`.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).trim().eq_ignore_ascii_case("true")
    }

    /// Whether a feature is on; unknown ones are off.
    #[must_use]
    pub fn feature(&self, name: &str) -> bool {
        match self.features.get(name) {
            Some(value) => *value,
            None => FEATURES.get(name).is_some_and(|feature| feature.default),
        }
    }

    /// The settings the environment decides, by name. They cannot be changed while the server runs.
    #[must_use]
    pub fn overrides(&self) -> BTreeMap<String, String> {
        self.overrides
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Makes every built-in setting and feature exist, with today's defaults and the environment's values.
    /// May be repeated, and run by several replicas at once.
    ///
    /// # Errors
    /// [`EnsureError`]; what was written stays.
    pub async fn ensure(&self, client: &Client, entropy: &Entropy) -> Result<(), EnsureError> {
        self.ensure_settings(client, entropy).await?;
        ensure_features(client).await
    }

    async fn ensure_settings(&self, client: &Client, entropy: &Entropy) -> Result<(), EnsureError> {
        let api: Api<Setting> = Api::all(client.clone());
        let failed = |name: &str| {
            let object = format!("the setting {name}");
            move |source| EnsureError::Store { object, source }
        };
        let there = api
            .list(&ListParams::default())
            .await
            .map_err(failed("list"))?;
        let there: HashMap<String, Setting> = there
            .items
            .into_iter()
            .map(|setting| (setting.name_any(), setting))
            .collect();
        let ensure = async |(name, default): (&String, &String)| {
            let given = self.overrides.get(name);
            let mut wanted = there
                .get(name)
                .cloned()
                .unwrap_or_else(|| Setting::named(name));
            wanted.default.clone_from(default);
            match given {
                Some(value) => {
                    wanted.value.clone_from(value);
                    wanted.customized = false;
                    "env".clone_into(&mut wanted.source);
                }
                None if wanted.source == "env" => {
                    // The variable is gone; what it said is not something anybody set.
                    wanted.value.clear();
                    wanted.customized = false;
                    wanted.source.clear();
                }
                None => {}
            }
            if name == "install-uuid" && wanted.value.is_empty() {
                wanted.value = entropy.uuid()?;
                wanted.customized = true;
                "db".clone_into(&mut wanted.source);
            }
            match there.get(name) {
                None => match api.create(&PostParams::default(), &wanted).await {
                    Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                    other => drop(other.map_err(failed(name))?),
                },
                Some(current) if *current != wanted => {
                    let change = json!({
                        "default": wanted.default, "value": wanted.value,
                        "customized": wanted.customized, "source": wanted.source,
                    });
                    api.patch(name, &PatchParams::default(), &Patch::Merge(&change))
                        .await
                        .map_err(failed(name))?;
                }
                Some(_) => {}
            }
            Ok(())
        };
        stream::iter(DEFAULTS.iter())
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, ensure)
            .await
    }

    /// Settings of these values, as if stored; for tests of what depends on them.
    #[cfg(test)]
    pub(crate) fn of(values: &[(&str, &str)]) -> Self {
        let environment = values
            .iter()
            .map(|(name, value)| (variable(name), (*value).to_owned()))
            .collect();
        Self::new(&environment)
    }
}

/// What manifests call the authority that the setting `cacerts` holds: SHA-256 of the value with one newline at its end;
/// empty without one (reference tunnel-and-import, 3.4).
#[must_use]
pub fn authority_checksum(cacerts: &str) -> String {
    match cacerts.trim() {
        "" => String::new(),
        certificates => hex::encode(Sha256::digest(format!("{certificates}\n").as_bytes())),
    }
}

fn feature_value(feature: &Feature) -> bool {
    feature
        .status
        .locked_value
        .or(feature.spec.value)
        .unwrap_or(feature.status.default && !feature.status.prime)
}

async fn ensure_features(client: &Client) -> Result<(), EnsureError> {
    let api: Api<Feature> = Api::all(client.clone());
    let failed = |name: &str| {
        let object = format!("the feature {name}");
        move |source| EnsureError::Store { object, source }
    };
    let there = api
        .list(&ListParams::default())
        .await
        .map_err(failed("list"))?;
    let there: HashMap<String, Feature> = there
        .items
        .into_iter()
        .map(|feature| (feature.name_any(), feature))
        .collect();
    let ensure = async |(&name, built_in): (&&'static str, &BuiltInFeature)| {
        let hashing = name == TOKEN_HASHING;
        let status = FeatureStatus {
            dynamic: built_in.dynamic,
            default: built_in.default || hashing,
            locked_value: hashing.then_some(true),
            prime: built_in.prime,
            description: there
                .get(name)
                .map(|feature| feature.status.description.clone())
                .unwrap_or_default(),
        };
        match there.get(name) {
            None => {
                let mut wanted = Feature::named(name);
                wanted.status = status;
                match api.create(&PostParams::default(), &wanted).await {
                    Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                    other => drop(other.map_err(failed(name))?),
                }
            }
            Some(current) if current.status != status => {
                let change = json!({ "status": status });
                api.patch(name, &PatchParams::default(), &Patch::Merge(&change))
                    .await
                    .map_err(failed(name))?;
            }
            Some(_) => {}
        }
        Ok(())
    };
    stream::iter(FEATURES.iter())
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, ensure)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn the_environment_beats_the_default() {
        let environment = BTreeMap::from([
            ("CATTLE_PASSWORD_MIN_LENGTH".to_owned(), "3".to_owned()),
            ("CATTLE_SERVER_URL".to_owned(), String::new()),
            ("CATTLE_UNKNOWN".to_owned(), "x".to_owned()),
        ]);
        let settings = Settings::new(&environment);
        assert_eq!(settings.number("password-min-length"), 3);
        assert_eq!(settings.get("server-url"), "");
        assert_eq!(settings.get("auth-user-session-ttl-minutes"), "960");
        assert_eq!(
            settings.overrides().into_keys().collect::<Vec<_>>(),
            ["password-min-length"]
        );
        assert_eq!(
            Settings::of(&[("password-min-length", "many")]).number("password-min-length"),
            12
        );
    }

    #[tokio::test]
    async fn ensuring_twice_changes_nothing_and_keeps_what_people_set() {
        let store = fake::Store::new();
        let client = store.client();
        let entropy = Entropy::seeded(1);
        let settings = Settings::new(&BTreeMap::from([(
            "CATTLE_UI_BRAND".to_owned(),
            "mine".to_owned(),
        )]));
        settings.ensure(&client, &entropy).await.unwrap();
        let api: Api<Setting> = Api::all(client.clone());
        let change = Patch::Merge(json!({"value": "20"}));
        api.patch("password-min-length", &PatchParams::default(), &change)
            .await
            .unwrap();
        let before = store.dump();
        settings.ensure(&client, &entropy).await.unwrap();
        assert_eq!(store.dump(), before);
        assert_eq!(api.get("password-min-length").await.unwrap().value, "20");
        let brand = api.get("ui-brand").await.unwrap();
        assert_eq!(
            (brand.value.as_str(), brand.source.as_str()),
            ("mine", "env")
        );
        api.get("install-uuid")
            .await
            .unwrap()
            .value
            .parse::<uuid::Uuid>()
            .unwrap();

        Settings::new(&BTreeMap::new())
            .ensure(&client, &entropy)
            .await
            .unwrap();
        let brand = api.get("ui-brand").await.unwrap();
        assert_eq!((brand.value.as_str(), brand.source.as_str()), ("", ""));
        let hashing = Api::<Feature>::all(client)
            .get(TOKEN_HASHING)
            .await
            .unwrap();
        assert!(feature_value(&hashing));
    }
}
