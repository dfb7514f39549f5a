import { expect, it } from 'vitest'

import { addLines, cutPiece, Finder, splitHits } from './logs'

it('lines come in pieces, with their time and without colours', () => {
  const first = cutPiece('', '2026-01-01T00:00:00.123Z hel')
  expect(first).toEqual({ lines: [], rest: '2026-01-01T00:00:00.123Z hel' })
  expect(cutPiece(first.rest, 'lo \u001b[31mred\u001b[0m\r\nplain\n')).toEqual({
    lines: [
      { time: '2026-01-01T00:00:00.123Z', text: 'hello red' },
      { time: '', text: 'plain' },
    ],
    rest: '',
  })
})

it('old lines go, numbers stay', () => {
  const lines = addLines([], cutPiece('', 'x\n'.repeat(15)).lines, 0, 10)
  expect(lines).toHaveLength(10)
  expect(lines[0]?.number).toBe(6)
  expect(addLines(lines, cutPiece('', 'y\n').lines, 0, 10).map((line) => line.number)).toEqual([
    7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
  ])
})

it('lines of several logs are in order of their time', () => {
  const at = (...seconds: string[]) => seconds.map((second) => ({ time: `2026-01-01T00:00:0${second}Z`, text: second }))
  let lines = addLines([], at('1', '3.5', '4'), 0)
  lines = addLines(lines, at('0', '3.45', '5'), 1)
  expect(lines.map((line) => line.text)).toEqual(['0', '1', '3.45', '3.5', '4', '5'])
  expect(lines.map((line) => line.source)).toEqual([1, 0, 1, 0, 0, 1])
  lines = addLines(lines, at('6'), 0)
  expect(lines.at(-1)).toMatchObject({ text: '6', source: 0, number: 7 })
})

it('hits are every second part', () => {
  expect(splitHits('an Error, error', 'error')).toEqual(['an ', 'Error', ', ', 'error', ''])
  expect(splitHits('nothing', 'x')).toEqual(['nothing'])
  expect(splitHits('text', '')).toEqual(['text'])
})

it('a word is found in what was there and in what comes', () => {
  const finder = new Finder('OX')
  let lines = addLines([], cutPiece('', 'an ox\na cow\n').lines, 0)
  expect(finder.among(lines).map((line) => line.text)).toEqual(['an ox'])
  lines = addLines(lines, cutPiece('', 'oxen\n').lines, 0)
  expect(finder.among(lines).map((line) => line.text)).toEqual(['an ox', 'oxen'])
  expect(new Finder('').among(lines)).toEqual([])
})
