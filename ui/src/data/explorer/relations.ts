/** How objects are tied to each other, as the server knows it from its copies: what an object owns, also further down. */

import { ApiError, request } from '@/api/http'
import type { ApiResource } from '@/data/kubernetes/resources'

import { base, typeOf } from './query'

interface Relation {
  rel: string
  toType?: string
  toId?: string
  state?: string
  message?: string
}

/** An object that another one owns or uses. */
export interface Owned {
  /** `apps.replicaset` */
  type: string
  namespace: string
  name: string
  state: string
  message: string
  /** How many owners are between. */
  depth: number
}

/** Types whose objects own others in turn. */
const OWNERS = new Set(['apps.deployment', 'apps.replicaset', 'apps.statefulset', 'apps.daemonset', 'batch.cronjob', 'batch.job'])
/** Objects that are asked what they own. */
const MOST = 16

export interface Ties {
  /** Each followed by what that owns. */
  owned: Owned[]
  /** What it needs to run: config maps, secrets, claims, accounts. */
  used: Owned[]
}

/** What an object owns, also further down, and what it uses itself. */
export async function tiesOf(cluster: string, type: string, id: string, signal: AbortSignal): Promise<Ties> {
  let left = MOST
  const below = async (of: string, place: string, depth: number): Promise<Ties> => {
    if (left === 0) return { owned: [], used: [] }
    left -= 1
    const relations = await read(cluster, of, place, signal)
    const direct = relations.flatMap((one) => tied(one, 'owner', depth))
    const deeper = await Promise.all(
      direct.map((one) =>
        OWNERS.has(one.type) ? below(one.type, [one.namespace, one.name].filter(Boolean).join('/'), depth + 1) : undefined,
      ),
    )
    return {
      owned: direct.flatMap((one, index) => [one, ...(deeper[index]?.owned ?? [])]),
      used: relations.flatMap((one) => tied(one, 'uses', depth)),
    }
  }
  return below(type, id, 0)
}

/** What an object owns, each followed by what that owns. */
export async function ownedBy(cluster: string, type: string, id: string, signal: AbortSignal): Promise<Owned[]> {
  return (await tiesOf(cluster, type, id, signal)).owned
}

async function read(cluster: string, type: string, id: string, signal: AbortSignal): Promise<Relation[]> {
  const place = id.split('/').map(encodeURIComponent).join('/')
  const path = `${base(cluster)}/${type}/${place}?include=metadata.relationships`
  const { metadata } = await request<{ metadata?: { relationships?: Relation[] | null } }>('GET', path, { signal })
  return metadata?.relationships ?? []
}

/** The other end of a tie of one kind. */
function tied({ rel, toType, toId, state, message }: Relation, wanted: string, depth: number): Owned[] {
  if (rel !== wanted || !toType || !toId) return []
  const parts = toId.split('/')
  const name = parts.pop() ?? ''
  return [{ type: toType, namespace: parts[0] ?? '', name, state: state ?? '', message: message ?? '', depth }]
}

/** Kinds whose objects in a namespace are counted before it goes: what people make and would miss. */
const COUNTED = [
  'deployments.apps',
  'statefulsets.apps',
  'daemonsets.apps',
  'cronjobs.batch',
  'jobs.batch',
  'pods',
  'services',
  'ingresses.networking.k8s.io',
  'configmaps',
  'secrets',
  'persistentvolumeclaims',
]

/** How many objects of the usual kinds are in a namespace, as far as one may see them. */
export async function contentsOf(
  cluster: string,
  namespace: string,
  served: Map<string, ApiResource>,
  signal: AbortSignal,
): Promise<{ kind: string; count: number }[]> {
  const kinds = COUNTED.flatMap((id) => served.get(id) ?? [])
  const counts = await Promise.all(
    kinds.map(async (resource) => ({ kind: resource.kind, count: await countOf(cluster, resource, signal, { namespace }) })),
  )
  return counts.filter(({ count }) => count > 0)
}

/** How many objects of a kind there are, as far as one may see them. */
export async function countOf(
  cluster: string,
  resource: ApiResource,
  signal: AbortSignal,
  { namespace = '', fieldSelector = '' } = {},
): Promise<number> {
  const place = namespace === '' ? '' : `/${encodeURIComponent(namespace)}`
  const selector = fieldSelector === '' ? '' : `&fieldSelector=${encodeURIComponent(fieldSelector)}`
  const path = `${base(cluster)}/${typeOf(resource)}${place}?pagesize=1&include=id${selector}`
  try {
    const { count = 0 } = await request<{ count?: number }>('GET', path, { signal })
    return count
  } catch (error) {
    if (error instanceof ApiError && [403, 404].includes(error.status)) return 0
    throw error
  }
}

/** The name of the kind of a type; the type itself where the cluster does not say. */
export function kindOf(type: string, served: Map<string, ApiResource>): string {
  return [...served.values()].find((one) => typeOf(one) === type)?.kind ?? type
}
