//! Every built-in role, alone, against every request that `/v3` answers.
//!
//! What is expected follows from the rules of the roles by an evaluation of its own (`testkit::roles`) and from a table
//! of what each request needs. It is compared with what is answered over a hub with its controllers and a cluster that
//! decides by its own RBAC. The table is held against the schemas: a type, method or action that it lacks is missed.

#![cfg(test)]

mod hostile;
mod inside;
mod management;
mod needs;
mod routes;
mod world;

use std::collections::BTreeSet;

use drover_testkit::roles::Role;
use futures::{StreamExt as _, stream};
use serde_json::Value;

use routes::Route;
use world::World;

/// Requests on their way at once.
const AT_ONCE: usize = 8;

/// What the schemas name and the table lacks, and why.
const NOT_ASKED: [(&str, &str, &str); 1] = [(
    "subscribe",
    "GET",
    "an event stream; `embedded.rs` asks what it shows to whom",
)];

async fn world() -> (World, Vec<Route>) {
    let world = World::start().await;
    management::fill(&world).await;
    inside::fill(&world).await;
    world.settled().await;
    let mut routes = management::routes(&world);
    routes.extend(inside::routes(&world));
    (world, routes)
}

/// Sends one request as somebody with one role; says what is wrong with the answer.
async fn ask(world: &World, role: &Role, route: &Route) -> Option<String> {
    let user = role.user();
    let url = route.url.replace("{user}", &user);
    let (status, answer) = world.send(&user, route.method, &url, &route.body).await;
    let met = route.needs.are_met(role, world);
    let expected = if met { route.granted } else { route.refused };
    let told = |what: &str| {
        Some(format!(
            "{user}: {} {url} ({} {}): {what}",
            route.method, route.kind, route.what
        ))
    };
    if !expected.contains(&status) {
        return told(&format!(
            "{status} instead of {expected:?}: {}",
            answer["message"]
        ));
    }
    if !met || status != 200 {
        return None;
    }
    let shown: BTreeSet<&str> = answer["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["id"].as_str())
        .collect();
    for (id, needs) in &route.items {
        let id = id.replace("{user}", &user);
        let (is, should) = (shown.contains(id.as_str()), needs.are_met(role, world));
        if is != should {
            return told(&format!("{id} is shown: {is}, should be: {should}"));
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_built_in_role_gets_what_its_rules_say_and_no_more() {
    let (world, routes) = world().await;
    uncovered(&world, &routes).await;
    let world = &world;
    let (mut n_met, mut n_all) = (0, 0);
    let mut wrong = Vec::new();
    for role in &world.roles {
        n_all += routes.len();
        n_met += routes
            .iter()
            .filter(|route| {
                !route.needs.0.iter().any(Vec::is_empty) && route.needs.are_met(role, world)
            })
            .count();
        // What takes somebody's own things away comes last, in the table's order.
        let (own, others): (Vec<_>, Vec<_>) =
            routes.iter().partition(|route| route.kind == "token");
        let answers = stream::iter(others)
            .map(|route| ask(world, role, route))
            .buffer_unordered(AT_ONCE);
        wrong.extend(
            answers
                .filter_map(std::future::ready)
                .collect::<Vec<_>>()
                .await,
        );
        for route in own {
            wrong.extend(ask(world, role, route).await);
        }
    }
    wrong.sort();
    assert!(
        wrong.is_empty(),
        "{} of {n_all}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Neither everything nor nothing is allowed: the comparison means something.
    assert!(n_met > 1_000 && n_met * 3 < n_all, "{n_met} of {n_all}");
}

/// Nobody at all gets nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_is_not_signed_in_gets_anything() {
    let (world, routes) = world().await;
    for route in &routes {
        let public = route.url == "/v3/settings/ui-brand" && route.method == "GET";
        let url = route.url.replace("{user}", "target");
        let (status, _) = world.send("", route.method, &url, &route.body).await;
        let expected = if public { 200 } else { 401 };
        assert_eq!(status, expected, "{} {url}", route.method);
    }
}

/// Whatever is sent, the server says what is wrong with it, and does not fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_wrong_is_refused_with_its_field() {
    let (world, routes) = world().await;
    let wrong = hostile::send_all(&world, &routes).await;
    assert!(
        wrong.is_empty(),
        "{} wrong answers:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Every type, method and action of the schemas is asked for.
async fn uncovered(world: &World, routes: &[Route]) {
    let asked: BTreeSet<(&str, &str)> = routes
        .iter()
        .map(|route| (route.kind, route.what))
        .collect();
    let mut missing = Vec::new();
    let mut n_types = 0;
    for at in ["/v3/schemas", "/v3/cluster/schemas", "/v3/project/schemas"] {
        let (_, schemas) = world.send("g-admin", "GET", at, &Value::Null).await;
        for schema in schemas["data"].as_array().unwrap() {
            let wanted = wanted(schema);
            n_types += usize::from(!wanted.is_empty());
            let id = schema["id"].as_str().unwrap();
            let lacks = wanted.iter().filter(|what| {
                !asked.contains(&(id, what.as_str()))
                    && !NOT_ASKED.iter().any(|(kind, _, _)| *kind == id)
            });
            missing.extend(lacks.map(|what| format!("{id} {what}")));
        }
    }
    assert!(n_types > 45, "{n_types} types were looked at");
    assert!(
        missing.is_empty(),
        "nobody asks for:\n{}",
        missing.join("\n")
    );
}

/// What a schema says can be done.
fn wanted(schema: &Value) -> Vec<String> {
    let methods = |list: &str, names: [(&str, &str); 3]| -> Vec<String> {
        let methods = schema[list].as_array().into_iter().flatten();
        methods
            .filter_map(Value::as_str)
            .filter_map(|method| names.iter().find(|(known, _)| *known == method))
            .map(|(_, what)| (*what).to_owned())
            .collect()
    };
    let all = [("GET", "list"), ("POST", "create"), ("", "")];
    let one = [("GET", "get"), ("PUT", "update"), ("DELETE", "delete")];
    let mut wanted = methods("collectionMethods", all);
    wanted.extend(methods("resourceMethods", one));
    for actions in ["resourceActions", "collectionActions"] {
        let named = schema[actions].as_object().into_iter().flatten();
        wanted.extend(named.map(|(action, _)| action.clone()));
    }
    wanted
}
