/** Forms of workloads: pod templates, and a Deployment from a few answers. Pure. */

import type { KubernetesObject, ObjectMeta } from '@/data/kubernetes/objects'
import { REVISION } from '@/data/kubernetes/revisions'

export interface Container {
  name: string
  image?: string
  ports?: { containerPort: number; name?: string; protocol?: string }[]
  env?: { name: string; value?: string; valueFrom?: object }[]
  envFrom?: { configMapRef?: { name: string }; secretRef?: { name: string } }[]
  command?: string[]
  readinessProbe?: { httpGet?: { path: string; port: number } }
  volumeMounts?: { name: string; mountPath: string }[]
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

/** A type and not an interface, so that it is a set of answers (`kinds/forms`). */
export type WorkloadForm = {
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
  /** Names of what all of which becomes environment variables; empty for none, here and below. */
  envConfigMap: string
  envSecret: string
  cpu: string
  memory: string
  cpuLimit: string
  memoryLimit: string
  /** A line for the shell of the image. */
  command: string
  /** Answers once the container is ready to serve. */
  readyPath: string
  /** Name of the Secret with the login of the image's registry. */
  pullSecret: string
  /** Name of a claim, and where its volume is mounted. */
  claim: string
  mountPath: string
}

/** What a form begins with. */
export function firstForm(kind: FormKind): WorkloadForm {
  const texts = { name: '', namespace: '', image: '', envConfigMap: '', envSecret: '', cpu: '', memory: '', cpuLimit: '' }
  const more = { memoryLimit: '', command: '', readyPath: '', pullSecret: '', claim: '', mountPath: '' }
  return { kind, replicas: 1, port: 0, service: false, env: [], ...texts, ...more }
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
  const pods = podsOf(form)
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

/** The volume of the form, and its claim. */
const VOLUME = 'data'

function podsOf(form: WorkloadForm): object {
  return {
    containers: [containerOf(form)],
    ...(form.pullSecret === '' ? {} : { imagePullSecrets: [{ name: form.pullSecret }] }),
    ...(form.claim === '' ? {} : { volumes: [{ name: VOLUME, persistentVolumeClaim: { claimName: form.claim } }] }),
  }
}

/** Only what is not empty; nothing when all is. */
function named<T>(name: string, fields: Record<string, T | '' | undefined>): Record<string, Record<string, T>> {
  const filled = Object.entries(fields).filter((pair): pair is [string, T] => pair[1] !== '' && pair[1] !== undefined)
  return filled.length === 0 ? {} : { [name]: Object.fromEntries(filled) }
}

function containerOf(form: WorkloadForm): Container {
  const env = form.env.filter((variable) => variable.name.trim() !== '')
  const envFrom = [
    ...(form.envConfigMap === '' ? [] : [{ configMapRef: { name: form.envConfigMap } }]),
    ...(form.envSecret === '' ? [] : [{ secretRef: { name: form.envSecret } }]),
  ]
  const amounts = {
    ...named('requests', { cpu: form.cpu.trim(), memory: form.memory.trim() }),
    ...named('limits', { cpu: form.cpuLimit.trim(), memory: form.memoryLimit.trim() }),
  }
  const probe =
    form.port > 0 && form.readyPath.trim() !== '' ? { httpGet: { path: form.readyPath.trim(), port: form.port } } : undefined
  return {
    name: form.name,
    image: form.image.trim(),
    ...(form.command.trim() === '' ? {} : { command: ['sh', '-c', form.command.trim()] }),
    ...(form.port > 0 ? { ports: [{ containerPort: form.port }] } : {}),
    ...(env.length > 0 ? { env } : {}),
    ...(envFrom.length > 0 ? { envFrom } : {}),
    ...(Object.keys(amounts).length > 0 ? { resources: amounts } : {}),
    ...(probe ? { readinessProbe: probe } : {}),
    ...(form.claim === '' ? {} : { volumeMounts: [{ name: VOLUME, mountPath: form.mountPath.trim() || '/data' }] }),
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
