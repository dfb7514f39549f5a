/** Forms of workloads: pod templates, and a Deployment from a few answers. Pure. */

import type { KubernetesObject } from '@/data/kubernetes/objects'

export interface Container {
  name: string
  image?: string
  ports?: { containerPort: number; name?: string; protocol?: string }[]
  env?: { name: string; value?: string; valueFrom?: object }[]
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> }
}

export interface PodSpec {
  containers?: Container[]
  initContainers?: Container[]
  nodeName?: string
  serviceAccountName?: string
}

/** The pod template of any kind of workload, or the pod itself. */
export function podSpecOf(object: KubernetesObject): PodSpec | undefined {
  const spec = object.spec as Record<string, any> | undefined
  if (object.kind === 'Pod') return spec as PodSpec
  if (object.kind === 'CronJob') return spec?.jobTemplate?.spec?.template?.spec as PodSpec | undefined
  return spec?.template?.spec as PodSpec | undefined
}

/** The label selector of a workload's pods or a service's, as the API wants it in a query. */
export function selectorOf(object: KubernetesObject): string | undefined {
  const selector = (object.spec as { selector?: unknown } | undefined)?.selector
  if (typeof selector !== 'object' || selector === null) return undefined
  if (object.kind === 'Service' || object.kind === 'ReplicationController') return pairs(selector as Record<string, string>)
  const { matchLabels = {}, matchExpressions = [] } = selector as {
    matchLabels?: Record<string, string>
    matchExpressions?: { key: string; operator: string; values?: string[] }[]
  }
  const expressions = matchExpressions.map(({ key, operator, values = [] }) => {
    const among = `(${values.join(',')})`
    const forms: Record<string, string> = {
      In: `${key} in ${among}`,
      NotIn: `${key} notin ${among}`,
      Exists: key,
      DoesNotExist: `!${key}`,
    }
    return forms[operator] ?? key
  })
  return [pairs(matchLabels), ...expressions].filter(Boolean).join(',') || undefined
}

export interface DeploymentForm {
  name: string
  namespace: string
  image: string
  replicas: number
  /** 0 for none. */
  port: number
  service: boolean
  env: { name: string; value: string }[]
  cpu: string
  memory: string
}

/** A Deployment, and a Service for it when asked for. */
export function fromForm(form: DeploymentForm): KubernetesObject[] {
  const labels = { app: form.name }
  const metadata = { name: form.name, namespace: form.namespace, labels }
  const requests = Object.fromEntries(
    Object.entries({ cpu: form.cpu.trim(), memory: form.memory.trim() }).filter(([, value]) => value !== ''),
  )
  const env = form.env.filter((variable) => variable.name.trim() !== '')
  const container: Container = {
    name: form.name,
    image: form.image.trim(),
    ...(form.port > 0 ? { ports: [{ containerPort: form.port }] } : {}),
    ...(env.length > 0 ? { env } : {}),
    ...(Object.keys(requests).length > 0 ? { resources: { requests } } : {}),
  }
  const deployment: KubernetesObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas: form.replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  }
  if (!form.service || form.port <= 0) return [deployment]
  const service: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { selector: labels, ports: [{ port: form.port, targetPort: form.port }] },
  }
  return [deployment, service]
}

/** The patch that makes a workload start its pods anew, as `kubectl rollout restart` does. */
export function restartPatch(now: Date): object {
  return { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': now.toISOString() } } } } }
}

export const REVISION = 'deployment.kubernetes.io/revision'
const HASH_LABEL = 'pod-template-hash'

/** The pod template of a revision, as a Deployment carries it: without the hash that its controller adds. */
export function templateOf(replicaSet: KubernetesObject): { metadata?: { labels?: Record<string, string> } } {
  const template = structuredClone(
    (replicaSet.spec as { template?: { metadata?: { labels?: Record<string, string> } } }).template ?? {},
  )
  delete template.metadata?.labels?.[HASH_LABEL]
  return template
}

/** A copy to create anew: without what belongs to the one object. */
export function cloneOf(object: KubernetesObject): KubernetesObject {
  const { status: _, ...rest } = structuredClone(object)
  const { name, namespace, labels, annotations = {} } = object.metadata
  const kept = Object.fromEntries(
    Object.entries(annotations).filter(([key]) => key !== REVISION && key !== 'kubectl.kubernetes.io/last-applied-configuration'),
  )
  const metadata: KubernetesObject['metadata'] = { name: `${name}-copy` }
  if (namespace) metadata.namespace = namespace
  if (labels) metadata.labels = labels
  if (Object.keys(kept).length > 0) metadata.annotations = kept
  const copy: KubernetesObject = { ...rest, apiVersion: object.apiVersion, kind: object.kind, metadata }
  const spec = copy.spec as Record<string, unknown> | undefined
  // Given by the cluster, and refused or misleading in a second object.
  for (const field of ['clusterIP', 'clusterIPs', 'nodeName', 'volumeName', 'claimRef']) delete spec?.[field]
  return copy
}

function pairs(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}
