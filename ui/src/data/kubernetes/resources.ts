/** What a cluster serves: its resources, found by discovery and kept per cluster. */

import { ApiError, request } from '@/api/http'

export interface ApiResource {
  /** `deployments.apps`, `pods`: the plural, with the group unless it is the core one. */
  id: string
  group: string
  version: string
  plural: string
  kind: string
  namespaced: boolean
  verbs: string[]
  shortNames: string[]
  subresources: string[]
}

interface DiscoveryResource {
  resource: string
  responseKind?: { kind?: string }
  scope: 'Namespaced' | 'Cluster'
  verbs: string[]
  shortNames?: string[]
  subresources?: { subresource: string }[]
}

interface AggregatedDiscovery {
  kind: string
  items?: { metadata?: { name?: string }; versions: { version: string; resources?: DiscoveryResource[] }[] }[]
}

interface PlainResources {
  resources: { name: string; kind: string; namespaced: boolean; verbs: string[]; shortNames?: string[] }[]
}

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

const known = new Map<string, Promise<Map<string, ApiResource>>>()

export function resourceId(group: string, plural: string): string {
  return group === '' ? plural : `${plural}.${group}`
}

/** The resources of a cluster by id. Groups come in their preferred version. */
export function resources(cluster: string): Promise<Map<string, ApiResource>> {
  let found = known.get(cluster)
  if (!found) {
    found = discover(cluster)
    known.set(cluster, found)
    // A failure is not kept: the next look asks again.
    found.catch(() => known.delete(cluster))
  }
  return found
}

/** Asks again at the next look, for instance after a definition was made; of all clusters when none is named. */
export function forgetResources(cluster?: string): void {
  if (cluster === undefined) known.clear()
  else known.delete(cluster)
}

/** The resource of a kind, as manifests name it. */
export async function resourceOfKind(cluster: string, apiVersion: string, kind: string): Promise<ApiResource | undefined> {
  const [group = '', version = ''] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion]
  const find = async (): Promise<ApiResource | undefined> =>
    [...(await resources(cluster)).values()].find((one) => one.group === group && one.kind === kind)
  let found = await find()
  if (!found) {
    forgetResources(cluster)
    found = await find()
  }
  return found && { ...found, version }
}

async function discover(cluster: string): Promise<Map<string, ApiResource>> {
  const base = `/k8s/clusters/${cluster}`
  const [core, groups] = await Promise.all(
    ['api', 'apis'].map((root) =>
      request<AggregatedDiscovery>('GET', `${base}/${root}`, { accept: `${AGGREGATED},application/json` }),
    ),
  )
  const all = new Map<string, ApiResource>()
  for (const document of [core, groups]) {
    if (document?.kind !== 'APIGroupDiscoveryList') return plainDiscovery(base)
    for (const item of document.items ?? []) {
      for (const { version, resources: found } of item.versions) {
        for (const one of found ?? []) add(all, fromAggregated(item.metadata?.name ?? '', version, one))
      }
    }
  }
  return all
}

/** The first version named is the preferred one. */
function add(all: Map<string, ApiResource>, resource: ApiResource): void {
  if (!all.has(resource.id)) all.set(resource.id, resource)
}

function fromAggregated(group: string, version: string, one: DiscoveryResource): ApiResource {
  return {
    id: resourceId(group, one.resource),
    group,
    version,
    plural: one.resource,
    kind: one.responseKind?.kind ?? one.resource,
    namespaced: one.scope === 'Namespaced',
    verbs: one.verbs,
    shortNames: one.shortNames ?? [],
    subresources: (one.subresources ?? []).map((sub) => sub.subresource),
  }
}

/** For API servers older than aggregated discovery (Kubernetes 1.30). */
async function plainDiscovery(base: string): Promise<Map<string, ApiResource>> {
  const groups = await request<{ groups: { name: string; preferredVersion: { version: string } }[] }>('GET', `${base}/apis`)
  const versions = [
    { group: '', version: 'v1', path: `${base}/api/v1` },
    ...groups.groups.map(({ name, preferredVersion: { version } }) => ({
      group: name,
      version,
      path: `${base}/apis/${name}/${version}`,
    })),
  ]
  const all = new Map<string, ApiResource>()
  const lists = await Promise.all(versions.map(async (one) => ({ ...one, list: await readable(one.path) })))
  for (const { group, version, list } of lists) {
    for (const one of list.resources.filter((resource) => !resource.name.includes('/'))) {
      const subs = list.resources.filter((resource) => resource.name.startsWith(`${one.name}/`))
      add(all, {
        id: resourceId(group, one.name),
        group,
        version,
        plural: one.name,
        kind: one.kind,
        namespaced: one.namespaced,
        verbs: one.verbs,
        shortNames: one.shortNames ?? [],
        subresources: subs.map((sub) => sub.name.slice(one.name.length + 1)),
      })
    }
  }
  return all
}

/** A group whose own server is away has no resources at the moment. */
async function readable(path: string): Promise<PlainResources> {
  try {
    return await request<PlainResources>('GET', path)
  } catch (error) {
    if (error instanceof ApiError && [404, 503].includes(error.status)) return { resources: [] }
    throw error
  }
}
