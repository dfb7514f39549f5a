/** Does the same with several things, so many at once. */
export async function eachOf<T>(all: T[], atOnce: number, work: (one: T) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < all.length) {
      const one = all[next] as T
      next += 1
      await work(one)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker))
}
