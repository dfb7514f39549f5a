/** Forms of workloads: pod templates, and a Deployment from a few answers. Pure. */

import type { KubernetesObject, ObjectMeta } from '@/data/kubernetes/objects'
import { REVISION } from '@/data/kubernetes/revisions'

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

/** Kinds that the form makes, by the ids of their resources. */
export const FORM_KINDS = {
  'deployments.apps': 'Deployment',
  'statefulsets.apps': 'StatefulSet',
  'daemonsets.apps': 'DaemonSet',
  'jobs.batch': 'Job',
} as const
export type FormKind = keyof typeof FORM_KINDS

export interface WorkloadForm {
  kind: FormKind
  name: string
  namespace: string
  image: string
  /** Of a Job how many pods have to complete; a DaemonSet runs as many as there are nodes. */
  replicas: number
  /** 0 for none. */
  port: number
  service: boolean
  env: { name: string; value: string }[]
  cpu: string
  memory: string
}

/** A workload, and a Service for it when asked for. */
export function fromForm(form: WorkloadForm): KubernetesObject[] {
  const labels = { app: form.name }
  const metadata = { name: form.name, namespace: form.namespace, labels }
  const workload: KubernetesObject = {
    apiVersion: form.kind === 'jobs.batch' ? 'batch/v1' : 'apps/v1',
    kind: FORM_KINDS[form.kind],
    metadata,
    spec: specOf(form, labels),
  }
  if (!form.service || form.port <= 0 || form.kind === 'jobs.batch') return [workload]
  const service: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { selector: labels, ports: [{ port: form.port, targetPort: form.port }] },
  }
  return [workload, service]
}

function specOf(form: WorkloadForm, labels: Record<string, string>): object {
  const pods = { containers: [containerOf(form)] }
  if (form.kind === 'jobs.batch') {
    const template = { metadata: { labels }, spec: { ...pods, restartPolicy: 'Never' } }
    return { completions: form.replicas, parallelism: form.replicas, template }
  }
  const common = { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pods } }
  if (form.kind === 'daemonsets.apps') return common
  return form.kind === 'statefulsets.apps'
    ? { serviceName: form.name, replicas: form.replicas, ...common }
    : { replicas: form.replicas, ...common }
}

function containerOf(form: WorkloadForm): Container {
  const requests = Object.fromEntries(
    Object.entries({ cpu: form.cpu.trim(), memory: form.memory.trim() }).filter(([, value]) => value !== ''),
  )
  const env = form.env.filter((variable) => variable.name.trim() !== '')
  return {
    name: form.name,
    image: form.image.trim(),
    ...(form.port > 0 ? { ports: [{ containerPort: form.port }] } : {}),
    ...(env.length > 0 ? { env } : {}),
    ...(Object.keys(requests).length > 0 ? { resources: { requests } } : {}),
  }
}

/** The patch that makes a workload start its pods anew, as `kubectl rollout restart` does. */
export function restartPatch(now: Date): object {
  return { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': now.toISOString() } } } } }
}

/** A Job that a CronJob would make, made by hand: `kubectl create job --from` marks it the same way. */
export function jobOf(cronJob: KubernetesObject, now: Date): KubernetesObject {
  const { name, namespace, uid } = cronJob.metadata
  const template = (cronJob.spec as { jobTemplate?: { metadata?: ObjectMeta; spec?: object } } | undefined)?.jobTemplate
  const metadata: ObjectMeta = {
    // Names of Jobs become labels of pods.
    name: `${name.slice(0, 40)}-${now.getTime().toString(36)}`,
    ...(namespace ? { namespace } : {}),
    ...(template?.metadata?.labels ? { labels: template.metadata.labels } : {}),
    annotations: { ...template?.metadata?.annotations, 'cronjob.kubernetes.io/instantiate': 'manual' },
    ...(uid ? { ownerReferences: [{ apiVersion: 'batch/v1', kind: 'CronJob', name, uid, controller: true }] } : {}),
  }
  return { apiVersion: 'batch/v1', kind: 'Job', metadata, spec: structuredClone(template?.spec ?? {}) }
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
