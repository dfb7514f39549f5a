import { beforeEach, expect, test, vi } from 'vitest'

import { ApiError } from './http'
import { list, type Resource } from './norman'

/** How many pages there are, and what is answered instead of some, in turns. */
const PAGES = 12
let troubles = new Map<number, Error[]>()
let asked: number[] = []

vi.stubGlobal('location', { href: 'https://hub.example/dashboard/' })
vi.mock('./http', async (original) => ({
  ...(await original<typeof import('./http')>()),
  request: async (_: string, path: string) => {
    const page = Number(new URLSearchParams(path.split('?')[1]).get('marker') ?? 0)
    asked.push(page)
    const trouble = troubles.get(page)?.shift()
    if (trouble) throw trouble
    const data = Array.from({ length: 1000 }, (__, at) => ({ id: `r-${page * 1000 + at}`, type: 'resource', links: {} }))
    const next = page + 1 < PAGES ? { next: `https://other.example/v3/resources?limit=1000&marker=${page + 1}` } : {}
    return { data, pagination: next }
  },
}))

beforeEach(() => {
  vi.useFakeTimers()
  troubles = new Map()
  asked = []
})

async function all(): Promise<Resource[] | unknown> {
  const going = list('resources').catch((error: unknown) => error)
  await vi.runAllTimersAsync()
  return going
}

test('a long list that fails midway goes on where it was', async () => {
  troubles.set(7, [new ApiError(503, 'Unavailable', 'a moment'), new ApiError(502, 'BadGateway', 'another')])
  expect(await all()).toHaveLength(12_000)
  expect(asked).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 8, 9, 10, 11])
})

test('what is wrong in itself, and what fails for long, is told', async () => {
  troubles.set(3, [new ApiError(403, 'Forbidden', 'not any more')])
  expect(await all()).toMatchObject({ status: 403 })
  const long = Array.from({ length: 9 }, () => new ApiError(503, 'Unavailable', 'away'))
  troubles.set(5, long)
  expect(await all()).toMatchObject({ status: 503 })
  expect(long).toHaveLength(5)
  troubles.set(0, [new ApiError(503, 'Unavailable', 'away')])
  asked = []
  expect(await all()).toMatchObject({ status: 503 })
  expect(asked).toEqual([0])
})
