/**
 * Notices of change: one websocket per cluster, one watch per kind and place on it.
 *
 * Watches tell that something changed, not what: lists read again what they
 * show. A watch that ends (rights changed, the connection was lost, the
 * revision was too old) tells its listeners once and is forgotten; they read
 * anew and follow again.
 */

import { socketUrl } from '@/api/http'

import { base } from './query'

export interface Listener {
  changed: () => void
  /** The watch stands: all later changes will be told. */
  started: () => void
  /** The watch is over; with a reason when it will not work again soon. */
  ended: (reason: string) => void
}

/** What is watched. */
export interface Topic {
  resourceType: string
  /** One namespace; all when absent. */
  namespace?: string
}

interface Watch {
  topic: Topic
  listeners: Set<Listener>
  started: boolean
  /** The newest revision that was told of. */
  latest: number
}

/** Milliseconds between two notices of a watch. */
const WINDOW = 1000
/** The server pings every 30 seconds; silence for longer is a lost connection. */
const SILENCE = 45_000

const sockets = new Map<string, ExplorerSocket>()

/** Follows a topic from a revision on; returns how to leave. */
export function follow(cluster: string, topic: Topic, revision: string, listener: Listener): () => void {
  let socket = sockets.get(cluster)
  if (!socket) {
    socket = new ExplorerSocket(cluster)
    sockets.set(cluster, socket)
  }
  return socket.follow(topic, revision, listener)
}

/** Closes all connections, after a sign-out. */
export function forgetSockets(): void {
  for (const socket of [...sockets.values()]) socket.end('')
}

interface Frame {
  name: string
  resourceType?: string
  namespace?: string
  revision?: string
  data?: { error?: string }
}

class ExplorerSocket {
  private readonly socket: WebSocket
  private readonly watches = new Map<string, Watch>()
  private readonly waiting: string[] = []
  private silence: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly cluster: string) {
    this.socket = new WebSocket(socketUrl(`${base(cluster)}/subscribe`))
    this.socket.addEventListener('open', () => {
      for (const text of this.waiting.splice(0)) this.socket.send(text)
      this.heard()
    })
    this.socket.addEventListener('message', (event) => {
      this.heard()
      this.take(JSON.parse(String(event.data)) as Frame)
    })
    this.socket.addEventListener('close', () => this.end(''))
    this.heard()
  }

  follow(topic: Topic, revision: string, listener: Listener): () => void {
    const key = keyOf(topic)
    let watch = this.watches.get(key)
    if (watch) {
      watch.listeners.add(listener)
      if (watch.started) {
        listener.started()
        if (watch.latest > Number(revision)) listener.changed()
      }
    } else {
      watch = { topic, listeners: new Set([listener]), started: false, latest: 0 }
      this.watches.set(key, watch)
      this.say({ ...wish(topic), resourceVersion: revision })
    }
    const joined = watch
    return () => this.leave(key, joined, listener)
  }

  private leave(key: string, watch: Watch, listener: Listener): void {
    watch.listeners.delete(listener)
    if (watch.listeners.size > 0 || this.watches.get(key) !== watch) return
    this.watches.delete(key)
    this.say({ ...wish(watch.topic), stop: true })
    // The next page often follows at once.
    setTimeout(() => this.watches.size === 0 && this.end(''), WINDOW)
  }

  private say(message: object): void {
    const text = JSON.stringify(message)
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text)
    else this.waiting.push(text)
  }

  private heard(): void {
    clearTimeout(this.silence)
    this.silence = setTimeout(() => this.end(''), SILENCE)
  }

  private take({ name, resourceType, namespace, revision, data }: Frame): void {
    if (!resourceType) return
    const key = keyOf({ resourceType, ...(namespace ? { namespace } : {}) })
    const watch = this.watches.get(key)
    if (!watch) return
    if (name === 'resource.start') {
      watch.started = true
      for (const listener of [...watch.listeners]) listener.started()
    } else if (name === 'resource.changes') {
      watch.latest = Math.max(watch.latest, Number(revision))
      for (const listener of [...watch.listeners]) listener.changed()
    } else if (name === 'resource.error') {
      this.over(key, watch, data?.error ?? name)
    } else if (name === 'resource.stop' && watch.started) {
      this.over(key, watch, '')
    }
  }

  private over(key: string, watch: Watch, reason: string): void {
    this.watches.delete(key)
    for (const listener of [...watch.listeners]) listener.ended(reason)
  }

  end(reason: string): void {
    clearTimeout(this.silence)
    if (sockets.get(this.cluster) === this) sockets.delete(this.cluster)
    for (const [key, watch] of [...this.watches]) this.over(key, watch, reason)
    this.socket.close()
  }
}

function wish({ resourceType, namespace }: Topic): object {
  return { resourceType, ...(namespace ? { namespace } : {}), mode: 'resource.changes', debounceMs: WINDOW }
}

function keyOf({ resourceType, namespace = '' }: Topic): string {
  return `${resourceType} ${namespace}`
}
