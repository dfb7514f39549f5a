//! What the volumes of pods are made of, as Kubernetes has it.

use crate::schema::Declared;

pub(super) const PARTS: &[(&str, &[Declared])] = &[
    (
        "azureFileVolumeSource",
        &[
            ("readOnly", "boolean cu"),
            ("secretName", "string cun"),
            ("shareName", "string cun"),
        ],
    ),
    (
        "cephFSVolumeSource",
        &[
            ("monitors", "array[string] cun"),
            ("path", "string cun"),
            ("readOnly", "boolean cu"),
            ("secretFile", "string cun"),
            ("secretRef", "localObjectReference cun"),
            ("user", "string cun"),
        ],
    ),
    (
        "cinderVolumeSource",
        &[
            ("fsType", "string cun"),
            ("readOnly", "boolean cu"),
            ("secretRef", "localObjectReference cun"),
            ("volumeID", "string cun"),
        ],
    ),
    (
        "clusterTrustBundleProjection",
        &[
            ("labelSelector", "labelSelector cun"),
            ("name", "string cun"),
            ("optional", "boolean cun"),
            ("path", "string cun"),
            ("signerName", "string cun"),
        ],
    ),
    (
        "configMapProjection",
        &[
            ("items", "array[keyToPath] cun"),
            ("name", "string cun"),
            ("optional", "boolean cun"),
        ],
    ),
    (
        "configMapVolumeSource",
        &[
            ("defaultMode", "int cun"),
            ("items", "array[keyToPath] cun"),
            ("name", "string cun"),
            ("optional", "boolean cun"),
        ],
    ),
    (
        "csiVolumeSource",
        &[
            ("driver", "string cun"),
            ("fsType", "string cun"),
            ("nodePublishSecretRef", "localObjectReference cun"),
            ("readOnly", "boolean cun"),
            ("volumeAttributes", "map[string] cun"),
        ],
    ),
    (
        "downwardAPIProjection",
        &[("items", "array[downwardAPIVolumeFile] cun")],
    ),
    (
        "downwardAPIVolumeFile",
        &[
            ("fieldRef", "objectFieldSelector cun"),
            ("mode", "int cun"),
            ("path", "string cun"),
            ("resourceFieldRef", "resourceFieldSelector cun"),
        ],
    ),
    (
        "downwardAPIVolumeSource",
        &[
            ("defaultMode", "int cun"),
            ("items", "array[downwardAPIVolumeFile] cun"),
        ],
    ),
    (
        "emptyDirVolumeSource",
        &[("medium", "string cun"), ("sizeLimit", "string cun")],
    ),
    (
        "ephemeralVolumeSource",
        &[("volumeClaimTemplate", "persistentVolumeClaimTemplate cun")],
    ),
    (
        "flexVolumeSource",
        &[
            ("driver", "string cun"),
            ("fsType", "string cun"),
            ("options", "map[string] cun"),
            ("readOnly", "boolean cu"),
            ("secretRef", "localObjectReference cun"),
        ],
    ),
    (
        "gitRepoVolumeSource",
        &[
            ("directory", "string cun"),
            ("repository", "string cun"),
            ("revision", "string cun"),
        ],
    ),
    (
        "glusterfsVolumeSource",
        &[
            ("endpoints", "string cun"),
            ("path", "string cun"),
            ("readOnly", "boolean cu"),
        ],
    ),
    (
        "imageVolumeSource",
        &[("pullPolicy", "string cun"), ("reference", "string cun")],
    ),
    (
        "iscsiVolumeSource",
        &[
            ("chapAuthDiscovery", "boolean cu"),
            ("chapAuthSession", "boolean cu"),
            ("fsType", "string cun"),
            ("initiatorName", "string cun"),
            ("iqn", "string cun"),
            ("iscsiInterface", "string cun"),
            ("lun", "int cu"),
            ("portals", "array[string] cun"),
            ("readOnly", "boolean cu"),
            ("secretRef", "localObjectReference cun"),
            ("targetPortal", "string cun"),
        ],
    ),
    (
        "keyToPath",
        &[
            ("key", "string cun"),
            ("mode", "int cun"),
            ("path", "string cun"),
        ],
    ),
    ("localObjectReference", &[("name", "string cun")]),
    (
        "objectMeta",
        &[
            ("annotations", "map[string] cun"),
            ("created", "date n"),
            ("finalizers", "array[string] n"),
            ("labels", "map[string] cun"),
            ("name", "dnsLabel cn"),
            ("namespace", "string cn"),
            ("ownerReferences", "array[ownerReference] n"),
            ("removed", "date n"),
            ("selfLink", "string n"),
            ("uuid", "string n"),
        ],
    ),
    (
        "persistentVolumeClaimSpec",
        &[
            (
                "accessModes",
                "array[enum] cun options=ReadWriteOnce|ReadOnlyMany|ReadWriteMany",
            ),
            ("dataSource", "typedLocalObjectReference cun"),
            ("dataSourceRef", "typedObjectReference cun"),
            ("resources", "volumeResourceRequirements cun"),
            ("selector", "labelSelector cun"),
            ("storageClassId", "reference[/v3/cluster/storageClass] cun"),
            ("volumeAttributesClassName", "string cun"),
            ("volumeId", "reference[/v3/cluster/persistentVolume] cun"),
            ("volumeMode", "string cun"),
        ],
    ),
    (
        "persistentVolumeClaimTemplate",
        &[
            ("metadata", "objectMeta cun"),
            ("spec", "persistentVolumeClaimSpec cun"),
        ],
    ),
    (
        "persistentVolumeClaimVolumeSource",
        &[
            (
                "persistentVolumeClaimId",
                "reference[persistentVolumeClaim] cun",
            ),
            ("readOnly", "boolean cu"),
        ],
    ),
    (
        "podCertificateProjection",
        &[
            ("certificateChainPath", "string cun"),
            ("credentialBundlePath", "string cun"),
            ("keyPath", "string cun"),
            ("keyType", "string cun"),
            ("maxExpirationSeconds", "int cun"),
            ("signerName", "string cun"),
            ("userAnnotations", "map[string] cun"),
        ],
    ),
    (
        "projectedVolumeSource",
        &[
            ("defaultMode", "int cun"),
            ("sources", "array[volumeProjection] cun"),
        ],
    ),
    (
        "rbdVolumeSource",
        &[
            ("fsType", "string cun"),
            ("image", "string cun"),
            ("keyring", "string cun"),
            ("monitors", "array[string] cun"),
            ("pool", "string cun"),
            ("readOnly", "boolean cu"),
            ("secretRef", "localObjectReference cun"),
            ("user", "string cun"),
        ],
    ),
    (
        "scaleIOVolumeSource",
        &[
            ("fsType", "string cun"),
            ("gateway", "string cun"),
            ("protectionDomain", "string cun"),
            ("readOnly", "boolean cu"),
            ("secretRef", "localObjectReference cun"),
            ("sslEnabled", "boolean cu"),
            ("storageMode", "string cun"),
            ("storagePool", "string cun"),
            ("system", "string cun"),
            ("volumeName", "string cun"),
        ],
    ),
    (
        "secretProjection",
        &[
            ("items", "array[keyToPath] cun"),
            ("name", "string cun"),
            ("optional", "boolean cun"),
        ],
    ),
    (
        "secretVolumeSource",
        &[
            ("defaultMode", "int cun"),
            ("items", "array[keyToPath] cun"),
            ("optional", "boolean cun"),
            ("secretName", "string cun"),
        ],
    ),
    (
        "serviceAccountTokenProjection",
        &[
            ("audience", "string cun"),
            ("expirationSeconds", "int cun"),
            ("path", "string cun"),
        ],
    ),
    (
        "storageOSVolumeSource",
        &[
            ("fsType", "string cun"),
            ("readOnly", "boolean cu"),
            ("secretRef", "localObjectReference cun"),
            ("volumeName", "string cun"),
            ("volumeNamespace", "string cun"),
        ],
    ),
    (
        "volume",
        &[
            (
                "awsElasticBlockStore",
                "awsElasticBlockStoreVolumeSource cun",
            ),
            ("azureDisk", "azureDiskVolumeSource cun"),
            ("azureFile", "azureFileVolumeSource cun"),
            ("cephfs", "cephFSVolumeSource cun"),
            ("cinder", "cinderVolumeSource cun"),
            ("configMap", "configMapVolumeSource cun"),
            ("csi", "csiVolumeSource cun"),
            ("downwardAPI", "downwardAPIVolumeSource cun"),
            ("emptyDir", "emptyDirVolumeSource cun"),
            ("ephemeral", "ephemeralVolumeSource cun"),
            ("fc", "fcVolumeSource cun"),
            ("flexVolume", "flexVolumeSource cun"),
            ("flocker", "flockerVolumeSource cun"),
            ("gcePersistentDisk", "gcePersistentDiskVolumeSource cun"),
            ("gitRepo", "gitRepoVolumeSource cun"),
            ("glusterfs", "glusterfsVolumeSource cun"),
            ("hostPath", "hostPathVolumeSource cun"),
            ("image", "imageVolumeSource cun"),
            ("iscsi", "iscsiVolumeSource cun"),
            ("name", "string cun"),
            ("nfs", "nfsVolumeSource cun"),
            (
                "persistentVolumeClaim",
                "persistentVolumeClaimVolumeSource cun",
            ),
            (
                "photonPersistentDisk",
                "photonPersistentDiskVolumeSource cun",
            ),
            ("portworxVolume", "portworxVolumeSource cun"),
            ("projected", "projectedVolumeSource cun"),
            ("quobyte", "quobyteVolumeSource cun"),
            ("rbd", "rbdVolumeSource cun"),
            ("scaleIO", "scaleIOVolumeSource cun"),
            ("secret", "secretVolumeSource cun"),
            ("storageos", "storageOSVolumeSource cun"),
            ("vsphereVolume", "vsphereVirtualDiskVolumeSource cun"),
        ],
    ),
    (
        "volumeDevice",
        &[("devicePath", "string cun"), ("name", "string cun")],
    ),
    (
        "volumeProjection",
        &[
            ("clusterTrustBundle", "clusterTrustBundleProjection cun"),
            ("configMap", "configMapProjection cun"),
            ("downwardAPI", "downwardAPIProjection cun"),
            ("podCertificate", "podCertificateProjection cun"),
            ("secret", "secretProjection cun"),
            ("serviceAccountToken", "serviceAccountTokenProjection cun"),
        ],
    ),
    ("volumeStatus", &[("image", "imageVolumeStatus cun")]),
];
