import { expect, test } from 'vitest'

import { eachOf } from './each'

test('all are done, never more at once than allowed', async () => {
  const done: number[] = []
  let [now, most] = [0, 0]
  await eachOf([1, 2, 3, 4, 5, 6, 7], 3, async (one) => {
    now += 1
    most = Math.max(most, now)
    await new Promise((resolve) => setImmediate(resolve))
    done.push(one)
    now -= 1
  })
  expect(done.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(most).toBe(3)
  await eachOf([], 3, async () => expect.unreachable())
})
