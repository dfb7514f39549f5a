import { beforeEach, expect, test, vi } from 'vitest'
import { effectScope, nextTick, shallowRef } from 'vue'

import { useDrawnRows } from './drawnRows'

interface Row {
  id: string
  text: string
}

let frames: (() => void)[] = []
beforeEach(() => {
  frames = []
  vi.stubGlobal('requestAnimationFrame', (run: () => void) => frames.push(run))
  vi.stubGlobal('cancelAnimationFrame', () => undefined)
})
async function frame(): Promise<void> {
  frames.splice(0).forEach((run) => run())
  await nextTick()
}

test('rows that changed are drawn a few at a time, and stand there as they were until then', async () => {
  const count = 40
  const rows = shallowRef<Row[]>(Array.from({ length: count }, (_, at) => ({ id: `${at}`, text: 'old' })))
  const scope = effectScope()
  const lines = scope.run(() =>
    useDrawnRows<Row>({
      places: () => Array.from({ length: count }, (_, at) => at),
      sight: () => [0, count],
      at: (index) => ({ row: rows.value[index]!, gone: false }),
      rowKey: (row) => row.id,
    }),
  )!
  const texts = (): string[] => lines.value.map(({ row }) => row?.text ?? '')
  expect(texts().filter((text) => text === 'old').length).toBeLessThan(count / 2)
  for (let left = 0; left < count && texts().includes(''); left += 1) await frame()
  expect(new Set(texts())).toEqual(new Set(['old']))

  rows.value = rows.value.map(({ id }) => ({ id, text: 'new' }))
  await nextTick()
  const fresh = texts().filter((text) => text === 'new').length
  expect(fresh).toBeGreaterThan(0)
  expect(fresh).toBeLessThan(count / 2)
  expect(texts()).not.toContain('')
  for (let left = 0; left < count && texts().includes('old'); left += 1) await frame()
  expect(new Set(texts())).toEqual(new Set(['new']))
  scope.stop()
})
