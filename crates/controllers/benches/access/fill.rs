//! A hub's store with all the roles and bindings in it.

use std::fmt::Debug;
use std::future::Future;
use std::path::Path;

use anyhow::{Context as _, Result};
use drover_auth::bootstrap::Bootstrap;
use drover_auth::{Auth, Clock, Config, Driver, Entropy};
use drover_kube_api::{Identity, Server, Storage};
use drover_types::management::{
    Cluster, ClusterRoleTemplateBinding, GlobalRoleBinding, Project, ProjectRoleTemplateBinding,
    User,
};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::task::JoinSet;

use crate::OWNER;
use crate::shape::{self, InProject, N_CLUSTERS, N_PROJECTS};

/// Writers at once.
const AT_ONCE: usize = 64;

/// The store in a folder.
pub(crate) async fn open(folder: &Path) -> Result<(Server, Client)> {
    let file = Storage::File(folder.join("hub.db"));
    let server = Server::open(drover_kube_api::Config::new(file)).await?;
    let client = Client::new(server.client_service(Identity::admin()), "default");
    Ok((server, client))
}

/// The parts that decide, over a client.
pub(crate) fn auth(client: Client) -> (Auth, Driver, Bootstrap) {
    Auth::new(Config {
        client,
        clock: Clock::system(),
        entropy: Entropy::system(),
        environment: Default::default(),
    })
}

/// Makes everything and closes the store.
pub(crate) async fn fill(folder: &Path, n_users: usize) -> Result<()> {
    let (server, client) = open(folder).await?;
    let kinds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in drover_types::crds::all() {
        kinds.create(&PostParams::default(), &kind).await?;
    }
    let users: Api<User> = Api::all(client.clone());
    while users.list(&ListParams::default()).await.is_err() {
        tokio::task::yield_now().await;
    }
    auth(client.clone()).2.run(None).await?;
    clusters(&client).await?;
    bindings(&client, n_users).await?;
    server.shutdown().await;
    Ok(())
}

async fn clusters(client: &Client) -> Result<()> {
    let mut writers = Writers::default();
    for cluster in 0..N_CLUSTERS {
        let id = shape::cluster(cluster);
        writers
            .add(create(Api::all(client.clone()), Cluster::named(&id)))
            .await?;
        writers
            .add(create(Api::all(client.clone()), namespace(&id)?))
            .await?;
        for project in 0..N_PROJECTS {
            let backing = namespace(&shape::backing(cluster, project))?;
            writers
                .add(create(Api::all(client.clone()), backing))
                .await?;
        }
    }
    writers.finish().await?;
    let mut writers = Writers::default();
    for cluster in 0..N_CLUSTERS {
        for project in 0..N_PROJECTS {
            let object = new_project(cluster, project);
            writers
                .add(create(within(client, &shape::cluster(cluster)), object))
                .await?;
        }
    }
    writers.finish().await
}

async fn bindings(client: &Client, n_users: usize) -> Result<()> {
    let mut writers = Writers::default();
    for user in 0..n_users {
        let mut binding = GlobalRoleBinding::named(&format!("grb-{user}"));
        binding.global_role_name = "user".to_owned();
        binding.user_name = shape::user(user);
        writers
            .add(create(Api::all(client.clone()), binding))
            .await?;
    }
    for (user, cluster) in shape::members(n_users) {
        let object = in_cluster(&shape::user(user), cluster, "cluster-member");
        writers
            .add(create(within(client, &shape::cluster(cluster)), object))
            .await?;
    }
    let object = in_cluster(OWNER, 0, "cluster-owner");
    writers
        .add(create(within(client, &shape::cluster(0)), object))
        .await?;
    for held in shape::in_projects(n_users) {
        let backing = shape::backing(held.cluster, held.project);
        writers
            .add(create(within(client, &backing), in_project(&held)))
            .await?;
    }
    writers.finish().await
}

fn in_cluster(user: &str, cluster: usize, role: &str) -> ClusterRoleTemplateBinding {
    let mut binding = ClusterRoleTemplateBinding::named(&format!("crtb-{user}"));
    binding.cluster_name = shape::cluster(cluster);
    role.clone_into(&mut binding.role_template_name);
    user.clone_into(&mut binding.user_name);
    binding
}

/// A project as it stands in the namespace of its cluster.
pub(crate) fn new_project(cluster: usize, project: usize) -> Project {
    let mut object = Project::named(&shape::project(project));
    object.spec.cluster_name = shape::cluster(cluster);
    object.spec.display_name = shape::project(project);
    object
}

/// A binding as it stands in the namespace of its project.
pub(crate) fn in_project(held: &InProject) -> ProjectRoleTemplateBinding {
    let mut binding = ProjectRoleTemplateBinding::named(&format!("prtb-{}", held.user));
    binding.project_name = format!(
        "{}:{}",
        shape::cluster(held.cluster),
        shape::project(held.project)
    );
    held.role.clone_into(&mut binding.role_template_name);
    binding.user_name = shape::user(held.user);
    binding
}

/// The objects of a kind in a namespace.
pub(crate) fn within<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

fn namespace(name: &str) -> Result<Namespace> {
    Ok(serde_json::from_value(
        json!({ "metadata": { "name": name } }),
    )?)
}

async fn create<K>(api: Api<K>, object: K) -> Result<()>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

/// Writes of which some run at once.
#[derive(Default)]
struct Writers(JoinSet<Result<()>>);

impl Writers {
    async fn add(
        &mut self,
        write: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        if self.0.len() >= AT_ONCE {
            self.0.join_next().await.context("no writer")???;
        }
        self.0.spawn(write);
        Ok(())
    }

    async fn finish(mut self) -> Result<()> {
        while let Some(done) = self.0.join_next().await {
            done??;
        }
        Ok(())
    }
}
