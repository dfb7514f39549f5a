import { describe, expect, it } from 'vitest'

import { formatBytes, formatCores, parseQuantity, percent } from './quantity'

describe('quantities', () => {
  it.each([
    ['250m', 0.25],
    ['2', 2],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['128974848', 128974848],
    ['129e6', 129e6],
    ['1E', 1e18],
    ['500k', 5e5],
    ['100n', 1e-7],
    ['-3', -3],
    ['.5', 0.5],
  ])('%s is read', (text, expected) => {
    expect(parseQuantity(text)).toBeCloseTo(expected, 9)
  })

  it.each(['', 'x', '1 Gi', '1gi', '1Kib', 'NaN', undefined, null, {}])('%s is none', (text) => {
    expect(parseQuantity(text)).toBeUndefined()
  })

  it('are shown shortly', () => {
    expect(formatBytes(0)).toBe('0 B')
    expect(formatBytes(1536)).toBe('1.5 KiB')
    expect(formatBytes(256 * 2 ** 30)).toBe('256 GiB')
    expect(formatCores(0.25)).toBe('250m')
    expect(formatCores(96)).toBe('96')
    expect(formatCores(12.34)).toBe('12.3')
  })

  it('shares stay between 0 and 100', () => {
    expect(percent(1, 3)).toBe(33)
    expect(percent(5, 0)).toBe(0)
    expect(percent(9, 3)).toBe(100)
  })
})
