import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'

import { ApiError } from '@/api/http'

import { useAuditLog, type AuditLog } from './log'
import type { AuditEntry, AuditQuery } from './query'

/** Numbers of lines there are, and which of them are found; a reading looks through some lines. */
let last = 0
let found: (number: number) => boolean
let looks = 1000
let refusal: Error | undefined

const entry = (sequence: number): AuditEntry => ({ id: String(sequence), sequence, verb: 'get' })

vi.mock('@/api/http', async (original) => ({
  ...(await original<typeof import('@/api/http')>()),
  request: async (_: string, path: string) => {
    if (refusal) throw refusal
    const query = new URLSearchParams(path.split('?')[1])
    const data: AuditEntry[] = []
    let number = Number(query.get('before') ?? last + 1) - 1
    const end = number - looks
    for (; number > Math.max(0, end) && data.length < Number(query.get('limit')); number -= 1)
      if (found(number)) data.push(entry(number))
    return { newest: last, data, ...(number > 0 ? { continue: String(number + 1) } : {}) }
  },
  socketUrl: (path: string) => path,
}))

class FakeSocket extends EventTarget {
  static last: FakeSocket | undefined
  constructor(readonly path: string) {
    super()
    FakeSocket.last = this
  }
  close(): void {
    this.dispatchEvent(new Event('close'))
  }
  say(data: AuditEntry[], more = false): void {
    this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify({ name: 'audit.entries', data, more }) }))
  }
}
vi.stubGlobal('WebSocket', FakeSocket)

let scope = effectScope()
const until = (holds: () => boolean): Promise<void> => vi.waitFor(() => expect(holds()).toBe(true), 3000)
const opened = (query: () => AuditQuery = () => ({}), following = true): AuditLog =>
  scope.run(() => useAuditLog(query, () => following)) as AuditLog

beforeEach(() => {
  scope = effectScope()
  last = 250
  found = () => true
  looks = 1000
  refusal = undefined
  FakeSocket.last = undefined
})
afterEach(() => scope.stop())

test('older entries are read on demand, down to the first', async () => {
  const log = opened()
  await until(() => log.state.phase === 'live')
  expect(log.state.entries.length).toBe(100)
  await log.further()
  await log.further()
  expect(log.state.entries.map((one) => one.sequence)).toEqual(Array.from({ length: 250 }, (_, at) => 250 - at))
  expect(log.state.next).toBeUndefined()
})

test('what is rare is searched for, and the person is asked before it takes long', async () => {
  last = 5000
  looks = 100
  found = (number) => number === 4500
  const log = opened()
  await until(() => log.state.phase === 'live' && !log.state.searching)
  expect(log.state.entries.map((one) => one.sequence)).toEqual([4500])
  expect(log.state.next).toBeDefined()
})

test('new entries come on top, and wait while somebody points', async () => {
  const log = opened()
  await until(() => FakeSocket.last !== undefined)
  expect(FakeSocket.last?.path).toContain('after=250')
  FakeSocket.last?.say([entry(252), entry(251)])
  expect(log.state.entries.slice(0, 3).map((one) => one.sequence)).toEqual([252, 251, 250])
  log.hold(true)
  FakeSocket.last?.say([entry(253), entry(252)])
  expect(log.state.entries[0]?.sequence).toBe(252)
  expect(log.state.waiting.map((one) => one.sequence)).toEqual([253])
  log.hold(false)
  expect(log.state.entries[0]?.sequence).toBe(253)
})

test('a refusal ends when the right is given, and a lost stream is opened again', async () => {
  refusal = new ApiError(403, 'Forbidden', 'no')
  const log = opened()
  await until(() => log.state.phase === 'refused')
  refusal = undefined
  await until(() => log.state.phase === 'live' && FakeSocket.last !== undefined)
  const first = FakeSocket.last
  last = 260
  first?.close()
  await until(() => FakeSocket.last !== first && log.state.entries[0]?.sequence === 260)
})

test('another question begins anew', async () => {
  const query = ref<AuditQuery>({})
  const log = opened(() => query.value, false)
  await until(() => log.state.phase === 'live')
  expect(FakeSocket.last).toBeUndefined()
  found = (number) => number % 100 === 0
  query.value = { kind: 'pods' }
  await nextTick()
  await until(() => log.state.phase === 'live' && !log.state.searching)
  expect(log.state.entries.map((one) => one.sequence)).toEqual([200, 100])
})
