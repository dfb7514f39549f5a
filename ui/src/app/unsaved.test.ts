import { expect, test } from 'vitest'

import { leavesPage } from './unsaved'

test('only what takes the edited thing away is leaving', () => {
  const from = { path: '/c/a/r/pods/x/y', query: { tab: 'yaml', ns: 'x' } }
  const leaves = (path: string, query: Record<string, string>): boolean => leavesPage({ path, query }, from)
  expect(leaves('/clusters', { tab: 'yaml', ns: 'x' })).toBe(true)
  expect(leaves(from.path, { ns: 'x' })).toBe(true)
  expect(leaves(from.path, { tab: 'events', ns: 'x' })).toBe(true)
  expect(leaves(from.path, { tab: 'yaml', ns: 'other' })).toBe(false)
  expect(leaves(from.path, { tab: 'yaml', q: 'word' })).toBe(false)
})
