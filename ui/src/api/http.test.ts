import { expect, test } from 'vitest'

import { wordsOf } from './http'

test('a refusal has words, also where the server sent none', () => {
  expect(wordsOf(403, '403', '', null)).toBe('You may not do this.')
  expect(wordsOf(418, '418', '', null)).toBe('The server answered with error 418.')
  expect(wordsOf(403, 'Forbidden', 'pods is forbidden', null)).toBe('pods is forbidden')
  expect(wordsOf(503, 'ClusterUnavailable', 'cluster agent disconnected', null)).toContain('its agent is not connected')
})

test('who asks too often is told when to ask again', () => {
  expect(wordsOf(429, 'TooManyRequests', 'Too many requests', '7')).toBe('Too many requests. Try again in 7 seconds.')
  expect(wordsOf(429, 'TooManyRequests', '', '0.2')).toBe('Too many requests. Try again in 1 second.')
  expect(wordsOf(429, 'TooManyRequests', 'Slow down', null)).toBe('Slow down')
})

test('what is too large is told with how large it may be', () => {
  expect(wordsOf(413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728', null)).toBe(
    'This is larger than the server takes: at most 3 MiB.',
  )
  expect(wordsOf(413, '413', '', null)).toBe('This is larger than the server takes.')
})
