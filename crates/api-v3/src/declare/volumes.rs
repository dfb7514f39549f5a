//! What volumes are made of, as Kubernetes has it.

use crate::schema::{Base, Type};

pub(super) fn types() -> Vec<Type> {
    let mut parts = vec![
        Type::part(
            "topologySelectorTerm",
            &[(
                "matchLabelExpressions",
                "array[topologySelectorLabelRequirement] cun",
            )],
        ),
        Type::part(
            "topologySelectorLabelRequirement",
            &[("key", "string cun"), ("values", "array[string] cun")],
        ),
        Type::part(
            "awsElasticBlockStoreVolumeSource",
            &[
                ("fsType", "string cn"),
                ("partition", "int c"),
                ("readOnly", "boolean c"),
                ("volumeID", "string cn"),
            ],
        ),
        Type::part(
            "azureDiskVolumeSource",
            &[
                ("cachingMode", "string cn"),
                ("diskName", "string cn"),
                ("diskURI", "string cn"),
                ("fsType", "string cn"),
                ("kind", "string cn"),
                ("readOnly", "boolean cn"),
            ],
        ),
        Type::part(
            "azureFilePersistentVolumeSource",
            &[
                ("readOnly", "boolean c"),
                ("secretName", "string cn"),
                ("secretNamespace", "string cn"),
                ("shareName", "string cn"),
            ],
        ),
        Type::part(
            "cephFSPersistentVolumeSource",
            &[
                ("monitors", "array[string] cn"),
                ("path", "string cn"),
                ("readOnly", "boolean c"),
                ("secretFile", "string cn"),
                ("secretRef", "secretReference cn"),
                ("user", "string cn"),
            ],
        ),
        Type::part(
            "secretReference",
            &[("name", "string cun"), ("namespace", "string cun")],
        ),
        Type::part(
            "cinderPersistentVolumeSource",
            &[
                ("fsType", "string cn"),
                ("readOnly", "boolean c"),
                ("secretRef", "secretReference cn"),
                ("volumeID", "string cn"),
            ],
        ),
        Type::part(
            "csiPersistentVolumeSource",
            &[
                ("controllerExpandSecretRef", "secretReference cn"),
                ("controllerPublishSecretRef", "secretReference cn"),
                ("driver", "string cn"),
                ("fsType", "string cn"),
                ("nodeExpandSecretRef", "secretReference cn"),
                ("nodePublishSecretRef", "secretReference cn"),
                ("nodeStageSecretRef", "secretReference cn"),
                ("readOnly", "boolean c"),
                ("volumeAttributes", "map[string] cn"),
                ("volumeHandle", "string cn"),
            ],
        ),
        Type::part(
            "fcVolumeSource",
            &[
                ("fsType", "string cn"),
                ("lun", "int cn"),
                ("readOnly", "boolean c"),
                ("targetWWNs", "array[string] cn"),
                ("wwids", "array[string] cn"),
            ],
        ),
        Type::part(
            "flexPersistentVolumeSource",
            &[
                ("driver", "string cn"),
                ("fsType", "string cn"),
                ("options", "map[string] cn"),
                ("readOnly", "boolean c"),
                ("secretRef", "secretReference cn"),
            ],
        ),
        Type::part(
            "flockerVolumeSource",
            &[("datasetName", "string cn"), ("datasetUUID", "string cn")],
        ),
        Type::part(
            "gcePersistentDiskVolumeSource",
            &[
                ("fsType", "string cn"),
                ("partition", "int c"),
                ("pdName", "string cn"),
                ("readOnly", "boolean c"),
            ],
        ),
        Type::part(
            "glusterfsPersistentVolumeSource",
            &[
                ("endpoints", "string cn"),
                ("endpointsNamespace", "string cn"),
                ("path", "string cn"),
                ("readOnly", "boolean c"),
            ],
        ),
        Type::part(
            "hostPathVolumeSource",
            &[
                (
                    "kind",
                    "enum cn options=DirectoryOrCreate|Directory|FileOrCreate|File|Socket|CharDevice|BlockDevice",
                ),
                ("path", "string cn"),
            ],
        ),
        Type::part(
            "iscsiPersistentVolumeSource",
            &[
                ("chapAuthDiscovery", "boolean c"),
                ("chapAuthSession", "boolean c"),
                ("fsType", "string cn"),
                ("initiatorName", "string cn"),
                ("iqn", "string cn"),
                ("iscsiInterface", "string cn"),
                ("lun", "int c"),
                ("portals", "array[string] cn"),
                ("readOnly", "boolean c"),
                ("secretRef", "secretReference cn"),
                ("targetPortal", "string cn"),
            ],
        ),
        Type::part(
            "localVolumeSource",
            &[("fsType", "string cn"), ("path", "string cn")],
        ),
        Type::part(
            "nfsVolumeSource",
            &[
                ("path", "string cn"),
                ("readOnly", "boolean c"),
                ("server", "string cn"),
            ],
        ),
        Type::part("volumeNodeAffinity", &[("required", "nodeSelector cun")]),
        Type::part(
            "photonPersistentDiskVolumeSource",
            &[("fsType", "string cn"), ("pdID", "string cn")],
        ),
        Type::part(
            "portworxVolumeSource",
            &[
                ("fsType", "string cn"),
                ("readOnly", "boolean c"),
                ("volumeID", "string cn"),
            ],
        ),
        Type::part(
            "quobyteVolumeSource",
            &[
                ("group", "string cn"),
                ("readOnly", "boolean c"),
                ("registry", "string cn"),
                ("tenant", "string cn"),
                ("user", "string cn"),
                ("volume", "string cn"),
            ],
        ),
        Type::part(
            "rbdPersistentVolumeSource",
            &[
                ("fsType", "string cn"),
                ("image", "string cn"),
                ("keyring", "string cn"),
                ("monitors", "array[string] cn"),
                ("pool", "string cn"),
                ("readOnly", "boolean c"),
                ("secretRef", "secretReference cn"),
                ("user", "string cn"),
            ],
        ),
        Type::part(
            "scaleIOPersistentVolumeSource",
            &[
                ("fsType", "string cn"),
                ("gateway", "string cn"),
                ("protectionDomain", "string cn"),
                ("readOnly", "boolean c"),
                ("secretRef", "secretReference cn"),
                ("sslEnabled", "boolean c"),
                ("storageMode", "string cn"),
                ("storagePool", "string cn"),
                ("system", "string cn"),
                ("volumeName", "string cn"),
            ],
        ),
        Type::part(
            "persistentVolumeStatus",
            &[
                ("lastPhaseTransitionTime", "date n"),
                ("message", "string n"),
                ("phase", "string n"),
                ("reason", "string n"),
            ],
        ),
        Type::part(
            "storageOSPersistentVolumeSource",
            &[
                ("fsType", "string cn"),
                ("readOnly", "boolean c"),
                ("secretRef", "objectReference cn"),
                ("volumeName", "string cn"),
                ("volumeNamespace", "string cn"),
            ],
        ),
        Type::part(
            "vsphereVirtualDiskVolumeSource",
            &[
                ("fsType", "string cn"),
                ("storagePolicyID", "string cn"),
                ("storagePolicyName", "string cn"),
                ("volumePath", "string cn"),
            ],
        ),
    ];
    for part in &mut parts {
        part.base = Base::Cluster;
    }
    let mut of_claims = vec![
        Type::part(
            "typedLocalObjectReference",
            &[
                ("apiGroup", "string cun"),
                ("kind", "string cun"),
                ("name", "string cun"),
            ],
        ),
        Type::part(
            "typedObjectReference",
            &[
                ("apiGroup", "string cun"),
                ("kind", "string cun"),
                ("name", "string cun"),
                ("namespace", "string cun"),
            ],
        ),
        Type::part(
            "volumeResourceRequirements",
            &[
                ("limits", "map[string] cun"),
                ("requests", "map[string] cun"),
            ],
        ),
        Type::part(
            "persistentVolumeClaimStatus",
            &[
                ("accessModes", "array[string] n"),
                ("allocatedResourceStatuses", "map[string] n"),
                ("allocatedResources", "map[string] n"),
                ("capacity", "map[string] n"),
                ("conditions", "array[persistentVolumeClaimCondition] n"),
                ("currentVolumeAttributesClassName", "string n"),
                ("modifyVolumeStatus", "modifyVolumeStatus n"),
                ("phase", "string n"),
            ],
        ),
        Type::part(
            "persistentVolumeClaimCondition",
            &[
                ("lastProbeTime", "date cun"),
                ("lastTransitionTime", "date cun"),
                ("message", "string cun"),
                ("reason", "string cun"),
                ("status", "string cun"),
                ("type", "string cun"),
            ],
        ),
        Type::part(
            "modifyVolumeStatus",
            &[
                ("status", "string cun"),
                ("targetVolumeAttributesClassName", "string cun"),
            ],
        ),
    ];
    for part in &mut of_claims {
        part.base = Base::Project;
    }
    parts.extend(of_claims);
    // What Kubernetes calls `type` is taken by the API itself.
    for part in parts
        .iter_mut()
        .filter(|part| part.id == "hostPathVolumeSource")
    {
        for field in part.fields.iter_mut().filter(|field| field.name == "kind") {
            field.path = vec!["type".into()];
        }
    }
    parts
}
