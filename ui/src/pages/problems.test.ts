import { expect, it } from 'vitest'

import type { Column, Row } from '@/data/rows'

import { eventsOf, podProblems } from './problems'

const column = (name: string): Column => ({ id: name, name, type: 'string', description: '', wide: false })
const row = (name: string, created: string, cells: unknown[]): Row => ({
  id: `n/${name}`,
  name,
  namespace: 'n',
  metadata: { name, namespace: 'n', creationTimestamp: created },
  cells,
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
