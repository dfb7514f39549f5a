//! Puts the parts of this crate together over one client.

use std::collections::BTreeMap;
use std::fmt;

use kube::Client;

use crate::authenticator::Feeder;
use crate::bootstrap::Bootstrap;
use crate::freshness::Freshness;
use crate::password::Hasher;
use crate::public::PublicApi;
use crate::{Access, Authenticator, Clock, Entropy, Logins, Settings};

/// What the parts need.
#[derive(Clone)]
pub struct Config {
    /// The store, with full rights.
    pub client: Client,
    /// Now.
    pub clock: Clock,
    /// Chance.
    pub entropy: Entropy,
    /// The process's environment; `CATTLE_<SETTING>` in it overrides a setting.
    pub environment: BTreeMap<String, String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment holds secrets.
        f.debug_struct("Config")
            .field("clock", &self.clock)
            .field("entropy", &self.entropy)
            .finish_non_exhaustive()
    }
}

/// The parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Who a request comes from.
    pub authenticator: Authenticator,
    /// What they may do.
    pub access: Access,
    /// Sessions, tokens, passwords.
    pub logins: Logins,
    /// Settings and features.
    pub settings: Settings,
    /// `/v3-public`, `/v1-public`, signing out.
    pub public: PublicApi,
}

/// Feeds the parts. Nothing spawned: whoever holds it runs it.
pub struct Driver {
    client: Client,
    feeder: Feeder,
    access: Access,
    settings: Settings,
    freshness: Freshness,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

impl Auth {
    /// Builds the parts, the work that keeps them fed, and the first start. The parts answer at once, correctly but by
    /// asking the store; run the driver for them to be quick and complete.
    #[must_use]
    pub fn new(config: Config) -> (Self, Driver, Bootstrap) {
        let hasher = Hasher::new(config.entropy.clone());
        Self::with_hasher(config, hasher)
    }

    pub(crate) fn with_hasher(config: Config, hasher: Hasher) -> (Self, Driver, Bootstrap) {
        let Config {
            client,
            clock,
            entropy,
            environment,
        } = config;
        let settings = Settings::new(&environment);
        let freshness = Freshness::new();
        let (authenticator, feeder) = Authenticator::new(
            client.clone(),
            clock.clone(),
            entropy.clone(),
            settings.clone(),
            freshness.clone(),
        );
        let access = Access::new();
        let bootstrap = Bootstrap::new(
            client.clone(),
            entropy.clone(),
            settings.clone(),
            hasher.clone(),
        );
        let logins = Logins::new(
            client.clone(),
            clock,
            entropy,
            settings.clone(),
            authenticator.clone(),
            hasher,
        );
        let public = PublicApi::new(logins.clone());
        let driver = Driver {
            client,
            feeder,
            access: access.clone(),
            settings: settings.clone(),
            freshness,
        };
        (
            Self {
                authenticator,
                access,
                logins,
                settings,
                public,
            },
            driver,
            bootstrap,
        )
    }

    /// Completes once everything has been read for the first time; the driver must be running.
    pub async fn ready(&self) {
        self.settings.ready().await;
        self.authenticator.ready().await;
        self.access.ready().await;
    }
}

impl Driver {
    /// Follows the store until dropped. Start it after the kinds exist (CRDs are installed).
    pub async fn run(self) {
        let Self {
            client,
            feeder,
            access,
            settings,
            freshness,
        } = self;
        let client = freshness.hearing(&client);
        tokio::join!(
            feeder.run(client.clone()),
            access.follow(client.clone()),
            settings.follow(client),
            freshness.tell(),
        );
    }
}
