import { beforeEach, expect, test, vi } from 'vitest'

import type { ApiResource } from '@/data/kubernetes/resources'

import { contentsOf, kindOf, ownedBy, tiesOf } from './relations'

let asked: string[] = []
let answers: Record<string, object[] | null> = {}
/** How many there are; `undefined` for what one may not see. */
let counts: Record<string, number | undefined> = {}

vi.mock('@/api/http', () => ({
  ApiError: class extends Error {
    constructor(readonly status: number) {
      super()
    }
  },
  request: async (_: string, path: string) => {
    const place = path.slice(path.indexOf('/v1/') + 4).split('?')[0] ?? ''
    asked.push(place)
    if (place in counts) {
      const count = counts[place]
      if (count === undefined) throw new (await import('@/api/http')).ApiError(403, '', '')
      return count === 0 ? {} : { count }
    }
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

test('what an object uses is told of itself, not of what it owns', async () => {
  const uses = (toType: string, toId: string): object => ({ rel: 'uses', toType, toId })
  answers = {
    'apps.deployment/d/web': [uses('configmap', 'd/menu'), owns('apps.replicaset', 'd/web-1')],
    'apps.replicaset/d/web-1': [uses('configmap', 'd/menu'), owns('pod', 'd/web-1-a')],
  }
  const { owned, used } = await tiesOf('c', 'apps.deployment', 'd/web', signal)
  expect(owned.map((one) => one.name)).toEqual(['web-1', 'web-1-a'])
  expect(used).toEqual([{ type: 'configmap', namespace: 'd', name: 'menu', state: '', message: '', depth: 0 }])
})

test('no more questions are asked than there is patience for', async () => {
  answers = { 'apps.deployment/d/web': Array.from({ length: 100 }, (_, at) => owns('apps.replicaset', `d/r${at}`)) }
  expect(await ownedBy('c', 'apps.deployment', 'd/web', signal)).toHaveLength(100)
  expect(asked).toHaveLength(16)
})

test('the contents of a namespace are counted, without what one may not see', async () => {
  const served = new Map(
    [
      ['pods', '', 'Pod'],
      ['secrets', '', 'Secret'],
      ['services', '', 'Service'],
      ['deployments.apps', 'apps', 'Deployment'],
      ['leases.coordination.k8s.io', 'coordination.k8s.io', 'Lease'],
    ].map(([id = '', group = '', kind = '']) => [id, { id, group, kind } as ApiResource]),
  )
  counts = { 'pod/shop': 3, 'secret/shop': undefined, 'service/shop': 0, 'apps.deployment/shop': 1 }
  expect(await contentsOf('c', 'shop', served, signal)).toEqual([
    { kind: 'Deployment', count: 1 },
    { kind: 'Pod', count: 3 },
  ])
  expect(kindOf('apps.deployment', served)).toBe('Deployment')
  expect(kindOf('example.com.thing', served)).toBe('example.com.thing')
})
