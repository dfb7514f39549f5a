/**
 * Live lists from a cluster's own API: a Table, page after page, then a watch.
 *
 * Those who may not list across namespaces get one list and one watch for each
 * namespace they may see. A watch that ends is opened again where it ended; one
 * that is too old begins with a new list, behind the rows that are shown.
 */

import { markRaw, shallowReactive } from 'vue'

import { ApiError, fetchOk, isOffline, messageOf, request } from '@/api/http'
import { pause, sleep } from '@/data/backoff'
import { applyEvents, columnsOf, isExpired, rowsOf, takeLines, versionAfter } from '@/data/rows'
import type { ListHandle, ListState, Row, TableDocument, TableEvent } from '@/data/rows'
import type { ListQuery } from '@/data/source'

import { collectionPath } from './objects'

const ACCEPT = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
const PAGE = 500
/** More rows than this are not kept: nobody reads them, filters narrow them down. */
const MOST_ROWS = 20_000
/** Watches that one list may hold open, since browsers and servers count connections. */
const MOST_NAMESPACES = 30
/** Events are gathered for this many milliseconds before the rows change. */
const GATHER = 100

export function openKubernetesList(query: ListQuery): ListHandle {
  const state = shallowReactive<ListState>({
    phase: 'loading',
    columns: [],
    rows: markRaw(new Map<string, Row>()),
    message: '',
    truncated: false,
  })
  const abort = new AbortController()
  const list = new KubernetesList(query, state, abort.signal)
  void list.run()
  return { state, close: () => abort.abort() }
}

class KubernetesList {
  private attempts = 0
  /** Ends what belongs to one attempt, when a part of it failed. */
  private round: AbortSignal

  constructor(
    private readonly query: ListQuery,
    private readonly state: ListState,
    private readonly signal: AbortSignal,
  ) {
    this.round = signal
  }

  async run(): Promise<void> {
    while (!this.signal.aborted) {
      const round = new AbortController()
      this.round = AbortSignal.any([this.signal, round.signal])
      try {
        const places = await this.places()
        await Promise.all(places.map((namespace) => this.follow(namespace, places.length > 1)))
      } catch (error) {
        round.abort()
        if (this.signal.aborted || !(await this.failed(error))) return
      }
    }
  }

  /** The namespaces to list in; `undefined` stands for all. */
  private async places(): Promise<(string | undefined)[]> {
    const { namespaces, resource, visibleNamespaces } = this.query
    if (!resource.namespaced) return [undefined]
    if (namespaces.length === 1) return namespaces
    try {
      await this.read(undefined, 1)
      return [undefined]
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 403) throw error
      const visible = await visibleNamespaces()
      const wanted = namespaces.length === 0 ? visible : visible.filter((name) => namespaces.includes(name))
      if (wanted.length === 0) throw error
      this.state.truncated = wanted.length > MOST_NAMESPACES
      return wanted.slice(0, MOST_NAMESPACES)
    }
  }

  private async follow(namespace: string | undefined, part: boolean): Promise<void> {
    let version = await this.list(namespace, part)
    while (!this.round.aborted) version = await this.watch(namespace, version)
  }

  /** Lists all pages; the rows are replaced when the last one is there, or grow while there are none yet. */
  private async list(namespace: string | undefined, part: boolean): Promise<string> {
    const found = new Map<string, Row>()
    let token = ''
    let version = ''
    do {
      const table = await this.read(namespace, PAGE, token)
      version = table.metadata?.resourceVersion ?? ''
      token = table.metadata?.continue ?? ''
      if (table.columnDefinitions?.length) this.state.columns = columnsOf(table)
      for (const row of rowsOf(table)) found.set(row.id, row)
      if (this.state.phase === 'loading') this.show(found, namespace, part)
      if (found.size >= MOST_ROWS && token !== '') {
        this.state.truncated = true
        token = ''
      }
    } while (token !== '')
    this.show(found, namespace, part)
    this.state.phase = 'live'
    this.state.message = ''
    this.attempts = 0
    return version
  }

  private show(found: Map<string, Row>, namespace: string | undefined, part: boolean): void {
    const others = part ? [...this.state.rows].filter(([, row]) => row.namespace !== namespace) : []
    this.state.rows = markRaw(new Map([...others, ...found]))
    if (this.state.phase === 'loading' && found.size > 0) this.state.phase = 'live'
  }

  private read(namespace: string | undefined, limit: number, token = ''): Promise<TableDocument> {
    const query = this.selectors({ limit: String(limit), includeObject: 'Metadata' })
    if (token) query.set('continue', token)
    const path = `${collectionPath(this.query.cluster, this.query.resource, namespace)}?${query}`
    return request('GET', path, { accept: ACCEPT, signal: this.round })
  }

  private selectors(more: Record<string, string>): URLSearchParams {
    const query = new URLSearchParams(more)
    if (this.query.labelSelector) query.set('labelSelector', this.query.labelSelector)
    if (this.query.fieldSelector) query.set('fieldSelector', this.query.fieldSelector)
    return query
  }

  /** Follows changes until the server ends the watch; returns where to go on. */
  private async watch(namespace: string | undefined, from: string): Promise<string> {
    const query = this.selectors({ watch: 'true', resourceVersion: from, allowWatchBookmarks: 'true', includeObject: 'Metadata' })
    const path = `${collectionPath(this.query.cluster, this.query.resource, namespace)}?${query}`
    const response = await fetchOk('GET', path, { accept: ACCEPT, signal: this.round })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    if (!reader) return from
    const pending: TableEvent[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const flush = (): void => {
      timer = undefined
      this.state.rows = markRaw(applyEvents(this.state.rows, pending.splice(0)))
    }
    let version = from
    let rest = ''
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return version
        const taken = takeLines(rest + value)
        rest = taken.rest
        const error = taken.documents.find((event) => event.type === 'ERROR')
        if (error && isExpired(error)) return await this.list(namespace, namespace !== undefined)
        if (error) throw new ApiError(error.object.code ?? 500, 'Watch', error.object.message ?? '')
        version = versionAfter(version, taken.documents)
        pending.push(...taken.documents)
        timer ??= setTimeout(flush, GATHER)
      }
    } catch (error) {
      // A stream that breaks is a lost connection, whatever the browser calls it.
      if (this.round.aborted || error instanceof ApiError) throw error
      throw new ApiError(503, 'Lost', messageOf(error))
    } finally {
      clearTimeout(timer)
      if (!this.round.aborted && pending.length > 0) flush()
      reader.cancel().catch(() => undefined)
    }
  }

  /** Says what went wrong; whether to try again. */
  private async failed(error: unknown): Promise<boolean> {
    this.state.message = messageOf(error)
    if (error instanceof ApiError && error.status === 410) return true
    if (error instanceof ApiError && !isOffline(error) && error.status !== 429 && error.status < 500) {
      this.state.phase = error.status === 403 ? 'forbidden' : 'failed'
      return false
    }
    this.state.phase = 'lost'
    try {
      await sleep(pause(this.attempts, Math.random()), this.signal)
    } catch {
      return false
    }
    this.attempts += 1
    return true
  }
}
