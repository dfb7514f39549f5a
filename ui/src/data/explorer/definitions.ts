/** What kinds look like, as a cluster says; asked once for each. */

import { ApiError, request } from '@/api/http'
import { resources } from '@/data/kubernetes/resources'
import type { Definitions, KindName } from '@/lib/schema'

import { base, typeOf } from './query'

const known = new Map<string, Promise<Definitions | undefined>>()

/** The definitions of a kind in its version; none where the cluster has none. */
export function definitionsOf(cluster: string, { apiVersion, kind }: KindName): Promise<Definitions | undefined> {
  const key = `${cluster} ${apiVersion} ${kind}`
  const asked = known.get(key)
  if (asked) return asked
  const answer = read(cluster, apiVersion, kind)
  known.set(key, answer)
  // What failed is asked again.
  answer.catch(() => known.delete(key))
  return answer
}

async function read(cluster: string, apiVersion: string, kind: string): Promise<Definitions | undefined> {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : ''
  const served = await resources(cluster)
  const resource = [...served.values()].find((one) => one.group === group && one.kind === kind)
  if (!resource) return undefined
  try {
    const found = await request<Definitions>('GET', `${base(cluster)}/schemaDefinitions/${typeOf(resource)}`)
    // It is that of the preferred version.
    return found.definitionType.includes(`.${apiVersion.split('/').pop()}.`) ? found : undefined
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined
    throw error
  }
}

export function forgetDefinitions(): void {
  known.clear()
}
