//! Clusters and the tokens they register with.

use crate::schema::{Action, Behaviour, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    let mut types = vec![cluster(), registration_token()];
    types.extend(parts());
    types
}

fn cluster() -> Type {
    Type::object(
        "cluster",
        Object {
            kind: "Cluster",
            resource: "clusters",
            namespaced: false,
            layout: Layout::SpecAndStatus,
        },
        Naming::Display,
        &[
            ("aadClientCertSecret", "string n"),
            ("aadClientSecret", "string n"),
            ("agentEnvVars", "array[envVar] cun"),
            ("agentFeatures", "map[boolean] n"),
            ("agentImage", "string n"),
            ("agentImageOverride", "string cun"),
            ("aksConfig", "aksClusterConfigSpec cun"),
            ("aksStatus", "aksStatus n"),
            ("aliConfig", "aliClusterConfigSpec cun"),
            ("aliStatus", "aliStatus n"),
            ("allocatable", "map[string] n"),
            ("apiEndpoint", "string n"),
            ("appliedAgentEnvVars", "array[envVar] n"),
            (
                "appliedClusterAgentDeploymentCustomization",
                "agentDeploymentCustomization n",
            ),
            ("appliedClusterAgentImagePullSecretsHash", "string n"),
            ("appliedEnableNetworkPolicy", "boolean"),
            ("appliedSpec", "clusterSpec n"),
            (
                "appliedWebhookDeploymentCustomization",
                "webhookDeploymentCustomization n",
            ),
            ("authImage", "string n"),
            ("caCert", "string n"),
            ("capabilities", "capabilities n"),
            ("capacity", "map[string] n"),
            ("certificatesExpiration", "map[certExpiration] n"),
            (
                "clusterAgentDeploymentCustomization",
                "agentDeploymentCustomization cun",
            ),
            ("clusterSecrets", "clusterSecrets n"),
            ("componentStatuses", "array[clusterComponentStatus] n"),
            ("conditions", "array[clusterCondition] n"),
            ("currentCisRunName", "string n"),
            (
                "defaultClusterRoleForProjectMembers",
                "reference[roleTemplate] cun",
            ),
            (
                "defaultPodSecurityAdmissionConfigurationTemplateName",
                "string cun",
            ),
            ("description", "string cun"),
            ("desiredAgentImage", "string cun"),
            ("desiredAuthImage", "string cun"),
            ("dockerRootDir", "string cun default=/var/lib/docker"),
            ("driver", "string n"),
            ("eksConfig", "eksClusterConfigSpec cun"),
            ("eksStatus", "eksStatus n"),
            ("enableNetworkPolicy", "boolean cun"),
            ("failedSpec", "clusterSpec n"),
            (
                "fleetAgentDeploymentCustomization",
                "agentDeploymentCustomization cun",
            ),
            ("fleetWorkspaceName", "string cun"),
            ("gkeConfig", "gkeClusterConfigSpec cun"),
            ("gkeStatus", "gkeStatus n"),
            ("importedConfig", "importedConfig cun"),
            ("info", "clusterInfo n"),
            ("internal", "boolean"),
            ("istioEnabled", "boolean"),
            ("k3sConfig", "k3sConfig cun"),
            ("limits", "map[string] n"),
            ("linuxWorkerCount", "int"),
            ("localClusterAuthEndpoint", "localClusterAuthEndpoint cun"),
            ("name", "dnsLabel cun"),
            ("nodeCount", "int"),
            ("nodeVersion", "int"),
            ("openStackSecret", "string n"),
            ("privateRegistrySecret", "string n"),
            ("provider", "string n"),
            ("readyReconciling", "boolean"),
            ("requested", "map[string] n"),
            ("rke2Config", "rke2Config cun"),
            ("s3CredentialSecret", "string n"),
            ("serviceAccountTokenSecret", "string n"),
            ("version", "info n"),
            ("virtualCenterSecret", "string n"),
            ("vsphereSecret", "string n"),
            ("weavePasswordSecret", "string n"),
            (
                "webhookDeploymentCustomization",
                "webhookDeploymentCustomization cun",
            ),
            ("windowsPreferedCluster", "boolean c"),
            ("windowsWorkerCount", "int"),
        ],
    )
    .stateful()
    .behaves(Behaviour::Cluster)
    .at("internal", &["spec", "internal"])
    .at("clusterSecrets", &["spec", "clusterSecrets"])
    .action(Action::new("exportYaml", None, Some("exportOutput")))
    .action(Action::new(
        "generateKubeconfig",
        None,
        Some("generateKubeConfigOutput"),
    ))
    .action(Action::new(
        "importYaml",
        Some("importClusterYamlInput"),
        Some("importYamlOutput"),
    ))
    .action(Action::new(
        "saveAsTemplate",
        Some("saveAsTemplateInput"),
        Some("saveAsTemplateOutput"),
    ))
}

fn registration_token() -> Type {
    Type::object(
        "clusterRegistrationToken",
        Object {
            kind: "ClusterRegistrationToken",
            resource: "clusterregistrationtokens",
            namespaced: true,
            layout: Layout::SpecAndStatus,
        },
        Naming::Object,
        &[
            ("clusterId", "reference[cluster] curn"),
            ("command", "string n"),
            ("expiresAt", "string n"),
            ("gracePeriod", "int cun"),
            ("gracePeriodExpiresAt", "string n"),
            ("insecureCommand", "string n"),
            ("insecureNodeCommand", "string n"),
            ("insecureWindowsNodeCommand", "string n"),
            ("manifestUrl", "string n"),
            ("nodeCommand", "string n"),
            ("token", "string n"),
            ("tokenSecretName", "string n"),
            ("ttl", "int cun"),
            ("windowsNodeCommand", "string n"),
        ],
    )
    .stateful()
    .behaves(Behaviour::RegistrationToken)
}

fn parts() -> Vec<Type> {
    vec![
        Type::part(
            "agentDeploymentCustomization",
            &[
                ("appendTolerations", "array[toleration] cun"),
                ("overrideAffinity", "affinity cun"),
                ("overrideResourceRequirements", "resourceRequirements cun"),
                (
                    "schedulingCustomization",
                    "agentSchedulingCustomization cun",
                ),
            ],
        ),
        Type::part(
            "capabilities",
            &[
                ("ingressCapabilities", "array[ingressCapabilities] cun"),
                ("loadBalancerCapabilities", "loadBalancerCapabilities cun"),
                ("nodePoolScalingSupported", "boolean cu"),
                ("nodePortRange", "string cun"),
                ("taintSupport", "boolean cun"),
            ],
        ),
        Type::part("certExpiration", &[("expirationDate", "string cun")]),
        Type::part(
            "clusterComponentStatus",
            &[
                ("conditions", "array[componentCondition] cun"),
                ("name", "string cun"),
            ],
        ),
        Type::part(
            "clusterCondition",
            &[
                ("lastTransitionTime", "string cun"),
                ("lastUpdateTime", "string cun"),
                ("message", "string cun"),
                ("reason", "string cun"),
                ("status", "string cun"),
                ("type", "string cun"),
            ],
        ),
        Type::part(
            "clusterInfo",
            &[
                ("arch", "string cun"),
                ("kubernetesVersion", "string cun"),
                ("machineProvider", "string cun"),
                ("nodeCount", "int cu"),
                ("provisioningClusterRef", "objectReference cun"),
            ],
        ),
        Type::part(
            "clusterSecrets",
            &[
                ("aadClientCertSecret", "string n"),
                ("aadClientSecret", "string n"),
                ("aciAPICUserKeySecret", "string n"),
                ("aciKafkaClientKeySecret", "string n"),
                ("aciTokenSecret", "string n"),
                ("bastionHostSSHKeySecret", "string n"),
                ("kubeletExtraEnvSecret", "string n"),
                ("openStackSecret", "string n"),
                ("privateRegistryECRSecret", "string n"),
                ("privateRegistrySecret", "string n"),
                ("privateRegistryURL", "string n"),
                ("s3CredentialSecret", "string n"),
                ("secretsEncryptionProvidersSecret", "string n"),
                ("virtualCenterSecret", "string n"),
                ("vsphereSecret", "string n"),
                ("weavePasswordSecret", "string n"),
            ],
        ),
        Type::part(
            "clusterSpec",
            &[
                ("agentEnvVars", "array[envVar] cun"),
                ("agentImageOverride", "string cun"),
                ("aksConfig", "aksClusterConfigSpec cun"),
                ("aliConfig", "aliClusterConfigSpec cun"),
                ("amazonElasticContainerServiceConfig", "map[json] cun"),
                ("azureKubernetesServiceConfig", "map[json] cun"),
                (
                    "clusterAgentDeploymentCustomization",
                    "agentDeploymentCustomization cun",
                ),
                ("clusterSecrets", "clusterSecrets n"),
                (
                    "defaultClusterRoleForProjectMembers",
                    "reference[roleTemplate] cun",
                ),
                (
                    "defaultPodSecurityAdmissionConfigurationTemplateName",
                    "string cun",
                ),
                ("description", "string cun"),
                ("desiredAgentImage", "string cun"),
                ("desiredAuthImage", "string cun"),
                ("displayName", "string curn"),
                ("dockerRootDir", "string cun default=/var/lib/docker"),
                ("eksConfig", "eksClusterConfigSpec cun"),
                ("enableNetworkPolicy", "boolean cun"),
                (
                    "fleetAgentDeploymentCustomization",
                    "agentDeploymentCustomization cun",
                ),
                ("fleetWorkspaceName", "string cun"),
                ("genericEngineConfig", "map[json] cun"),
                ("gkeConfig", "gkeClusterConfigSpec cun"),
                ("googleKubernetesEngineConfig", "map[json] cun"),
                ("importedConfig", "importedConfig cun"),
                ("internal", "boolean"),
                ("k3sConfig", "k3sConfig cun"),
                ("localClusterAuthEndpoint", "localClusterAuthEndpoint cun"),
                ("rke2Config", "rke2Config cun"),
                (
                    "webhookDeploymentCustomization",
                    "webhookDeploymentCustomization cun",
                ),
                ("windowsPreferedCluster", "boolean c"),
            ],
        ),
        Type::part(
            "clusterUpgradeStrategy",
            &[
                ("drainServerNodes", "boolean cu"),
                ("drainWorkerNodes", "boolean cu"),
                ("serverConcurrency", "int cu min=1"),
                ("workerConcurrency", "int cu min=1"),
            ],
        ),
        Type::part(
            "componentCondition",
            &[
                ("error", "string cun"),
                ("message", "string cun"),
                ("status", "string cun"),
                ("type", "string cun"),
            ],
        ),
        Type::part("exportOutput", &[("yamlOutput", "string cun")]),
        Type::part("generateKubeConfigOutput", &[("config", "string cun")]),
        Type::part(
            "importClusterYamlInput",
            &[
                ("defaultNamespace", "string cun"),
                ("namespace", "string cun"),
                ("projectId", "reference[project] cun"),
                ("yaml", "string cun"),
            ],
        ),
        Type::part("importYamlOutput", &[("message", "string cun")]),
        Type::part(
            "importedConfig",
            &[
                ("kubeConfig", "password cun"),
                ("privateRegistryPullSecrets", "array[string] cun"),
                ("privateRegistryURL", "string cun"),
            ],
        ),
        Type::part(
            "info",
            &[
                ("buildDate", "string cun"),
                ("compiler", "string cun"),
                ("emulationMajor", "string cun"),
                ("emulationMinor", "string cun"),
                ("gitCommit", "string cun"),
                ("gitTreeState", "string cun"),
                ("gitVersion", "string cun"),
                ("goVersion", "string cun"),
                ("major", "string cun"),
                ("minCompatibilityMajor", "string cun"),
                ("minCompatibilityMinor", "string cun"),
                ("minor", "string cun"),
                ("platform", "string cun"),
            ],
        ),
        Type::part(
            "ingressCapabilities",
            &[
                ("customDefaultBackend", "boolean cun"),
                ("ingressProvider", "string cun"),
            ],
        ),
        Type::part(
            "k3sConfig",
            &[
                ("k3supgradeStrategy", "clusterUpgradeStrategy cun"),
                ("kubernetesVersion", "string cun"),
            ],
        ),
        Type::part(
            "loadBalancerCapabilities",
            &[
                ("enabled", "boolean cun"),
                ("healthCheckSupported", "boolean cu"),
                ("protocolsSupported", "array[string] cun"),
                ("provider", "string cun"),
            ],
        ),
        Type::part(
            "localClusterAuthEndpoint",
            &[
                ("caCerts", "string cun"),
                ("enabled", "boolean cu"),
                ("fqdn", "string cun"),
            ],
        ),
        Type::part(
            "rke2Config",
            &[
                ("kubernetesVersion", "string cun"),
                ("rke2upgradeStrategy", "clusterUpgradeStrategy cun"),
            ],
        ),
        Type::part(
            "webhookDeploymentCustomization",
            &[
                ("appendTolerations", "array[toleration] cun"),
                ("overrideAffinity", "affinity cun"),
                ("overrideResourceRequirements", "resourceRequirements cun"),
                ("podDisruptionBudget", "podDisruptionBudgetSpec cun"),
                ("replicaCount", "int cun"),
            ],
        ),
    ]
}
