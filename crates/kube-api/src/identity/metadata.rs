//! What others need to check this server's tokens by themselves: OpenID Connect discovery, as far as a real server has it
//! (kubernetes `pkg/serviceaccount/openidmetadata.go`, v1.36).

use serde_json::{Value, json};

use super::tokens::{ISSUER, TokenError, signing_key};
use crate::rest::Api;

/// Where the document is, below the root.
pub(crate) const CONFIGURATION: [&str; 2] = [".well-known", "openid-configuration"];
/// Where the keys are.
pub(crate) const KEYS: [&str; 3] = ["openid", "v1", "jwks"];

/// Who issues tokens and where the keys are.
pub(crate) fn configuration() -> Value {
    json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{ISSUER}/{}", KEYS.join("/")),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

/// The public key of the server.
///
/// # Errors
///
/// The key cannot be read.
pub(crate) fn keys(api: &Api) -> Result<Value, TokenError> {
    Ok(json!({"keys": [signing_key(api)?.public()]}))
}
