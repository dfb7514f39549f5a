//! The ways to sign in: the local one is always there.

use drover_types::management::AuthConfig;
use drover_types::names::{CREATOR_LABEL, CREATOR_NORMAN};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::{BootstrapError, create, failed, replace};

const LOCAL: &str = "local";
const CLEANUP_ANNOTATION: &str = "management.cattle.io/auth-provider-cleanup";

/// As recorded (recorded/http/11).
fn local() -> AuthConfig {
    let mut local = AuthConfig::named(LOCAL);
    "localConfig".clone_into(&mut local.config_type);
    local.enabled = true;
    local
        .labels_mut()
        .insert(CREATOR_LABEL.to_owned(), CREATOR_NORMAN.to_owned());
    local
        .annotations_mut()
        .insert(CLEANUP_ANNOTATION.to_owned(), "unlocked".to_owned());
    local.status.insert(
        "conditions".to_owned(),
        json!([{"type": "SecretsMigrated", "status": "True"}]),
    );
    local
}

/// Makes the local way to sign in, or opens it again.
pub(super) async fn ensure(client: &Client) -> Result<(), BootstrapError> {
    let api: Api<AuthConfig> = Api::all(client.clone());
    let what = "the local way to sign in";
    let wanted = local();
    match api.get_opt(LOCAL).await.map_err(failed(what))? {
        None => drop(create(&api, &wanted, what).await?),
        Some(current) => {
            let mut reset = current.clone();
            reset.config_type = wanted.config_type;
            reset.enabled = true;
            replace(&api, &current, &reset, what).await?;
        }
    }
    Ok(())
}
