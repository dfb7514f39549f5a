/** Single objects of a cluster: paths, reading, writing. */

import { request } from '@/api/http'

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
}

export interface ObjectMeta {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
}

export interface KubernetesObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
  [field: string]: unknown
}

export interface ObjectList {
  items: KubernetesObject[]
  metadata?: { resourceVersion?: string; continue?: string }
}

/** Names a resource without discovery, for kinds every cluster has. */
export interface ResourceName {
  group: string
  version: string
  plural: string
}

export const PODS: ResourceName = { group: '', version: 'v1', plural: 'pods' }
export const EVENTS: ResourceName = { group: '', version: 'v1', plural: 'events' }
export const REPLICA_SETS: ResourceName = { group: 'apps', version: 'v1', plural: 'replicasets' }
export const CONTROLLER_REVISIONS: ResourceName = { group: 'apps', version: 'v1', plural: 'controllerrevisions' }
export const NAMESPACES: ResourceName = { group: '', version: 'v1', plural: 'namespaces' }
export const JOBS: ResourceName = { group: 'batch', version: 'v1', plural: 'jobs' }
export const BUDGETS: ResourceName = { group: 'policy', version: 'v1', plural: 'poddisruptionbudgets' }

export function collectionPath(cluster: string, resource: ResourceName, namespace?: string): string {
  const root = resource.group === '' ? `api/${resource.version}` : `apis/${resource.group}/${resource.version}`
  const place = namespace ? `namespaces/${encodeURIComponent(namespace)}/` : ''
  return `/k8s/clusters/${encodeURIComponent(cluster)}/${root}/${place}${resource.plural}`
}

export function objectPath(cluster: string, resource: ResourceName, namespace: string | undefined, name: string): string {
  return `${collectionPath(cluster, resource, namespace)}/${encodeURIComponent(name)}`
}

export function getObject(
  cluster: string,
  resource: ResourceName,
  namespace: string | undefined,
  name: string,
): Promise<KubernetesObject> {
  return request('GET', objectPath(cluster, resource, namespace, name))
}

export function listObjects(
  cluster: string,
  resource: ResourceName,
  options: { namespace?: string; labelSelector?: string; fieldSelector?: string; limit?: number } = {},
): Promise<ObjectList> {
  const { namespace, ...selectors } = options
  const given = Object.entries(selectors).filter(([, value]) => value !== undefined)
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]))
  return request('GET', `${collectionPath(cluster, resource, namespace)}?${query}`)
}

export function createObject(cluster: string, resource: ResourceName, object: KubernetesObject): Promise<KubernetesObject> {
  return request('POST', collectionPath(cluster, resource, object.metadata.namespace), { body: object })
}

/** Replaces an object; 409 when it changed since `metadata.resourceVersion`. */
export function putObject(cluster: string, resource: ResourceName, object: KubernetesObject): Promise<KubernetesObject> {
  return request('PUT', objectPath(cluster, resource, object.metadata.namespace, object.metadata.name), { body: object })
}

/** Changes an object: by a merge patch, or by a list of steps (RFC 6902). */
export function patchObject(
  cluster: string,
  resource: ResourceName,
  namespace: string | undefined,
  name: string,
  patch: object,
  subresource = '',
): Promise<KubernetesObject> {
  const path = objectPath(cluster, resource, namespace, name) + (subresource && `/${subresource}`)
  return request('PATCH', path, {
    body: patch,
    type: Array.isArray(patch) ? 'application/json-patch+json' : 'application/merge-patch+json',
  })
}

/** Deletes an object; what it owns goes after it. */
export function deleteObject(
  cluster: string,
  resource: ResourceName,
  namespace: string | undefined,
  name: string,
): Promise<unknown> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' }
  return request('DELETE', objectPath(cluster, resource, namespace, name), { body })
}

const answers = new Map<string, Promise<boolean>>()

/** Whether the person who is signed in may do something in a cluster, as the cluster itself says. */
export function may(cluster: string, verb: string, resource: ResourceName, namespace = '', subresource = ''): Promise<boolean> {
  const key = [cluster, verb, resource.group, resource.plural, subresource, namespace].join(' ')
  let answer = answers.get(key)
  if (!answer) {
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', metadata: {} }
    const resourceAttributes = { verb, group: resource.group, resource: resource.plural, subresource, namespace }
    const path = collectionPath(cluster, { group: 'authorization.k8s.io', version: 'v1', plural: 'selfsubjectaccessreviews' })
    answer = request<{ status?: { allowed?: boolean } }>('POST', path, {
      body: { ...review, spec: { resourceAttributes } },
    }).then((result) => result.status?.allowed === true)
    answers.set(key, answer)
    answer.catch(() => answers.delete(key))
    // Rights change; a minute-old answer is asked again.
    setTimeout(() => answers.delete(key), 60_000)
  }
  return answer
}

/** Asks again at the next look, after rights changed. */
export function forgetRights(): void {
  answers.clear()
}
