import { expect, test } from 'vitest'

import { readableParts } from './jsonLine'

const shown = (line: string): string | undefined =>
  readableParts(line)
    ?.map((part) => part.text)
    .join(' ')

test('level and message come first, whatever a program calls them', () => {
  expect(shown('{"ts":"2026-01-01","level":"INFO","msg":"ready","port":8080}')).toBe('info ready port=8080')
  expect(shown('{"time":1,"severity":"warning","message":"slow","ms":5,"tags":["a"]}')).toBe('warning slow ms=5 tags=["a"]')
  expect(shown('{"level":50,"msg":"failed","err":{"code":1}}')).toBe('error failed err={"code":1}')
  expect(shown('{"message":"without a level"}')).toBe('without a level')
  expect(shown(' {"lvl":"debug","event":"x"} ')).toBe('debug x')
})

test('a stack is told last and on lines of its own', () => {
  expect(shown('{"level":"error","stacktrace":"a\\n  at b","msg":"m","id":7}')).toBe('error m id=7 \nstacktrace=a\n  at b')
})

test('levels have the colour of what they mean', () => {
  const tone = (level: string): string | undefined => readableParts(`{"level":"${level}"}`)?.[0]?.tone
  expect(['ERROR', 'fatal', 'warn', 'info', 'debug'].map(tone)).toEqual(['bad', 'bad', 'warn', 'good', undefined])
})

test('what is no log line in JSON stays as it is', () => {
  for (const line of ['', 'plain', '{', '{}', '[1]', '{"a":1}', '{"level":{}}', '{not json}', `{"msg":"${'x'.repeat(70_000)}"}`])
    expect(readableParts(line), line.slice(0, 40)).toBeUndefined()
})
