/** What the UI knows of kinds beyond what a cluster tells: where they stand in the navigation, how they begin. */

import type { TableColumn } from '@/components/table'
import type { ApiResource } from '@/data/kubernetes/resources'
import type { KubernetesObject } from '@/data/kubernetes/objects'
import type { Row } from '@/data/rows'
import { t } from '@/texts'

export interface Section {
  title: string
  kinds: string[]
  /** Ids of views that stand beside them. */
  views?: string[]
}

/** Objects of a kind that people look for by themselves. */
export interface KindView {
  title: string
  /** Id of the kind. */
  resource: string
  filter: string
  /** What a form for a new one begins with. */
  type: string
  /** More of the objects than other lists need. */
  include?: string[]
  /** Columns that only this list has, after the namespace. */
  more?: () => Promise<TableColumn<Row>[]>
}

export const VIEWS: Record<string, KindView> = {
  'registry-credentials': {
    title: t.nav.registryCredentials,
    resource: 'secrets',
    filter: '_type in ("kubernetes.io/dockerconfigjson","kubernetes.io/dockercfg")',
    type: 'kubernetes.io/dockerconfigjson',
  },
  certificates: {
    title: t.nav.certificates,
    resource: 'secrets',
    filter: '_type="kubernetes.io/tls"',
    type: 'kubernetes.io/tls',
    // Not the key.
    include: ['data[tls.crt]'],
    more: async () => (await import('./certificates')).certificateColumns,
  },
}

export const SECTIONS: Section[] = [
  {
    title: t.nav.workloads,
    kinds: ['pods', 'deployments.apps', 'statefulsets.apps', 'daemonsets.apps', 'jobs.batch', 'cronjobs.batch'],
  },
  { title: t.nav.network, kinds: ['services', 'ingresses.networking.k8s.io', 'networkpolicies.networking.k8s.io'] },
  { title: t.nav.configuration, kinds: ['configmaps', 'secrets'], views: ['registry-credentials', 'certificates'] },
  { title: t.nav.storage, kinds: ['persistentvolumeclaims', 'persistentvolumes', 'storageclasses.storage.k8s.io'] },
  { title: t.nav.scaling, kinds: ['horizontalpodautoscalers.autoscaling', 'poddisruptionbudgets.policy'] },
]

/** Kinds that run pods, in the list of all workloads. */
export const WORKLOADS = ['deployments.apps', 'statefulsets.apps', 'daemonsets.apps', 'jobs.batch', 'cronjobs.batch']

/** Kinds whose `spec.replicas` can be set through `scale`. */
export const SCALABLE = new Set(['deployments.apps', 'statefulsets.apps', 'replicasets.apps'])

/** Kinds that start their pods anew when the template changes. */
export const ROLLING = new Set(['deployments.apps', 'statefulsets.apps', 'daemonsets.apps'])

/** The name of a list of a kind. */
export function titleOf(resource: ApiResource | string): string {
  const id = typeof resource === 'string' ? resource : resource.id
  const known = (t.kinds as Record<string, string>)[id]
  if (known !== undefined) return known
  return typeof resource === 'string' ? (id.split('.')[0] ?? id) : resource.kind
}

/** A first version of an object of a kind, to be completed by a person. */
export function skeleton(resource: ApiResource, namespace: string): KubernetesObject {
  const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
  const metadata = { name: `my-${resource.kind.toLowerCase()}`, ...(resource.namespaced ? { namespace } : {}) }
  return {
    apiVersion,
    kind: resource.kind,
    metadata,
    ...(BEGINNINGS[resource.id] ?? (resource.group.endsWith('k8s.io') || resource.group === '' ? {} : { spec: {} })),
  }
}

const labels = { app: 'my-app' }
const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'nginx:1.29' }] } }
const jobTemplate = {
  spec: { containers: [{ name: 'main', image: 'busybox:1.37', command: ['sh', '-c', 'date'] }], restartPolicy: 'Never' },
}

const BEGINNINGS: Record<string, object> = {
  pods: { spec: template.spec },
  'deployments.apps': { spec: { replicas: 1, selector: { matchLabels: labels }, template } },
  'statefulsets.apps': { spec: { serviceName: 'my-app', replicas: 1, selector: { matchLabels: labels }, template } },
  'daemonsets.apps': { spec: { selector: { matchLabels: labels }, template } },
  'jobs.batch': { spec: { template: jobTemplate } },
  'cronjobs.batch': { spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: jobTemplate } } } },
  services: { spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] } },
  'ingresses.networking.k8s.io': {
    spec: {
      rules: [
        {
          host: 'app.example.com',
          http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'my-app', port: { number: 80 } } } }] },
        },
      ],
    },
  },
  'networkpolicies.networking.k8s.io': { spec: { podSelector: { matchLabels: labels }, policyTypes: ['Ingress'], ingress: [] } },
  configmaps: { data: { key: 'value' } },
  secrets: { type: 'Opaque', stringData: { key: 'value' } },
  persistentvolumeclaims: { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } },
  'horizontalpodautoscalers.autoscaling': {
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'my-app' },
      minReplicas: 1,
      maxReplicas: 5,
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }],
    },
  },
  'poddisruptionbudgets.policy': { spec: { minAvailable: 1, selector: { matchLabels: labels } } },
}
