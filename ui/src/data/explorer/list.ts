/**
 * Live lists from `/v1` of a cluster: the server filters and orders, pages come as they are looked at.
 *
 * Only the pages around what is looked at are held. When the server tells that
 * something changed, they are read again, at most once a second. While a list
 * is held (somebody points at a row), rows change in place, those that went
 * stay as gone, and new ones wait.
 */

import { markRaw, shallowReactive, type ShallowReactive } from 'vue'

import { ApiError, messageOf, request } from '@/api/http'
import { isRefusal, mayPass, pause, sleep } from '@/data/backoff'
import type { ListPhase, Row } from '@/data/rows'
import { parseDuration } from '@/lib/age'
import { t } from '@/texts'

import { EVERYTHING, idFilter, listPath, rowOf, typeOf, type Collection, type ListQuery, type View } from './query'
import { follow } from './socket'

/** Pages that are kept while others are looked at. */
const KEPT = 12
/** Rows asked for by name at once, so that the question fits a URL. */
const BY_NAME = 30
/** Milliseconds between readings of what cannot be watched. */
const POLL = 15_000

export interface PagedState {
  phase: ListPhase
  /** Why it is `forbidden`, `failed` or `lost`. */
  message: string
  /** Whether anything was read yet. */
  loaded: boolean
  /** Rows by the number of their page, from 0. */
  pages: Map<number, Row[]>
  /** How many match. */
  count: number
  /** How many there are without the filter. */
  total: number
  /** Ids of rows that went while the list was held. */
  gone: Set<string>
  /** How many new ones wait. */
  waiting: number
}

export interface PagedList {
  readonly state: ShallowReactive<PagedState>
  readonly pageSize: number
  /** The rows that are on the screen: from (included) to (excluded). */
  look: (from: number, to: number) => void
  /** Narrows down and orders; what is shown stays until the answer is there. */
  ask: (view: View) => void
  hold: (held: boolean) => void
  /** Up to `most` matching rows, of all pages. */
  all: (most: number) => Promise<Row[]>
  /** The rows among some that still exist. */
  existing: (ids: string[]) => Promise<Row[]>
  close: () => void
}

export function openPagedList(query: ListQuery, view: View, pageSize = 100): PagedList {
  const list = new ExplorerList(query, view, pageSize)
  void list.run()
  return list
}

class ExplorerList implements PagedList {
  readonly state = shallowReactive<PagedState>({
    phase: 'loading',
    message: '',
    loaded: false,
    pages: markRaw(new Map<number, Row[]>()),
    count: 0,
    total: 0,
    gone: markRaw(new Set<string>()),
    waiting: 0,
  })
  private readonly closed = new AbortController()
  /** Ends the requests of a view when another is asked for. */
  private asked = new AbortController()
  private loading = new Map<number, AbortController>()
  private first = 0
  private last = 0
  private held = false
  private running = false
  private refreshing = false
  /** Something changed that was not read yet. */
  private stale = false
  /** How often it was told that something changed. */
  private told = 0
  /** What is shown is not what was asked for last: the answer takes its place whoever points at it. */
  private replaces = true
  private attempts = 0
  private revision = ''
  private broken: ((error: unknown) => void) | undefined

  constructor(
    private readonly query: ListQuery,
    private view: View,
    readonly pageSize: number,
  ) {
    document.addEventListener('visibilitychange', this.onVisible)
  }

  async run(): Promise<void> {
    this.running = true
    while (!this.closed.signal.aborted) {
      try {
        await this.read()
        this.catchUp()
        this.state.phase = 'live'
        this.state.message = ''
        await this.stay(await this.follow())
      } catch (error) {
        if (this.closed.signal.aborted || !(await this.failed(error))) break
      }
    }
    this.running = false
  }

  look(from: number, to: number): void {
    this.first = Math.floor(from / this.pageSize)
    this.last = Math.max(this.first, Math.floor((Math.max(to, from + 1) - 1) / this.pageSize))
    for (const [page, abort] of this.loading) if (!this.isLookedAt(page)) abort.abort()
    if (!this.state.loaded || this.refreshing) return
    for (const page of this.lookedAt()) if (!this.state.pages.has(page) && !this.loading.has(page)) void this.load(page)
  }

  ask(view: View): void {
    if (JSON.stringify(view) === JSON.stringify(this.view)) return
    this.view = view
    this.replaces = true
    this.asked.abort()
    this.asked = new AbortController()
    this.last -= this.first
    this.first = 0
    // Otherwise the reading or the pause that was just ended is followed by a reading.
    if (this.broken) void this.refresh(true)
    else if (!this.running) void this.run()
  }

  hold(held: boolean): void {
    this.held = held
    if (!held && this.stale) void this.refresh()
  }

  async all(most: number): Promise<Row[]> {
    const path = listPath(this.query, this.view, { number: 1, size: most })
    return (await request<Collection>('GET', path, { signal: this.closed.signal })).data.map(rowNow)
  }

  async existing(ids: string[]): Promise<Row[]> {
    const chunks = Array.from({ length: Math.ceil(ids.length / BY_NAME) }, (_, at) => ids.slice(at * BY_NAME, (at + 1) * BY_NAME))
    const read = async (chunk: string[]): Promise<Row[]> => {
      const view = { filters: [...this.view.filters, idFilter(chunk)], sort: '' }
      const path = listPath(this.query, view, { number: 1, size: chunk.length })
      return (await request<Collection>('GET', path, { signal: this.signal() })).data.map(rowNow)
    }
    return (await Promise.all(chunks.map(read))).flat()
  }

  close(): void {
    this.closed.abort()
    this.asked.abort()
    document.removeEventListener('visibilitychange', this.onVisible)
  }

  private readonly onVisible = (): void => {
    if (!document.hidden && this.stale) void this.refresh()
  }

  private signal(): AbortSignal {
    return AbortSignal.any([this.closed.signal, this.asked.signal])
  }

  private lookedAt(): number[] {
    return Array.from({ length: this.last - this.first + 1 }, (_, at) => this.first + at)
  }

  private isLookedAt(page: number): boolean {
    return page >= this.first && page <= this.last
  }

  private async page(number: number, signal: AbortSignal): Promise<Collection> {
    const path = listPath(this.query, this.view, { number: number + 1, size: this.pageSize })
    return request<Collection>('GET', path, { signal })
  }

  /** How many there are of a view. */
  private async countOf(view: View, signal: AbortSignal): Promise<number> {
    return (await request<Collection>('GET', listPath(this.query, view, { number: 1, size: 1 }), { signal })).count ?? 0
  }

  /** Reads what is looked at, in place of everything; where somebody points at rows by then, each row stays where it is. */
  private async read(): Promise<void> {
    if (this.held && !this.replaces) return this.readInPlace()
    const [signal, view, pages] = [this.signal(), this.view, this.lookedAt()]
    this.stale = false
    const [answers, total] = await Promise.all([
      Promise.all(pages.map((page) => this.page(page, signal))),
      view.filters.length > 0 ? this.countOf(EVERYTHING, signal) : undefined,
    ])
    const [first] = answers
    this.revision = first?.revision ?? ''
    if (this.held && !this.replaces) {
      this.stale = true
      return this.readInPlace()
    }
    this.replaces = false
    this.state.count = first?.count ?? 0
    this.state.total = total ?? this.state.count
    this.state.gone = markRaw(new Set())
    this.state.waiting = 0
    const known = this.known()
    this.state.pages = markRaw(new Map(answers.map(({ data }, at) => [pages[at] ?? 0, rowsOf(data, known)])))
    this.state.loaded = true
  }

  /** The rows that are held, by id. */
  private known(): Map<string, Row> {
    return new Map([...this.state.pages.values()].flat().map((row) => [row.id, row]))
  }

  /** Loads what somebody looks at since the last reading began. */
  private catchUp(): void {
    this.look(this.first * this.pageSize, (this.last + 1) * this.pageSize)
  }

  private async load(page: number): Promise<void> {
    const abort = new AbortController()
    this.loading.set(page, abort)
    try {
      const { data, count = 0 } = await this.page(page, AbortSignal.any([abort.signal, this.signal()]))
      const middle = (this.first + this.last) / 2
      const kept = [...this.state.pages, [page, rowsOf(data, this.known())] as const]
        .sort(([one], [other]) => Math.abs(one - middle) - Math.abs(other - middle))
        .slice(0, Math.max(KEPT, this.last - this.first + 1))
      this.state.pages = markRaw(new Map(kept))
      if (!this.held) this.state.count = count
    } catch (error) {
      if (!abort.signal.aborted && !this.signal().aborted) this.broken?.(error)
    } finally {
      this.loading.delete(page)
    }
  }

  /** Reads again after a change, one reading at a time. */
  private async refresh(isAsked = false): Promise<void> {
    this.stale = true
    this.told += 1
    if (document.hidden && !isAsked) return
    if (this.refreshing && !isAsked) return
    this.refreshing = true
    const [own, signal] = [this.asked, this.signal()]
    try {
      while (this.stale) {
        const told = this.told
        await this.read()
        // Rows that are held wait to be let go; until then only another change is a reason to look again.
        if (this.held && !this.replaces && told === this.told) break
      }
    } catch (error) {
      if (!signal.aborted) this.broken?.(error)
    } finally {
      if (own === this.asked) {
        this.refreshing = false
        this.catchUp()
      }
    }
  }

  /** The rows that are shown as they are now, each where it is. */
  private async readInPlace(): Promise<void> {
    const looked = this.lookedAt().flatMap((page) => this.state.pages.get(page) ?? [])
    const [found, count] = await Promise.all([this.existing(looked.map((row) => row.id)), this.countOf(this.view, this.signal())])
    const known = this.known()
    const now = new Map(found.map((row) => [row.id, asKnown(row, known)]))
    const gone = new Set([...this.state.gone, ...looked.map((row) => row.id)].filter((id) => !now.has(id)))
    const pages = [...this.state.pages].map(
      ([page, rows]) => [page, this.isLookedAt(page) ? rows.map((row) => now.get(row.id) ?? row) : rows] as const,
    )
    this.state.pages = markRaw(new Map(pages))
    this.state.gone = markRaw(gone)
    this.state.waiting = Math.max(0, count - (this.state.count - gone.size))
  }

  /** Follows changes until the watch ends; says why. */
  private async follow(): Promise<string> {
    const { namespaces, resource, cluster } = this.query
    const [namespace] = namespaces.length === 1 && resource.namespaced ? namespaces : []
    const { signal } = this.closed
    let leave = (): void => undefined
    let close = (): void => undefined
    try {
      return await new Promise<string>((resolve, reject) => {
        this.broken = reject
        close = () => reject(signal.reason as Error)
        signal.addEventListener('abort', close)
        leave = follow(cluster, { resourceType: typeOf(resource), ...(namespace ? { namespace } : {}) }, this.revision, {
          changed: () => void this.refresh(),
          started: () => (this.attempts = 0),
          ended: resolve,
        })
      })
    } finally {
      this.broken = undefined
      // A list that is open for days follows anew many times.
      signal.removeEventListener('abort', close)
      leave()
    }
  }

  /** Waits as long as the end of a watch asks for. */
  private async stay(reason: string): Promise<void> {
    const isOver = reason === '' || reason.includes('too old')
    const time = this.attempts === 0 ? 0 : pause(this.attempts, Math.random())
    await sleep(isOver ? time : POLL, this.signal())
    this.attempts += 1
  }

  /** Says what went wrong; whether to try again. */
  private async failed(error: unknown): Promise<boolean> {
    // Another view was asked for.
    if (error instanceof DOMException && error.name === 'AbortError') return true
    this.state.message = error instanceof ApiError && error.status === 404 ? t.list.notVisible : messageOf(error)
    if (!mayPass(error)) {
      this.state.phase = 'failed'
      return false
    }
    // A right that somebody gives shows without asking for the page anew.
    this.state.phase = isRefusal(error) ? 'forbidden' : 'lost'
    this.attempts += 1
    await sleep(pause(this.attempts - 1, Math.random()), this.signal()).catch(() => undefined)
    return true
  }
}

/** Rows of an answer. One that did not change is the same object as before, so that nobody draws it again. */
function rowsOf(data: Collection['data'], known: Map<string, Row>): Row[] {
  return data.map((object) => asKnown(rowNow(object), known))
}

function rowNow(object: Collection['data'][number]): Row {
  return rowOf(object, Date.now())
}

function asKnown(row: Row, known: Map<string, Row>): Row {
  const before = known.get(row.id)
  const isSame =
    before?.metadata.resourceVersion !== undefined &&
    before.metadata.resourceVersion === row.metadata.resourceVersion &&
    before.cells.length === row.cells.length &&
    before.cells.every((cell, at) => isSameCell(cell, row.cells[at]))
  return isSame ? before : row
}

/** Ages count on by themselves from when they were read. */
function isSameCell(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (typeof one === 'string' && typeof other === 'string')
    return parseDuration(one) !== undefined && parseDuration(other) !== undefined
  return JSON.stringify(one) === JSON.stringify(other)
}
