//! kubectl on the embedded Kubernetes API, through `/k8s/clusters/local`.

use anyhow::Result;
use drover_testkit::{apply, hub};
use serde_json::Value;

use crate::fixture::{kubectl, turn};

const MANIFEST: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.harbour.example}
spec:
  group: harbour.example
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, shortNames: [bt]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Length, type: integer, jsonPath: .spec.length}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [length]
            properties:
              length: {type: integer, minimum: 1}
              name: {type: string, default: nameless}
          status:
            type: object
            properties: {berth: {type: string}}
";

const BOAT: &str = "
apiVersion: harbour.example/v1
kind: Boat
metadata: {name: ketch, namespace: default}
spec: {length: 12}
";

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_on_the_embedded_api() -> Result<()> {
    let _turn = turn().await;
    let mut hub = hub::Hub::start(hub::Config::default()).await?;
    let session = hub.login().await?;
    let config = hub.folder().join("kubeconfig");
    std::fs::write(&config, session.kubeconfig("local").await?)?;

    let resources = kubectl(&config, &["api-resources"]).await?;
    assert!(
        resources.contains("deployments") && resources.contains("management.cattle.io/v3"),
        "{resources}"
    );
    apply::apply(&config, MANIFEST).await?;
    kubectl(
        &config,
        &[
            "wait",
            "--for=condition=Established",
            "crd/boats.harbour.example",
            "--timeout=30s",
        ],
    )
    .await?;
    apply::apply(&config, BOAT).await?;
    let table = kubectl(&config, &["get", "bt"]).await?;
    assert!(table.contains("LENGTH") && table.contains("12"), "{table}");
    let boat: Value =
        serde_json::from_str(&kubectl(&config, &["get", "boat", "ketch", "-o", "json"]).await?)?;
    assert_eq!(boat["spec"]["name"], "nameless");
    let explained = kubectl(&config, &["explain", "boat.spec"]).await?;
    assert!(
        explained.contains("length") && explained.contains("<integer>"),
        "{explained}"
    );

    let longer = BOAT.replace("12", "13");
    let diff = apply::kubectl(&config, &["diff", "-f", "-"], &longer).await?;
    assert_eq!(diff.code, 1, "{}{}", diff.stdout, diff.stderr);
    assert!(diff.stdout.contains("+  length: 13"), "{}", diff.stdout);
    apply::kubectl(
        &config,
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
        &longer,
    )
    .await?
    .success()?;
    let refused = apply::kubectl(&config, &["apply", "-f", "-"], &BOAT.replace("12", "0")).await?;
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("spec.length"), "{}", refused.stderr);
    kubectl(
        &config,
        &[
            "patch",
            "boat",
            "ketch",
            "--type=merge",
            "-p",
            r#"{"spec":{"name":"Aster"}}"#,
        ],
    )
    .await?;
    kubectl(&config, &["label", "boat", "ketch", "colour=red"]).await?;
    let red = kubectl(&config, &["get", "boats", "-l", "colour=red", "-o", "name"]).await?;
    assert_eq!(red, "boat.harbour.example/ketch\n");

    kubectl(
        &config,
        &[
            "create",
            "deployment",
            "web",
            "--image=registry.example/web:1",
        ],
    )
    .await?;
    kubectl(&config, &["scale", "deployment/web", "--replicas=3"]).await?;
    kubectl(
        &config,
        &[
            "set",
            "image",
            "deployment/web",
            "web=registry.example/web:2",
        ],
    )
    .await?;
    let described = kubectl(&config, &["describe", "deployment", "web"]).await?;
    assert!(described.contains("registry.example/web:2"), "{described}");
    kubectl(
        &config,
        &["create", "configmap", "colours", "--from-literal=sky=blue"],
    )
    .await?;
    let edited = apply::command(&config, &["edit", "configmap", "colours"])?
        .env("EDITOR", "sed -i s/blue/grey/")
        .output()?;
    assert!(
        edited.status.success(),
        "{}",
        String::from_utf8_lossy(&edited.stderr)
    );
    assert_eq!(
        kubectl(
            &config,
            &["get", "configmap", "colours", "-o", "jsonpath={.data.sky}"]
        )
        .await?,
        "grey"
    );
    assert_eq!(
        kubectl(&config, &["auth", "can-i", "delete", "nodes"])
            .await?
            .trim(),
        "yes"
    );
    let nobody = apply::kubectl(
        &config,
        &["auth", "can-i", "delete", "nodes", "--as=nobody"],
        "",
    )
    .await?;
    assert_eq!(nobody.stdout.trim(), "no", "{}", nobody.stderr);
    kubectl(&config, &["create", "namespace", "short"]).await?;
    kubectl(&config, &["create", "configmap", "inside", "-n", "short"]).await?;
    kubectl(&config, &["delete", "namespace", "short", "--timeout=30s"]).await?;
    kubectl(
        &config,
        &["delete", "crd", "boats.harbour.example", "--timeout=30s"],
    )
    .await?;
    let gone = apply::kubectl(&config, &["get", "boats"], "").await?;
    // kubectl still has the kind in its cache, and asks.
    assert!(
        gone.stderr
            .contains("the server could not find the requested resource"),
        "{}",
        gone.stderr
    );
    hub.process()?.still_running()
}
