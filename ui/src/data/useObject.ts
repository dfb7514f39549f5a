/** One live object: read, then watched; a lost watch is opened again, a refusal is asked about again. */

import { onScopeDispose, shallowReactive, watch } from 'vue'

import { ApiError, fetchOk, messageOf } from '@/api/http'

import { isRefusal, mayPass, pause, sleep } from './backoff'
import { collectionPath, getObject, type KubernetesObject, type ResourceName } from './kubernetes/objects'

export interface ObjectAddress {
  cluster: string
  resource: ResourceName
  namespace: string | undefined
  name: string
}

export interface LiveObject {
  object: KubernetesObject | undefined
  phase: 'loading' | 'live' | 'lost' | 'gone' | 'missing' | 'forbidden' | 'failed'
  message: string
}

/** Milliseconds between readings of what may not be watched. */
const POLL = 15_000

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
      const object = await getObject(cluster, resource, namespace, name)
      if (signal.aborted) return
      Object.assign(state, { object, phase: 'live', message: '' })
      attempt = 0
      if (await watchOrWait(address, state, signal)) {
        state.phase = 'gone'
        return
      }
    } catch (error) {
      if (signal.aborted) return
      const isMissing = error instanceof ApiError && error.status === 404
      if (isMissing && state.object) {
        state.phase = 'gone'
        return
      }
      state.message = messageOf(error)
      state.phase = phaseOf(error)
      if (state.phase === 'failed') return
      await sleep(pause(attempt, Math.random()), signal).catch(() => undefined)
    }
  }
}

function phaseOf(error: unknown): LiveObject['phase'] {
  if (!mayPass(error)) return 'failed'
  if (!isRefusal(error)) return 'lost'
  return error instanceof ApiError && error.status === 404 ? 'missing' : 'forbidden'
}

/** Follows changes; who may read but not watch reads again after a while. Whether the object was deleted. */
async function watchOrWait(address: ObjectAddress, state: LiveObject, signal: AbortSignal): Promise<boolean> {
  try {
    return await watchObject(address, state, signal)
  } catch (error) {
    const isUnwatchable = error instanceof ApiError && [401, 403, 404, 405].includes(error.status)
    if (!isUnwatchable || signal.aborted) throw error
    await sleep(POLL, signal)
    return false
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
