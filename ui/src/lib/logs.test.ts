import { expect, it } from 'vitest'

import { addPiece, MOST_LINES, splitHits } from './logs'

it('lines come in pieces, with their time and without colours', () => {
  const first = addPiece([], '', '2026-01-01T00:00:00.123Z hel')
  expect(first).toEqual({ lines: [], rest: '2026-01-01T00:00:00.123Z hel' })
  const second = addPiece(first.lines, first.rest, 'lo \u001b[31mred\u001b[0m\r\nplain\n')
  expect(second).toEqual({
    lines: [
      { number: 1, time: '2026-01-01T00:00:00.123Z', text: 'hello red' },
      { number: 2, time: '', text: 'plain' },
    ],
    rest: '',
  })
})

it('old lines go, numbers stay', () => {
  const { lines } = addPiece([], '', 'x\n'.repeat(MOST_LINES + 5))
  expect(lines).toHaveLength(MOST_LINES)
  expect(lines[0]?.number).toBe(6)
})

it('hits are every second part', () => {
  expect(splitHits('an Error, error', 'error')).toEqual(['an ', 'Error', ', ', 'error', ''])
  expect(splitHits('nothing', 'x')).toEqual(['nothing'])
  expect(splitHits('text', '')).toEqual(['text'])
})
