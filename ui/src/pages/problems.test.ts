import { expect, it } from 'vitest'

import type { Column, Row } from '@/data/rows'

import { eventsOf, newestFirst, podProblems } from './problems'

const column = (name: string): Column => ({ id: name, name, type: 'string', description: '', wide: false })
const row = (name: string, created: string, cells: unknown[]): Row => ({
  id: `n/${name}`,
  name,
  namespace: 'n',
  metadata: { name, namespace: 'n', creationTimestamp: created },
  cells,
  read: Date.parse('2026-01-03T00:00:00Z'),
})

it('pods that fail come first with the most restarts', () => {
  const columns = ['Name', 'Status', 'Restarts'].map(column)
  const rows = [
    row('a', '', ['a', 'Running', '9']),
    row('b', '', ['b', 'CrashLoopBackOff', '3 (5m ago)']),
    row('c', '', ['c', 'Error', '12']),
  ]
  expect(podProblems(rows, columns).map((pod) => [pod.name, pod.restarts])).toEqual([
    ['c', 12],
    ['b', 3],
  ])
})

it('events come newest first', () => {
  const columns = ['Type', 'Reason', 'Object', 'Message'].map(column)
  const rows = [
    row('a', '2026-01-01T00:00:00Z', ['Normal', 'X', 'pod/a', 'm']),
    row('b', '2026-01-02T00:00:00Z', ['Warning', 'Y', 'pod/b', 'n']),
  ]
  expect(eventsOf(rows, columns).map((event) => event.object)).toEqual(['pod/b', 'pod/a'])
})

it('an event that came again is as new as its last time', () => {
  const columns = ['Last Seen', 'Object'].map(column)
  const rows = [
    row('new', '2026-01-02T23:50:00Z', ['10m', 'pod/new']),
    row('again', '2026-01-01T00:00:00Z', ['2m5s', 'pod/again']),
  ]
  expect(eventsOf(rows, columns).map(({ object, at }) => [object, at])).toEqual([
    ['pod/again', '2026-01-02T23:57:55.000Z'],
    ['pod/new', '2026-01-02T23:50:00.000Z'],
  ])
  expect(newestFirst(columns)).toBe('-natural(metadata.fields[0])')
  expect(newestFirst([])).toBe('')
})
