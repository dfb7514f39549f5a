//! Command lines that ask for a token. This type is ours; the peer hands over tokens after a SAML login alone.

use crate::schema::{Behaviour, Type};

pub(super) fn types() -> Vec<Type> {
    let mut login = Type::virtual_resource(
        "cliLogin",
        &[
            ("expiresAt", "string n"),
            ("publicKey", "string crn"),
            ("requestId", "string crn"),
            ("responseType", "string cn"),
        ],
    )
    .behaves(Behaviour::CliLogin);
    login.collection_methods = &["POST"];
    login.resource_methods = &[];
    vec![login]
}
