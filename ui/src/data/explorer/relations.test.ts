import { beforeEach, expect, test, vi } from 'vitest'

import { ownedBy } from './relations'

let asked: string[] = []
let answers: Record<string, object[] | null> = {}

vi.mock('@/api/http', () => ({
  request: async (_: string, path: string) => {
    const place = path.slice(path.indexOf('/v1/') + 4).split('?')[0] ?? ''
    asked.push(place)
    return { metadata: { relationships: answers[place] ?? null } }
  },
}))

const owns = (toType: string, toId: string): object => ({ rel: 'owner', toType, toId, state: 'active' })
const { signal } = new AbortController()

beforeEach(() => {
  asked = []
})

test('owned objects come with what they own, and nothing else is asked', async () => {
  answers = {
    'apps.deployment/d/web': [
      owns('apps.replicaset', 'd/web-1'),
      { rel: 'creates', toType: 'pod', selector: 'a=b' },
      { rel: 'owner', fromType: 'x', fromId: 'd/y' },
      owns('apps.replicaset', 'd/web-2'),
    ],
    'apps.replicaset/d/web-1': [owns('pod', 'd/web-1-a')],
  }
  const found = await ownedBy('c', 'apps.deployment', 'd/web', signal)
  expect(found.map(({ name, depth }) => `${depth} ${name}`)).toEqual(['0 web-1', '1 web-1-a', '0 web-2'])
  expect(found[1]).toEqual({ type: 'pod', namespace: 'd', name: 'web-1-a', state: 'active', message: '', depth: 1 })
  expect(asked).toEqual(['apps.deployment/d/web', 'apps.replicaset/d/web-1', 'apps.replicaset/d/web-2'])
})

test('no more questions are asked than there is patience for', async () => {
  answers = { 'apps.deployment/d/web': Array.from({ length: 100 }, (_, at) => owns('apps.replicaset', `d/r${at}`)) }
  expect(await ownedBy('c', 'apps.deployment', 'd/web', signal)).toHaveLength(100)
  expect(asked).toHaveLength(16)
})
