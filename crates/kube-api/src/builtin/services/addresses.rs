//! The addresses of services as objects of their own: an IPAddress for each, and the range they come from.
//!
//! The service is what counts: its objects follow from it, before its write is answered, and are put in order again at
//! start and whenever services or addresses change, so that a write that was cut short leaves nothing behind
//! (kubernetes `pkg/registry/core/service/ipallocator`, v1.36).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::rest::object::{self, strings};
use crate::rest::{Api, Context, delete, notes, options, write};
use crate::status::StatusError;
use crate::store::{Key, Range};

/// The least time between two looks at all of them.
const ROUND: Duration = Duration::from_secs(60);
const GROUP: &str = "networking.k8s.io";
const PLURAL: &str = "ipaddresses";
const TABLE: &str = "networking.k8s.io/ipaddresses";
const SERVICES: &str = "/services";
const FAMILY: &str = "ipaddress.kubernetes.io/ip-family";
const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
const ALLOCATOR: &str = "ipallocator.k8s.io";

/// The service of an address that was made for one: its namespace and name.
fn parent(address: &Value) -> Option<(&str, &str)> {
    if address["metadata"]["labels"][MANAGED_BY] != ALLOCATOR {
        return None;
    }
    let parent = &address["spec"]["parentRef"];
    Some((parent["namespace"].as_str()?, parent["name"].as_str()?))
}

fn addresses(service: &Value) -> Vec<String> {
    let mut addresses = strings(&service["spec"], "clusterIPs");
    addresses.retain(|address| address.parse::<IpAddr>().is_ok());
    addresses
}

/// Addresses that somebody else has set aside.
pub(super) fn reserved(api: &Api) -> BTreeSet<String> {
    let Ok(page) = api.store.list(TABLE, &Range::default()) else {
        return BTreeSet::new();
    };
    page.items
        .into_iter()
        .filter(|(_, stored)| parent(&stored.value()).is_none())
        .map(|(key, _)| key.name().to_owned())
        .collect()
}

/// Makes the objects of a service's addresses and removes those of addresses that it has no more.
pub(crate) async fn settle(api: &Arc<Api>, new: Option<&Value>, old: Option<&Value>) {
    let wanted = new.map(addresses).unwrap_or_default();
    for address in old.map(addresses).unwrap_or_default() {
        if !wanted.contains(&address) {
            remove(api, &address).await;
        }
    }
    if let Some(service) = new {
        for address in wanted {
            ensure(api, service, &address).await;
        }
    }
}

/// Puts the objects in order until `stop`: at first, and once in a while if anything changed.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut services = api.store.subscribe_table(SERVICES);
    let mut objects = api.store.subscribe_table(TABLE);
    let mut rounds = tokio::time::interval(ROUND);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = rounds.tick() => {}
        }
        services.mark_unchanged();
        objects.mark_unchanged();
        round(&api).await;
        tokio::select! {
            () = stop.cancelled() => return,
            changed = services.changed() => if changed.is_err() { return },
            changed = objects.changed() => if changed.is_err() { return },
        }
    }
}

/// One look at every service and every address.
async fn round(api: &Arc<Api>) {
    // In this order: an address that is seen has its service seen too.
    let Ok(held) = api.store.list(TABLE, &Range::default()) else {
        return;
    };
    let Ok(services) = api.store.list(SERVICES, &Range::default()) else {
        return;
    };
    let mut wanted = BTreeMap::new();
    for (_, stored) in services.items {
        let service = stored.value();
        for address in addresses(&service) {
            wanted.insert(address, service.clone());
        }
    }
    for (key, stored) in held.items {
        let address = stored.value();
        match wanted.remove(key.name()) {
            None if parent(&address).is_some() => remove(api, key.name()).await,
            Some(service) if !is_of(&address, &service) => {
                ensure(api, &service, key.name()).await;
            }
            _ => {}
        }
    }
    for (address, service) in wanted {
        ensure(api, &service, &address).await;
    }
}

fn is_of(address: &Value, service: &Value) -> bool {
    let own = (
        object::meta(service, "namespace"),
        object::meta(service, "name"),
    );
    parent(address).is_none_or(|parent| parent == own)
}

fn target(api: &Api, address: &str) -> Option<write::Target> {
    let resource = api.registry.get(GROUP, "v1", PLURAL)?;
    Some(write::Target::object(&resource, "", address))
}

async fn ensure(api: &Arc<Api>, service: &Value, address: &str) {
    if let Some(stored) = api.store.get(TABLE, &Key::new("", address)) {
        if is_of(&stored.value(), service) {
            return;
        }
        // It was of a service that is gone.
        remove(api, address).await;
    }
    let family = match address.parse() {
        Ok(IpAddr::V6(_)) => "IPv6",
        _ => "IPv4",
    };
    let object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {"name": address, "labels": {FAMILY: family, MANAGED_BY: ALLOCATOR}},
        "spec": {"parentRef": {
            "group": "", "resource": "services",
            "namespace": object::meta(service, "namespace"), "name": object::meta(service, "name"),
        }},
    });
    let Some(target) = target(api, address) else {
        return;
    };
    let cx = Context::system(api.clock.now(), "kube-apiserver");
    let (notes, options) = (notes::Notes::default(), options::WriteOptions::default());
    report(
        address,
        write::create(api, &cx, &target, object, &notes, &options)
            .await
            .map(drop),
    );
}

async fn remove(api: &Arc<Api>, address: &str) {
    let Some(target) = target(api, address) else {
        return;
    };
    let cx = Context::system(api.clock.now(), "kube-apiserver");
    let options = options::DeleteOptions::default();
    report(
        address,
        delete::delete(api, &cx, &target, &options).await.map(drop),
    );
}

/// What could not be written is tried again with the next change.
fn report(address: &str, written: Result<(), StatusError>) {
    match written {
        Ok(()) => {}
        Err(error) if error.reason == "AlreadyExists" || error.is_not_found() => {}
        Err(error) => tracing::warn!(%address, %error, "object of an address not written"),
    }
}
