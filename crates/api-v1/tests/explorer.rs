//! What people do with the explorer: look, filter, count, search.

#![cfg(test)]

mod common;

use common::{INSIDE, World, ids};
use drover_api_v1::Limits;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_objects_and_errors_have_the_recorded_form() {
    let world = World::start().await;
    let admin = world.admin.as_str();
    let schema = world.get(admin, "/v1/schemas/namespace").await;
    assert_eq!(schema["id"], "namespace");
    assert_eq!(schema["pluralName"], "namespaces");
    assert_eq!(schema.get("resourceFields"), Some(&Value::Null));
    assert_eq!(
        schema["links"],
        json!({
            "collection": "https://drover.example/v1/namespaces",
            "self": "https://drover.example/v1/schemas/namespace",
        })
    );
    let mut verbs = schema["attributes"]["verbs"].as_array().unwrap().clone();
    verbs.sort_by_key(ToString::to_string);
    assert_eq!(
        json!(verbs),
        json!([
            "create", "delete", "get", "list", "patch", "update", "watch"
        ])
    );
    assert_eq!(
        schema["attributes"]["columns"][2]["field"],
        "$.metadata.fields[2]"
    );
    let methods = |schema: &Value, of: &str| {
        let mut methods: Vec<String> = schema[of]
            .as_array()
            .unwrap()
            .iter()
            .map(|method| method.as_str().unwrap().to_owned())
            .collect();
        methods.sort();
        methods.join(" ")
    };
    assert_eq!(methods(&schema, "collectionMethods"), "GET POST");
    assert_eq!(methods(&schema, "resourceMethods"), "DELETE GET PATCH PUT");
    let cluster = world
        .get(admin, "/v1/schemas/management.cattle.io.clusters")
        .await;
    assert_eq!(methods(&cluster, "collectionMethods"), "GET blocked-POST");
    assert_eq!(
        methods(&cluster, "resourceMethods"),
        "GET blocked-DELETE blocked-PATCH blocked-PUT"
    );
    let all = world.get(admin, "/v1/schemas").await;
    assert!(ids(&all).contains(&"pod") && ids(&all).contains(&"management.cattle.io.project"));
    // The peer's dashboard reads a group wherever there are attributes (its page `diagnostic`).
    for schema in all["data"].as_array().unwrap() {
        let group = schema.get("attributes").map(|of| of["group"].is_string());
        assert_ne!(group, Some(false), "{schema}");
    }
    let count = world.get(admin, "/v1/schemas/count").await;
    assert!(count.get("attributes").is_none(), "{count}");

    let list = world.get(admin, &format!("{INSIDE}/configmaps/mine")).await;
    assert_eq!(
        (
            list["type"].as_str(),
            list["resourceType"].as_str(),
            list["actions"].clone()
        ),
        (Some("collection"), Some("configmap"), json!({}))
    );
    assert_eq!(list["count"], 2);
    assert_eq!(
        list["createTypes"],
        json!({"configmap": "https://drover.example/k8s/clusters/c-1/v1/configmaps"})
    );
    assert!(list["revision"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    let object = world
        .get(admin, &format!("{INSIDE}/configmap/mine/in-mine"))
        .await;
    assert_eq!(
        (object["id"].as_str(), object["type"].as_str()),
        (Some("mine/in-mine"), Some("configmap"))
    );
    assert_eq!(object["metadata"]["fields"][0], "in-mine");
    assert_eq!(object["metadata"]["fields"][1], 1);
    assert!(
        object["metadata"]["fields"][2]
            .as_str()
            .unwrap()
            .ends_with('s')
    );
    assert_eq!(object["metadata"]["state"]["name"], "active");
    assert_eq!(object["metadata"]["relationships"], Value::Null);
    let url = "https://drover.example/k8s/clusters/c-1/v1/configmaps/mine/in-mine";
    assert_eq!(
        object["links"],
        json!({
            "self": url, "update": url, "patch": url, "remove": url,
            "view": "https://drover.example/k8s/clusters/c-1/api/v1/namespaces/mine/configmaps/in-mine",
        })
    );

    let answer = world
        .ask(
            admin,
            "GET",
            "/v1/namespaces/nosuch",
            "application/json",
            Value::Null,
        )
        .await;
    assert_eq!(
        answer.headers["x-api-schemas"],
        "https://drover.example/v1/schemas"
    );
    assert_eq!(
        answer.body,
        json!({
            "code": "NotFound", "links": {}, "message": "namespaces \"nosuch\" not found",
            "status": 404, "type": "error",
        })
    );
    let answer = world
        .ask(
            admin,
            "GET",
            "/v1/nosuchtype",
            "application/json",
            Value::Null,
        )
        .await;
    assert_eq!((answer.status, answer.body), (404, Value::Null));
    assert!(!answer.headers.contains_key("x-api-schemas"));
    // What the environment sets wins, and cannot be changed.
    let brand = json!({"metadata": {"name": "ui-brand"}, "value": "stored", "default": ""});
    let (status, brand) = world
        .send(admin, "POST", "/v1/management.cattle.io.settings", brand)
        .await;
    assert!(matches!(status, 201 | 409), "{brand}");
    let brand = world
        .get(admin, "/v1/management.cattle.io.settings/ui-brand")
        .await;
    assert_eq!(
        (brand["value"].as_str(), brand["source"].as_str()),
        (Some("given"), Some("env"))
    );
    assert!(brand["links"].get("update").is_none());
    let clusters = world.get(admin, "/v1/management.cattle.io.clusters").await;
    assert!(ids(&clusters).contains(&"c-1"));
    assert_eq!(clusters["data"][0]["links"]["update"], "blocked");
    assert!(clusters.get("createTypes").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_filtered_sorted_and_paged() {
    let world = World::start().await;
    for at in 0..5 {
        world
            .configmap(
                "mine",
                &format!("cm-{at}"),
                json!({"n": at.to_string(), "even": (at % 2 == 0).to_string()}),
            )
            .await;
    }
    let list = |query: &'static str| {
        let world = &world;
        async move {
            world
                .get("owner", &format!("{INSIDE}/configmaps?{query}"))
                .await
        }
    };
    let found = list("filter=metadata.name~cm-&sort=-metadata.name&pagesize=2&page=2").await;
    assert_eq!(ids(&found), ["mine/cm-2", "mine/cm-1"]);
    assert_eq!(found["count"], 5);
    assert_eq!(found["continue"], "4");
    assert_eq!(found["pagination"]["partial"], true);
    let next = found["pagination"]["next"].as_str().unwrap();
    let rest = world
        .get(
            "owner",
            next.strip_prefix("https://drover.example").unwrap(),
        )
        .await;
    assert_eq!(ids(&rest), ["mine/cm-0"]);
    assert!(rest.get("continue").is_none() && rest.get("pagination").is_none());
    let first = list("filter=metadata.name~cm-&limit=4").await;
    assert_eq!(
        (ids(&first).len(), first["continue"].as_str()),
        (4, Some("4"))
    );

    let check = |query: &'static str, expected: &'static [&'static str]| {
        let list = &list;
        async move {
            let found = list(query).await;
            assert_eq!(ids(&found), expected, "{query}");
        }
    };
    check(
        "filter=metadata.labels[even]=true&filter=metadata.name!=cm-0",
        &["mine/cm-2", "mine/cm-4"],
    )
    .await;
    check(
        "filter=metadata.name=cm-1,metadata.name=cm-3",
        &["mine/cm-1", "mine/cm-3"],
    )
    .await;
    check(
        "filter=metadata.labels.n in (4,'2')&sort=-metadata.labels[n]",
        &["mine/cm-4", "mine/cm-2"],
    )
    .await;
    check("labelSelector=even=false,n!=1", &["mine/cm-3"]).await;
    check("fieldSelector=metadata.name=in-other", &["other/in-other"]).await;
    check(
        "projectsornamespaces=p-1&filter=metadata.name~in-",
        &["mine/in-mine"],
    )
    .await;
    check(
        "projectsornamespaces!=p-1&filter=metadata.name~in-",
        &["other/in-other"],
    )
    .await;
    check(
        "projectsornamespaces=other&filter=metadata.name~in-",
        &["other/in-other"],
    )
    .await;
    check("page=9&pagesize=3&filter=metadata.name~cm-", &[]).await;

    let projected =
        list("filter=metadata.name=cm-1&exclude=metadata.managedFields&exclude=data").await;
    assert!(projected["data"][0].get("data").is_none());
    assert!(
        projected["data"][0]["metadata"]
            .get("managedFields")
            .is_none()
    );
    let summary = list(
        "filter=metadata.name~cm-&summary=metadata.labels[even]&summaryonly&summarynamespaced",
    )
    .await;
    assert_eq!(ids(&summary), Vec::<&str>::new());
    assert_eq!(
        summary["summary"],
        json!([{"property": "metadata.labels[even]", "counts": {
            "false": {"total": 2, "namespace": {"mine": 2}}, "true": {"total": 3, "namespace": {"mine": 3}},
        }}])
    );
    for (query, status, field) in [
        ("filter=spec.nope=1", 422, "spec.nope"),
        ("sort=spec.nope", 422, "spec.nope"),
        ("filter=((", 422, "filter"),
        ("page=x", 400, "page"),
        ("revision=abc", 400, "revision"),
        ("revision=99999999999", 400, "revision"),
    ] {
        let (got, body) = world
            .send(
                "owner",
                "GET",
                &format!("{INSIDE}/configmaps?{query}"),
                Value::Null,
            )
            .await;
        assert_eq!(
            (got, body["fieldName"].as_str()),
            (status, Some(field)),
            "{query}: {body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_counts_and_search_answer_by_rights() {
    let world = World::start().await;
    let definition = world
        .get("owner", &format!("{INSIDE}/schemaDefinitions/configmap"))
        .await;
    let name = definition["definitionType"].as_str().unwrap().to_owned();
    assert!(name.ends_with("ConfigMap"), "{name}");
    let fields = &definition["definitions"][&name]["resourceFields"];
    assert_eq!(fields["data"]["type"], "map");

    let counts =
        |list: Value, kind: &str| list["data"][0]["counts"][kind]["summary"]["count"].clone();
    let counted = world.get("owner", &format!("{INSIDE}/counts")).await;
    let whole = counts(counted, "configmap").as_u64().unwrap();
    let listed = world.get("owner", &format!("{INSIDE}/configmaps")).await;
    assert_eq!(listed["count"].as_u64(), Some(whole));
    // With a copy, namespaces are told too.
    let counted = world.get("owner", &format!("{INSIDE}/counts")).await;
    assert_eq!(
        counted["data"][0]["counts"]["configmap"]["namespaces"]["mine"]["count"],
        2
    );
    let counted = world.get("member", &format!("{INSIDE}/counts")).await;
    assert_eq!(counts(counted.clone(), "configmap"), 2);
    assert_eq!(counts(counted, "node"), Value::Null);

    let search = |user: &'static str, question: &'static str| {
        let world = &world;
        async move {
            let found = world.get(user, &format!("/v1/search?q={question}")).await;
            let mut shown: Vec<String> = found["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|hit| {
                    format!(
                        "{} {} {}",
                        hit["cluster"].as_str().unwrap(),
                        hit["resourceType"].as_str().unwrap(),
                        hit["id"].as_str().unwrap()
                    )
                })
                .collect();
            shown.sort();
            shown
        }
    };
    assert_eq!(
        search("owner", "in-").await,
        ["c-1 configmap mine/in-mine", "c-1 configmap other/in-other"]
    );
    assert_eq!(
        search("member", "in-").await,
        ["c-1 configmap mine/in-mine"]
    );
    assert_eq!(search("member", "team%3Dother").await, Vec::<String>::new());
    assert_eq!(search("stranger", "in-").await, Vec::<String>::new());
    assert!(
        search("owner", "one")
            .await
            .contains(&"local management.cattle.io.cluster c-1".to_owned())
    );
    let (status, body) = world
        .send("owner", "GET", "/v1/search?q=", Value::Null)
        .await;
    assert_eq!((status, body["fieldName"].as_str()), (422, Some("q")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_makes_no_more_watches_than_it_may_and_says_what_it_left_out() {
    let world = World::with_limits(Limits {
        search_copies: 3,
        ..Limits::default()
    })
    .await;
    let found = world.get("owner", "/v1/search?q=in-").await;
    assert_eq!(ids(&found), Vec::<&str>::new());
    assert_eq!(
        found["unsearched"],
        json!([{"cluster": "c-1"}, {"cluster": "local"}])
    );
    // What is copied already is searched for nothing.
    world.get("owner", &format!("{INSIDE}/configmaps")).await;
    let found = world.get("owner", "/v1/search?q=in-").await;
    assert_eq!(ids(&found), ["mine/in-mine", "other/in-other"]);
    let left_out = found["unsearched"].as_array().unwrap();
    let inside = left_out.iter().find(|one| one["cluster"] == "c-1").unwrap();
    let kinds = inside["kinds"].as_array().unwrap();
    assert!(kinds.contains(&json!("pod")) && !kinds.contains(&json!("configmap")));
    // The one cluster that is asked is searched in full.
    let found = world.get("owner", &format!("{INSIDE}/search?q=in-")).await;
    assert_eq!(found["unsearched"], json!([]));
    assert_eq!(ids(&found).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_have_for_themselves_has_columns_and_fields() {
    let world = World::start().await;
    let admin = world.admin.as_str();
    let schema = world.get(admin, "/v1/schemas/ext.cattle.io.token").await;
    let columns = schema["attributes"]["columns"].as_array().unwrap();
    let names: Vec<&str> = columns
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["Name", "User", "Kind", "TTL", "Age", "Description"]);
    assert_eq!(columns[5]["field"], "$.metadata.fields[5]");
    let made = world
        .get(admin, "/v1/schemas/ext.cattle.io.passwordchangerequest")
        .await;
    assert_eq!(made["attributes"]["columns"], json!([]));
    let definition = world
        .get(admin, "/v1/schemaDefinitions/ext.cattle.io.kubeconfig")
        .await;
    let name = "io.cattle.ext.v1.Kubeconfig";
    assert_eq!(definition["definitionType"], name);
    let fields = &definition["definitions"][format!("{name}.spec")]["resourceFields"];
    assert_eq!(fields["clusters"]["type"], "array");
    assert_eq!(fields["ttl"]["type"], "int");
}
