/** Whether an object uses another one: by what its pods need, by what it leads to, by its class. Pure. */

import type { ObjectMeta } from '@/data/kubernetes/objects'

const INGRESSES = 'ingresses.networking.k8s.io'
const CLAIMS = 'persistentvolumeclaims'
/** Kinds that run pods, and pods. */
export const RUNNING = ['deployments.apps', 'statefulsets.apps', 'daemonsets.apps', 'cronjobs.batch', 'jobs.batch', 'pods']

/** Kinds whose objects may use one of a kind, all by their ids. */
export const USERS: Record<string, string[]> = {
  configmaps: RUNNING,
  secrets: [...RUNNING, INGRESSES],
  [CLAIMS]: RUNNING,
  serviceaccounts: RUNNING,
  services: [INGRESSES],
  'storageclasses.storage.k8s.io': [CLAIMS],
}

/** What is used: its type as `/v1` calls it, and where it is. */
export interface Used {
  type: string
  namespace: string
  name: string
}

/** What may use it, with what the server tells of its ties. */
export interface UserObject {
  metadata: ObjectMeta & { relationships?: { rel: string; toType?: string; toId?: string }[] | null }
  spec?: {
    tls?: { secretName?: string }[]
    defaultBackend?: Backend
    rules?: { http?: { paths?: { backend?: Backend }[] } }[]
    storageClassName?: string
  }
}

interface Backend {
  service?: { name?: string }
}

/** `user` is the id of the object's kind. */
export function uses({ metadata, spec = {} }: UserObject, user: string, used: Used): boolean {
  if (user === CLAIMS) return spec.storageClassName === used.name
  if (user === INGRESSES) {
    if (used.type === 'secret') return (spec.tls ?? []).some((one) => one.secretName === used.name)
    const paths = (spec.rules ?? []).flatMap((rule) => rule.http?.paths ?? [])
    return [spec.defaultBackend, ...paths.map((path) => path.backend)].some((one) => one?.service?.name === used.name)
  }
  // What a controller made is told of by its controller.
  if (metadata.ownerReferences?.some((owner) => owner.controller)) return false
  const id = used.namespace === '' ? used.name : `${used.namespace}/${used.name}`
  return (metadata.relationships ?? []).some((one) => one.rel === 'uses' && one.toType === used.type && one.toId === id)
}
