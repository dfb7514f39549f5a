//! Secrets by what they hold: registries, certificates, names and passwords, keys, tokens.
//!
//! Pure. Owns how the fields of these types lie in a Secret's data, and which of them are shown: passwords, keys and
//! tokens only in the answer to the request that made them (recorded/http/10).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_auth::web::ApiError;
use jiff::Timestamp;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};
use x509_parser::prelude::{GeneralName, Pem, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::{text, text_at};
use crate::call::Item;
use crate::mapping::Reveal;
use crate::registry::Registry;
use crate::schema::{Secret, Type};
use crate::validate::Operation;

/// Marks what the server copied into a namespace; such Secrets are not shown.
const COPY: &str = "secret.user.cattle.io/secret";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
const DOCKER: &str = ".dockerconfigjson";

/// What a Secret holds, its type in Kubernetes, and its word in the field `kind`.
const TYPES: [(Secret, &str, &str); 6] = [
    (Secret::Any, "Opaque", "Opaque"),
    (
        Secret::Docker,
        "kubernetes.io/dockerconfigjson",
        "dockerCredential",
    ),
    (Secret::Certificate, "kubernetes.io/tls", "certificate"),
    (Secret::Basic, "kubernetes.io/basic-auth", "basicAuth"),
    (Secret::Ssh, "kubernetes.io/ssh-auth", "sshAuth"),
    (
        Secret::Account,
        "kubernetes.io/service-account-token",
        "serviceAccountToken",
    ),
];

/// What an object holds.
fn holds(object: &Value) -> Secret {
    let of = text_at(object, "/type");
    TYPES
        .iter()
        .find(|(_, kind, _)| *kind == of)
        .map_or(Secret::Any, |(holds, _, _)| *holds)
}

/// Whether an object is a resource of this type.
pub(crate) fn is_of(kind: &Type, object: &Value) -> bool {
    match kind.secret {
        None | Some(Secret::Any) => true,
        Some(wanted) => holds(object) == wanted,
    }
}

/// Whether a list of this type shows an object.
pub(crate) fn is_listed(kind: &Type, object: &Value) -> bool {
    let is_copy = object
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(COPY))
        .is_some();
    is_of(kind, object) && (kind.secret.is_none() || !is_copy)
}

/// The type that an object is shown as: lists of Secrets show each as what it holds.
pub(crate) fn shown_as<'a>(registry: &'a Registry, kind: &'a Type, object: &Value) -> &'a Type {
    if kind.secret != Some(Secret::Any) {
        return kind;
    }
    let wanted = holds(object);
    registry
        .listed(kind.base)
        .find(|other| other.secret == Some(wanted) && other.on_hub == kind.on_hub)
        .unwrap_or(kind)
}

fn datum(object: &Value, key: &str) -> Option<String> {
    let text = object.get("data")?.get(key)?.as_str()?;
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

fn set_datum(object: &mut Value, key: &str, value: &str) {
    object["data"][key] = json!(STANDARD.encode(value));
}

/// Fills in what lies in the data.
pub(crate) fn amend(kind: &Type, object: &Value, reveal: Reveal, item: &mut Item) {
    let base = if kind.on_hub {
        "secret"
    } else {
        "namespacedSecret"
    };
    item.insert("baseType".to_owned(), json!(base));
    let revealed = reveal == Reveal::Once;
    let mut show = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            item.insert(name.to_owned(), json!(value));
        }
    };
    match kind.secret {
        Some(Secret::Any) => {
            let of = text_at(object, "/type");
            let word = TYPES.iter().find(|(_, kind, _)| *kind == of);
            show(
                "kind",
                Some(word.map_or(of, |(_, _, word)| *word).to_owned()),
            );
        }
        Some(Secret::Docker) => {
            let registries = registries(object, revealed);
            item.insert("registries".to_owned(), registries);
        }
        Some(Secret::Certificate) => {
            let certs = datum(object, "tls.crt");
            if let Some(facts) = certs.as_deref().and_then(|pem| facts(pem).ok()) {
                item.extend(facts);
            }
            item.insert("certs".to_owned(), json!(certs));
            if revealed {
                item.insert("key".to_owned(), json!(datum(object, "tls.key")));
            }
        }
        Some(Secret::Basic) => {
            show("username", datum(object, "username"));
            if revealed {
                show("password", datum(object, "password"));
            }
        }
        Some(Secret::Ssh) if revealed => show("privateKey", datum(object, "ssh-privatekey")),
        None | Some(Secret::Ssh) => {}
        Some(Secret::Account) => {
            let annotation = |key: &str| {
                object
                    .pointer("/metadata/annotations")?
                    .get(key)?
                    .as_str()
                    .map(str::to_owned)
            };
            show("accountName", annotation(ACCOUNT_NAME));
            show("accountUid", annotation(ACCOUNT_UID));
            show("caCrt", datum(object, "ca.crt"));
            if revealed {
                show("token", datum(object, "token"));
            }
        }
    }
}

fn stored_registries(object: &Value) -> Map<String, Value> {
    datum(object, DOCKER)
        .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        .and_then(|config| config.get("auths")?.as_object().cloned())
        .unwrap_or_default()
}

fn registries(object: &Value, revealed: bool) -> Value {
    let mut all = stored_registries(object);
    for registry in all.values_mut().filter_map(Value::as_object_mut) {
        if !revealed {
            registry.remove("password");
            registry.remove("auth");
        }
    }
    Value::Object(all)
}

/// Registries as they are kept: what was not sent again stays, `auth` follows from name and password.
fn merged_registries(object: &Value, sent: &Map<String, Value>) -> Map<String, Value> {
    let before = stored_registries(object);
    let merge = |(host, sent): (&String, &Value)| {
        let mut registry = before
            .get(host)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let sent = sent.as_object().cloned().unwrap_or_default();
        let renamed = sent
            .get("username")
            .is_some_and(|name| registry.get("username") != Some(name));
        if renamed {
            // A password is that of a name.
            registry.clear();
        }
        let has_auth = sent.contains_key("auth");
        registry.extend(sent.into_iter().filter(|(_, value)| !value.is_null()));
        let (name, password) = (text(&registry, "username"), text(&registry, "password"));
        if !has_auth && !name.is_empty() && !password.is_empty() {
            let auth = STANDARD.encode(format!("{name}:{password}"));
            registry.insert("auth".to_owned(), json!(auth));
        }
        (host.clone(), Value::Object(registry))
    };
    sent.iter().map(merge).collect()
}

/// Writes the fields of a type into the data.
///
/// # Errors
/// 422 for a certificate that is none.
pub(crate) fn store(
    kind: &Type,
    object: &mut Value,
    fields: &Map<String, Value>,
    operation: Operation,
) -> Result<(), ApiError> {
    let Some(holds) = kind.secret else {
        return Ok(());
    };
    if operation == Operation::Create {
        let word = match holds {
            Secret::Any => text(fields, "kind"),
            _ => "",
        };
        let named = TYPES.iter().find(|(_, _, known)| *known == word);
        let of = named.or_else(|| TYPES.iter().find(|(known, _, _)| *known == holds));
        object["type"] = json!(of.map_or("Opaque", |(_, kind, _)| *kind));
    }
    let mut put = |field: &str, key: &str| {
        if let Some(value) = fields.get(field).and_then(Value::as_str) {
            set_datum(object, key, value);
        }
    };
    match holds {
        Secret::Any => {}
        Secret::Docker => {
            if let Some(sent) = fields.get("registries").and_then(Value::as_object) {
                let all = merged_registries(object, sent);
                set_datum(object, DOCKER, &json!({"auths": all}).to_string());
            }
        }
        Secret::Certificate => {
            // Recorded: without the line ends around it. Terraform compares.
            for (field, key) in [("certs", "tls.crt"), ("key", "tls.key")] {
                if let Some(pem) = fields.get(field).and_then(Value::as_str) {
                    set_datum(object, key, pem.trim());
                }
            }
            for (field, key) in [("certs", "tls.crt"), ("key", "tls.key")] {
                if datum(object, key).is_none_or(|value| value.is_empty()) {
                    return Err(ApiError::invalid("MissingRequired", "").with_field(field));
                }
            }
            if ["certs", "key"]
                .iter()
                .any(|field| fields.contains_key(*field))
            {
                let texts =
                    ["tls.crt", "tls.key"].map(|key| datum(object, key).unwrap_or_default());
                pair(&texts[0], &texts[1]).map_err(|reason| {
                    ApiError::invalid("InvalidBodyContent", reason).with_field("certs")
                })?;
            }
        }
        Secret::Basic => {
            put("username", "username");
            put("password", "password");
        }
        Secret::Ssh => put("privateKey", "ssh-privatekey"),
        Secret::Account => {
            put("caCrt", "ca.crt");
            put("token", "token");
            for (field, key) in [("accountName", ACCOUNT_NAME), ("accountUid", ACCOUNT_UID)] {
                if let Some(value) = fields.get(field).and_then(Value::as_str) {
                    object["metadata"]["annotations"][key] = json!(value);
                }
            }
        }
    }
    Ok(())
}

/// Whether a certificate can be read, of whatever version of X.509, and the key is the certificate's.
fn pair(chain: &str, key: &str) -> Result<(), String> {
    let first = first(chain)?;
    let certificate = parsed(&first)?;
    for other in Pem::iter_from_buffer(chain.as_bytes()).skip(1) {
        let broken = |error: String| format!("it is not a chain of certificates: {error}");
        let other = other.map_err(|error| broken(error.to_string()))?;
        other
            .parse_x509()
            .map_err(|error| broken(error.to_string()))?;
    }
    // What the key is is nobody's business, not even in part.
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .ok()
        .and_then(|key| any_supported_type(&key).ok())
        .ok_or("the key is not a private key in PEM form")?;
    match key.public_key() {
        Some(public) if public.as_ref() != certificate.public_key().raw => {
            Err("the key is not that of the certificate".to_owned())
        }
        _ => Ok(()),
    }
}

/// The first block of a chain in PEM form.
fn first(chain: &str) -> Result<Pem, String> {
    Pem::iter_from_buffer(chain.as_bytes())
        .next()
        .ok_or("it holds no certificate in PEM form")?
        .map_err(|error| format!("it is not PEM: {error}"))
}

fn parsed(block: &Pem) -> Result<X509Certificate<'_>, String> {
    block
        .parse_x509()
        .map_err(|error| format!("it is not a certificate: {error}"))
}

/// What a certificate says of itself, in the peer's words.
fn facts(pem: &str) -> Result<Item, String> {
    let block = first(pem)?;
    let certificate = parsed(&block)?;
    let common_name = |name: &x509_parser::x509::X509Name<'_>| {
        name.iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let time = |at: x509_parser::time::ASN1Time| {
        Timestamp::from_second(at.timestamp())
            .map(drover_types::condition::timestamp)
            .unwrap_or_default()
    };
    let (algorithm, size) = match certificate.public_key().parsed() {
        // The peer counts bytes.
        Ok(PublicKey::RSA(key)) => ("RSA", key.key_size() / 8),
        Ok(PublicKey::EC(key)) => ("ECDSA", key.key_size()),
        Ok(PublicKey::DSA(_)) => ("DSA", 0),
        _ => ("", 0),
    };
    let fingerprint: Vec<String> = Sha1::digest(&block.contents)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let names: Vec<String> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|names| {
            names
                .value
                .general_names
                .iter()
                .filter_map(alternative)
                .collect()
        })
        .unwrap_or_default();
    let mut item = Map::new();
    for (name, value) in [
        ("algorithm", algorithm.to_owned()),
        ("certFingerprint", fingerprint.join(":")),
        ("cn", common_name(certificate.subject())),
        ("expiresAt", time(certificate.validity().not_after)),
        ("issuedAt", time(certificate.validity().not_before)),
        ("issuer", common_name(certificate.issuer())),
        ("keySize", size.to_string()),
        ("serialNumber", certificate.serial.to_string()),
        ("version", (certificate.version().0 + 1).to_string()),
    ] {
        item.insert(name.to_owned(), json!(value));
    }
    item.insert("subjectAlternativeNames".to_owned(), json!(names));
    Ok(item)
}

fn alternative(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_keeps_the_password_that_was_not_sent_again() {
        let sent = json!({"r.example": {"username": "u", "password": "p"}});
        let mut object = json!({});
        let all = merged_registries(&object, sent.as_object().unwrap());
        assert_eq!(all["r.example"]["auth"], "dTpw");
        set_datum(&mut object, DOCKER, &json!({"auths": all}).to_string());
        let again = json!({"r.example": {"username": "u", "email": "e"}});
        let all = merged_registries(&object, again.as_object().unwrap());
        assert_eq!(
            all["r.example"],
            json!({"username": "u", "password": "p", "auth": "dTpw", "email": "e"})
        );
        let other = json!({"r.example": {"username": "w"}});
        let all = merged_registries(&object, other.as_object().unwrap());
        assert_eq!(all["r.example"], json!({"username": "w"}));
        assert_eq!(
            registries(&object, false),
            json!({"r.example": {"username": "u"}})
        );
    }

    #[test]
    fn what_is_no_certificate_is_named() {
        assert!(facts("hello").unwrap_err().contains("no certificate"));
        let wrong = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert!(facts(wrong).unwrap_err().contains("not a certificate"));
    }
}
