import { expect, it } from 'vitest'

import { pairsOf } from './pairs'

it('reads lines of names and values', () => {
  expect(pairsOf(' a = 1 \n\nb=x=y\nc=')).toEqual({ a: '1', b: 'x=y', c: '' })
  expect(() => pairsOf('a=1\nnothing')).toThrow('nothing')
  expect(() => pairsOf('=1')).toThrow()
})
