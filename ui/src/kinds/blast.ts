/** What a deletion takes along, and what would miss the object: told before anybody deletes. */

import { typeOf } from '@/data/explorer/query'
import { contentsOf, countOf, kindOf, ownedBy } from '@/data/explorer/relations'
import { usersOf } from '@/data/explorer/usedBy'
import { getObject } from '@/data/kubernetes/objects'
import { resources, type ApiResource } from '@/data/kubernetes/resources'
import { t } from '@/texts'

import type { Target } from './actions'

/** Objects that are named for each. */
const MOST_NAMED = 30
/** Milliseconds that a question may wait for what goes along. */
const PATIENCE = 5000

export interface Blast {
  /** Is deleted with it. */
  along: string[]
  /** Stays, and does without it. */
  users: string[]
  /** Whether the cluster told in time. */
  known: boolean
}

export async function blastOf(target: Target): Promise<Blast> {
  const signal = AbortSignal.timeout(PATIENCE)
  try {
    const served = await resources(target.cluster)
    const [along, users] = await Promise.all([alongWith(target, served, signal), missing(target, served, signal)])
    return { along, users, known: true }
  } catch {
    return { along: [], users: [], known: false }
  }
}

async function alongWith(target: Target, served: Map<string, ApiResource>, signal: AbortSignal): Promise<string[]> {
  const { cluster, resource, namespace, name } = target
  if (resource.id === 'namespaces') {
    const found = await contentsOf(cluster, name, served, signal)
    return found.map(({ kind, count }) => t.actions.within(kind, count))
  }
  if (resource.id === 'customresourcedefinitions.apiextensions.k8s.io') return definedBy(target, served, signal)
  const owned = await ownedBy(cluster, typeOf(resource), idOf(namespace, name), signal)
  return limited(owned.map((one) => `${kindOf(one.type, served)} ${idOf(one.namespace, one.name)}`))
}

/** Every object of the kind that a definition defines. */
async function definedBy(
  { cluster, resource, name }: Target,
  served: Map<string, ApiResource>,
  signal: AbortSignal,
): Promise<string[]> {
  const object = await getObject(cluster, resource, undefined, name)
  const { names, group } = object.spec as { names?: { plural?: string }; group?: string }
  const defined = served.get(`${names?.plural ?? ''}.${group ?? ''}`)
  const count = defined ? await countOf(cluster, defined, signal) : 0
  return defined && count > 0 ? [t.actions.within(defined.kind, count)] : []
}

async function missing(
  { cluster, resource, namespace, name }: Target,
  served: Map<string, ApiResource>,
  signal: AbortSignal,
): Promise<string[]> {
  const pods = served.get('pods')
  if (resource.id === 'nodes' && pods) {
    const count = await countOf(cluster, pods, signal, { fieldSelector: `spec.nodeName=${name}` })
    return count > 0 ? [t.actions.within(pods.kind, count)] : []
  }
  const users = await usersOf(cluster, resource, namespace, name, served, signal)
  return limited(users.map((one) => `${one.kind} ${idOf(one.namespace, one.name)}`))
}

function idOf(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`
}

function limited(lines: string[]): string[] {
  return lines.length > MOST_NAMED ? [...lines.slice(0, MOST_NAMED), t.object.moreOwned(lines.length - MOST_NAMED)] : lines
}
