//! Who owns a cluster or a project, and is no administrator, as Rancher's dashboard has them work: through `/v1`.

use anyhow::{Context as _, Result, ensure};
use drover_testkit::http::Answer;
use drover_testkit::hub::{self, Hub, Session};
use drover_testkit::wait;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::fixture::{LIMIT, kubectl, turn};

const PASSWORD: &str = "correct horse battery";
const PROJECTS: &str = "/v1/management.cattle.io.projects";
const MEMBERS: &str = "/v1/management.cattle.io.projectroletemplatebindings";
const CLUSTERS: &str = "/v1/provisioning.cattle.io.clusters";

/// A standard user with a session.
struct Person {
    id: String,
    session: Session,
}

impl Person {
    async fn new(hub: &Hub, admin: &Session, name: &str) -> Result<Self> {
        let user = json!({"username": name, "password": PASSWORD, "enabled": true});
        let user = admin.http.post("/v3/users", &user).await?;
        let user = user.expect(201)?.json()?;
        let id = user["id"].as_str().context("no id")?.to_owned();
        let role = json!({"globalRoleId": "user", "userId": id});
        let bound = admin.http.post("/v3/globalrolebindings", &role).await?;
        bound.expect(201)?;
        let session = hub.login_as(name, PASSWORD).await?;
        Ok(Self { id, session })
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.session.http.get(path).await?.expect(200)?.json()
    }

    async fn merge(&self, path: &str, patch: &Value) -> Result<Answer> {
        let request = Request::patch(path)
            .header("content-type", "application/merge-patch+json")
            .body(patch.to_string().into_bytes())?;
        self.session.http.send(request).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_run_what_they_own_through_the_explorer() -> Result<()> {
    let _turn = turn().await;
    let mut hub = Hub::start(hub::Config::default()).await?;
    let admin = hub.login().await?;
    let owner = Person::new(&hub, &admin, "olga").await?;
    let member = Person::new(&hub, &admin, "mira").await?;
    let stranger = Person::new(&hub, &admin, "sten").await?;
    own_user(&owner, &stranger).await?;
    outside_identities(&owner, &stranger).await?;

    // A standard user imports a cluster, and owns it.
    let sent = json!({"metadata": {"namespace": "fleet-default", "name": "olgas"}, "spec": {}});
    let made = owner.session.http.post(CLUSTERS, &sent).await?;
    made.expect(201)?;
    let path = format!("{CLUSTERS}/fleet-default/olgas");
    let cluster = wait::until("the cluster is its maker's", LIMIT, || async {
        let shown = owner.get(&path).await?;
        ensure!(shown["links"]["update"].is_string(), "{shown}");
        let id = shown["status"]["clusterName"].as_str();
        id.map(str::to_owned).context("no id")
    })
    .await?;
    for other in [&member, &stranger] {
        let answer = other.session.http.get(&path).await?;
        assert!(
            matches!(answer.status.as_u16(), 403 | 404),
            "{}",
            answer.body
        );
        let patch = json!({"spec": {"agentEnvVars": []}});
        assert_eq!(other.merge(&path, &patch).await?.status, 403);
    }
    let patch = json!({"spec": {"agentEnvVars": [{"name": "NO_PROXY", "value": "x"}]}});
    owner.merge(&path, &patch).await?.expect(200)?;

    // Its projects and their members are the owner's to write.
    let sent = json!({
        "metadata": {"namespace": cluster}, "spec": {"clusterName": cluster, "displayName": "shop"},
    });
    let project = wait::until("the owner makes a project", LIMIT, || async {
        let made = owner.session.http.post(PROJECTS, &sent).await?;
        made.expect(201)?.json()
    })
    .await?;
    let id = project["id"].as_str().context("no id")?;
    let name = project["metadata"]["name"].as_str().context("no name")?;
    let refused = stranger.session.http.post(PROJECTS, &sent).await?;
    assert!(
        matches!(refused.status.as_u16(), 403 | 404),
        "{}",
        refused.body
    );
    let at = format!("{PROJECTS}/{id}");
    let backing = wait::until("the project has its namespace", LIMIT, || async {
        let shown = owner.get(&at).await?;
        let name = shown["status"]["backingNamespace"].as_str();
        name.map(str::to_owned).context("none yet")
    })
    .await?;
    let binding = json!({
        "metadata": {"namespace": backing}, "projectName": format!("{cluster}:{name}"),
        "roleTemplateName": "project-member", "userName": member.id,
    });
    let refused = member.session.http.post(MEMBERS, &binding).await?;
    assert!(
        matches!(refused.status.as_u16(), 403 | 404),
        "{}",
        refused.body
    );
    let bound = owner.session.http.post(MEMBERS, &binding).await?;
    let bound = bound.expect(201)?.json()?;
    let binding = format!("{MEMBERS}/{}", bound["id"].as_str().context("no id")?);

    wait::until("the member sees the project", LIMIT, || async {
        let shown = member.get(&at).await?;
        ensure!(shown["links"].get("update").is_none(), "{shown}");
        Ok(())
    })
    .await?;
    let patch = json!({"spec": {"description": "d"}});
    assert_eq!(member.merge(&at, &patch).await?.status, 403);
    assert_eq!(stranger.merge(&at, &patch).await?.status, 403);
    owner.merge(&at, &patch).await?.expect(200)?;
    by_kubectl(&hub, [&owner, &member, &stranger], &cluster, name).await?;
    whole_answers(&owner, &cluster).await?;
    let http = &member.session.http;
    assert_eq!(http.delete(&binding).await?.status, 403);
    owner.session.http.delete(&binding).await?.expect(204)?;
    let gone = member.session.http.get(&at).await?;
    assert!(matches!(gone.status.as_u16(), 403 | 404), "{}", gone.body);
    owner.session.http.delete(&path).await?;
    wait::until(
        "the cluster went with what it was made from",
        LIMIT,
        || async {
            let answer = admin.http.get(&format!("/v3/clusters/{cluster}")).await?;
            ensure!(answer.status == 404, "{}", answer.body);
            Ok(())
        },
    )
    .await?;
    hub.process()?.still_running()
}

/// kubectl reads one's own user on the hub, and nobody else's.
async fn own_user(owner: &Person, stranger: &Person) -> Result<()> {
    for root in ["", "/k8s/clusters/local"] {
        let users = format!("{root}/apis/management.cattle.io/v3/users");
        let own = owner.get(&format!("{users}/{}", owner.id)).await?;
        assert_eq!(own["username"], "olga", "{own}");
        let http = &owner.session.http;
        for other in [format!("{users}/{}", stranger.id), users] {
            assert_eq!(http.get(&other).await?.status, 403, "{other}");
        }
    }
    Ok(())
}

/// What is no watch is whole, whatever is asked for in the query: discovery, an object, a list.
async fn whole_answers(owner: &Person, cluster: &str) -> Result<()> {
    let group = "apis/management.cattle.io/v3";
    for (path, queries) in [
        ("apis".to_owned(), ["watch=true", "follow=true"]),
        (group.to_owned(), ["watch=true", "follow=true"]),
        (
            format!("{group}/users/{}", owner.id),
            ["follow=true", "follow=1"],
        ),
        (
            format!("{group}/namespaces/{cluster}/projects"),
            ["follow=true", "watch=false&follow=true"],
        ),
    ] {
        for root in ["", "/k8s/clusters/local"] {
            let path = format!("{root}/{path}");
            let plain = owner.get(&path).await?;
            for query in queries {
                let asked = owner.get(&format!("{path}?{query}")).await;
                let asked = asked.with_context(|| format!("{path}?{query}"))?;
                assert_eq!(asked["kind"], plain["kind"], "{path}?{query}: {asked}");
                assert_eq!(
                    asked["items"].as_array().map(Vec::len),
                    plain["items"].as_array().map(Vec::len)
                );
            }
        }
    }
    Ok(())
}

/// kubectl at the hub finds and changes what its user's roles give there.
async fn by_kubectl(
    hub: &Hub,
    [owner, member, stranger]: [&Person; 3],
    cluster: &str,
    project: &str,
) -> Result<()> {
    let run = async |person: &Person, arguments: &[&str]| {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "hub",
            "clusters": [{"name": "hub", "cluster": {
                "server": format!("{}/k8s/clusters/local", hub.url()), "insecure-skip-tls-verify": true,
            }}],
            "users": [{"name": "me", "user": {"token": person.session.token}}],
            "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": "me"}}],
        });
        let path = hub.folder().join(format!("{}.json", person.id));
        std::fs::write(&path, config.to_string())?;
        kubectl(&path, arguments).await
    };
    let kind = "projects.management.cattle.io";
    let list = ["get", kind, "-n", cluster, "-o", "name"];
    let shown = run(owner, &list).await?;
    assert!(shown.contains(&format!("/{project}")), "{shown}");
    let one = ["get", kind, project, "-n", cluster, "-o", "name"];
    run(member, &one).await?;
    let patch = r#"{"metadata":{"labels":{"by":"kubectl"}}}"#;
    let change = [
        "patch",
        kind,
        project,
        "-n",
        cluster,
        "--type=merge",
        "-p",
        patch,
    ];
    run(owner, &change).await?;
    let label = r"jsonpath={.metadata.labels.by}";
    let shown = run(owner, &["get", kind, project, "-n", cluster, "-o", label]).await?;
    assert_eq!(shown, "kubectl");
    let projects = format!(
        "/k8s/clusters/local/apis/management.cattle.io/v3/namespaces/{cluster}/projects?watch=true&timeoutSeconds=1"
    );
    let one_project = format!("{projects}&fieldSelector=metadata.name%3D{project}");
    for (person, path, status) in [
        (owner, &projects, 200),
        (owner, &one_project, 200),
        // Members get their project, and no role of theirs lets them watch it.
        (member, &one_project, 403),
        (member, &projects, 403),
        (stranger, &one_project, 403),
    ] {
        let answer = person.session.http.get(path).await?.expect(status)?;
        let text = &answer.body;
        assert_eq!(text.contains(r#"{"type":"ADDED""#), status == 200, "{text}");
        assert_eq!(text.contains(project), status == 200, "{text}");
    }
    let finalizer = r#"{"metadata":{"finalizers":["mine"]}}"#;
    let odd = [
        "patch",
        kind,
        project,
        "-n",
        cluster,
        "--type=merge",
        "-p",
        finalizer,
    ];
    for (person, arguments, words) in [
        (member, &list[..], "orbidden"),
        (member, &change, "orbidden"),
        (stranger, &one, "orbidden"),
        (owner, &odd, "metadata.finalizers"),
        (owner, &["get", "secrets", "-A"], "orbidden"),
    ] {
        let refused = run(person, arguments).await.err();
        let told = refused
            .map(|error| format!("{error:#}"))
            .unwrap_or_default();
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
    Ok(())
}

/// Nobody says by a header who they are, and no link logs out.
async fn outside_identities(owner: &Person, stranger: &Person) -> Result<()> {
    let http = &owner.session.http;
    for path in ["/v3/users?me=true", "/v1/management.cattle.io.users"] {
        let request = Request::get(path)
            .header("impersonate-user", &stranger.id)
            .header("x-remote-user", &stranger.id)
            .body(Vec::new())?;
        let shown = http.send(request).await?.expect(200)?.json()?;
        let ids: Vec<&str> = shown["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|user| user["id"].as_str())
            .collect();
        assert_eq!(ids, [owner.id.as_str()], "{path}");
    }
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        let answer = http.call(method.clone(), "/v1/logout", None).await?;
        assert_eq!(answer.status, 405, "{method}");
    }
    http.get("/v3/users?me=true").await?.expect(200)?;
    Ok(())
}
