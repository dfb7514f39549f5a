//! `groupmembershiprefreshrequests`: to look again at which groups of a provider somebody, or everybody, is in.
//!
//! Sign-in is local so far, and local people are in no groups of a provider: what is known of them is always current, and
//! a request is done when it is made.

use drover_auth::Attributes;
use drover_auth::web::{ApiError, Response};
use drover_types::condition::timestamp;
use drover_types::management::{GROUP as MANAGEMENT, User};
use kube::Api;
use serde_json::{Value, json};

use crate::request::text;
use crate::{Call, bad_request, made};

/// Stands for all users.
const EVERYBODY: &str = "*";

impl Call<'_> {
    pub(crate) async fn refresh_groups(&self, mut sent: Value) -> Result<Response, ApiError> {
        let user = text(&sent, "/spec/userId")?;
        if user.is_empty() {
            return Err(bad_request("spec.userId: user ID must be set"));
        }
        // As the peer: for those who may make users.
        let attributes = Attributes {
            verb: "create",
            group: MANAGEMENT,
            resource: "users",
            namespace: None,
            name: None,
        };
        self.parts.access.check(self.identity, &attributes)?;
        if user != EVERYBODY {
            let users: Api<User> = Api::all(self.parts.client.0.clone());
            let found = users.get_opt(&user).await?;
            found.ok_or_else(|| bad_request(format!("spec.userId: user {user} not found")))?;
        }
        sent["apiVersion"] = json!("ext.cattle.io/v1");
        sent["kind"] = json!("GroupMembershipRefreshRequest");
        if self.asked.dry {
            return Ok(made(&sent));
        }
        let now = timestamp(self.parts.clock.now());
        Ok(made(&json!({
            "apiVersion": sent["apiVersion"], "kind": sent["kind"], "metadata": {}, "spec": {"userId": user},
            "status": {
                "conditions": [{
                    "type": "UserRefreshInitiated", "status": "True", "reason": "", "message": "",
                    "lastTransitionTime": now,
                }],
                "summary": "Completed",
            },
        })))
    }
}
