"""Uses the official Python client's dynamic client and watch against the API server of KUBECONFIG, and prints what came
of it, one fact a line. The same lines are expected of every server."""

import threading
import time

from kubernetes import client, config, dynamic, watch
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, UnprocessibleEntityError

SPACE = "py-clients"
LIMIT = 30

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "notes.python.drover.test"},
    "spec": {
        "group": "python.drover.test",
        "scope": "Namespaced",
        "names": {"plural": "notes", "singular": "note", "kind": "Note"},
        "versions": [{
            "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {
                    "text": {"type": "string", "maxLength": 10},
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                }},
                "status": {"type": "object", "properties": {"read": {"type": "boolean"}}},
            }}},
        }],
    },
}


def note(name, **spec):
    return {"apiVersion": "python.drover.test/v1", "kind": "Note", "metadata": {"name": name}, "spec": spec}


def found(dynamic_client, **what):
    """The resource, once the server serves it."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            resource = dynamic_client.resources.get(**what)
            resource.get(namespace=SPACE)
            return resource
        except Exception:  # not served yet, in whatever way that shows
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
            dynamic_client.resources.invalidate_cache()


def plain(api):
    api.create_namespace({"metadata": {"name": SPACE}})
    api.create_namespaced_config_map(SPACE, {"metadata": {"name": "a"}, "data": {"k": "1"}})
    patched = api.patch_namespaced_config_map("a", SPACE, {"data": {"k": "2", "l": "3"}})
    print("patched:", dict(sorted(patched.data.items())))
    listed = api.list_namespaced_config_map(SPACE, field_selector="metadata.name=a")
    print("listed:", [item.metadata.name for item in listed.items], listed.kind)
    for _ in range(3):
        api.create_namespaced_secret(SPACE, {"metadata": {"generateName": "s-"}, "stringData": {"k": "v"}})
    names, going = [], None
    while going != "":
        page = api.list_namespaced_secret(SPACE, limit=2, _continue=going)
        names += [item.metadata.name for item in page.items]
        going = page.metadata._continue or ""
    print("secrets in pages:", len(set(names)))


def dynamically(api_client):
    resources = dynamic.DynamicClient(api_client)
    definitions = resources.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    definitions.create(body=DEFINITION)
    notes = found(resources, api_version="python.drover.test/v1", kind="Note")
    seen, ready = [], threading.Event()

    def follow():
        revision = notes.get(namespace=SPACE).metadata.resourceVersion
        ready.set()
        for event in notes.watch(namespace=SPACE, resource_version=revision, timeout=LIMIT):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    follower = threading.Thread(target=follow)
    follower.start()
    ready.wait(LIMIT)
    made = notes.create(body=note("n", text="one"), namespace=SPACE)
    print("made:", made.spec.text, made.metadata.generation)
    try:
        notes.create(body=note("n", text="one"), namespace=SPACE)
    except ConflictError as error:
        print("again:", error.status, error.reason)
    try:
        notes.create(body=note("long", text="a long text"), namespace=SPACE)
    except UnprocessibleEntityError as error:
        print("too long:", error.status)
    applied = notes.server_side_apply(body=note("n", tags=["a", "b"]), namespace=SPACE, field_manager="python")
    print("applied:", applied.spec.text, applied.spec.tags, [entry.manager for entry in applied.metadata.managedFields
                                                            if entry.operation == "Apply"])
    try:
        notes.server_side_apply(body=note("n", text="two"), namespace=SPACE, field_manager="python")
    except ConflictError as error:
        print("conflict:", error.status)
    merged = notes.patch(body={"metadata": {"name": "n"}, "spec": {"text": "three"}}, namespace=SPACE,
                         content_type="application/merge-patch+json")
    print("merged:", merged.spec.text, merged.metadata.generation)
    marked = notes.status.patch(body={"metadata": {"name": "n"}, "status": {"read": True}}, namespace=SPACE,
                                content_type="application/merge-patch+json")
    print("status:", marked.status.read, marked.metadata.generation)
    print("listed:", [item.metadata.name for item in notes.get(namespace=SPACE).items])
    notes.delete(name="n", namespace=SPACE)
    follower.join(LIMIT)
    print("seen:", seen)
    try:
        notes.get(name="n", namespace=SPACE)
    except NotFoundError as error:
        print("gone:", error.status)


def watched(api):
    """The generated client's watch: what is there, then what comes, until told to stop."""
    stream, seen = watch.Watch(), []
    changed = False
    for event in stream.stream(api.list_namespaced_config_map, SPACE, field_selector="metadata.name=a",
                               timeout_seconds=LIMIT):
        seen.append((event["type"], event["object"].data["k"]))
        if not changed:
            changed = True
            api.patch_namespaced_config_map("a", SPACE, {"data": {"k": "4"}})
        elif event["type"] == "MODIFIED":
            api.delete_namespaced_config_map("a", SPACE)
        elif event["type"] == "DELETED":
            stream.stop()
    print("watched:", seen)


def main():
    config.load_kube_config()
    api_client = client.ApiClient()
    api = client.CoreV1Api(api_client)
    plain(api)
    dynamically(api_client)
    watched(api)


main()
