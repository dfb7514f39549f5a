import { describe, expect, it } from 'vitest'

import { applyEvents, columnsOf, isExpired, rowsOf, takeLines, versionAfter, type TableDocument, type TableEvent } from './rows'

const table = (name: string, cells: unknown[], resourceVersion: string): TableDocument => ({
  kind: 'Table',
  rows: [{ cells, object: { metadata: { name, namespace: 'shop', resourceVersion } } }],
})
const event = (type: TableEvent['type'], object: TableEvent['object']): TableEvent => ({ type, object })

describe('a table', () => {
  it('becomes columns and rows', () => {
    const columnDefinitions = [
      { name: 'Name', type: 'string' },
      { name: 'IP', type: 'string', priority: 1, description: 'address' },
    ]
    expect(columnsOf({ kind: 'Table', columnDefinitions })).toEqual([
      { id: '0-Name', name: 'Name', type: 'string', description: '', wide: false },
      { id: '1-IP', name: 'IP', type: 'string', description: 'address', wide: true },
    ])
    expect(rowsOf(table('web', ['web'], '5'))).toMatchObject([{ id: 'shop/web', name: 'web', namespace: 'shop', cells: ['web'] }])
  })

  it('has no row without an object', () => {
    expect(rowsOf({ kind: 'Table', rows: [{ cells: ['x'] }] })).toEqual([])
  })
})

describe('events', () => {
  it('add, change and delete rows and leave the old map alone', () => {
    const first = applyEvents(new Map(), [event('ADDED', table('a', [1], '1')), event('ADDED', table('b', [1], '2'))])
    const second = applyEvents(first, [event('MODIFIED', table('a', [2], '3')), event('DELETED', table('b', [1], '4'))])
    expect([...second.values()].map((row) => [row.name, row.cells[0]])).toEqual([['a', 2]])
    expect([...first.values()].map((row) => [row.name, row.cells[0]])).toEqual([
      ['a', 1],
      ['b', 1],
    ])
  })

  it('carry the version to go on from; bookmarks do too and change nothing', () => {
    const bookmark = event('BOOKMARK', { kind: 'Table', metadata: { resourceVersion: '9' }, rows: [] })
    expect(versionAfter('1', [event('ADDED', table('a', [1], '7'))])).toBe('7')
    expect(versionAfter('1', [event('ADDED', table('a', [1], '7')), bookmark])).toBe('9')
    expect(versionAfter('1', [])).toBe('1')
    expect(applyEvents(new Map(), [bookmark]).size).toBe(0)
  })

  it('tell that a version is too old', () => {
    expect(isExpired(event('ERROR', { kind: 'Status', code: 410 }))).toBe(true)
    expect(isExpired(event('ERROR', { kind: 'Status', code: 500 }))).toBe(false)
    expect(isExpired(event('ADDED', table('a', [1], '1')))).toBe(false)
  })

  it('come in pieces', () => {
    const line = JSON.stringify(event('ADDED', table('a', [1], '1')))
    const { documents, rest } = takeLines(`${line}\n${line}\n${line.slice(0, 10)}`)
    expect(documents).toHaveLength(2)
    expect(rest).toBe(line.slice(0, 10))
    expect(takeLines(`${rest}${line.slice(10)}\n`).documents).toHaveLength(1)
  })
})
