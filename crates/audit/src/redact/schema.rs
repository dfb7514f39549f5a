//! The tables: which kinds and fields may be written down.
//!
//! To show a field, add it here; nothing else makes one visible.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::{Map, Value};

type Words = LazyLock<HashSet<&'static str>>;

fn words(list: &'static str) -> HashSet<&'static str> {
    list.split_ascii_whitespace().collect()
}

/// Kinds (plural, lower case, `/v3` or Kubernetes) whose listed fields show. Those with secrets are not here.
static RESOURCES: Words = LazyLock::new(|| {
    words(
        "clusters projects namespaces nodes users roletemplates globalroles globalrolebindings \
     clusterroletemplatebindings projectroletemplatebindings settings features principals preferences \
     workloads deployments daemonsets statefulsets replicasets replicationcontrollers jobs \
     cronjobs pods services dnsrecords ingresses persistentvolumeclaims persistentvolumes \
     storageclasses horizontalpodautoscalers podsecurityadmissionconfigurationtemplates \
     roles rolebindings clusterroles clusterrolebindings serviceaccounts resourcequotas \
     limitranges networkpolicies poddisruptionbudgets endpoints endpointslices leases events \
     priorityclasses ingressclasses customresourcedefinitions apiservices subjectaccessreviews \
     selfsubjectaccessreviews selfsubjectrulesreviews accessreviews",
    )
});

/// Fields that say which object it is; shown for every kind.
static IDENTITY: Words = LazyLock::new(|| {
    words(
        "apiVersion baseType clusterId clusterName code created creationTimestamp fieldName id \
     kind name namespace namespaceId projectId projectName reason resourceVersion status \
     type uid userId uuid",
    )
});

/// Further fields with values that show, for the listed kinds.
static FIELDS: Words = LazyLock::new(|| {
    words(
        "accessModes apiGroup apiGroups authProvider clusterIP clusterIPs concurrencyPolicy context \
     creatorId creatorPrincipalName deletionTimestamp displayName driver effect externalTrafficPolicy \
     generateName globalRoleId globalRoleName group groupId groupPrincipalId groupPrincipalName \
     host hostname image imagePullPolicy ingressClassName inheritedClusterRoles limitsCpu \
     limitsMemory loginName nodeName nonResourceURLs op operator path pathType phase \
     policyTypes principalId principalIds priorityClassName protocol provider provisioner \
     reclaimPolicy removed requestsCpu requestsMemory requestsStorage resource resourceNames \
     resources restartPolicy roleTemplateId roleTemplateIds roleTemplateName roleTemplateNames \
     schedule scheduler schedulerName scope serviceAccountName serviceId serviceName state \
     storageClassId storageClassName strategy subresource targetPort timeZone transitioning user \
     userName userPrincipalId userPrincipalName username verb verbs version volumeId \
     volumeMode volumeName \
     cpu memory storage ephemeral-storage configMaps limits.cpu limits.memory persistentVolumeClaims \
     pods replicationControllers requests.cpu requests.memory requests.storage secrets services \
     servicesLoadBalancers servicesNodePorts",
    )
});

/// Fields that show for one kind only.
const OWN_FIELDS: &[(&str, &str)] = &[
    ("settings", "value"),
    ("settings", "default"),
    ("settings", "source"),
    ("settings", "customized"),
    ("features", "value"),
];

/// Numbers and booleans that show.
static MEASURES: Words = LazyLock::new(|| {
    words(
        "administrative availableReplicas builtin clusterCreatorDefault containerPort currentReplicas \
     dryRun enabled external gracePeriodSeconds hidden hostIPC hostNetwork hostPID hostPort \
     internal limit locked maxReplicas maxSurge maxUnavailable minAvailable minReplicas \
     mustChangePassword newUserDefault nodePort parallelism partition paused port privileged \
     progressDeadlineSeconds projectCreatorDefault readOnly readOnlyRootFilesystem readyReplicas \
     replicas revisionHistoryLimit runAsGroup runAsNonRoot runAsUser scale sourcePort suspend \
     targetPort terminationGracePeriodSeconds total unschedulable updatedReplicas generation",
    )
});

/// Fields whose contents are looked into.
static CONTAINERS: Words = LazyLock::new(|| {
    words(
        "accessModes conditions containerDefaultResourceLimit containers cronJobConfig daemonSetConfig \
     deploymentConfig ephemeralContainers hard http initContainers jobTemplate limit \
     limits namespaceDefaultResourceQuota paths ports requests resourceAttributes resourceQuota \
     resources roleRef rollingUpdate rules scheduling securityContext spec statefulSetConfig \
     strategy subjects taints template tolerations updateStrategy usedLimit \
     volumeClaimTemplates",
    )
});

/// Types and kinds (lower case) that hold secrets, wherever they are nested.
static SECRET_TYPES: Words = LazyLock::new(|| {
    words(
        "basicauth certificate certificatesigningrequest cloudcredential clusterregistrationtoken \
     configmap dockercredential generatekubeconfigoutput kubeconfig namespacedbasicauth \
     namespacedcertificate namespaceddockercredential namespacedsecret namespacedserviceaccounttoken \
     namespacedsshauth samltoken secret serviceaccounttoken sshauth token tokenrequest \
     tokenreview",
    )
});

/// Parts of names (lower case, only letters) that mark a secret whatever the kind.
static SECRET_NAMES: Words = LazyLock::new(|| {
    words(
        "accesskey apikey auth bearer cacert certificate clientkey cookie credential csrf \
     kubeconfig passphrase password passwd privatekey secretkey secret sessionid sshkey token",
    )
});

/// Names that contain such a part and are none.
static HARMLESS_NAMES: Words = LazyLock::new(|| {
    words(
        "authprovider automountserviceaccounttoken certificateid imagepullsecrets mustchangepassword secrets secretname tokenid",
    )
});

/// Headers with values that show.
static HEADERS: Words = LazyLock::new(|| {
    words(
        "accept accept-encoding accept-language allow audit-id cache-control connection \
     content-encoding content-length content-type date etag expires host impersonate-group \
     impersonate-user origin retry-after sec-websocket-protocol sec-websocket-version \
     transfer-encoding upgrade user-agent vary x-api-action-links x-api-cattle-auth x-api-host \
     x-api-schemas x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-port \
     x-forwarded-proto x-frame-options x-kubernetes-pf-flowschema-uid x-real-ip",
    )
});

/// Ends of the domains of labels that show: those programs set.
static LABEL_DOMAINS: Words = LazyLock::new(|| words("kubernetes.io cattle.io k8s.io"));

pub(super) fn is_listed(resource: &str) -> bool {
    RESOURCES.contains(resource)
}

pub(super) fn is_identity(name: &str) -> bool {
    IDENTITY.contains(name)
}

pub(super) fn is_shown(resource: &str, name: &str) -> bool {
    IDENTITY.contains(name) || FIELDS.contains(name) || OWN_FIELDS.contains(&(resource, name))
}

pub(super) fn is_measure(name: &str) -> bool {
    MEASURES.contains(name)
}

pub(super) fn is_container(name: &str) -> bool {
    CONTAINERS.contains(name)
}

pub(super) fn is_shown_header(name: &str) -> bool {
    HEADERS.contains(name)
}

pub(super) fn is_shown_label(name: &str) -> bool {
    let domain = name.split_once('/').map_or("", |(domain, _)| domain);
    LABEL_DOMAINS.iter().any(|known| {
        domain
            .strip_suffix(known)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Whether an object's own type says that it holds secrets.
pub(super) fn holds_secrets(fields: &Map<String, Value>) -> bool {
    ["kind", "type", "baseType"].iter().any(|name| {
        fields
            .get(*name)
            .and_then(Value::as_str)
            .map(str::to_ascii_lowercase)
            .is_some_and(|kind| {
                let kind = kind.rsplit('/').next().unwrap_or_default();
                SECRET_TYPES.contains(kind) || SECRET_TYPES.contains(kind.trim_end_matches("list"))
            })
    })
}

/// Whether a name marks a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let letters: String = name
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    !HARMLESS_NAMES.contains(letters.as_str())
        && SECRET_NAMES.iter().any(|part| letters.contains(part))
}
