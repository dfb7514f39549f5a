import { expect, it } from 'vitest'
import { nextTick, ref } from 'vue'

import { useBounded } from './bounded'

const all = Array.from({ length: 25 }, (_, at) => at)
const scrolled = (scrollTop: number): Event =>
  ({ currentTarget: { scrollTop, clientHeight: 100, scrollHeight: 2000 } }) as unknown as Event

it('shows the first, and more only near the end of what is shown', () => {
  const { shown, left, onScroll } = useBounded(() => all, 10)
  expect([shown.value.length, left.value]).toEqual([10, 15])
  onScroll(scrolled(100))
  expect(shown.value).toHaveLength(10)
  onScroll(scrolled(1700))
  expect([shown.value.length, left.value]).toEqual([20, 5])
  onScroll(scrolled(1700))
  onScroll(scrolled(1700))
  expect([shown.value, left.value]).toEqual([all, 0])
})

it('begins anew with another list, and not when the same one changes', async () => {
  const [asked, items] = [ref(''), ref(all)]
  const { shown, more } = useBounded(
    () => items.value,
    10,
    () => asked.value,
  )
  more()
  items.value = [...all, 26]
  await nextTick()
  expect(shown.value).toHaveLength(20)
  asked.value = 'a'
  await nextTick()
  expect(shown.value).toHaveLength(10)
})
