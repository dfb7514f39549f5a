/** One live object: read, then watched; a lost watch is opened again. */

import { onScopeDispose, shallowReactive, watch } from 'vue'

import { ApiError, fetchOk, isOffline, messageOf } from '@/api/http'

import { pause, sleep } from './backoff'
import { collectionPath, getObject, type KubernetesObject, type ResourceName } from './kubernetes/objects'

export interface ObjectAddress {
  cluster: string
  resource: ResourceName
  namespace: string | undefined
  name: string
}

export interface LiveObject {
  object: KubernetesObject | undefined
  phase: 'loading' | 'live' | 'lost' | 'gone' | 'missing' | 'failed'
  message: string
}

export function useObject(address: () => ObjectAddress | undefined): LiveObject {
  const state = shallowReactive<LiveObject>({ object: undefined, phase: 'loading', message: '' })
  let abort = new AbortController()
  watch(
    () => JSON.stringify(address() ?? null),
    () => {
      abort.abort()
      abort = new AbortController()
      state.object = undefined
      state.phase = 'loading'
      const one = address()
      if (one) void follow(one, state, abort.signal)
    },
    { immediate: true },
  )
  onScopeDispose(() => abort.abort())
  return state
}

async function follow(address: ObjectAddress, state: LiveObject, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      const { cluster, resource, namespace, name } = address
      state.object = await getObject(cluster, resource, namespace, name)
      state.phase = 'live'
      attempt = 0
      if (await watchObject(address, state, signal)) {
        state.phase = 'gone'
        return
      }
    } catch (error) {
      if (signal.aborted) return
      state.message = messageOf(error)
      if (error instanceof ApiError && error.status === 404) {
        state.phase = state.object ? 'gone' : 'missing'
        return
      }
      if (error instanceof ApiError && !isOffline(error) && error.status !== 410 && error.status < 500) {
        // Who may read but not watch sees the object as it was.
        if (!state.object) state.phase = 'failed'
        return
      }
      state.phase = 'lost'
      await sleep(pause(attempt, Math.random()), signal).catch(() => undefined)
    }
  }
}

/** Follows changes until the server ends the watch; whether the object was deleted. */
async function watchObject(address: ObjectAddress, state: LiveObject, signal: AbortSignal): Promise<boolean> {
  const query = new URLSearchParams({
    watch: 'true',
    fieldSelector: `metadata.name=${address.name}`,
    resourceVersion: state.object?.metadata.resourceVersion ?? '',
  })
  const response = await fetchOk('GET', `${collectionPath(address.cluster, address.resource, address.namespace)}?${query}`, {
    signal,
  })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  while (reader) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw signal.aborted ? error : new ApiError(503, 'Lost', messageOf(error))
    })
    if (done) return false
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines.filter(Boolean)) {
      const { type, object } = JSON.parse(line) as {
        type: string
        object: KubernetesObject & { code?: number; message?: string }
      }
      if (type === 'ERROR') throw new ApiError(object.code ?? 500, 'Watch', object.message ?? '')
      state.object = object
      if (type === 'DELETED') return true
    }
  }
  return false
}
