import { beforeEach, expect, test, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'

import { ApiError } from '@/api/http'

import { askRightsAgain, forgetRightsHeld, HUB, methodsOf, pluralOf, useAllowed, useCreatable, useKinds } from './rights'

let answers: Record<string, unknown> = {}
let asked: string[] = []
/** Questions that are answered with yes. */
let allowed: string[] = []

vi.mock('@/api/http', async (original) => ({
  ...(await original<typeof import('@/api/http')>()),
  request: async (_: string, path: string, options?: { body?: { verb: string; resource: string } }) => {
    const { verb, resource } = options?.body ?? {}
    asked.push(verb ? `${verb} ${resource}` : path)
    const answer = verb ? { allowed: allowed.includes(`${verb} ${resource}`) } : answers[path]
    if (answer === undefined) throw new ApiError(404, 'NotFound', 'there is none')
    if (answer instanceof Error) throw answer
    return answer
  },
}))

beforeEach(() => {
  answers = {}
  asked = []
  allowed = []
  forgetRightsHeld()
})

const roots = (...plurals: string[]): object => ({
  data: [{ id: 'v1', links: Object.fromEntries(plurals.map((plural) => [plural, `https://hub.example/v1/${plural}`])) }],
})
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('kinds go by the names that they have in /v1', () => {
  expect(pluralOf('pods')).toBe('pods')
  expect(pluralOf('ingresses.networking.k8s.io')).toBe('networking.k8s.io.ingresses')
})

test('methods count that are to be done through /v3', () => {
  expect(methodsOf({ collectionMethods: ['GET', 'blocked-POST'], resourceMethods: ['GET', 'PATCH'] })).toEqual({
    create: true,
    change: true,
    remove: false,
  })
  expect(methodsOf({})).toEqual({ create: false, change: false, remove: false })
})

test('what is seen follows the cluster and the rights, and is asked for once', async () => {
  answers = {
    '/v1': roots('management.cattle.io.users'),
    '/k8s/clusters/c1/v1': roots('pods', 'apps.deployments'),
  }
  const cluster = ref(HUB)
  const scope = effectScope()
  const [one, other] = scope.run(() => [useKinds(() => cluster.value), useKinds(() => cluster.value)])!
  expect(one!.value).toMatchObject({ known: false })
  expect(one!.value.sees('users.management.cattle.io')).toBe(false)
  await settled()
  expect(one!.value.sees('users.management.cattle.io')).toBe(true)
  expect(other!.value.known).toBe(true)
  expect(asked).toEqual(['/v1'])
  cluster.value = 'c1'
  await settled()
  expect(one!.value.sees('deployments.apps')).toBe(true)
  expect(one!.value.sees('secrets')).toBe(false)
  // Another right came: what is known stays until the answer is there.
  answers['/k8s/clusters/c1/v1'] = roots('secrets')
  askRightsAgain()
  expect(one!.value.sees('deployments.apps')).toBe(true)
  await settled()
  expect(one!.value.sees('deployments.apps')).toBe(false)
  expect(one!.value.sees('secrets')).toBe(true)
  // Nobody looks at the hub any more.
  expect(asked).toEqual(['/v1', '/k8s/clusters/c1/v1', '/k8s/clusters/c1/v1'])
  scope.stop()
})

test('where nothing can be found out nothing is kept from anybody; a refusal is an answer', async () => {
  answers = { '/k8s/clusters/c2/v1': new ApiError(503, 'ClusterUnavailable', 'no agent') }
  const scope = effectScope()
  const kinds = scope.run(() => useKinds(() => 'c2'))!
  const mayMake = scope.run(() => useCreatable('management.cattle.io.user'))!
  expect(mayMake.value).toBe(true)
  await settled()
  await nextTick()
  expect(kinds.value.sees('pods')).toBe(true)
  expect(mayMake.value).toBe(false)
  scope.stop()
})

test('who may do everything is asked about nothing else', async () => {
  const scope = effectScope()
  const question = { verb: 'list', apiGroup: 'management.cattle.io', resource: 'users' }
  allowed = ['* *']
  const may = scope.run(() => useAllowed(() => question))!
  expect(may.value).toBeUndefined()
  await settled()
  expect(may.value).toBe(true)
  expect(asked).toEqual(['* *'])
  // No administrator any more, but allowed this; then that neither.
  allowed = ['list users']
  askRightsAgain()
  await settled()
  await settled()
  expect(may.value).toBe(true)
  allowed = []
  askRightsAgain()
  await settled()
  expect(may.value).toBe(false)
  expect(asked).toEqual(['* *', '* *', 'list users', '* *', 'list users'])
  scope.stop()
})
