/**
 * Live collections of the management API.
 *
 * One websocket (`/v3/subscribe`) carries all types that pages look at; a lost
 * one is opened again, after which every collection is read anew. A collection
 * stays in memory once read, so that going back to a page shows it at once.
 */

import { computed, onScopeDispose, reactive, ref, shallowReactive, type ComputedRef } from 'vue'

import { checkSession, isOffline, messageOf, socketUrl } from '@/api/http'
import { list, type Resource } from '@/api/norman'
import { mayPass, pause } from '@/data/backoff'

interface Live {
  items: Map<string, Resource>
  /** When the subscription last told of each, in milliseconds. */
  heard: Map<string, number>
  state: { loaded: boolean; error: string }
  users: number
}

export interface Collection<T> {
  items: ComputedRef<T[]>
  loaded: ComputedRef<boolean>
  error: ComputedRef<string>
}

/** API type (as in subscriptions) and the name of its collection. */
const PLURALS: Record<string, string> = {
  cluster: 'clusters',
  project: 'projects',
  node: 'nodes',
  user: 'users',
  token: 'tokens',
  setting: 'settings',
  feature: 'features',
  globalRole: 'globalRoles',
  globalRoleBinding: 'globalRoleBindings',
  roleTemplate: 'roleTemplates',
  clusterRoleTemplateBinding: 'clusterRoleTemplateBindings',
  projectRoleTemplateBinding: 'projectRoleTemplateBindings',
  clusterRegistrationToken: 'clusterRegistrationTokens',
}

/** Milliseconds that the answer to a change may take longer than the news of it. */
const RECENT = 2000

const collections = new Map<string, Live>()
let socket: WebSocket | undefined
let subscribed = ''
let attempts = 0
let timer: ReturnType<typeof setTimeout> | undefined

/** Whether the server is there: `true` until a connection is lost. */
export const connected = ref(true)

/** A live collection for as long as the calling scope lives. */
export function useCollection<T extends Resource>(type: string): Collection<T> {
  const live = open(type)
  live.users += 1
  subscribeSoon()
  onScopeDispose(() => {
    live.users -= 1
  })
  return {
    items: computed(() => [...live.items.values()] as T[]),
    loaded: computed(() => live.state.loaded),
    error: computed(() => live.state.error),
  }
}

/** Forgets everything, after a sign-out. */
export function forget(): void {
  collections.clear()
  clearTimeout(timer)
  const old = socket
  socket = undefined
  subscribed = ''
  old?.close()
}

/** Reads everything anew, after rights changed. */
export function readAgain(): void {
  for (const [type, live] of collections) void read(type, live)
}

/** Takes over what an answer told before the subscription does; what that told just now is newer. */
export function learn(type: string, resource: Resource): void {
  const live = collections.get(type)
  if (!live) return
  const heard = live.heard.get(resource.id)
  const isLate = connected.value && heard !== undefined && performance.now() - heard < RECENT
  if (!isLate) live.items.set(resource.id, resource)
}

/** Drops what an answer said is gone. */
export function unlearn(type: string, id: string): void {
  collections.get(type)?.items.delete(id)
}

function open(type: string): Live {
  let live = collections.get(type)
  if (!live) {
    live = {
      items: shallowReactive(new Map<string, Resource>()),
      heard: new Map(),
      state: reactive({ loaded: false, error: '' }),
      users: 0,
    }
    collections.set(type, live)
    void read(type, live)
  }
  return live
}

async function read(type: string, live: Live, attempt = 0): Promise<void> {
  try {
    const resources = await list<Resource>(PLURALS[type] ?? type)
    const ids = new Set(resources.map((resource) => resource.id))
    for (const id of live.items.keys()) if (!ids.has(id)) live.items.delete(id)
    for (const resource of resources) live.items.set(resource.id, resource)
    live.state.loaded = true
    live.state.error = ''
  } catch (error) {
    // A lost connection is told in one place; the next connection reads again.
    if (isOffline(error)) {
      lost()
      return
    }
    live.state.error = messageOf(error)
    if (!mayPass(error)) return
    setTimeout(
      () => {
        if (live.users > 0 && collections.get(type) === live) void read(type, live, attempt + 1)
      },
      pause(attempt, Math.random()),
    )
  }
}

/** Types are gathered for a moment, since a page opens several collections at once. */
function subscribeSoon(): void {
  const wanted = [...collections.keys()].sort().join(',')
  if (wanted === subscribed && socket) return
  clearTimeout(timer)
  timer = setTimeout(subscribe, 50)
}

function subscribe(): void {
  const types = [...collections.keys()].sort()
  if (types.length === 0) return
  const old = socket
  const query = new URLSearchParams(types.map((type) => ['resourceTypes', type]))
  const opened = new WebSocket(socketUrl(`/v3/subscribe?${query}`))
  socket = opened
  subscribed = types.join(',')
  old?.close()
  opened.addEventListener('open', () => {
    if (socket !== opened) return
    const again = attempts > 0 || !connected.value
    attempts = 0
    connected.value = true
    if (again) for (const [type, live] of collections) void read(type, live)
  })
  opened.addEventListener('message', (event) => {
    if (socket === opened) take(String(event.data))
  })
  opened.addEventListener('close', () => {
    if (socket === opened) lost()
  })
}

/** Tries to connect at once, and not only after a pause. */
export function connectNow(): void {
  if (connected.value) return
  clearTimeout(timer)
  attempts = Math.max(1, attempts)
  subscribe()
}
// The browser knows when its own network is back.
if (typeof window !== 'undefined') window.addEventListener('online', connectNow)

function lost(): void {
  socket = undefined
  connected.value = false
  // A websocket does not say why it was refused: the session may be over.
  if (attempts > 0) void checkSession()
  clearTimeout(timer)
  timer = setTimeout(subscribe, pause(attempts, Math.random()))
  attempts += 1
}

function take(text: string): void {
  const { name, data } = JSON.parse(text) as { name: string; data?: Resource }
  if (!data?.type) return
  const live = collections.get(data.type)
  if (!live) return
  if (name === 'resource.change') {
    live.items.set(data.id, data)
    live.heard.set(data.id, performance.now())
  }
  if (name === 'resource.remove') {
    live.items.delete(data.id)
    live.heard.delete(data.id)
  }
}
