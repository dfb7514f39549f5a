import { expect, test, vi } from 'vitest'

import type { Row } from '@/data/rows'

import { agedText, columnsOfList } from './columns'

const screen = vi.hoisted(() => ({ phone: { value: false } }))
vi.mock('@/app/media', () => screen)

const resource = {
  id: 'events',
  group: '',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
  verbs: [],
  shortNames: [],
  subresources: [],
}
const names = ['Last Seen', 'Type', 'Reason', 'Object', 'Message']
const columns = names.map((name) => ({ id: name, name, type: 'string', description: '', wide: false }))
const row: Row = {
  id: 'shop/e',
  name: 'e',
  namespace: 'shop',
  metadata: { name: 'e' },
  cells: ['5s', 'Normal', 'Scheduled', 'pod/web', 'Assigned'],
  read: Date.now(),
}
const shown = (): string[] => columnsOfList({ cluster: 'c', resource, ofKind: () => undefined }, columns).map((one) => one.name)

test('on a phone an event is its message, with the rest below it', () => {
  expect(shown().slice(0, 4)).toEqual(['Last Seen', 'Type', 'Reason', 'Namespace'])
  screen.phone.value = true
  expect(shown()[0]).toBe('Message')
  const [message] = columnsOfList({ cluster: 'c', resource, ofKind: () => undefined }, columns)
  expect(message?.under?.(row)).toMatch(/^\ds · Scheduled · pod\/web$/)
})

test('an age counts on from when it was read', () => {
  expect(agedText({ ...row, read: 1000 }, 0, 61_000)).toBe('65s')
  expect(agedText({ ...row, cells: ['<unknown>'] }, 0, 61_000)).toBe('<unknown>')
})
