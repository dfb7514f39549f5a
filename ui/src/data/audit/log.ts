/**
 * The audit log: pages from the newest entry on, and new entries as they come.
 *
 * The server looks through so much of its log per request and says how far it came; what was not found yet is asked for
 * further. Held entries are bounded: who reads on reads older ones, who follows drops the oldest.
 */

import { onScopeDispose, shallowReactive, watch, type ShallowReactive } from 'vue'

import { isOffline, messageOf, request, socketUrl } from '@/api/http'
import { isRefusal, pause, sleep, untilAnswered } from '@/data/backoff'

import { queryOf, type AuditEntry, type AuditQuery } from './query'

const PAGE = 100
/** Entries that are kept. */
const MOST = 5000
/** Readings in a row that found too little, before the person is asked. */
const FURTHER = 8

interface Collection {
  data: AuditEntry[]
  newest: number
  reached?: string
  continue?: string
}

interface Frame {
  name: string
  more?: boolean
  data?: AuditEntry[]
}

export interface AuditState {
  phase: 'loading' | 'live' | 'lost' | 'refused' | 'failed'
  message: string
  /** Newest first. */
  entries: AuditEntry[]
  /** New ones that wait while somebody points at the list. */
  waiting: AuditEntry[]
  /** Where to read on; none when the log was looked through. */
  next: string | undefined
  /** The time down to which it was looked through. */
  reached: string | undefined
  searching: boolean
}

export interface AuditLog {
  state: ShallowReactive<AuditState>
  /** Reads older entries, if there are any. */
  further: () => Promise<void>
  hold: (held: boolean) => void
}

/** The entries that a query asks for; new ones as they come while `following`. */
export function useAuditLog(query: () => AuditQuery, following: () => boolean): AuditLog {
  const state = shallowReactive<AuditState>({
    phase: 'loading',
    message: '',
    entries: [],
    waiting: [],
    next: undefined,
    reached: undefined,
    searching: false,
  })
  let left = new AbortController()
  let newest = 0
  let held = false

  async function read(signal: AbortSignal, before?: string): Promise<Collection> {
    const page = await request<Collection>('GET', `/v1/audit?${queryOf(query(), { limit: PAGE, before })}`, { signal })
    if (signal.aborted) throw signal.reason
    return page
  }

  /** Reads on until there is something to show, or it took long. */
  async function more(signal: AbortSignal, enough: number): Promise<void> {
    state.searching = true
    try {
      for (let times = 0; times < FURTHER && state.next !== undefined && state.entries.length < enough; times += 1) {
        const page = await read(signal, state.next)
        state.entries = [...state.entries, ...page.data].slice(0, MOST)
        state.next = state.entries.length < MOST ? page.continue : undefined
        state.reached = page.reached ?? state.reached
      }
    } finally {
      if (!signal.aborted) state.searching = false
    }
  }

  async function begin(signal: AbortSignal): Promise<void> {
    const first = await untilAnswered(
      () => read(signal),
      (error) => {
        state.message = messageOf(error)
        state.phase = isRefusal(error) ? 'refused' : isOffline(error) ? 'lost' : 'failed'
      },
      signal,
    )
    if (!first || signal.aborted) return
    newest = first.newest
    Object.assign(state, {
      entries: first.data,
      waiting: [],
      next: first.continue,
      reached: first.reached,
      phase: 'live',
      message: '',
    })
    await more(signal, Math.min(PAGE, 20)).catch((error: unknown) => {
      if (!signal.aborted) state.message = messageOf(error)
    })
  }

  function take(found: AuditEntry[]): void {
    const known = new Set([...state.waiting, ...state.entries.slice(0, PAGE)].map((entry) => entry.id))
    const fresh = found.filter((entry) => !known.has(entry.id))
    newest = Math.max(newest, ...fresh.map((entry) => entry.sequence))
    state.waiting = [...fresh, ...state.waiting].slice(0, MOST)
    if (!held) release()
  }

  function release(): void {
    if (state.waiting.length === 0) return
    const all = [...state.waiting, ...state.entries]
    // What falls off can be read again from there.
    if (all.length > MOST) state.next = all[MOST - 1]?.id
    state.entries = all.slice(0, MOST)
    state.waiting = []
  }

  /** Follows until the connection ends. */
  function follow(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const socket = new WebSocket(socketUrl(`/v1/audit/follow?${queryOf(query(), { after: String(newest) })}`))
      const close = (): void => socket.close()
      signal.addEventListener('abort', close)
      socket.addEventListener('open', () => Object.assign(state, { phase: 'live', message: '' }))
      socket.addEventListener('message', (event) => {
        const { name, data, more: isMore } = JSON.parse(String(event.data)) as Frame
        if (name !== 'audit.entries' || !data || signal.aborted) return
        take(data)
        // Too many at once to tell them all.
        if (isMore) void begin(signal)
      })
      socket.addEventListener('close', () => {
        signal.removeEventListener('abort', close)
        resolve()
      })
    })
  }

  async function run(signal: AbortSignal, isFollowing: boolean): Promise<void> {
    await begin(signal)
    for (let attempt = 0; isFollowing && !signal.aborted && state.phase !== 'failed'; attempt += 1) {
      const began = Date.now()
      await follow(signal)
      if (signal.aborted) return
      if (Date.now() - began > 10_000) attempt = 0
      await sleep(pause(attempt, Math.random()), signal).catch(() => undefined)
      // Says why, if it is more than a lost connection; and reads what came meanwhile.
      if (!signal.aborted) await begin(signal)
    }
  }

  watch(
    () => [queryOf(query(), {}), following()] as const,
    ([key, isFollowing], before) => {
      left.abort()
      left = new AbortController()
      // What is shown stays until there is an answer to the same question.
      if (before?.[0] !== key)
        Object.assign(state, { phase: 'loading', message: '', entries: [], waiting: [], next: undefined, reached: undefined })
      void run(left.signal, isFollowing)
    },
    { immediate: true },
  )
  onScopeDispose(() => left.abort())
  return {
    state,
    further: async () => {
      if (state.searching || state.next === undefined) return
      const { signal } = left
      await more(signal, state.entries.length + 1).catch((error: unknown) => {
        if (!signal.aborted) state.message = messageOf(error)
      })
    },
    hold: (on) => {
      held = on
      if (!on) release()
    },
  }
}
