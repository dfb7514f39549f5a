import { beforeEach, expect, test, vi } from 'vitest'
import { effectScope } from 'vue'

import { ApiError } from '@/api/http'

import { useObject, type LiveObject } from './useObject'

/** What the server answers to a reading and to a watch. */
let reading: () => unknown
let watching: () => Response

vi.mock('@/api/http', async (original) => ({
  ...(await original<typeof import('@/api/http')>()),
  request: async () => reading(),
  fetchOk: async () => watching(),
}))

const pods = { group: '', version: 'v1', plural: 'pods' }
const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n', resourceVersion: '1' } }
const open = (): Response => new Response(new ReadableStream())
const refuse = (status: number) => (): never => {
  throw new ApiError(status, String(status), `refused ${status}`)
}
const until = (holds: () => boolean): Promise<void> => vi.waitFor(() => expect(holds()).toBe(true), 3000)

function followed(): { live: LiveObject; leave: () => void } {
  const scope = effectScope()
  const live = scope.run(() => useObject(() => ({ cluster: 'c', resource: pods, namespace: 'n', name: 'p' })))
  return { live: live as LiveObject, leave: () => scope.stop() }
}

beforeEach(() => {
  reading = () => pod
  watching = open
})

test.each([401, 403])('an object refused with %i is shown once a right is given', async (status) => {
  reading = refuse(status)
  const { live, leave } = followed()
  await until(() => live.phase === 'forbidden')
  expect(live.message).toBe(`refused ${status}`)
  expect(live.object).toBeUndefined()
  reading = () => pod
  await until(() => live.phase === 'live' && live.message === '')
  expect(live.object).toEqual(pod)
  leave()
})

test('a right that is taken away is told, and what was shown stays for edits', async () => {
  let end = (): void => undefined
  watching = () => new Response(new ReadableStream({ start: (stream) => void (end = () => stream.close()) }))
  const { live, leave } = followed()
  await until(() => live.phase === 'live')
  reading = refuse(403)
  end()
  await until(() => live.phase === 'forbidden')
  expect(live.object).toEqual(pod)
  leave()
})

test('who may read but not watch sees the object, and one that is missing appears', async () => {
  watching = refuse(403)
  reading = refuse(404)
  const { live, leave } = followed()
  await until(() => live.phase === 'missing')
  reading = () => pod
  await until(() => live.phase === 'live')
  leave()
})

test('a question that is wrong in itself is not repeated', async () => {
  let asked = 0
  reading = () => {
    asked += 1
    return refuse(400)()
  }
  vi.useFakeTimers()
  const { live, leave } = followed()
  await vi.advanceTimersByTimeAsync(60_000)
  expect([live.phase, asked]).toEqual(['failed', 1])
  leave()
  vi.useRealTimers()
})
