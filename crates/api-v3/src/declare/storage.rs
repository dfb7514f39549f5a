//! Storage of a cluster, and claims to it in projects.

use crate::schema::{Base, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    vec![class(), volume(), claim()]
}

fn class() -> Type {
    let object = Object {
        kind: "StorageClass",
        resource: "storageclasses",
        namespaced: false,
        layout: Layout::Flat,
    };
    Type::object(
        "storageClass",
        object,
        Naming::Object,
        &[
            ("allowVolumeExpansion", "boolean cun"),
            ("allowedTopologies", "array[topologySelectorTerm] cun"),
            ("description", "string cun"),
            ("mountOptions", "array[string] cun"),
            ("parameters", "map[string] cun"),
            ("provisioner", "string cun"),
            ("reclaimPolicy", "enum cun options=Recycle|Delete|Retain"),
            ("volumeBindingMode", "string cun"),
        ],
    )
    .inside(Base::Cluster, "storage.k8s.io/v1")
    .at("description", &[])
}

fn volume() -> Type {
    let object = Object {
        kind: "PersistentVolume",
        resource: "persistentvolumes",
        namespaced: false,
        layout: Layout::Spec,
    };
    Type::object(
        "persistentVolume",
        object,
        Naming::Hostname,
        &[
            ("accessModes", "array[string] cun"),
            (
                "awsElasticBlockStore",
                "awsElasticBlockStoreVolumeSource cn",
            ),
            ("azureDisk", "azureDiskVolumeSource cn"),
            ("azureFile", "azureFilePersistentVolumeSource cn"),
            ("capacity", "map[string] cun"),
            ("cephfs", "cephFSPersistentVolumeSource cn"),
            ("cinder", "cinderPersistentVolumeSource cn"),
            ("claimRef", "objectReference cun"),
            ("csi", "csiPersistentVolumeSource cn"),
            ("description", "string cun"),
            ("fc", "fcVolumeSource cn"),
            ("flexVolume", "flexPersistentVolumeSource cn"),
            ("flocker", "flockerVolumeSource cn"),
            ("gcePersistentDisk", "gcePersistentDiskVolumeSource cn"),
            ("glusterfs", "glusterfsPersistentVolumeSource cn"),
            ("hostPath", "hostPathVolumeSource cn"),
            ("iscsi", "iscsiPersistentVolumeSource cn"),
            ("local", "localVolumeSource cn"),
            ("mountOptions", "array[string] cun"),
            ("nfs", "nfsVolumeSource cn"),
            ("nodeAffinity", "volumeNodeAffinity cun"),
            ("persistentVolumeReclaimPolicy", "string cun"),
            (
                "photonPersistentDisk",
                "photonPersistentDiskVolumeSource cn",
            ),
            ("portworxVolume", "portworxVolumeSource cn"),
            ("quobyte", "quobyteVolumeSource cn"),
            ("rbd", "rbdPersistentVolumeSource cn"),
            ("scaleIO", "scaleIOPersistentVolumeSource cn"),
            ("status", "persistentVolumeStatus n"),
            ("storageClassId", "reference[storageClass] cun"),
            ("storageos", "storageOSPersistentVolumeSource cn"),
            ("volumeAttributesClassName", "string cun"),
            ("volumeMode", "string cn"),
            ("vsphereVolume", "vsphereVirtualDiskVolumeSource cn"),
        ],
    )
    .stateful()
    .inside(Base::Cluster, "v1")
    .at("description", &[])
}

fn claim() -> Type {
    let object = Object {
        kind: "PersistentVolumeClaim",
        resource: "persistentvolumeclaims",
        namespaced: true,
        layout: Layout::Spec,
    };
    Type::object(
        "persistentVolumeClaim",
        object,
        Naming::Hostname,
        &[
            (
                "accessModes",
                "array[enum] cun options=ReadWriteOnce|ReadOnlyMany|ReadWriteMany",
            ),
            ("dataSource", "typedLocalObjectReference cun"),
            ("dataSourceRef", "typedObjectReference cun"),
            ("projectId", "reference[/v3/schemas/project] cn"),
            ("resources", "volumeResourceRequirements cun"),
            ("selector", "labelSelector cun"),
            ("status", "persistentVolumeClaimStatus n"),
            ("storageClassId", "reference[/v3/cluster/storageClass] cun"),
            ("volumeAttributesClassName", "string cun"),
            ("volumeId", "reference[/v3/cluster/persistentVolume] cun"),
            ("volumeMode", "string cun"),
        ],
    )
    .stateful()
    .inside(Base::Project, "v1")
}
