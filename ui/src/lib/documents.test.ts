import { expect, it } from 'vitest'

import { documentsOf } from './documents'

const mistakesIn = (text: string): string[] =>
  documentsOf(text).flatMap(({ mistakes }) => mistakes.map(({ from, to, message }) => `${text.slice(from, to)}: ${message}`))

it('finds keys that stand there twice, in any mapping of any document', () => {
  expect(mistakesIn('a: 1\nb: {c: 1}\na: 2\n')).toEqual(['a: Map keys must be unique: a at line 3'])
  expect(mistakesIn('a: [{b: 1, c: 2, b: 3}]\n---\nx: 1\n---\nx: 1\nx: 2\n')).toEqual([
    'b: Map keys must be unique: b at line 1',
    'x: Map keys must be unique: x at line 6',
  ])
})

it('finds none in mappings beside each other, nor where a key is only like another', () => {
  expect(mistakesIn('a: {x: 1}\nb: {x: 1}\nc: [{x: 1}, {x: 1}]\n"1": 1\n1: 1\n')).toEqual([])
})

it('reads a mapping of very many keys in time that grows as it does', { timeout: 5000 }, () => {
  // Each key compared with all before it: 10^9 comparisons.
  const text = Array.from({ length: 40_000 }, (_, at) => `key-${at}: value\n`).join('')
  expect(mistakesIn(text)).toEqual([])
})
