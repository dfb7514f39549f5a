/** What is worth knowing of an object at first sight. Pure. */

import type { KubernetesObject } from '@/data/kubernetes/objects'
import { moment } from '@/lib/moment'
import { formatBytes, parseQuantity } from '@/lib/quantity'
import { t } from '@/texts'

export interface Condition {
  type: string
  status: string
  reason?: string
  message?: string
  lastTransitionTime?: string
}

interface ContainerStatus {
  name: string
  ready?: boolean
  restartCount?: number
  state?: {
    waiting?: { reason?: string; message?: string }
    running?: { startedAt?: string }
    terminated?: { reason?: string; exitCode?: number }
  }
}

type Json = Record<string, unknown>

/** One word for the state of an object, empty when it has none. */
export function stateOf(object: KubernetesObject): string {
  if (object.metadata.deletionTimestamp) return t.object.deleting
  if (object.kind === 'Node') return nodeState(object)
  const status = (object.status ?? {}) as Json
  const waiting = containerStatuses(object).find((one) => one.state?.waiting?.reason)
  if (object.kind === 'Pod' && waiting?.state?.waiting?.reason) return waiting.state.waiting.reason
  if (typeof status.phase === 'string') return status.phase
  const spec = (object.spec ?? {}) as Json
  if (object.kind === 'Deployment' && spec.paused === true) return t.workloads.paused
  if (typeof status.replicas === 'number' && typeof spec.replicas === 'number') {
    const ready = Number(status.readyReplicas ?? 0)
    return ready >= spec.replicas ? t.workloads.ready : t.workloads.progressing
  }
  const main = conditionsOf(object).find((one) => one.type === 'Ready' || one.type === 'Available' || one.type === 'Established')
  if (!main) return ''
  return main.status === 'True' ? main.type : t.object.not(main.type)
}

/** As lists of nodes have it. */
function nodeState(node: KubernetesObject): string {
  const isReady = conditionsOf(node).some((one) => one.type === 'Ready' && one.status === 'True')
  const { unschedulable } = (node.spec ?? {}) as { unschedulable?: boolean }
  return `${isReady ? 'Ready' : 'NotReady'}${unschedulable ? ',SchedulingDisabled' : ''}`
}

export function conditionsOf(object: KubernetesObject): Condition[] {
  const conditions = (object.status as { conditions?: unknown } | undefined)?.conditions
  return Array.isArray(conditions) ? (conditions as Condition[]) : []
}

export function containerStatuses(object: KubernetesObject): ContainerStatus[] {
  const status = object.status as { containerStatuses?: ContainerStatus[]; initContainerStatuses?: ContainerStatus[] } | undefined
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
}

/** The state of a container in a word. */
export function containerState(status: ContainerStatus | undefined): string {
  const state = status?.state
  if (state?.waiting) return state.waiting.reason ?? t.object.waiting
  if (state?.terminated) return state.terminated.reason ?? t.object.exited(state.terminated.exitCode ?? 0)
  return state?.running ? t.object.running : ''
}

/** Fields shown for the kinds people look at most; others show their conditions and their YAML. */
const FIELDS: Record<string, [string, string][]> = {
  Pod: [
    ['spec.nodeName', t.facts.node],
    ['status.podIP', t.facts.podIp],
    ['spec.serviceAccountName', t.facts.serviceAccount],
    ['status.qosClass', t.facts.qos],
    ['spec.restartPolicy', t.facts.restartPolicy],
  ],
  Deployment: [
    ['spec.replicas', t.facts.wanted],
    ['status.readyReplicas', t.facts.ready],
    ['status.updatedReplicas', t.facts.updated],
    ['spec.strategy.type', t.facts.strategy],
  ],
  StatefulSet: [
    ['spec.replicas', t.facts.wanted],
    ['status.readyReplicas', t.facts.ready],
    ['spec.serviceName', t.facts.service],
  ],
  DaemonSet: [
    ['status.desiredNumberScheduled', t.facts.wanted],
    ['status.numberReady', t.facts.ready],
    ['spec.updateStrategy.type', t.facts.strategy],
  ],
  ReplicaSet: [
    ['spec.replicas', t.facts.wanted],
    ['status.readyReplicas', t.facts.ready],
  ],
  Job: [
    ['spec.completions', t.facts.completions],
    ['status.succeeded', t.facts.succeeded],
    ['status.failed', t.facts.failed],
    ['status.startTime', t.facts.started],
  ],
  CronJob: [
    ['spec.schedule', t.facts.schedule],
    ['spec.suspend', t.facts.suspended],
    ['status.lastScheduleTime', t.facts.lastRun],
  ],
  Service: [
    ['spec.type', t.facts.type],
    ['spec.clusterIP', t.facts.clusterIp],
    ['spec.externalName', t.facts.externalName],
    ['spec.sessionAffinity', t.facts.affinity],
  ],
  Ingress: [['spec.ingressClassName', t.facts.ingressClass]],
  PersistentVolumeClaim: [
    ['spec.storageClassName', t.facts.storageClass],
    ['status.capacity.storage', t.facts.capacity],
    ['spec.volumeName', t.facts.volume],
    ['spec.accessModes', t.facts.accessModes],
  ],
  PersistentVolume: [
    ['spec.capacity.storage', t.facts.capacity],
    ['spec.storageClassName', t.facts.storageClass],
    ['spec.persistentVolumeReclaimPolicy', t.facts.reclaim],
    ['spec.claimRef.name', t.facts.claim],
    ['spec.accessModes', t.facts.accessModes],
  ],
  StorageClass: [
    ['provisioner', t.facts.provisioner],
    ['reclaimPolicy', t.facts.reclaim],
    ['volumeBindingMode', t.facts.binding],
  ],
  HorizontalPodAutoscaler: [
    ['spec.scaleTargetRef.name', t.facts.target],
    ['spec.minReplicas', t.facts.least],
    ['spec.maxReplicas', t.facts.most],
    ['status.currentReplicas', t.facts.current],
  ],
  Node: [
    ['status.nodeInfo.kubeletVersion', t.columns.version],
    ['status.nodeInfo.osImage', t.facts.os],
    ['status.nodeInfo.kernelVersion', t.facts.kernel],
    ['status.nodeInfo.containerRuntimeVersion', t.facts.runtime],
    ['status.allocatable.cpu', t.columns.cpu],
    ['status.allocatable.memory', t.columns.memory],
  ],
  Secret: [
    ['type', t.facts.type],
    ['immutable', t.facts.immutable],
  ],
  CustomResourceDefinition: [
    ['spec.group', t.columns.group],
    ['spec.scope', t.columns.scope],
    ['spec.names.kind', t.columns.kind],
  ],
  Namespace: [['status.phase', t.columns.state]],
}

export interface Fact {
  label: string
  value: string
  /** The object that it names. */
  names?: { resource: string; namespace?: string }
}

/** Fields that name an object of a kind, by its id, in the same namespace or in none. */
const NAMING: Record<string, { resource: string; namespaced?: boolean }> = {
  'spec.nodeName': { resource: 'nodes' },
  'spec.serviceAccountName': { resource: 'serviceaccounts', namespaced: true },
  'spec.serviceName': { resource: 'services', namespaced: true },
  'spec.storageClassName': { resource: 'storageclasses.storage.k8s.io' },
  'spec.volumeName': { resource: 'persistentvolumes' },
  'spec.ingressClassName': { resource: 'ingressclasses.networking.k8s.io' },
}
/** Kinds that autoscalers scale, by their ids. */
const SCALED: Record<string, string> = {
  Deployment: 'deployments.apps',
  StatefulSet: 'statefulsets.apps',
  ReplicaSet: 'replicasets.apps',
}

export function factsOf(object: KubernetesObject): Fact[] {
  return [
    ...fieldsOf(object),
    ...(object.kind === 'Node' ? nodeFacts(object) : []),
    ...(object.kind === 'HorizontalPodAutoscaler' ? aims(object) : []),
  ]
}

/** What an autoscaler aims at, and where it is. */
function aims(autoscaler: KubernetesObject): Fact[] {
  interface Metric {
    resource?: { name: string; target?: { averageUtilization?: number }; current?: { averageUtilization?: number } }
  }
  const wanted = (at(autoscaler, 'spec.metrics') ?? []) as Metric[]
  const now = (at(autoscaler, 'status.currentMetrics') ?? []) as Metric[]
  return wanted.flatMap(({ resource }) => {
    const goal = resource?.target?.averageUtilization
    if (!resource || goal === undefined) return []
    const current = now.find((one) => one.resource?.name === resource.name)?.resource?.current?.averageUtilization
    return [{ label: t.facts.aim(resource.name), value: t.facts.ofAim(current, goal) }]
  })
}

/** Where a node is, and which pods it keeps away. */
function nodeFacts(node: KubernetesObject): Fact[] {
  const addresses = (at(node, 'status.addresses') ?? []) as { type: string; address: string }[]
  const taints = (at(node, 'spec.taints') ?? []) as { key: string; value?: string; effect: string }[]
  return [
    { label: t.facts.addresses, value: [...new Set(addresses.map((one) => one.address))].join(', ') },
    {
      label: t.facts.taints,
      value: taints.map(({ key, value, effect }) => `${key}${value ? `=${value}` : ''}:${effect}`).join(', '),
    },
  ].filter((fact) => fact.value !== '')
}

/** Values that are shown of a kind that nothing is known of, and how long a text may be. */
const [MOST_PLAIN, LONGEST_PLAIN] = [16, 120]
/** What is shown elsewhere, or tells nobody anything. */
const NOT_PLAIN = new Set(['status.conditions', 'status.observedGeneration'])

/** Plain values of a custom kind, by where they stand: what is wanted first. */
function plainFacts(object: KubernetesObject): Fact[] {
  const facts: Fact[] = []
  const walk = (value: unknown, path: string, depth: number): void => {
    if (facts.length >= MOST_PLAIN || NOT_PLAIN.has(path)) return
    const isPlain = (one: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof one)
    if (isPlain(value) || (Array.isArray(value) && value.length > 0 && value.every(isPlain))) {
      const text = textOf(path, value)
      if (text !== '' && text.length <= LONGEST_PLAIN) facts.push({ label: path.replace(/^spec\./, ''), value: text })
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value) && depth < 3) {
      for (const [key, inner] of Object.entries(value)) walk(inner, `${path}.${key}`, depth + 1)
    }
  }
  walk(object.spec, 'spec', 0)
  walk(object.status, 'status', 0)
  return facts
}

/** Kinds of Kubernetes itself have groups without a dot, or of `k8s.io`. */
function isCustom({ apiVersion }: KubernetesObject): boolean {
  const [group = '', version] = apiVersion.split('/')
  return version !== undefined && group.includes('.') && !group.endsWith('.k8s.io')
}

function fieldsOf(object: KubernetesObject): Fact[] {
  if (isCustom(object)) return plainFacts(object)
  return (FIELDS[object.kind] ?? []).flatMap(([path, label]) => {
    const value = at(object, path)
    if (value === undefined || value === null || value === '') return []
    const names = namedBy(object, path)
    return [{ label, value: textOf(path, value), ...(names ? { names } : {}) }]
  })
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/
const BYTES = /\.(memory|storage)$/

/** As other pages write it: points in time, bytes. */
function textOf(path: string, value: unknown): string {
  if (Array.isArray(value)) return value.join(', ')
  const text = String(value)
  const bytes = BYTES.test(path) ? parseQuantity(text) : undefined
  if (bytes !== undefined) return formatBytes(bytes)
  return TIME.test(text) ? moment(text) : text
}

function namedBy(object: KubernetesObject, path: string): Fact['names'] {
  const { namespace = '' } = object.metadata
  if (path === 'spec.claimRef.name')
    return { resource: 'persistentvolumeclaims', namespace: String(at(object, 'spec.claimRef.namespace') ?? '') }
  if (path === 'spec.scaleTargetRef.name') {
    const resource = SCALED[String(at(object, 'spec.scaleTargetRef.kind'))]
    return resource ? { resource, namespace } : undefined
  }
  const named = NAMING[path]
  return named && { resource: named.resource, ...(named.namespaced ? { namespace } : {}) }
}

/** Where requests to a Service or an Ingress go, a line each. */
export function routesOf(object: KubernetesObject): { from: string; to: string; service?: string }[] {
  const spec = (object.spec ?? {}) as Json
  if (object.kind === 'Service') {
    const ports = (spec.ports ?? []) as {
      name?: string
      port: number
      targetPort?: number | string
      nodePort?: number
      protocol?: string
    }[]
    return ports.map((one) => ({
      from: [one.name, `${one.port}/${one.protocol ?? 'TCP'}`, one.nodePort ? t.facts.nodePort(one.nodePort) : '']
        .filter(Boolean)
        .join(' '),
      to: String(one.targetPort ?? one.port),
    }))
  }
  if (object.kind !== 'Ingress') return []
  const rules = (spec.rules ?? []) as {
    host?: string
    http?: { paths: { path?: string; backend: { service?: { name: string; port?: { number?: number; name?: string } } } }[] }
  }[]
  return rules.flatMap((rule) =>
    (rule.http?.paths ?? []).map(({ path, backend }) => ({
      from: `${rule.host ?? '*'}${path ?? '/'}`,
      to: backend.service ? `${backend.service.name}:${backend.service.port?.number ?? backend.service.port?.name ?? ''}` : '',
      ...(backend.service ? { service: backend.service.name } : {}),
    })),
  )
}

function at(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Json)[key] : undefined), value)
}
