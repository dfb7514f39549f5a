//! What the peer's own clients ask, in their order: its command line, its Terraform provider, its Python client.
//!
//! The requests are those that these programs sent when they were run against this server. Each flow reads the fields
//! the program reads, and fails where the program would.

use anyhow::{Context, Result, ensure};
use drover_testkit::certificates::Authority;
use drover_testkit::hub::{self, Hub, PASSWORD};
use drover_testkit::wait;
use serde_json::{Value, json};

use crate::fixture::{LIMIT, World, turn};
use crate::norman::Norman;

fn id(resource: &Value) -> Result<&str> {
    let id = resource["id"].as_str();
    id.with_context(|| format!("no id: {resource}"))
}

/// What a program compares when it looks for changes: everything but the time of the last use.
fn compared(mut resource: Value) -> Value {
    if let Some(fields) = resource.as_object_mut() {
        fields.retain(|name, _| !name.starts_with("lastUsedAt"));
    }
    resource
}

/// Reads a resource until it is in this state, as programs do that wait.
async fn reached(norman: &Norman, kind: &str, name: &str, state: &str) -> Result<Value> {
    wait::until(&format!("{kind} {name} to be {state}"), LIMIT, || async {
        let found = norman.get(kind, name).await?;
        ensure!(
            found["state"] == state && found["transitioning"] == "no",
            "{found}"
        );
        Ok(found)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_the_peer_find_what_they_read() -> Result<()> {
    let _turn = turn().await;
    let world = World::start(hub::Config::default()).await?;
    let token = world
        .session
        .http
        .post(
            "/v3/tokens",
            &json!({"type": "token", "description": "a client"}),
        )
        .await?
        .expect(201)?
        .json()?;
    let token = token["token"].as_str().context("no token")?;
    command_line(&world, token).await.context("command line")?;
    terraform(&world, token).await.context("Terraform")?;
    python(&world, token).await.context("Python")
}

/// `login`, `context switch`, `namespaces`, `kubectl`, `clusters import`, `add-member-role` and the lists.
async fn command_line(world: &World, token: &str) -> Result<()> {
    let cluster = world.id.as_str();
    let management = Norman::open(&world.hub, token, "/v3").await?;
    let query = "?limit=-1&removed_null=1&state_ne=inactive&system=false";
    let projects = management.list("project", query).await?;
    let project = projects
        .iter()
        .find(|project| project["clusterId"] == cluster && project["name"] == "Default")
        .context("no project to choose")?;
    ensure!(management.find("project", "no-such").await?.is_none());
    for listed in management.list("cluster", "?limit=-1").await? {
        ensure!(listed["name"].is_string() && listed["state"].is_string());
    }
    // Every later command opens all of its bases.
    let inside = Norman::open(&world.hub, token, &format!("/v3/clusters/{cluster}")).await?;
    Norman::open(&world.hub, token, &format!("/v3/projects/{}", id(project)?)).await?;
    let steve = world.hub.http(Some(token))?.get("/v1").await?.expect(200)?;
    ensure!(!steve.header("x-api-schemas").is_empty());

    let body = json!({"type": "namespace", "name": "by-cli", "projectId": id(project)?, "description": "d"});
    inside.create("namespace", &body).await?;
    let named = inside.list("namespace", "?limit=-1").await?;
    let named = named.iter().find(|found| found["name"] == "by-cli");
    let named = named.context("the namespace is not listed")?;
    let other = projects
        .iter()
        .find(|other| other["clusterId"] == cluster && other["name"] == "System")
        .context("no other project")?;
    inside
        .act(named, "move", &json!({"projectId": id(other)?}))
        .await?;
    let moved = inside.get("namespace", "by-cli").await?;
    ensure!(moved["projectId"] == other["id"], "{moved}");
    inside.delete(&moved).await?;

    let (name, _) = token.split_once(':').context("no key")?;
    let own = management.get("token", name).await?;
    ensure!(
        own["userId"].is_string() && own["expired"] == false,
        "{own}"
    );
    let current = management.get("cluster", cluster).await?;
    let config = management
        .act(&current, "generateKubeconfig", &json!({}))
        .await?;
    ensure!(
        config["config"]
            .as_str()
            .is_some_and(|text| text.contains(&format!("/k8s/clusters/{cluster}")))
    );
    for node in management
        .list("node", &format!("?clusterId={cluster}"))
        .await?
    {
        ensure!(
            node["nodeName"].is_string() && node["state"] == "active",
            "{node}"
        );
    }
    members(&management, cluster).await
}

/// Members are found by their principals, the creator too.
async fn members(management: &Norman, cluster: &str) -> Result<()> {
    let principals = management.collect("principal", "").await?;
    let found = management
        .act(&principals, "search", &json!({"name": "admin"}))
        .await?;
    let principal = found["data"][0]["id"].as_str().context("nobody is found")?;
    let body = json!({
        "type": "clusterRoleTemplateBinding", "clusterId": cluster,
        "roleTemplateId": "cluster-member", "userPrincipalId": principal,
    });
    management
        .create("clusterRoleTemplateBinding", &body)
        .await?;
    let all = format!("?clusterId={cluster}");
    for binding in management.list("clusterRoleTemplateBinding", &all).await? {
        ensure!(binding["userPrincipalId"] == principal, "{binding}");
    }
    let query = format!("{all}&roleTemplateId=cluster-member&userPrincipalId={principal}");
    let given = management
        .list("clusterRoleTemplateBinding", &query)
        .await?;
    ensure!(given.len() == 1, "{given:?}");
    management.delete(&given[0]).await
}

/// Applies, reads back twice, changes, reads back, destroys.
async fn terraform(world: &World, token: &str) -> Result<()> {
    let http = world.hub.http(Some(token))?;
    ensure!(http.get("/ping").await?.expect(200)?.body == "pong");
    let management = Norman::open(&world.hub, token, "/v3").await?;
    for setting in ["k8s-version", "server-version"] {
        management.get("setting", setting).await?;
    }
    new_cluster(&management).await?;

    // A project is made only in a cluster with this condition.
    let cluster = management.get("cluster", &world.id).await?;
    let conditions = cluster["conditions"].as_array().context("no conditions")?;
    ensure!(
        conditions
            .iter()
            .any(|known| known["type"] == "Updated" && known["status"] == "True"),
        "{conditions:?}"
    );
    let quota = |amount: &str| json!({"limit": {"limitsCpu": amount}});
    let body = json!({
        "type": "project", "name": "by-terraform", "clusterId": world.id, "description": "one",
        "resourceQuota": quota("2000m"), "namespaceDefaultResourceQuota": quota("500m"),
        "containerDefaultResourceLimit": {"limitsCpu": "20m", "requestsCpu": "1m"},
        "labels": {"a": "b"},
    });
    let project = management.create("project", &body).await?;
    let project = reached(&management, "project", id(&project)?, "active").await?;
    let again = management.get("project", id(&project)?).await?;
    ensure!(again == project, "{again} after {project}");
    let mut changed = body.clone();
    changed["description"] = json!("two");
    let replaced = management.replace(&project, &changed).await?;
    ensure!(replaced["description"] == "two" && replaced["labels"]["a"] == "b");

    let inside = Norman::open(&world.hub, token, &format!("/v3/clusters/{}", world.id)).await?;
    let body = json!({
        "type": "namespace", "name": "by-terraform", "projectId": id(&project)?,
        "description": "one", "resourceQuota": quota("100m"),
    });
    let namespace = inside.create("namespace", &body).await?;
    let namespace = reached(&inside, "namespace", id(&namespace)?, "active").await?;
    // It sends the annotations it was shown, in which fields are not.
    let update = json!({
        "description": "two", "annotations": namespace["annotations"], "labels": {"own": "1"},
        "resourceQuota": quota("200m"), "containerDefaultResourceLimit": null,
    });
    inside.update(&namespace, &update).await?;
    let namespace = inside.get("namespace", id(&namespace)?).await?;
    ensure!(
        namespace["projectId"] == project["id"] && namespace["description"] == "two",
        "{namespace}"
    );
    ensure!(namespace["labels"]["own"] == "1", "{namespace}");

    let base = format!("/v3/projects/{}", id(&project)?);
    secrets(&Norman::open(&world.hub, token, &base).await?, &project).await?;
    people(&management, &world.id).await?;

    inside.delete(&namespace).await?;
    management.delete(&project).await?;
    wait::until("the project to be gone", LIMIT, || async {
        let gone = management.find("project", id(&project)?).await?.is_none();
        ensure!(gone, "it is still there");
        Ok(())
    })
    .await
}

/// A cluster to be imported: it is pending, and the commands of its token come.
async fn new_cluster(management: &Norman) -> Result<()> {
    let body = json!({"type": "cluster", "name": "by-terraform", "description": "one"});
    let cluster = management.create("cluster", &body).await?;
    let name = id(&cluster)?;
    wait::until("the cluster to be pending", LIMIT, || async {
        let state = management.get("cluster", name).await?["state"].take();
        ensure!(state == "pending", "{state}");
        Ok(())
    })
    .await?;
    let token = format!("{name}:default-token");
    wait::until("the commands of the token", LIMIT, || async {
        let token = management.find("clusterRegistrationToken", &token).await?;
        let token = token.context("no token")?;
        for field in ["command", "insecureCommand", "nodeCommand", "manifestUrl"] {
            ensure!(
                token[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {token}"
            );
        }
        Ok(())
    })
    .await?;
    let projects = management
        .list("project", &format!("?clusterId={name}"))
        .await?;
    ensure!(projects.len() == 2, "{projects:?}");
    management.delete(&cluster).await?;
    wait::until("the cluster to be gone", LIMIT, || async {
        ensure!(management.find("cluster", name).await?.is_none());
        Ok(())
    })
    .await
}

/// Secrets of a project and of a namespace, read back as they were sent.
async fn secrets(inside: &Norman, project: &Value) -> Result<()> {
    let pair = Authority::new("an authority")?.serving("web.example", &["web.example"])?;
    let (certs, key) = (format!("{}\n", pair.certificate.trim()), pair.key.clone());
    let registries = json!({"test.io": {"username": "user", "password": "pass"}});
    for (kind, fields) in [
        ("secret", json!({"data": {"address": "aGVyZQ=="}})),
        ("certificate", json!({"certs": certs, "key": key})),
        ("dockerCredential", json!({"registries": registries})),
    ] {
        let in_namespace = format!("namespaced{}{}", kind[..1].to_uppercase(), &kind[1..]);
        for (kind, place) in [
            (kind, Value::Null),
            (in_namespace.as_str(), json!("by-terraform")),
        ] {
            let mut body = fields.clone();
            body["type"] = json!(kind);
            body["name"] = json!(format!("of-{}", kind.to_lowercase()));
            body["projectId"] = project["id"].clone();
            body["namespaceId"] = place;
            let made = inside.create(kind, &body).await?;
            let read = inside.get(kind, id(&made)?).await?;
            if let Some(data) = body.get("data") {
                ensure!(read["data"] == *data, "{kind}: {read}");
            }
            if body.get("certs").is_some() {
                // It compares what it sent without the line end.
                ensure!(read["certs"] == certs.trim(), "{kind}: {}", read["certs"]);
            }
            if body.get("registries").is_some() {
                ensure!(read["registries"]["test.io"]["username"] == "user");
            }
            inside.update(&made, &body).await?;
            ensure!(
                inside.get(kind, id(&made)?).await? == read,
                "{kind} changed"
            );
            inside.delete(&made).await?;
            ensure!(inside.find(kind, id(&made)?).await?.is_none(), "{kind}");
        }
    }
    Ok(())
}

/// A user, roles and their bindings, tokens: made, read back twice the same, removed in the opposite order.
async fn people(management: &Norman, cluster: &str) -> Result<()> {
    let rule = |groups: &str, resources: &str| json!([{"apiGroups": [groups], "resources": [resources], "verbs": ["get"]}]);
    let user = json!({
        "type": "user", "name": "T", "username": "by-terraform", "password": "a-long-password-1", "enabled": true,
    });
    let user = management.create("user", &user).await?;
    management
        .act(
            &user,
            "setpassword",
            &json!({"newPassword": "a-long-password-2"}),
        )
        .await?;
    let mut made = vec![("user", user.clone())];
    for (kind, body) in [
        (
            "globalRole",
            json!({"name": "by-terraform", "rules": rule("management.cattle.io", "settings")}),
        ),
        (
            "roleTemplate",
            json!({"name": "by-terraform", "context": "cluster", "rules": rule("", "secrets")}),
        ),
    ] {
        made.push((kind, management.create(kind, &body).await?));
    }
    let bound = |index: usize| made[index].1["id"].clone();
    let bindings = [
        (
            "globalRoleBinding",
            json!({"name": "by-terraform", "userId": user["id"], "globalRoleId": bound(1)}),
        ),
        (
            "clusterRoleTemplateBinding",
            json!({"name": "by-terraform", "clusterId": cluster, "userId": user["id"], "roleTemplateId": bound(2)}),
        ),
        ("token", json!({"description": "t", "ttl": 86_400_000})),
        (
            "token",
            json!({"description": "t", "ttl": 1_200_000, "clusterId": cluster}),
        ),
    ];
    for (kind, body) in bindings {
        made.push((kind, management.create(kind, &body).await?));
    }
    for (kind, made) in made.iter().rev() {
        let read = compared(management.get(kind, id(made)?).await?);
        let again = compared(management.get(kind, id(made)?).await?);
        ensure!(read == again, "{kind}: {again} after {read}");
        if *kind == "token" {
            ensure!(
                read["enabled"] == true && read.get("token").is_none(),
                "{read}"
            );
        }
        management.delete(made).await?;
        // A user lingers until what it held is gone, as the peer's does.
        drover_testkit::wait::until("it to be gone", crate::fixture::LIMIT, || async {
            ensure!(management.find(kind, id(made)?).await?.is_none(), "{kind}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Whole resources are sent back as they were read; pages are followed; the sub-API is found below a resource.
async fn python(world: &World, token: &str) -> Result<()> {
    let client = Norman::open(&world.hub, token, "/v3").await?;
    let body = json!({"name": "by-python", "clusterId": world.id});
    let project = client.create("project", &body).await?;
    let project = reached(&client, "project", id(&project)?, "active").await?;
    let mut whole = project.clone();
    whole["name"] = json!("renamed");
    let sent = client.update(&project, &whole).await?;
    ensure!(
        sent["name"] == "renamed" && sent["uuid"] == project["uuid"],
        "{sent}"
    );
    let same = client.update(&sent, &sent).await?;
    ensure!(same == sent, "{same} after {sent}");

    let all = client.list("setting", "").await?.len();
    let mut page = client.collect("setting", "?limit=20").await?;
    let mut seen = 0;
    loop {
        seen += page["data"].as_array().context("no data")?.len();
        let next = page["pagination"]["next"].take();
        if next.is_null() {
            break;
        }
        page = client.follow(&next).await?;
    }
    ensure!(seen == all, "{seen} of {all} on the pages");

    let link = sent["links"]["self"].as_str().context("no link")?;
    let schemas = link.strip_prefix(&world.hub.url()).context("elsewhere")?;
    let inside = Norman::open(&world.hub, token, &format!("{schemas}/schemas")).await?;
    let answer = client.http().get("/v3/users/u-nobody").await?.expect(404)?;
    ensure!(answer.json()?["type"] == "error");
    ensure!(inside.list("namespacedSecret", "").await?.is_empty());
    client.delete(&sent).await
}

/// What `rancher2_bootstrap` does on a new server, and again when nothing is to be done.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_server_is_set_up_by_terraform() -> Result<()> {
    let _turn = turn().await;
    let hub = Hub::start(hub::Config::default()).await?;
    let login = json!({
        "type": "localProvider", "username": "admin", "password": PASSWORD, "ttl": 60_000, "description": "Terraform",
    });
    let anyone = hub.http(None)?;
    ensure!(anyone.get("/ping").await?.expect(200)?.body == "pong");
    let session = anyone
        .post("/v1-public/login", &login)
        .await?
        .expect(201)?
        .json()?;
    let session = session["token"].as_str().context("no token")?;
    let client = Norman::open(&hub, session, "/v3").await?;
    for (name, value) in [
        ("server-url", hub.url()),
        ("ui-default-landing", "vue".to_owned()),
    ] {
        let setting = client.get("setting", name).await?;
        client.update(&setting, &json!({"value": value})).await?;
    }
    let users = client.list("user", "?username=admin").await?;
    let admin = users.first().context("no administrator")?;
    let body =
        json!({"type": "token", "userId": admin["id"], "description": "Terraform", "ttl": 0});
    let token = client.create("token", &body).await?;
    client
        .act(
            admin,
            "setpassword",
            &json!({"newPassword": "a-second-password-2"}),
        )
        .await?;
    client.get("cluster", "local").await?;

    // The second run works with the token it kept, and finds everything as it left it.
    let kept = token["token"].as_str().context("the token is not shown")?;
    let client = Norman::open(&hub, kept, "/v3").await?;
    ensure!(client.get("token", id(&token)?).await?["current"] == true);
    ensure!(client.get("setting", "server-url").await?["value"] == hub.url());
    let refused = anyone.post("/v1-public/login", &login).await?;
    ensure!(refused.status == 401, "{}", refused.body);
    Ok(())
}
