/** Who uses an object: workloads whose pods need a config map, ingresses that lead to a service, and the like. */

import { ApiError, request } from '@/api/http'
import type { ApiResource } from '@/data/kubernetes/resources'
import { RUNNING, uses, USERS, type UserObject } from '@/lib/uses'

import { base, typeOf } from './query'

export interface User {
  resource: ApiResource
  kind: string
  namespace: string
  name: string
}

/** Objects of each kind that are looked into; a namespace has rarely more. */
const MOST = 500
const READ = ['metadata.name', 'metadata.namespace', 'metadata.ownerReferences', 'metadata.relationships']

/** Who uses an object, as far as one may see them. */
export async function usersOf(
  cluster: string,
  resource: ApiResource,
  namespace: string,
  name: string,
  served: Map<string, ApiResource>,
  signal: AbortSignal,
): Promise<User[]> {
  const used = { type: typeOf(resource), namespace, name }
  const kinds = (USERS[resource.id] ?? []).flatMap((kind) => served.get(kind) ?? [])
  const found = await Promise.all(
    kinds.map(async (user) => {
      const objects = await read(cluster, user, namespace, signal)
      return objects
        .filter((object) => uses(object, user.id, used))
        .map(({ metadata }) => ({ resource: user, kind: user.kind, namespace: metadata.namespace ?? '', name: metadata.name }))
    }),
  )
  return found.flat()
}

async function read(cluster: string, user: ApiResource, namespace: string, signal: AbortSignal): Promise<UserObject[]> {
  const place = namespace === '' ? '' : `/${encodeURIComponent(namespace)}`
  // Of what runs pods the server tells what they use.
  const paths = RUNNING.includes(user.id) ? READ : [...READ, 'spec']
  const query = new URLSearchParams([['pagesize', String(MOST)], ...paths.map((path): [string, string] => ['include', path])])
  try {
    const path = `${base(cluster)}/${typeOf(user)}${place}?${query}`
    return (await request<{ data: UserObject[] }>('GET', path, { signal })).data
  } catch (error) {
    if (error instanceof ApiError && [403, 404].includes(error.status)) return []
    throw error
  }
}
