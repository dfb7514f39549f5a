/** Earlier versions of a workload's pods, as its controller keeps them. */

import { CONTROLLER_REVISIONS, listObjects, REPLICA_SETS, type KubernetesObject } from './objects'

export interface Revision {
  number: number
  /** The object that keeps it. */
  name: string
  createdAt: string | undefined
  /** The pods' template, as the workload carries it. */
  template: PodTemplate
  isCurrent: boolean
}

export interface PodTemplate {
  metadata?: { labels?: Record<string, string> }
  spec?: { containers?: { image?: string }[] }
}

/** Where Deployments and their ReplicaSets say which revision they are. */
export const REVISION = 'deployment.kubernetes.io/revision'
const HASH_LABEL = 'pod-template-hash'

/** Kinds whose controllers keep revisions. */
export const HAVE_REVISIONS = new Set(['deployments.apps', 'statefulsets.apps', 'daemonsets.apps'])

/** What changes when there is another revision; what is shown is read again then. */
export function revisionMark({ kind, metadata, status }: KubernetesObject): string {
  if (kind === 'Deployment') return metadata.annotations?.[REVISION] ?? ''
  const { updateRevision = '' } = (status ?? {}) as { updateRevision?: string }
  return `${metadata.generation ?? ''} ${updateRevision}`
}

/** The revisions of a workload, the newest first. `labelSelector` finds what keeps them. */
export async function readRevisions(
  cluster: string,
  workload: KubernetesObject,
  labelSelector: string | undefined,
): Promise<Revision[]> {
  const { namespace } = workload.metadata
  const { items } = await listObjects(cluster, workload.kind === 'Deployment' ? REPLICA_SETS : CONTROLLER_REVISIONS, {
    ...(namespace ? { namespace } : {}),
    ...(labelSelector ? { labelSelector } : {}),
  })
  return revisionsOf(workload, items)
}

/** The same from what was read. Pure. */
export function revisionsOf(workload: KubernetesObject, keepers: KubernetesObject[]): Revision[] {
  const own = keepers.filter((one) => one.metadata.ownerReferences?.some((owner) => owner.uid === workload.metadata.uid))
  const kept = workload.kind === 'Deployment' ? keptByReplicaSet : keptByRevision
  const revisions = own.map((one) => ({ ...kept(one), name: one.metadata.name, createdAt: one.metadata.creationTimestamp }))
  const current = currentOf(workload, revisions)
  return revisions.map((one) => ({ ...one, isCurrent: one.name === current })).toSorted((one, other) => other.number - one.number)
}

type Kept = Pick<Revision, 'number' | 'template'>

function keptByReplicaSet(set: KubernetesObject): Kept {
  return { number: Number(set.metadata.annotations?.[REVISION] ?? 0), template: templateOf(set) }
}

/** A ControllerRevision holds a patch that replaces the template. */
function keptByRevision(keeper: KubernetesObject): Kept {
  const { spec } = (keeper.data ?? {}) as { spec?: { template?: PodTemplate & { $patch?: string } } }
  const { $patch: _, ...template } = structuredClone(spec?.template ?? {})
  return { number: Number(keeper.revision ?? 0), template }
}

/** The name of what keeps the present revision. */
function currentOf(workload: KubernetesObject, revisions: { number: number; name: string }[]): string | undefined {
  if (workload.kind === 'Deployment') {
    const number = Number(workload.metadata.annotations?.[REVISION] ?? 0)
    return revisions.find((one) => one.number === number)?.name
  }
  const { updateRevision } = (workload.status ?? {}) as { updateRevision?: string }
  // A DaemonSet does not tell; its controller numbers the present one highest.
  return updateRevision ?? revisions.toSorted((one, other) => other.number - one.number)[0]?.name
}

/** The pod template of a revision, as a Deployment carries it: without the hash that its controller adds. */
export function templateOf(replicaSet: KubernetesObject): PodTemplate {
  const template = structuredClone((replicaSet.spec as { template?: PodTemplate } | undefined)?.template ?? {})
  delete template.metadata?.labels?.[HASH_LABEL]
  return template
}
