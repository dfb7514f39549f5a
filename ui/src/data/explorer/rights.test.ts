import { beforeEach, expect, test, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'

import { ApiError } from '@/api/http'

import {
  askRightsAgain,
  forgetRightsHeld,
  HUB,
  methodsOf,
  pluralOf,
  useAllowed,
  useCreatable,
  useHubPermits,
  useKinds,
  usePlaces,
} from './rights'

let answers: Record<string, unknown> = {}
let asked: string[] = []
/** Questions that are answered with yes. */
let allowed: string[] = []
/** What is answered about permissions. */
let found: Record<string, object> = {}

vi.mock('@/api/http', async (original) => ({
  ...(await original<typeof import('@/api/http')>()),
  request: async (_: string, path: string, options?: { body?: { verb: string; resource: string } }) => {
    const { verb, resource } = options?.body ?? {}
    asked.push(verb ? `${verb} ${resource}` : path)
    const told = path.includes('checkPermissions') ? found[path.split('?')[0] ?? ''] : answers[path]
    const answer = verb ? { allowed: allowed.includes(`${verb} ${resource}`) } : told
    if (answer === undefined) throw new ApiError(404, 'NotFound', 'there is none')
    if (answer instanceof Error) throw answer
    return answer
  },
}))

beforeEach(() => {
  answers = {}
  asked = []
  allowed = []
  found = {}
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

test('a question is asked where it is needed, and again when rights change', async () => {
  const scope = effectScope()
  const isNeeded = ref(false)
  const question = { verb: 'list', apiGroup: 'auditlog.cattle.io', resource: 'auditlogs' }
  const may = scope.run(() => useAllowed(() => (isNeeded.value ? question : undefined)))!
  await settled()
  expect(asked).toEqual([])
  isNeeded.value = true
  expect(may.value).toBeUndefined()
  await settled()
  expect(may.value).toBe(false)
  allowed = ['list auditlogs']
  askRightsAgain()
  await settled()
  expect(may.value).toBe(true)
  expect(asked).toEqual(['list auditlogs', 'list auditlogs'])
  scope.stop()
})

test("what may be done on the hub is one question, beside one's own user", async () => {
  const user = ref('')
  const scope = effectScope()
  const permits = scope.run(() => useHubPermits(() => user.value))!
  await settled()
  expect(asked).toEqual([])
  const resourcePermissions = { 'management.cattle.io.clusters': { create: 'https://hub.example/v1/…' } }
  found = { '/v1/management.cattle.io.users/u-1': { id: 'u-1', resourcePermissions } }
  user.value = 'u-1'
  await settled()
  expect(asked).toHaveLength(1)
  expect(asked[0]).toMatch(/^\/v1\/management.cattle.io.users\/u-1\?/)
  expect(permits.value?.('create', 'management.cattle.io.clusters')).toBe(true)
  expect(permits.value?.('list', 'management.cattle.io.users')).toBe(false)
  scope.stop()
})

test('who may take in members is known for the cluster and for each project', async () => {
  const may = { create: 'https://hub.example/v1/…' }
  const data = [
    { id: 'c-1/p-1', resourcePermissions: { 'management.cattle.io.projectroletemplatebindings': may } },
    { id: 'c-1/p-2', resourcePermissions: {} },
  ]
  found = {
    '/v1/management.cattle.io.clusters/c-1': { id: 'c-1', resourcePermissions: { 'management.cattle.io.projects': may } },
    '/v1/management.cattle.io.projects/c-1': { data },
  }
  const scope = effectScope()
  const listed = ref(['c-1:p-1'])
  const places = scope.run(() =>
    usePlaces(
      () => 'c-1',
      () => listed.value,
    ),
  )!
  expect(places.value.projects).toBe(false)
  await settled()
  expect(places.value).toMatchObject({ projects: true, members: false })
  expect(places.value.membersOf('c-1:p-1')).toBe(true)
  expect(places.value.membersOf('c-1:p-2')).toBe(false)

  data.push({ id: 'c-1/p-3', resourcePermissions: { 'management.cattle.io.projectroletemplatebindings': may } })
  listed.value = ['c-1:p-1', 'c-1:p-3']
  await settled()
  expect(places.value.membersOf('c-1:p-3')).toBe(true)
  scope.stop()
})
