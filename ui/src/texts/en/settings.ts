/** What settings and features do here, in English. Loaded with their pages only. */

export const settingTexts: Record<string, string> = {
  'agent-image': 'Image of the agents in imported clusters',
  'agent-tls-mode': 'strict: agents trust only the certificate authority of this server; system-store: what their system trusts',
  'auth-endpoint-image': 'Image of what answers for people who go to the API server of a cluster itself',
  'auth-endpoint-offline-seconds': 'How long a cluster may let people in by itself while this server is away',
  'auth-token-max-ttl-minutes': 'Longest life of an API key in minutes; 0 is unlimited',
  'auth-user-session-idle-ttl-minutes': 'A session that is not used for so many minutes ends',
  'auth-user-session-ttl-minutes': 'A session ends after so many minutes',
  cacerts: 'Certificate authority of this server, which agents and kubeconfigs trust',
  'cluster-agent-default-affinity': 'On which nodes agents run unless their cluster says otherwise',
  'crt-default-grace-period-minutes': 'How long the former registration token of a cluster is still taken',
  'crt-default-ttl-minutes': 'After so many minutes a cluster gets another registration token',
  'first-login': 'Whether nobody has signed in yet',
  'ingress-ip-domain': 'Domain whose names hold an address, told to agents',
  'install-uuid': 'Identifies this installation',
  'kubeconfig-default-token-ttl-minutes': 'Life of the keys in kubeconfigs in minutes',
  'kubeconfig-generate-token': 'Whether kubeconfigs hold a key; without one the command line asks for a sign-in',
  'no-default-admin': 'Whether no administrator is made at the first start',
  'password-min-length': 'Fewest characters of a password',
  'server-url': 'Address by which clusters, kubeconfigs and people reach this server',
  'server-version': 'Version of the API that this server speaks',
  'shell-image': 'Image of the kubectl shell',
  'system-default-registry': 'Registry from which the images of the agents and of the kubectl shell are pulled',
  'system-default-registry-pull-secrets': 'Secrets with the login of that registry',
  'system-namespaces': 'Namespaces that belong to the project System of a cluster',
}

export const featureTexts: Record<string, string> = {
  'crt-token-ttl-rotation': 'Clusters get other registration tokens from time to time',
  'token-hashing': 'API keys are kept as hashes only',
}

/** Of all others. */
export const without = 'No effect here; kept for programs that ask for it'
