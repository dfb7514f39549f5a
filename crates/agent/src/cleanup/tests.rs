use serde_json::json;

use super::{NAMESPACE_ANNOTATIONS, NAMESPACE_LABELS, is_ours, run, unmarking};
use crate::testing::FakeKubernetes;

#[test]
fn only_our_marks_are_taken_from_a_namespace() {
    let namespace = json!({"metadata": {
        "name": "shop",
        "resourceVersion": "7",
        "labels": {"field.cattle.io/projectId": "p-1", "team": "a"},
        "annotations": {"field.cattle.io/projectId": "c-1:p-1", "cattle.io/status": "{}", "note": "mine"},
        "finalizers": ["controller.cattle.io/namespace-auth", "other.io/x"],
    }});
    let patch = unmarking(&namespace, &NAMESPACE_ANNOTATIONS, &NAMESPACE_LABELS).unwrap();
    assert_eq!(
        patch,
        json!({"metadata": {
            "resourceVersion": "7",
            "labels": {"field.cattle.io/projectId": null},
            "annotations": {"field.cattle.io/projectId": null, "cattle.io/status": null},
            "finalizers": ["other.io/x"],
        }})
    );
    let plain = json!({"metadata": {"name": "plain", "labels": {"team": "a"}}});
    assert_eq!(
        unmarking(&plain, &NAMESPACE_ANNOTATIONS, &NAMESPACE_LABELS),
        None
    );
}

#[test]
fn generated_names_are_ours_and_longer_words_are_not() {
    assert!(is_ours("cattle-cluster-agent", "cattle-cluster-agent"));
    assert!(is_ours("helm-operation-x7k2p", "helm-operation"));
    assert!(!is_ours("cattle-cluster-agents", "cattle-cluster-agent"));
}

fn imported(fake: &FakeKubernetes) {
    let norman = json!({"cattle.io/creator": "norman"});
    fake.put(
        "/api/v1/namespaces/cattle-system",
        json!({"metadata": {"labels": {}}}),
    );
    fake.put(
        "/api/v1/namespaces/shop",
        json!({"metadata": {"annotations": {"field.cattle.io/projectId": "c-1:p-1", "note": "mine"}}}),
    );
    fake.put(
        "/apis/apps/v1/namespaces/cattle-system/deployments/cattle-cluster-agent",
        json!({}),
    );
    fake.put("/apis/apps/v1/namespaces/shop/deployments/web", json!({}));
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    fake.put(
        &format!("{rbac}/clusterroles/cattle-admin"),
        json!({"metadata": {"labels": norman}}),
    );
    fake.put(
        &format!("{rbac}/clusterrolebindings/cattle-admin-binding"),
        json!({"metadata": {"labels": norman}}),
    );
    fake.put(
        &format!("{rbac}/clusterrolebindings/drover-owners"),
        json!({"metadata": {"labels": norman}}),
    );
    fake.put(
        &format!("{rbac}/clusterroles/theirs"),
        json!({"metadata": {"labels": {}}}),
    );
    fake.put(
        &format!("{rbac}/namespaces/shop/rolebindings/made"),
        json!({"metadata": {"labels": norman}}),
    );
    fake.put(
        &format!("{rbac}/namespaces/shop/rolebindings/theirs"),
        json!({}),
    );
    for kind in [
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    ] {
        let collection = format!("/apis/admissionregistration.k8s.io/v1/{kind}");
        fake.put(
            &format!("{collection}/drover-namespaces"),
            json!({"metadata": {"labels": norman}}),
        );
        fake.put(
            &format!("{collection}/theirs"),
            json!({"metadata": {"labels": {}}}),
        );
    }
    fake.put(
        &format!("{rbac}/clusterroles/proxy-clusterrole-kubeapiserver"),
        json!({}),
    );
}

#[tokio::test]
async fn everything_we_made_goes_and_nothing_else() {
    let fake = FakeKubernetes::start().await;
    imported(&fake);
    let report = run(&fake.api(), false).await.unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
    let mut left = fake.paths();
    // The fake has no garbage collector: the agent's rights are left to it as dependents of the namespace.
    let rights: Vec<String> = left
        .extract_if(.., |path| path.contains("cattle-admin"))
        .collect();
    for path in &rights {
        assert_eq!(
            fake.object(path).unwrap()["metadata"]["ownerReferences"][0]["name"],
            "cattle-system",
            "{path}"
        );
    }
    assert_eq!(rights.len(), 2);
    assert_eq!(
        left,
        [
            "/api/v1/namespaces/shop",
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/theirs",
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/theirs",
            "/apis/apps/v1/namespaces/cattle-system/deployments/cattle-cluster-agent",
            "/apis/apps/v1/namespaces/shop/deployments/web",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/theirs",
            "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/theirs",
        ]
    );
    let shop = fake.object("/api/v1/namespaces/shop").unwrap();
    assert_eq!(shop["metadata"]["annotations"], json!({"note": "mine"}));
    let again = run(&fake.api(), false).await.unwrap();
    assert_eq!(again.failures, Vec::<String>::new());
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_reports_the_same() {
    let fake = FakeKubernetes::start().await;
    imported(&fake);
    let before = fake.paths();
    let planned = run(&fake.api(), true).await.unwrap();
    assert_eq!(fake.paths(), before);
    let mut planned = planned.removed;
    let mut done = run(&fake.api(), false).await.unwrap().removed;
    planned.sort();
    done.sort();
    assert_eq!(planned, done);
}

#[tokio::test]
async fn a_namespace_with_foreign_workloads_stays() {
    let fake = FakeKubernetes::start().await;
    imported(&fake);
    fake.put(
        "/apis/apps/v1/namespaces/cattle-system/statefulsets/database",
        json!({}),
    );
    fake.put(
        "/api/v1/namespaces/cattle-system/secrets/cattle-credentials-12",
        json!({}),
    );
    fake.put("/api/v1/namespaces/cattle-system/secrets/theirs", json!({}));
    let report = run(&fake.api(), false).await.unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
    assert!(
        report
            .kept
            .iter()
            .any(|kept| kept.contains("statefulsets/database")),
        "{:?}",
        report.kept
    );
    let left = fake.paths();
    assert!(
        left.iter()
            .any(|path| path == "/api/v1/namespaces/cattle-system")
    );
    assert!(left.iter().any(|path| path.ends_with("secrets/theirs")));
    assert!(
        !left.iter().any(
            |path| path.contains("cattle-credentials") || path.contains("cattle-cluster-agent")
        )
    );
}

#[tokio::test]
async fn a_hub_s_own_cluster_is_left_alone() {
    let fake = FakeKubernetes::start().await;
    imported(&fake);
    fake.put(
        "/api/v1/namespaces/cattle-system/services/rancher",
        json!({}),
    );
    let before = fake.paths();
    let report = run(&fake.api(), false).await.unwrap();
    assert_eq!(report.removed, Vec::<String>::new());
    assert_eq!(fake.paths(), before);
    assert_eq!(report.kept.len(), 1);
}
