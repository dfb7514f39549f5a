//! The hub's own objects whose changes controllers look at.

use std::sync::Arc;

use drover_types::management::{
    Cluster, ClusterRegistrationToken, ClusterRoleTemplateBinding, Feature, GlobalRole, Project,
    ProjectRoleTemplateBinding, RoleTemplate, Setting, User, UserAttribute,
};
use drover_types::names::SYSTEM_NAMESPACE;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::runtime::watcher;
use tokio_util::sync::CancellationToken;

use crate::observer::Known;
use crate::runtime::{Presence, Trigger, watch_metadata};
use crate::{Triggers, retention, settings, settings_follow};

/// What names of workspaces begin with, whose namespaces hold credentials of registries.
const WORKSPACE_PREFIX: &str = "fleet-";

/// The watches, each to be run.
pub(crate) fn all(
    client: &Client,
    triggers: &Triggers,
    shared: &settings::Shared,
    known: &Arc<Known>,
    shutdown: &CancellationToken,
) -> Vec<BoxFuture<'static, ()>> {
    let everything = watcher::Config::default;
    let Triggers {
        registration,
        clusters,
        access,
        projects,
        cleanup,
        settings,
        ..
    } = triggers;
    let (clusters, cleanup, known_clusters) =
        (clusters.clone(), cleanup.clone(), Arc::clone(known));
    let of_pairs = triggers.provisioning.clone();
    let of_networks = triggers.isolation.clone();
    let cluster = watch_metadata::<Cluster>(
        client,
        everything(),
        move |object, presence| {
            let Some(id) = object.metadata.name.as_deref() else {
                return;
            };
            known_clusters.set(id, presence == Presence::There);
            clusters.now(id);
            of_pairs.now(id);
            of_networks.now(id);
            if object.metadata.deletion_timestamp.is_some() {
                cleanup.now(id);
            }
        },
        shutdown.clone(),
    );
    let (registration, clusters) = (registration.clone(), triggers.clusters.clone());
    let token = watch_metadata::<ClusterRegistrationToken>(
        client,
        everything(),
        move |object, presence| {
            let (Some(namespace), Some(name)) = (&object.metadata.namespace, &object.metadata.name)
            else {
                return;
            };
            registration.now(format_args!("{namespace}/{name}"));
            if presence == Presence::Gone {
                clusters.now(namespace);
            }
        },
        shutdown.clone(),
    );
    let (projects, quotas, isolation) = (
        projects.clone(),
        triggers.quotas.clone(),
        triggers.isolation.clone(),
    );
    let project = watch_metadata::<Project>(
        client,
        everything(),
        move |object, _| {
            if let Some(id) = &object.metadata.namespace {
                projects.now(id);
                quotas.now(id);
                isolation.now(id);
            }
        },
        shutdown.clone(),
    );
    let (of_roles, known_to_roles) = (access.clone(), Arc::clone(known));
    let role = watch_metadata::<RoleTemplate>(
        client,
        everything(),
        move |_, _| known_to_roles.all().iter().for_each(|id| of_roles.now(id)),
        shutdown.clone(),
    );
    let (of_global, known_to_global) = (access.clone(), Arc::clone(known));
    let global = watch_metadata::<GlobalRole>(
        client,
        everything(),
        move |_, _| {
            known_to_global
                .all()
                .iter()
                .for_each(|id| of_global.now(id))
        },
        shutdown.clone(),
    );
    let of_clusters = access.clone();
    let cluster_binding = watch_metadata::<ClusterRoleTemplateBinding>(
        client,
        everything(),
        move |object, _| {
            object
                .metadata
                .namespace
                .iter()
                .for_each(|id| of_clusters.now(id))
        },
        shutdown.clone(),
    );
    let (of_secrets, known_to_secrets) = (triggers.secrets.clone(), Arc::clone(known));
    let agents = triggers.agent.clone();
    let secret = watch_metadata::<Secret>(
        client,
        everything(),
        move |object, _| {
            let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
            let ids = known_to_secrets.all();
            for id in of_cluster(&ids, namespace) {
                of_secrets.now(id);
            }
            // Credentials of registries travel with the agents.
            if namespace == SYSTEM_NAMESPACE || namespace.starts_with(WORKSPACE_PREFIX) {
                ids.iter().for_each(|id| agents.now(id));
            }
        },
        shutdown.clone(),
    );
    let (of_projects, known) = (access.clone(), Arc::clone(known));
    let project_binding = watch_metadata::<ProjectRoleTemplateBinding>(
        client,
        everything(),
        move |object, _| {
            let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
            let ids = known.all();
            let own = of_cluster(&ids, namespace);
            if own.is_empty() {
                // Namespaces of old projects are not named after their cluster.
                ids.iter().for_each(|id| of_projects.now(id));
            } else {
                own.iter().for_each(|id| of_projects.now(id));
            }
        },
        shutdown.clone(),
    );
    let follow = |settings: &Trigger| {
        let (settings, shared) = (settings.clone(), shared.clone());
        move || {
            shared.changed();
            settings.now(settings_follow::ALL);
        }
    };
    let (of_settings, of_features) = (follow(settings), follow(settings));
    let retention = triggers.retention.clone();
    let setting = watch_metadata::<Setting>(
        client,
        everything(),
        move |object, _| {
            of_settings();
            let name = object.metadata.name.as_deref();
            if name.is_some_and(retention::depends_on) {
                retention.now(retention::ALL);
            }
        },
        shutdown.clone(),
    );
    let of_logins = triggers.retention.clone();
    let attribute = watch_metadata::<UserAttribute>(
        client,
        everything(),
        move |object, _| {
            let name = object.metadata.name.iter();
            name.for_each(|name| of_logins.now(name));
        },
        shutdown.clone(),
    );
    let feature = watch_metadata::<Feature>(
        client,
        everything(),
        move |_, _| of_features(),
        shutdown.clone(),
    );
    let of_users = triggers.users.clone();
    let user = watch_metadata::<User>(
        client,
        everything(),
        move |object, _| {
            object
                .metadata
                .name
                .iter()
                .for_each(|name| of_users.now(name))
        },
        shutdown.clone(),
    );
    let of_objects = triggers.provisioning.clone();
    let provisioned = watch_metadata::<drover_types::provisioning::Cluster>(
        client,
        everything(),
        move |object, _| {
            if let (Some(namespace), Some(name)) =
                (&object.metadata.namespace, &object.metadata.name)
            {
                of_objects.now(format_args!("{namespace}/{name}"));
            }
        },
        shutdown.clone(),
    );
    vec![
        provisioned,
        cluster,
        token,
        project,
        role,
        global,
        cluster_binding,
        project_binding,
        secret,
        setting,
        feature,
        user,
        attribute,
    ]
}

/// The clusters whose projects a namespace of the hub may belong to: it is named after its cluster.
fn of_cluster<'a>(ids: &'a [String], namespace: &str) -> Vec<&'a String> {
    ids.iter()
        .filter(|id| {
            namespace
                .strip_prefix(id.as_str())
                .is_some_and(|rest| rest.starts_with('-'))
        })
        .collect()
}
