//! The types of `/v3` itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::needs::{Needs, Right, below, hub, secrets};
use crate::routes::{ABSENT, Managed, NO_METHOD, Place, Route, WRONG, answer};
use crate::world::{CLUSTER, FAR, INSIDE, OTHER, PROJECT, TARGET, World, make};

const GLOBAL_DATA: &str = "cattle-global-data";

fn object(kind: &str, place: &Place, fields: Value) -> Value {
    let mut object = fields;
    object["apiVersion"] = json!("management.cattle.io/v3");
    object["kind"] = json!(kind);
    object["metadata"]["name"] = json!(place.name);
    if let Some(namespace) = &place.namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

/// One object in the cluster, one elsewhere.
fn in_clusters(name: &str) -> Vec<Place> {
    [CLUSTER, FAR].map(|of| Place::within(of, name)).into()
}

/// Makes what the requests are about, beside what is there anyway.
pub(crate) async fn fill(world: &World) {
    let hub = &world.hub;
    for (kind, plural, fields) in [
        ("Node", "nodes", json!({"status": {"nodeName": "node-1"}})),
        (
            "ClusterRegistrationToken",
            "clusterregistrationtokens",
            json!({}),
        ),
        (
            "ClusterRoleTemplateBinding",
            "clusterroletemplatebindings",
            json!({"roleTemplateName": "nodes-view", "userName": TARGET}),
        ),
    ] {
        for place in in_clusters("x-1") {
            let mut fields = fields.clone();
            let of = json!(place.namespace);
            if kind == "ClusterRegistrationToken" {
                fields["spec"]["clusterName"] = of;
            } else if kind == "ClusterRoleTemplateBinding" {
                fields["clusterName"] = of;
            }
            make(hub, plural, object(kind, &place, fields)).await;
        }
    }
    for (backing, project) in [(&world.backing, PROJECT), (&world.backing_other, OTHER)] {
        let place = Place::within(backing, "x-1");
        let fields = json!({"projectName": format!("{CLUSTER}:{project}"), "roleTemplateName": "secrets-view",
            "userName": TARGET});
        let binding = object("ProjectRoleTemplateBinding", &place, fields);
        make(hub, "projectroletemplatebindings", binding).await;
    }
    for (kind, plural, fields) in [
        ("GlobalRole", "globalroles", json!({"displayName": "x"})),
        (
            "GlobalRoleBinding",
            "globalrolebindings",
            json!({"globalRoleName": "x-2", "userName": TARGET}),
        ),
        (
            "RoleTemplate",
            "roletemplates",
            json!({"displayName": "x", "context": "cluster"}),
        ),
        (
            "PodSecurityAdmissionConfigurationTemplate",
            "podsecurityadmissionconfigurationtemplates",
            json!({"configuration": {}}),
        ),
        ("Group", "groups", json!({"displayName": "x"})),
        ("GroupMember", "groupmembers", json!({"groupName": "x-1"})),
    ] {
        make(hub, plural, object(kind, &Place::whole("x-1"), fields)).await;
    }
    let bound = object(
        "GlobalRole",
        &Place::whole("x-2"),
        json!({"displayName": "bound"}),
    );
    make(hub, "globalroles", bound).await;
    let machine = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}});
    make(&world.cluster, "nodes", machine).await;
    let mut tokens = vec![TARGET.to_owned()];
    for user in world.roles.iter().map(drover_testkit::roles::Role::user) {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": user}});
        make(hub, "namespaces", namespace).await;
        let preference = object(
            "Preference",
            &Place::within(&user, "theme"),
            json!({"value": "dark"}),
        );
        make(hub, "preferences", preference).await;
        tokens.push(user);
    }
    for user in tokens {
        let token = Place::whole(&format!("token-{user}"));
        let fields = json!({"userId": user, "enabled": true, "authProvider": "local"});
        make(hub, "tokens", object("Token", &token, fields)).await;
    }
    let credential = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {
            "name": "cc-1", "namespace": GLOBAL_DATA, "annotations": {"field.cattle.io/creatorId": TARGET}},
        "data": {"s3credentialConfig-accessKey": STANDARD.encode("a")}});
    make(hub, "secrets", credential).await;
}

/// What the built-in role `name` gives, as rights in the cluster: who gives it away must hold them all.
fn gives(world: &World, name: &str) -> Vec<Right> {
    let role = world.roles.iter().find(|role| role.name == name).unwrap();
    let texts = |rule: &Value, list: &str| -> Vec<String> {
        let entries = rule[list].as_array().into_iter().flatten();
        entries
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let mut rights = Vec::new();
    for rule in role.all_rules() {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    let verb: &'static str = verb.leak();
                    rights.push(below(verb, (&group, &resource), Some(INSIDE), None));
                }
            }
        }
    }
    assert!(!rights.is_empty(), "{name} gives something");
    rights
}

pub(crate) fn routes(world: &World) -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(clusters());
    routes.extend(cluster_parts(world));
    routes.extend(projects(world));
    routes.extend(people());
    routes.extend(roles());
    routes.extend(settings());
    routes.extend(sign_in());
    routes.extend(own());
    routes.extend(credentials());
    routes.extend(reviews());
    routes
}

fn clusters() -> Vec<Route> {
    let managed = Managed {
        kind: "cluster",
        plural: "clusters",
        resource: "clusters",
        places: vec![Place::whole(CLUSTER), Place::whole(FAR)],
        made_of: vec![(json!({"name": "new"}), None, vec![])],
        changed_by: json!({"description": "d"}),
    };
    let mut routes = managed.routes();
    for route in routes.iter_mut().filter(|route| route.what == "update") {
        // A change names the cluster again.
        let name = if route.url.ends_with(FAR) {
            "far"
        } else {
            "one"
        };
        route.body["name"] = json!(name);
    }
    for place in &managed.places {
        let act = |action: &'static str| {
            let url = format!("/v3/clusters/{}?action={action}", place.id());
            Route::new("cluster", action, "POST", url, managed.seen(place)).sending(json!({}))
        };
        routes.push(act("generateKubeconfig"));
        routes.push(act("importYaml").sending(json!({"yaml": "a: b"})));
        // Named by the schema, served by nobody (docs/differences.md).
        routes.push(act("exportYaml").granted(ABSENT));
        routes.push(act("saveAsTemplate").granted(ABSENT));
    }
    routes
}

fn cluster_parts(world: &World) -> Vec<Route> {
    let tokens = Managed {
        kind: "clusterRegistrationToken",
        plural: "clusterRegistrationTokens",
        resource: "clusterregistrationtokens",
        places: in_clusters("x-1"),
        made_of: [CLUSTER, FAR]
            .map(|of| (json!({"clusterId": of}), Some(of.to_owned()), vec![]))
            .into(),
        changed_by: json!({"labels": {"a": "b"}}),
    };
    let bindings = Managed {
        kind: "clusterRoleTemplateBinding",
        plural: "clusterRoleTemplateBindings",
        resource: "clusterroletemplatebindings",
        places: in_clusters("x-1"),
        // One that those may give who manage members, and one that is more than they hold.
        made_of: ["clusterroletemplatebindings-view", "nodes-view"]
            .map(|role| {
                let body = json!({"clusterId": CLUSTER, "roleTemplateId": role, "userId": TARGET});
                (body, Some(CLUSTER.to_owned()), gives(world, role))
            })
            .into(),
        changed_by: json!({"labels": {"a": "b"}}),
    };
    let mut routes = tokens.routes();
    routes.extend(bindings.routes());
    routes.extend(nodes());
    routes
}

fn nodes() -> Vec<Route> {
    let nodes = Managed {
        kind: "node",
        plural: "nodes",
        resource: "nodes",
        places: in_clusters("x-1"),
        made_of: vec![(
            json!({"clusterId": CLUSTER, "requestedHostname": "h"}),
            Some(CLUSTER.to_owned()),
            vec![],
        )],
        changed_by: json!({"labels": {"a": "b"}}),
    };
    let mut routes = nodes.routes();
    // They come and go with their machines.
    answer(&mut routes, "create", WRONG);
    answer(&mut routes, "delete", NO_METHOD);
    for place in &nodes.places {
        let of = place.namespace.as_deref();
        let update = hub("update", "nodes", of, Some(&place.name));
        for action in ["cordon", "drain", "uncordon", "stopDrain", "scaledown"] {
            let url = format!("/v3/nodes/{}?action={action}", place.id());
            let seen = nodes.seen(place);
            // Who sees the node and may not change it is not offered it.
            let seeing = Route::new("node", action, "POST", url, seen.and(&update));
            let seeing = seeing.sending(json!({})).refused(&[403, 404]);
            routes.push(match action {
                // One that is not cordoned is not uncordoned; no drain runs on; no machine was made here.
                "cordon" | "drain" => seeing,
                _ => seeing.granted(ABSENT),
            });
        }
    }
    routes
}

fn projects(world: &World) -> Vec<Route> {
    let projects = Managed {
        kind: "project",
        plural: "projects",
        resource: "projects",
        places: vec![
            Place::within(CLUSTER, PROJECT),
            Place::within(CLUSTER, OTHER),
            Place::within(FAR, "p-far"),
        ],
        made_of: [CLUSTER, FAR]
            .map(|of| {
                let body = json!({"name": "new", "clusterId": of});
                (body, Some(of.to_owned()), vec![])
            })
            .into(),
        changed_by: json!({"description": "d"}),
    };
    let mut routes = projects.routes();
    for place in &projects.places {
        let url = format!("/v3/projects/{}?action=exportYaml", place.id());
        let act = Route::new("project", "exportYaml", "POST", url, projects.seen(place));
        // Named by the schema, served by nobody (docs/differences.md).
        routes.push(act.sending(json!({})).granted(ABSENT));
    }
    let bindings = Managed {
        kind: "projectRoleTemplateBinding",
        plural: "projectRoleTemplateBindings",
        resource: "projectroletemplatebindings",
        places: vec![
            Place::within(&world.backing, "x-1"),
            Place::within(&world.backing_other, "x-1"),
        ],
        made_of: ["projectroletemplatebindings-view", "secrets-view"]
            .map(|role| {
                let project = format!("{CLUSTER}:{PROJECT}");
                let body = json!({"projectId": project, "roleTemplateId": role, "userId": TARGET});
                (body, Some(world.backing.clone()), gives(world, role))
            })
            .into(),
        changed_by: json!({"labels": {"a": "b"}}),
    };
    routes.extend(bindings.routes());
    routes
}

fn people() -> Vec<Route> {
    let target = Place::whole(TARGET);
    let users = Managed {
        kind: "user",
        plural: "users",
        resource: "users",
        places: vec![target.clone()],
        made_of: vec![(json!({"username": "new"}), None, vec![])],
        changed_by: json!({"description": "d"}),
    };
    let mut routes = users.routes();
    let own = |what, method, url: &str, needs| Route::new("user", what, method, url, needs);
    routes.push(own("get", "GET", "/v3/users/{user}", Needs::nothing()));
    let update = hub("update", "users", None, Some(TARGET));
    let seen = users.seen(&target).and(&update);
    // A password that breaks the rules: who gets so far may set one.
    let password = json!({"newPassword": "short"});
    let url = format!("/v3/users/{TARGET}?action=setpassword");
    let act = own("setpassword", "POST", &url, seen.clone());
    routes.push(act.sending(password.clone()).granted(WRONG));
    let act = own(
        "setpassword",
        "POST",
        "/v3/users/{user}?action=setpassword",
        Needs::all([hub("update", "users", None, Some(TARGET))]),
    );
    routes.push(act.sending(password).granted(WRONG).refused(ABSENT));
    let url = format!("/v3/users/{TARGET}?action=refreshauthprovideraccess");
    let act = own("refreshauthprovideraccess", "POST", &url, seen);
    routes.push(act.sending(json!({})));
    let all = Needs::all([hub("update", "users", None, None)]);
    let url = "/v3/users?action=refreshauthprovideraccess";
    routes.push(own("refreshauthprovideraccess", "POST", url, all).sending(json!({})));
    let url = "/v3/users?action=changepassword";
    let act = own("changepassword", "POST", url, Needs::nothing());
    routes.push(act.sending(json!({})).granted(WRONG));

    let known = format!("/v3/principals/local:%2F%2F{TARGET}");
    let principal =
        |what, method, url: &str| Route::new("principal", what, method, url, Needs::nothing());
    routes.extend([
        principal("list", "GET", "/v3/principals"),
        Route::new("principal", "get", "GET", known, others()).refused(ABSENT),
        principal("get", "GET", "/v3/principals/local:%2F%2F{user}"),
        principal("search", "POST", "/v3/principals?action=search").sending(json!({"name": "x"})),
    ]);
    routes
}

/// Who may list principals sees those of others.
fn others() -> Needs {
    Needs::all([hub("list", "principals", None, None)])
}

fn roles() -> Vec<Route> {
    let anywhere = |verb, group: &str, resource: &str| {
        Right::Hub(drover_testkit::roles::Asked {
            verb,
            group: group.to_owned(),
            resource: resource.to_owned(),
            ..Default::default()
        })
    };
    let rule = |group: &str, resource: &str| json!([{"apiGroups": [group], "resources": [resource], "verbs": ["get"]}]);
    let managed = |kind, plural, resource, made_of| Managed {
        kind,
        plural,
        resource,
        places: vec![Place::whole("x-1")],
        made_of,
        changed_by: json!({"description": "d"}),
    };
    let management = "management.cattle.io";
    // Of each kind one that says what those hold who manage it, and one that says more.
    let of_global = [("", "pods"), (management, "globalroles")].map(|(group, resource)| {
        let body = json!({"name": "new", "newUserDefault": false, "rules": rule(group, resource)});
        (body, None, vec![anywhere("get", group, resource)])
    });
    let of_templates = [("", "pods"), (management, "roletemplates")].map(|(group, resource)| {
        let body = json!({"name": "new", "context": "cluster", "clusterCreatorDefault": false,
            "projectCreatorDefault": false, "rules": rule(group, resource)});
        (body, None, vec![anywhere("get", group, resource)])
    });
    // The role gives nothing, so that who makes bindings may give it; `admin` gives everything.
    let of_bindings = vec![
        (
            json!({"globalRoleId": "x-2", "userId": TARGET}),
            None,
            vec![],
        ),
        (
            json!({"globalRoleId": "admin", "userId": TARGET}),
            None,
            vec![Right::Everything],
        ),
    ];
    let mut routes = Vec::new();
    routes.extend(managed("globalRole", "globalRoles", "globalroles", of_global.into()).routes());
    let templates = managed(
        "roleTemplate",
        "roleTemplates",
        "roletemplates",
        of_templates.into(),
    );
    routes.extend(templates.routes());
    let mut bindings = managed(
        "globalRoleBinding",
        "globalRoleBindings",
        "globalrolebindings",
        of_bindings,
    );
    bindings.changed_by = json!({"labels": {"a": "b"}});
    routes.extend(bindings.routes());
    routes
}

fn settings() -> Vec<Route> {
    let hidden = Place::whole("engine-install-url");
    let settings = Managed {
        kind: "setting",
        plural: "settings",
        resource: "settings",
        places: vec![hidden],
        made_of: vec![(json!({"name": "new", "value": "v"}), None, vec![])],
        changed_by: json!({"value": "v"}),
    };
    let mut routes = settings.routes();
    answer(&mut routes, "delete", NO_METHOD);
    let public = "/v3/settings/ui-brand";
    routes.push(Route::new(
        "setting",
        "get",
        "GET",
        public,
        Needs::nothing(),
    ));
    let features = Managed {
        kind: "feature",
        plural: "features",
        resource: "features",
        places: vec![Place::whole("unsupported-storage-drivers")],
        made_of: vec![],
        changed_by: json!({"value": true}),
    };
    let mut of_features = features.routes();
    answer(&mut of_features, "delete", NO_METHOD);
    let create = Route::new(
        "feature",
        "create",
        "POST",
        "/v3/features",
        Needs::nothing(),
    );
    let create = create.sending(json!({"name": "new", "value": true}));
    of_features.push(create.granted(NO_METHOD));
    routes.extend(of_features);
    let templates = Managed {
        kind: "podSecurityAdmissionConfigurationTemplate",
        plural: "podSecurityAdmissionConfigurationTemplates",
        resource: "podsecurityadmissionconfigurationtemplates",
        places: vec![Place::whole("x-1")],
        made_of: vec![(json!({"name": "new", "configuration": {}}), None, vec![])],
        changed_by: json!({"description": "d"}),
    };
    routes.extend(templates.routes());
    routes
}

/// Ways to sign in, and groups.
fn sign_in() -> Vec<Route> {
    let local = Place::whole("local");
    let configs = Managed {
        kind: "authConfig",
        plural: "authConfigs",
        resource: "authconfigs",
        places: vec![local.clone()],
        made_of: vec![],
        changed_by: json!({"enabled": false}),
    };
    let mut routes = configs.routes();
    // There is none that can be changed.
    answer(&mut routes, "update", NO_METHOD);
    answer(&mut routes, "delete", NO_METHOD);
    routes.push(Route::new(
        "localConfig",
        "get",
        "GET",
        "/v3/localConfigs/local",
        configs.seen(&local),
    ));
    for (kind, plural, resource, body) in [
        ("group", "groups", "groups", json!({"name": "new"})),
        (
            "groupMember",
            "groupMembers",
            "groupmembers",
            json!({"groupId": "x-1"}),
        ),
    ] {
        let managed = Managed {
            kind,
            plural,
            resource,
            places: vec![Place::whole("x-1")],
            made_of: vec![(body, None, vec![])],
            changed_by: json!({"labels": {"a": "b"}}),
        };
        routes.extend(managed.routes());
    }
    routes
}

/// What everybody has, and nobody has of others.
fn own() -> Vec<Route> {
    let free =
        |kind, what, method, url: &str| Route::new(kind, what, method, url, Needs::nothing());
    let token = |what, method, url: &str| free("token", what, method, url);
    vec![
        free("preference", "list", "GET", "/v3/preferences")
            .holding(vec![("theme".to_owned(), Needs::nothing())]),
        free("preference", "create", "POST", "/v3/preferences")
            .sending(json!({"name": "new", "value": "v"})),
        free("preference", "get", "GET", "/v3/preferences/theme"),
        free("preference", "update", "PUT", "/v3/preferences/theme").sending(json!({"value": "v"})),
        free("preference", "delete", "DELETE", "/v3/preferences/theme"),
        token("list", "GET", "/v3/tokens")
            .holding(vec![("token-{user}".to_owned(), Needs::nothing())]),
        token("create", "POST", "/v3/tokens").sending(json!({"description": "d"})),
        token("get", "GET", "/v3/tokens/token-{user}"),
        token("update", "PUT", "/v3/tokens/token-{user}")
            .sending(json!({}))
            .granted(ABSENT),
        // Whatever somebody's roles are, others' tokens are not there.
        token("get", "GET", "/v3/tokens/token-target").granted(ABSENT),
        token("delete", "DELETE", "/v3/tokens/token-target").granted(ABSENT),
        token("logoutAll", "POST", "/v3/tokens?action=logoutAll")
            .sending(json!({}))
            .granted(ABSENT),
        free("cliLogin", "create", "POST", "/v3/cliLogins").sending(json!({
            "requestId": "abcdfghjklmnpqrstvwxz12456789abc", "responseType": "json",
            "publicKey": "eyJYMjU1MTkiOiJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFPSJ9",
        }))
        // Whoever comes first answers a request.
        .granted(&[201, 409]),
        token("logout", "POST", "/v3/tokens?action=logout").sending(json!({})),
        token("delete", "DELETE", "/v3/tokens/token-{user}"),
    ]
}

fn credentials() -> Vec<Route> {
    let one = format!("/v3/cloudCredentials/{GLOBAL_DATA}:cc-1");
    let all = "/v3/cloudCredentials";
    let may = |verb| Needs::all([secrets(verb, GLOBAL_DATA, Some("cc-1"))]);
    let route =
        |what, method, url: &str, needs| Route::new("cloudCredential", what, method, url, needs);
    let body = json!({"name": "new", "s3credentialConfig": {"accessKey": "a", "secretKey": "s"}});
    let create = Needs::all([secrets("create", GLOBAL_DATA, None)]);
    vec![
        route("list", "GET", all, Needs::nothing())
            .holding(vec![(format!("{GLOBAL_DATA}:cc-1"), may("get"))]),
        route("create", "POST", all, create).sending(body),
        route("get", "GET", &one, may("get")),
        route("update", "PUT", &one, may("update")).sending(json!({"description": "d"})),
        route("delete", "DELETE", &one, may("delete")),
    ]
}

/// Everybody may ask what they may do themselves; of others learns who owns what is asked about.
fn reviews() -> Vec<Route> {
    let question =
        json!({"verb": "get", "apiGroup": "management.cattle.io", "resource": "settings"});
    let mut of_other = question.clone();
    of_other["userId"] = json!(TARGET);
    let mut in_cluster = of_other.clone();
    in_cluster["clusterId"] = json!(CLUSTER);
    let everything = || Needs::all([Right::Everything]);
    // Owners of a cluster are those who may delete it.
    let owner = || Needs::all([hub("delete", "clusters", None, Some(CLUSTER))]);
    let route = |what, url: &str, needs, body: &Value| {
        Route::new("accessReview", what, "POST", url, needs).sending(body.clone())
    };
    let (ask, who) = ("/v3/accessReviews", "/v3/accessReviews?action=whoCan");
    vec![
        route("create", ask, Needs::nothing(), &question),
        route("create", ask, everything(), &of_other),
        route("create", ask, owner(), &in_cluster),
        route("whoCan", who, everything(), &question),
        route("whoCan", who, owner(), &in_cluster),
    ]
}
