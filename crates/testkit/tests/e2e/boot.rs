//! What the peer's dashboard asks when it starts, in its order (reference api-v1-and-kubernetes, section 3.2;
//! `recorded/dashboard-requests.txt`): as a browser, with cookies and the CSRF token, up to a page of a cluster.

use anyhow::{Context as _, Result, ensure};
use drover_testkit::http::{Answer, Http};
use drover_testkit::hub;
use drover_testkit::socket::{Opened, Socket};
use serde_json::{Value, json};

use crate::fixture::{World, turn};

/// What the dashboard hides of a cluster by default.
const SYSTEM: &str =
    "filter=metadata.namespace%20NOTIN%20(cattle-impersonation-system,cattle-system,kube-system)";
const HOME: &str = "filter=metadata.labels[provider.cattle.io]!=harvester&filter=status.provider!=harvester\
                    &exclude=metadata.managedFields";

/// A browser with the dashboard in it.
struct Browser<'a> {
    world: &'a World,
    http: Http,
    /// `R_SESS=...; CSRF=...`
    cookies: Vec<String>,
}

impl<'a> Browser<'a> {
    fn new(world: &'a World) -> Result<Self> {
        Ok(Self {
            world,
            http: world.hub.http(None)?,
            cookies: Vec::new(),
        })
    }

    async fn send(&mut self, method: &str, path: &str, body: Option<Value>) -> Result<Answer> {
        let mut request = http::Request::builder()
            .method(method)
            // Its own client leaves brackets and spaces as they are; ours does not.
            .uri(
                path.replace('[', "%5B")
                    .replace(']', "%5D")
                    .replace('"', "%22"),
            )
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")
            .header("accept", "application/json");
        if !self.cookies.is_empty() {
            request = request.header("cookie", self.cookies.join("; "));
        }
        let csrf = self
            .cookies
            .iter()
            .find_map(|cookie| cookie.strip_prefix("CSRF="));
        if let Some(token) = csrf.filter(|_| method != "GET") {
            request = request.header("x-api-csrf", token);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                body.to_string().into_bytes()
            }
            None => Vec::new(),
        };
        let answer = self.http.send(request.body(body)?).await?;
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let name = pair.split('=').next().unwrap_or_default();
            self.cookies
                .retain(|known| !known.starts_with(&format!("{name}=")));
            self.cookies.push(pair.to_owned());
        }
        Ok(answer)
    }

    async fn get(&mut self, path: &str) -> Result<Value> {
        self.send("GET", path, None)
            .await?
            .expect(200)
            .with_context(|| format!("GET {path}"))?
            .json()
    }

    /// A stream, with the session in its cookie.
    async fn stream(&self, path: &str) -> Result<Box<Socket>> {
        let cookies = self.cookies.join("; ");
        let headers = [("cookie", cookies.as_str())];
        match Socket::open_with(self.world.hub.address(), path, &headers).await? {
            Opened::Stream(socket) => Ok(socket),
            Opened::Refused(status) => anyhow::bail!("{path} is refused with {status}"),
        }
    }
}

/// Items of a collection by id.
fn item<'v>(list: &'v Value, id: &str) -> Result<&'v Value> {
    let items = list["data"].as_array().context("no data")?;
    let found = items.iter().find(|item| item["id"] == id);
    found.with_context(|| format!("there is no {id} in {list}"))
}

fn text<'v>(value: &'v Value, path: &str) -> Result<&'v str> {
    let found = value.pointer(path).and_then(Value::as_str);
    found.with_context(|| format!("no text at {path} of {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_of_the_peer_starts_and_opens_a_cluster() -> Result<()> {
    let _turn = turn().await;
    let mut world = World::start(hub::Config::default()).await?;
    let mut browser = Browser::new(&world)?;
    before_login(&mut browser).await?;
    let user = login(&mut browser).await?;
    let schemas = schemas(&mut browser).await?;
    preferences(&mut browser, &user).await?;
    home(&mut browser, &schemas).await?;
    cluster(&mut browser).await?;
    world.hub.process()?.still_running()
}

/// Steps 1 to 5.
async fn before_login(browser: &mut Browser<'_>) -> Result<()> {
    let version = browser.get("/rancherversion").await?;
    for field in ["/Version", "/GitCommit", "/RancherPrime"] {
        text(&version, field)?;
    }
    // What a Kubernetes API tells everybody, and no more of it.
    let kubernetes = browser.get("/version").await?;
    text(&kubernetes, "/gitVersion")?;
    let refused = browser.send("GET", "/version/x", None).await?;
    assert_eq!(refused.status, 401);
    // Forms of imported clusters read these before they show anything.
    for (path, kind) in [
        ("/v1-rke2-release/releases", "release"),
        ("/v1-k3s-release/channels", "channel"),
    ] {
        let listed = browser.get(path).await?;
        assert_eq!(listed["resourceType"], kind);
        assert_eq!(listed["data"], json!([]));
    }
    let plugins = browser.get("/v1/uiplugins").await?;
    assert_eq!(plugins, json!({"entries": {}}));
    let path = "/v1/management.cattle.io.settings?pagesize=100000&exclude=metadata.managedFields";
    let answer = browser.send("GET", path, None).await?.expect(200)?;
    assert_eq!(answer.header("x-api-cattle-auth"), "false");
    let settings = answer.json()?;
    item(&settings, "first-login")?;
    let banners = item(&settings, "ui-banners")?;
    serde_json::from_str::<Value>(text(banners, "/value")?).context("ui-banners is JSON")?;
    let refused = browser
        .send("POST", "/v1/ext.cattle.io.selfuser", Some(json!({})))
        .await?
        .expect(401)?;
    assert_eq!(refused.header("x-api-cattle-auth"), "false");
    let providers = browser
        .get("/v1-public/authproviders?exclude=metadata.managedFields")
        .await?;
    assert_eq!(item(&providers, "local")?["type"], "localProvider");
    Ok(())
}

/// Steps 6, 7 and 9; gives the user's id.
async fn login(browser: &mut Browser<'_>) -> Result<String> {
    let credentials = json!({
        "type": "localProvider", "description": "UI session", "responseType": "cookie",
        "username": "admin", "password": hub::PASSWORD,
    });
    let mut wrong = credentials.clone();
    wrong["password"] = json!("not-the-password");
    browser
        .send("POST", "/v1-public/login", Some(wrong))
        .await?
        .expect(401)?;
    let answer = browser
        .send("POST", "/v1-public/login", Some(credentials))
        .await?
        .expect(200)?;
    assert_eq!(answer.body, "");
    ensure!(browser.cookies.iter().any(|one| one.starts_with("R_SESS=")));
    let answer = browser
        .send("POST", "/v1/ext.cattle.io.selfuser", Some(json!({})))
        .await?
        .expect(201)?;
    assert_eq!(answer.header("x-api-cattle-auth"), "true");
    let id = text(&answer.json()?, "/status/userID")?.to_owned();
    let user = browser
        .get(&format!("/v1/management.cattle.io.user/{id}"))
        .await?;
    assert_eq!(
        (&user["id"], &user["username"]),
        (&json!(id), &json!("admin"))
    );
    assert_ne!(user["mustChangePassword"], true);
    let principals = browser.get("/v3/principals").await?;
    let all = principals["data"].as_array().context("no principals")?;
    let me = all.iter().find(|one| one["me"] == true).context("not me")?;
    assert_eq!(text(me, "/provider")?, "local");
    text(me, "/id")?;
    text(me, "/name")?;
    Ok(id)
}

/// Step 10. A type whose list the dashboard may show has a link and a verb.
async fn schemas(browser: &mut Browser<'_>) -> Result<Value> {
    let schemas = browser
        .get("/v1/schemas?exclude=metadata.managedFields")
        .await?;
    for id in [
        "management.cattle.io.cluster",
        "management.cattle.io.project",
        "management.cattle.io.setting",
        "management.cattle.io.feature",
        "management.cattle.io.user",
        "namespace",
    ] {
        let schema = item(&schemas, id)?;
        text(schema, "/links/collection")?;
        let verbs = schema["attributes"]["verbs"].as_array();
        ensure!(
            verbs.is_some_and(|verbs| verbs.contains(&json!("list"))),
            "{schema}"
        );
    }
    for id in ["count", "userpreference", "schema", "subscribe"] {
        item(&schemas, id)?;
    }
    let norman = browser.get("/v3/schemas").await?;
    for id in [
        "cluster",
        "project",
        "clusterRegistrationToken",
        "principal",
    ] {
        item(&norman, id)?;
    }
    Ok(schemas)
}

/// Step 11, what belongs to the person.
async fn preferences(browser: &mut Browser<'_>, user: &str) -> Result<()> {
    let preferences = browser
        .get("/v1/userpreferences?exclude=metadata.managedFields")
        .await?;
    ensure!(item(&preferences, user)?["data"].is_object());
    let wanted = json!({"locale": "en-us", "seen-whatsnew": "\"dev\""});
    let body = json!({"id": user, "type": "userpreference", "data": wanted});
    let path = format!("/v1/userpreferences/{user}");
    let stored = browser.send("PUT", &path, Some(body)).await?.expect(200)?;
    assert_eq!(stored.json()?["data"], wanted);
    let preferences = browser.get("/v1/userpreferences?pagesize=100000").await?;
    assert_eq!(item(&preferences, user)?["data"], wanted);
    Ok(())
}

/// Steps 11 and 12: the home page and its stream.
async fn home(browser: &mut Browser<'_>, schemas: &Value) -> Result<()> {
    let features = browser
        .get("/v1/management.cattle.io.features?exclude=metadata.managedFields")
        .await?;
    for feature in features["data"].as_array().context("no features")? {
        // Absent is not null to the dashboard: it would take the feature for locked.
        let locked = feature.pointer("/status/lockedValue");
        ensure!(
            locked.is_some_and(|value| value.is_null() || value.is_boolean()),
            "{feature}"
        );
        ensure!(feature["status"]["default"].is_boolean(), "{feature}");
    }
    let counts = browser
        .get("/v1/counts?exclude=metadata.managedFields")
        .await?;
    let counts = item(&counts, "count")?;
    ensure!(counts["counts"]["namespace"]["summary"]["count"].as_u64() > Some(0));
    let namespaces = browser
        .get("/v1/namespaces?exclude=metadata.managedFields")
        .await?;
    text(item(&namespaces, "default")?, "/metadata/state/name")?;
    browser
        .get("/v1/management.cattle.io.clusters/local?exclude=metadata.managedFields")
        .await?;
    let path = format!(
        "/v1/management.cattle.io.clusters?page=1&pagesize=10\
         &sort=-spec.internal,-status.connected,spec.displayName&{HOME}"
    );
    let clusters = browser.get(&path).await?;
    let id = browser.world.id.clone();
    of_a_cluster(item(&clusters, &id)?)?;
    let revision = text(&clusters, "/revision")?.to_owned();
    browser.get(&format!("{path}&revision={revision}")).await?;
    provisioned(browser, &id).await?;
    // Pages whose types are not there are not asked for.
    for absent in [
        "management.cattle.io.fleetworkspace",
        "fleet.cattle.io.gitrepo",
    ] {
        ensure!(
            item(schemas, absent).is_err(),
            "{absent} is there, and untested"
        );
    }
    let mut stream = browser.stream("/v1/subscribe?sockId=1").await?;
    for topic in [
        json!({"resourceType": "management.cattle.io.cluster", "mode": "resource.changes", "debounceMs": 4000,
               "resourceVersion": revision}),
        json!({"resourceType": "management.cattle.io.setting", "id": "ui-banners"}),
        json!({"resourceType": "management.cattle.io.feature", "resourceVersion": text(&features, "/revision")?}),
        json!({"resourceType": "namespace", "resourceVersion": text(&namespaces, "/revision")?}),
        json!({"resourceType": "schema"}),
        json!({"resourceType": "count"}),
    ] {
        stream.say(&topic).await?;
        let wanted = &topic["resourceType"];
        loop {
            let frame = stream.frame().await?;
            if &frame["resourceType"] == wanted {
                assert_eq!(frame["name"], "resource.start", "{frame}");
                break;
            }
        }
    }
    Ok(())
}

/// How the home page and the list of clusters find the provisioning side of clusters, and what they read of it.
async fn provisioned(browser: &mut Browser<'_>, id: &str) -> Result<()> {
    let cluster = browser
        .get(&format!("/v1/management.cattle.io.clusters/{id}"))
        .await?;
    let relations = cluster["metadata"]["relationships"].as_array();
    let own = format!("fleet-default/{id}");
    let relation = relations
        .into_iter()
        .flatten()
        .find(|one| one["toType"] == "provisioning.cattle.io.cluster")
        .with_context(|| format!("no relation to a provisioning cluster in {cluster}"))?;
    assert_eq!(
        (
            text(relation, "/rel")?,
            text(relation, "/toId")?,
            text(relation, "/state")?
        ),
        ("applies", own.as_str(), "active")
    );
    let list = browser
        .get(&format!(
            "/v1/provisioning.cattle.io.clusters?pagesize=100000&filter=id%20IN%20({own},fleet-local/local)\
             &exclude=metadata.managedFields"
        ))
        .await?;
    for (place, name) in [(own.as_str(), id), ("fleet-local/local", "local")] {
        let one = item(&list, place)?;
        assert_eq!(text(one, "/status/clusterName")?, name);
        assert_eq!(text(one, "/metadata/state/name")?, "active", "{one}");
        assert_eq!(one["status"]["ready"], true, "{one}");
    }
    Ok(())
}

/// What the home page and the explorer read of a cluster.
fn of_a_cluster(cluster: &Value) -> Result<()> {
    text(cluster, "/spec/displayName")?;
    text(cluster, "/status/provider")?;
    text(cluster, "/links/self")?;
    ensure!(cluster["spec"]["internal"] != true);
    for group in ["requested", "allocatable"] {
        for amount in ["cpu", "memory", "pods"] {
            text(cluster, &format!("/status/{group}/{amount}"))?;
        }
    }
    let conditions = cluster["status"]["conditions"].as_array();
    let mut conditions = conditions.context("no conditions")?.iter();
    let ready = conditions.find(|one| one["type"] == "Connected" || one["type"] == "Ready");
    assert_eq!(ready.context("not Ready")?["status"], "True");
    Ok(())
}

/// Steps 13 and 14: the explorer.
async fn cluster(browser: &mut Browser<'_>) -> Result<()> {
    let id = browser.world.id.clone();
    let all = "pagesize=100000&exclude=metadata.managedFields";
    of_a_cluster(
        &browser
            .get(&format!(
                "/v1/management.cattle.io.clusters/{id}?exclude=metadata.managedFields"
            ))
            .await?,
    )?;
    let projects = browser
        .get(&format!("/v1/management.cattle.io.project/{id}?{all}"))
        .await?;
    let project = &projects["data"][0];
    assert_eq!(text(project, "/spec/clusterName")?, id);
    text(project, "/spec/displayName")?;
    let base = format!("/k8s/clusters/{id}/v1");
    let schemas = browser.get(&format!("{base}/schemas?{all}")).await?;
    for kind in ["pod", "node", "event", "apps.deployment", "count"] {
        item(&schemas, kind)?;
    }
    let counts = browser.get(&format!("{base}/counts?{all}")).await?;
    assert_eq!(
        item(&counts, "count")?["counts"]["node"]["summary"]["count"],
        3
    );
    let namespaces = browser.get(&format!("{base}/namespaces?{all}")).await?;
    item(&namespaces, "default")?;
    let nodes = browser
        .get(&format!(
            "{base}/nodes?page=1&pagesize=100&sort=metadata.name&exclude=metadata.managedFields"
        ))
        .await?;
    let node = item(&nodes, "node-1")?;
    text(node, "/metadata/state/name")?;
    text(node, "/status/nodeInfo/kubeletVersion")?;
    ensure!(node["metadata"]["fields"].is_array());
    let names = ["node-1", "node-2", "node-3"];
    let filter = |field: &str| names.map(|name| format!("{field}=\"{name}\"")).join(",");
    browser
        .get(&format!(
            "/v1/management.cattle.io.nodes?filter={}&{all}",
            filter("status.nodeName")
        ))
        .await?;
    let pods = browser
        .get(&format!(
            "{base}/pods?filter={}&{all}",
            filter("spec.nodeName")
        ))
        .await?;
    for pod in pods["data"].as_array().context("no pods")? {
        ensure!(names.contains(&text(pod, "/spec/nodeName")?));
    }
    for kind in ["pods", "configmaps"] {
        browser
            .get(&format!(
                "{base}/{kind}?page=1&pagesize=100&sort=metadata.name&{SYSTEM}"
            ))
            .await?;
    }
    browser
        .get(&format!(
            "{base}/events?page=1&pagesize=10&sort=-metadata.fields[0]&{SYSTEM}"
        ))
        .await?;
    browser
        .get(&format!(
            "{base}/apps.deployments/cattle-system/cattle-cluster-agent"
        ))
        .await?;
    let mut stream = browser
        .stream(&format!("{base}/subscribe?sockId=3"))
        .await?;
    let topic = json!({
        "resourceType": "node", "mode": "resource.changes", "debounceMs": 4000,
        "resourceVersion": text(&nodes, "/revision")?,
    });
    stream.say(&topic).await?;
    assert_eq!(stream.frame().await?["name"], "resource.start");
    let path = "/v1/logout";
    browser
        .send("POST", path, Some(json!({})))
        .await?
        .expect(200)?;
    browser
        .send("GET", "/v1/schemas", None)
        .await?
        .expect(401)?;
    Ok(())
}
