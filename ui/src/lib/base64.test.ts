import { expect, test } from 'vitest'

import { decodeBase64, encodeBase64, isText } from './base64'

test('text goes there and back, and what is none is told', () => {
  for (const text of ['', 'plain', 'süß 🐑\nand more']) {
    expect(decodeBase64(encodeBase64(text))).toBe(text)
    expect(isText(encodeBase64(text))).toBe(true)
  }
  expect(encodeBase64('sesame')).toBe('c2VzYW1l')
  const bytes = btoa('\u00ff\u00fe')
  expect(isText(bytes)).toBe(false)
  expect(decodeBase64(bytes)).toBe(bytes)
})
