import { describe, expect, it } from 'vitest'

import { merge3, same, takeTheirs } from './merge'

describe('a three-way merge', () => {
  it('takes what only one side changed', () => {
    const base = { spec: { replicas: 1, paused: false }, metadata: { labels: { a: '1' } } }
    const mine = { spec: { replicas: 3, paused: false }, metadata: { labels: { a: '1' } } }
    const theirs = { spec: { replicas: 1, paused: true }, metadata: { labels: { a: '1', b: '2' } } }
    expect(merge3(base, mine, theirs)).toEqual({
      value: { spec: { replicas: 3, paused: true }, metadata: { labels: { a: '1', b: '2' } } },
      conflicts: [],
    })
  })

  it('removes what one side removed and the other left alone', () => {
    expect(merge3({ a: 1, b: 2 }, { a: 1 }, { a: 1, b: 2 }).value).toEqual({ a: 1 })
    expect(merge3({ a: 1, b: 2 }, { a: 1, b: 2 }, { b: 2 }).value).toEqual({ b: 2 })
  })

  it('merges named list elements one by one', () => {
    const list = (web: string, side?: string) => ({
      containers: [{ name: 'web', image: web }, ...(side ? [{ name: 'side', image: side }] : [])],
    })
    expect(merge3(list('web:1'), list('web:2'), list('web:1', 'side:1'))).toEqual({
      value: list('web:2', 'side:1'),
      conflicts: [],
    })
  })

  it('treats other lists as one value', () => {
    const { value, conflicts } = merge3({ args: ['a'] }, { args: ['b'] }, { args: ['c'] })
    expect(value).toEqual({ args: ['b'] })
    expect(conflicts).toEqual([{ path: ['args'], base: ['a'], mine: ['b'], theirs: ['c'] }])
  })

  it('tells where both changed the same, and can decide for the other side', () => {
    const base = { containers: [{ name: 'web', image: '1' }], replicas: 1 }
    const mine = { containers: [{ name: 'web', image: '2' }], replicas: 2 }
    const theirs = { containers: [{ name: 'web', image: '3' }], replicas: 3 }
    const { value, conflicts } = merge3(base, mine, theirs)
    expect(value).toEqual(mine)
    expect(conflicts.map((conflict) => conflict.path)).toEqual([['containers', '[web]', 'image'], ['replicas']])
    expect(takeTheirs(value, conflicts.slice(0, 1))).toEqual({ containers: [{ name: 'web', image: '3' }], replicas: 2 })
  })

  it('tells a change against a removal', () => {
    const { conflicts } = merge3({ a: { b: 1 } }, { a: { b: 2 } }, {})
    expect(conflicts).toEqual([{ path: ['a'], base: { b: 1 }, mine: { b: 2 }, theirs: undefined }])
    expect(takeTheirs({ a: { b: 2 } }, conflicts)).toEqual({})
  })

  it('ignores the order of keys', () => {
    expect(same({ a: 1, b: [{ c: 2 }] }, { b: [{ c: 2 }], a: 1 })).toBe(true)
    expect(same([1, 2], [2, 1])).toBe(false)
    expect(same({ a: undefined }, {})).toBe(true)
  })
})
