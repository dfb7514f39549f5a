import { expect, test, vi } from 'vitest'
import { effectScope } from 'vue'

import type { Project, Resource } from '@/api/norman'

import { connected, connectNow, learn, useCollection } from './live'

class FakeSocket extends EventTarget {
  static last: FakeSocket | undefined
  constructor() {
    super()
    FakeSocket.last = this
  }
  close(): void {}
  tell(name: string, data: Resource): void {
    this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify({ name, data }) }))
  }
}
vi.stubGlobal('WebSocket', FakeSocket)
vi.stubGlobal('location', { protocol: 'https:', host: 'hub.example' })
vi.mock('@/api/norman', () => ({ list: () => Promise.resolve([]) }))

const project = (description: string): Project => ({ id: 'p', type: 'project', clusterId: 'c', links: {}, description })

test('an answer that comes after the news of its change takes nothing back', async () => {
  vi.useFakeTimers()
  const scope = effectScope()
  const { items } = scope.run(() => useCollection<Project>('project'))!
  await vi.advanceTimersByTimeAsync(100)
  const shown = (): string | undefined => items.value[0]?.description
  learn('project', project('made'))
  expect(shown()).toBe('made')
  FakeSocket.last?.tell('resource.change', project('news'))
  learn('project', project('late'))
  expect(shown()).toBe('news')
  await vi.advanceTimersByTimeAsync(3000)
  learn('project', project('changed'))
  expect(shown()).toBe('changed')
  scope.stop()
  vi.useRealTimers()
})

test('who does not want to wait connects at once', async () => {
  vi.useFakeTimers()
  const scope = effectScope()
  scope.run(() => useCollection<Project>('project'))
  await vi.advanceTimersByTimeAsync(100)
  const first = FakeSocket.last
  first?.dispatchEvent(new Event('close'))
  expect(connected.value).toBe(false)
  expect(FakeSocket.last).toBe(first)
  connectNow()
  const second = FakeSocket.last
  expect(second).not.toBe(first)
  second?.dispatchEvent(new Event('open'))
  expect(connected.value).toBe(true)
  // There is nothing to do for who is connected.
  connectNow()
  expect(FakeSocket.last).toBe(second)
  scope.stop()
  vi.useRealTimers()
})
