import { expect, test, vi } from 'vitest'

import type { Row } from '@/data/rows'
import type { TableColumn } from '@/components/table'

import { viewOf } from './list'

vi.mock('@/app/media', () => ({ phone: { value: false } }))

const text = (row: Row): string => row.name
const columns: TableColumn<Row>[] = [
  { id: 'name', name: 'Name', field: 'metadata.name', text },
  { id: 'status', name: 'Status', field: 'metadata.fields[2]', text },
  { id: 'age', name: 'Age', field: '-metadata.creationTimestamp', text, moving: true },
]

test('a route becomes what the server is asked', () => {
  const check = (filter: string, sort: string, expected: ReturnType<typeof viewOf>): void =>
    expect(viewOf(columns, filter, { id: sort.replace('-', ''), descending: sort.startsWith('-') }, true)).toEqual(expected)
  check('', 'name', { filters: [], sort: 'natural(metadata.name)' })
  check('', '-status', { filters: [], sort: '-natural(metadata.fields[2])' })
  check('', 'age', { filters: [], sort: '-natural(metadata.creationTimestamp)' })
  check('', '-age', { filters: [], sort: 'natural(metadata.creationTimestamp)' })
  check(' web  it"s ', 'nothing', {
    filters: ['metadata.name~"web",metadata.fields[2]~"web"', `metadata.name~'it"s',metadata.fields[2]~'it"s'`],
    sort: '',
  })
})

test('what depends on columns waits for them', () => {
  const name = { id: 'name', descending: false }
  expect(viewOf(columns.slice(0, 1), '', name, false)).toEqual({ filters: [], sort: 'natural(metadata.name)' })
  expect(viewOf(columns.slice(0, 1), 'web', name, false)).toBeUndefined()
  expect(viewOf(columns.slice(0, 1), '', { id: 'status', descending: false }, false)).toBeUndefined()
})
