/** The management API, `/v3`: typed by what the pages use of it. */

import type { Quota } from '@/lib/quota'

import { isPassing, request } from './http'

export interface Resource {
  id: string
  type: string
  name?: string
  description?: string
  created?: string
  state?: string
  transitioning?: 'yes' | 'no' | 'error'
  transitioningMessage?: string
  labels?: Record<string, string> | null
  annotations?: Record<string, string> | null
  links: Record<string, string>
  actions?: Record<string, string>
}

export interface Condition {
  type: string
  status: string
  reason?: string
  message?: string
  lastUpdateTime?: string
  lastTransitionTime?: string
}

export interface Cluster extends Resource {
  provider?: string
  driver?: string
  internal?: boolean
  version?: { gitVersion?: string; platform?: string } | null
  nodeCount?: number
  capacity?: Record<string, string> | null
  allocatable?: Record<string, string> | null
  requested?: Record<string, string> | null
  limits?: Record<string, string> | null
  conditions?: Condition[] | null
  agentImage?: string
  agentEnvVars?: { name: string; value?: string }[] | null
  agentImageOverride?: string | null
  apiEndpoint?: string
}

export interface RegistrationToken extends Resource {
  clusterId: string
  command?: string
  insecureCommand?: string
  manifestUrl?: string
}

export interface Project extends Resource {
  clusterId: string
  resourceQuota?: Quota | null
  namespaceDefaultResourceQuota?: Quota | null
}

export interface Namespace extends Resource {
  projectId?: string | null
}

export interface ManagedNode extends Resource {
  clusterId: string
  nodeName?: string
  hostname?: string
  unschedulable?: boolean
  allocatable?: Record<string, string> | null
  capacity?: Record<string, string> | null
  /** What the pods there request, and how many they are. */
  requested?: Record<string, string> | null
}

export interface User extends Resource {
  username?: string
  enabled?: boolean
  me?: boolean
  mustChangePassword?: boolean
  principalIds?: string[]
}

export interface Principal extends Resource {
  loginName?: string
  principalType?: string
  provider?: string
}

export interface PolicyRule {
  apiGroups?: string[] | null
  resources?: string[] | null
  verbs?: string[] | null
  resourceNames?: string[] | null
  nonResourceURLs?: string[] | null
}

export interface Role extends Resource {
  builtin?: boolean
  context?: 'cluster' | 'project'
  rules?: PolicyRule[] | null
  roleTemplateIds?: string[] | null
  hidden?: boolean
  locked?: boolean
  newUserDefault?: boolean
  external?: boolean
}

export interface Binding extends Resource {
  userId?: string | null
  userPrincipalId?: string | null
  groupPrincipalId?: string | null
  roleTemplateId?: string
  globalRoleId?: string
  clusterId?: string
  projectId?: string
}

export interface Token extends Resource {
  userId?: string
  current?: boolean
  expired?: boolean
  expiresAt?: string
  lastUsedAt?: string | null
  clusterId?: string | null
  isDerived?: boolean
  ttl?: number
  token?: string
}

export interface Setting extends Resource {
  value: string
  default?: string
  source?: string
  customized?: boolean
}

export interface Feature extends Resource {
  /** What somebody chose; the default counts when nobody did. */
  value?: boolean | null
  status?: { default?: boolean; description?: string; dynamic?: boolean; lockedValue?: boolean | null } | null
}

export interface AccessReview {
  allowed: boolean
  userId: string
  groups?: string[] | null
  missing?: string[] | null
  binding?: string
  roles?: string[] | null
  rule?: string
}

export interface AccessHolder {
  kind: 'user' | 'principal' | 'group'
  name: string
  binding?: string
  roles?: string[] | null
  rule?: string
}

interface Collection<T> {
  data: T[]
  pagination?: { next?: string }
}

/** How often a page of a list is asked for before the whole list counts as failed. */
const TRIES = 4
/** Milliseconds before the next try of a page; more before each further one. */
const PAUSE = 250

/**
 * All resources of a type, page after page. A page that fails on the way is asked for again, so that a long list does not
 * begin anew for one lost answer; the first one fails at once, as who waits for it has to be told.
 */
export async function list<T extends Resource>(type: string, filters: Record<string, string> = {}): Promise<T[]> {
  const query = new URLSearchParams({ limit: '1000', ...filters })
  let page: Collection<T> = await request('GET', `/v3/${type}?${query}`)
  // One that went while it stood where a page begins makes that page begin elsewhere.
  const all = new Map(page.data.map((one) => [one.id, one]))
  while (page.pagination?.next !== undefined) {
    // The server may name another host than the one we came by.
    page = await pageAgain<T>(relative(page.pagination.next))
    for (const one of page.data) all.set(one.id, one)
  }
  return [...all.values()]
}

async function pageAgain<T>(path: string): Promise<Collection<T>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request('GET', path)
    } catch (error) {
      if (attempt === TRIES || !isPassing(error)) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE * 2 ** attempt))
    }
  }
}

export function get<T extends Resource>(type: string, id: string): Promise<T> {
  return request('GET', `/v3/${type}/${encodeURIComponent(id)}`)
}

export function create<T extends Resource>(type: string, body: object): Promise<T> {
  return request('POST', `/v3/${type}`, { body })
}

export function update<T extends Resource>(resource: T, body: Partial<T>): Promise<T> {
  return request('PUT', relative(resource.links.update ?? resource.links.self ?? ''), { body })
}

export function remove(resource: Resource): Promise<unknown> {
  return request('DELETE', relative(resource.links.remove ?? resource.links.self ?? ''))
}

/** Calls an action of a resource by the link it carries. */
export function act<T>(resource: Resource, action: string, body: object = {}): Promise<T> {
  const link = resource.actions?.[action]
  if (link === undefined) throw new Error(`${resource.id} has no action ${action}`)
  return request('POST', relative(link), { body })
}

/** Calls an action of a whole type. */
export function actOn<T>(type: string, action: string, body: object): Promise<T> {
  return request('POST', `/v3/${type}?action=${action}`, { body })
}

function relative(url: string): string {
  const { pathname, search } = new URL(url, location.href)
  return pathname + search
}
