import { beforeEach, expect, test, vi } from 'vitest'

import { ApiError } from '@/api/http'

import { openPagedList, type PagedList } from './list'
import type { Listener } from './socket'

vi.stubGlobal('document', { hidden: false, addEventListener: () => undefined, removeEventListener: () => undefined })

/** What the server has, and what it was asked. */
let names: string[] = []
let versions: Record<string, string> = {}
let asked: URLSearchParams[] = []
let refusal: Error | undefined
let listener: Listener | undefined
/** Answers wait for it. */
let delay: Promise<void> | undefined

vi.mock('@/api/http', async (original) => ({
  ...(await original<typeof import('@/api/http')>()),
  request: async (_: string, path: string) => {
    if (refusal) throw refusal
    const query = new URLSearchParams(path.split('?')[1])
    asked.push(query)
    await delay
    const ids = query
      .getAll('filter')
      .filter((filter) => filter.startsWith('id in'))
      .flatMap((filter) => [...filter.matchAll(/"([^"]+)"/g)].map(([, id]) => id))
    const found = ids.length > 0 ? names.filter((name) => ids.includes(name)) : names
    const [page, size] = [Number(query.get('page')), Number(query.get('pagesize'))]
    const data = found.slice((page - 1) * size, page * size).map((name) => ({
      id: name,
      // The age goes on with every answer.
      metadata: { name, resourceVersion: versions[name] ?? '1', fields: [name, `${asked.length}s`] },
    }))
    return { count: found.length, revision: '7', data }
  },
}))
vi.mock('./socket', () => ({
  follow: (_: string, __: object, ___: string, one: Listener) => {
    listener = one
    one.started()
    return () => (listener = undefined)
  },
}))

const nodes = {
  id: 'nodes',
  group: '',
  version: 'v1',
  plural: 'nodes',
  kind: 'Node',
  namespaced: false,
  verbs: [],
  shortNames: [],
  subresources: [],
}
const shown = (list: PagedList): string[] => [...list.state.pages.values()].flat().map((row) => row.name)
const until = (holds: () => boolean): Promise<void> => vi.waitFor(() => expect(holds()).toBe(true))

async function opened(pageSize: number): Promise<PagedList> {
  const list = openPagedList({ cluster: 'c', resource: nodes, namespaces: [] }, { filters: [], sort: '' }, pageSize)
  list.look(0, 3)
  await until(() => list.state.phase === 'live' && listener !== undefined)
  return list
}

beforeEach(() => {
  names = Array.from({ length: 100 }, (_, at) => `n${at}`)
  versions = {}
  asked = []
  refusal = undefined
  delay = undefined
})

test('only what is looked at is read, and only some of it kept', async () => {
  const list = await opened(2)
  expect(list.state.count).toBe(100)
  for (let at = 0; at < 100; at += 4) {
    list.look(at, at + 4)
    await until(() => list.state.pages.has(at / 2) && list.state.pages.has(at / 2 + 1))
  }
  expect(list.state.pages.size).toBeLessThanOrEqual(12)
  expect([...list.state.pages.keys()]).toContain(49)
  list.close()
})

test('a change is read again where somebody looks', async () => {
  const list = await opened(5)
  names = ['a', ...names]
  listener?.changed()
  await until(() => shown(list)[0] === 'a')
  expect(list.state.count).toBe(101)
  list.close()
})

test('only rows that changed are others than before', async () => {
  const list = await opened(5)
  const before = [...(list.state.pages.get(0) ?? [])]
  versions = { n1: '2' }
  listener?.changed()
  await until(() => list.state.pages.get(0)?.[1]?.metadata.resourceVersion === '2')
  expect(list.state.pages.get(0)?.map((row, at) => row === before[at])).toEqual([true, false, true, true, true])
  list.close()
})

test('while a list is held its rows stay where they are', async () => {
  const list = await opened(5)
  list.hold(true)
  names = ['a', 'b', ...names.filter((name) => name !== 'n1')]
  listener?.changed()
  await until(() => list.state.gone.size > 0)
  expect(shown(list)).toEqual(['n0', 'n1', 'n2', 'n3', 'n4'])
  expect([...list.state.gone]).toEqual(['n1'])
  expect(list.state.waiting).toBe(2)
  list.hold(false)
  await until(() => list.state.gone.size === 0)
  expect(shown(list)).toEqual(['a', 'b', 'n0', 'n2', 'n3'])
  list.close()
})

test('a reading that began before somebody points moves no row, and one that ends after they left is followed by another', async () => {
  const list = await opened(5)
  names = ['a', ...names]
  let go = (): void => undefined
  delay = new Promise((resolve) => (go = resolve))
  listener?.changed()
  await until(() => asked.length > 0)
  list.hold(true)
  go()
  await until(() => list.state.waiting === 1)
  expect(shown(list)).toEqual(['n0', 'n1', 'n2', 'n3', 'n4'])
  // Somebody else changes something; the pointer leaves while that is read.
  names = ['b', ...names]
  asked = []
  delay = new Promise((resolve) => (go = resolve))
  listener?.changed()
  await until(() => asked.length > 0)
  list.hold(false)
  go()
  await until(() => shown(list)[0] === 'b')
  expect(shown(list)).toEqual(['b', 'a', 'n0', 'n1', 'n2'])
  list.close()
})

test('another view is read from its beginning, also while the list is held', async () => {
  const list = await opened(5)
  list.look(20, 24)
  await until(() => list.state.pages.has(4))
  list.hold(true)
  asked = []
  list.ask({ filters: ['metadata.name~"n"'], sort: '-metadata.name' })
  await until(() => asked.some((query) => query.get('sort') === '-metadata.name'))
  await until(() => list.state.pages.has(0))
  expect(asked.find((query) => query.get('sort'))?.get('page')).toBe('1')
  list.close()
})

test('a watch that ends is followed by a new reading and a new watch', async () => {
  const list = await opened(5)
  const first = listener
  names = names.slice(1)
  first?.ended('resourceversion too old')
  await until(() => listener !== undefined && listener !== first && shown(list)[0] === 'n1')
  list.close()
})

test('a refusal is told and ends with a right that is given, as a lost server does when it is back', async () => {
  refusal = new ApiError(403, 'Forbidden', 'no')
  const list = openPagedList({ cluster: 'c', resource: nodes, namespaces: [] }, { filters: [], sort: '' })
  await until(() => list.state.phase === 'forbidden')
  expect(list.state.message).toBe('no')
  refusal = undefined
  await until(() => list.state.phase === 'live' && list.state.message === '')
  list.close()
  refusal = new ApiError(503, 'Unavailable', 'away')
  const other = openPagedList({ cluster: 'c', resource: nodes, namespaces: [] }, { filters: [], sort: '' })
  await until(() => other.state.phase === 'lost')
  refusal = undefined
  await until(() => other.state.phase === 'live')
  other.close()
})

test('keeps nothing of watches that ended', async () => {
  const [added, removed] = [new Set<unknown>(), new Set<unknown>()]
  const add = vi.spyOn(AbortSignal.prototype, 'addEventListener').mockImplementation((_, one) => void added.add(one))
  const remove = vi.spyOn(AbortSignal.prototype, 'removeEventListener').mockImplementation((_, one) => void removed.add(one))
  const list = await opened(10)
  for (let round = 0; round < 3; round += 1) {
    const before = listener
    before?.ended('')
    await until(() => listener !== undefined && listener !== before)
  }
  expect(added.size).toBeGreaterThan(3)
  // What is followed now.
  expect([...added].filter((one) => !removed.has(one))).toHaveLength(1)
  add.mockRestore()
  remove.mockRestore()
  list.close()
})
